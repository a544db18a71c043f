"""How keys of a step's operands and of its result belong together: a range of one is one of another.

A step is *wired*: every key of its operands and of its result has a name of the step's own, and keys of one
name have the same values wherever tiles meet. A key without a name is wanted whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from tra.algebra.join_type import joined_names
from tra.algebra.kernel import Kernel
from tra.algebra.key_function import Var
from tra.algebra.live import is_dense
from tra.algebra.types import RelType
from tra.backends.element_chains import Applied, Chain, Operand, Term
from tra.backends.steps import Step
from tra.optimizer.plan import (
    LocalAggregate,
    LocalConcat,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    LocalStack,
    LocalTile,
    Plan,
)

Names: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True)
class Wiring:
    """The names of the keys of a step.

    Attributes:
        operands: for each operand the name of each key, None for one that is wanted whole.
        result: the same of the result.
        gone: names that the step folds, and that the result lacks.
        fold: what folds them, or None where nothing is folded in parts.
        turn: for a fold in the order of keys the one name whose values it takes in turn.
    """

    operands: tuple[Names, ...]
    result: Names
    gone: frozenset[str] = frozenset()
    fold: Kernel | None = None
    turn: str | None = None


@lru_cache(maxsize=4096)
def wiring_of(step: Step) -> Wiring:
    """The wiring of a step.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.rules.examples import scan
        >>> A, on, by = scan(), (("j", "i"),), ("i", "j_2")
        >>> node = LocalContract(A.type, A.placement, A, A, on, kernel("matmul"), by, ADD)
        >>> found = wiring_of(Step(node, (A.digest, A.digest), None, frozenset()))
        >>> found.operands, found.result, sorted(found.gone)
        ((('i', 'j'), ('j', 'j_2')), ('i', 'j_2'), ['j'])
    """
    if step.chain is not None:
        return _of_chain(step.chain)
    found = _of_node(step.node)
    return found if found is not None else _whole(step.node, step.node.children)


def _whole(node: Plan, operands: Sequence[Plan]) -> Wiring:
    """All of every operand is wanted for any part of the result."""
    return Wiring(tuple((None,) * len(o.type.keys) for o in operands), (None,) * len(node.type.keys))


def _of_chain(chain: Chain) -> Wiring:
    names = tuple(f"{place}" for place in range(len(chain.root.type.keys)))
    columns: dict[int, tuple[int, ...]] = {}
    for operand in _operands(chain.term):
        if columns.setdefault(operand.place, operand.columns) != operand.columns:
            return _whole(chain.root, chain.operands)  # the same tiles twice, by other keys
    found = tuple(tuple(names[c] for c in columns[place]) for place in range(len(chain.operands)))
    return Wiring(found, names)


def _operands(term: Term | None) -> list[Operand]:
    match term:
        case Operand():
            return [term]
        case Applied(operands=operands):
            return [found for part in operands for found in _operands(part)]
    return []


def _of_node(node: Plan) -> Wiring | None:
    match node:
        case LocalJoin(left=left, right=right, on=on):
            return _of_pair(left, right, on, None, None)
        case LocalContract(left=left, right=right, on=on, by=by, fold=fold):
            return _of_pair(left, right, on, by, fold)
        case LocalAggregate(child=child, by=by, kernel=kernel):
            gone = frozenset(child.type.names) - set(by)
            return _folded(Wiring((child.type.names,), by), gone, kernel, [child.type])
        case LocalFilter(child=child):
            return Wiring((child.type.names,), child.type.names)
        case LocalMap(child=child, function=function):
            return _of_map(child, function)
        case LocalTile(child=child, key=key):
            return Wiring((child.type.names,), tuple(None if n == key else n for n in node.type.names))
        case LocalConcat(child=child, key=key):
            names = tuple(None if name == key else name for name in child.type.names)
            return Wiring((names,), node.type.names)
        case LocalStack(operands=operands):
            rest = node.type.names[1:]
            return Wiring((rest,) * len(operands), (None, *rest))
    return None


def _of_pair(
    left: Plan,
    right: Plan,
    on: Sequence[tuple[str, str]],
    by: tuple[str, ...] | None,
    fold: Kernel | None,
) -> Wiring:
    names = joined_names(left.type, right.type, on)
    theirs = {name for _, name in on}
    joined = (*left.type.names, *(names[n] for n in right.type.names if n not in theirs))
    kept = joined if by is None else by
    wiring = Wiring((left.type.names, tuple(names[name] for name in right.type.names)), kept)
    return _folded(wiring, frozenset(joined) - set(kept), fold, [left.type, right.type])


def _folded(wiring: Wiring, gone: frozenset[str], fold: Kernel | None, operands: Sequence[RelType]) -> Wiring:
    """A fold in parts needs a kernel that allows it; without one the keys that go are wanted whole."""
    if fold is not None and fold.laws.associative:
        return Wiring(wiring.operands, wiring.result, gone, fold)
    turn = _turn(wiring, gone, operands) if fold is not None and fold.laws.ordered else None
    if turn is not None:
        return Wiring(wiring.operands, wiring.result, gone, fold, turn)
    whole = tuple(tuple(None if n in gone else n for n in names) for names in wiring.operands)
    return Wiring(whole, wiring.result)


def _turn(wiring: Wiring, gone: frozenset[str], operands: Sequence[RelType]) -> str | None:
    """The one name that a fold has a value for each value of, where no tile is missing."""
    domains = {
        name: key.domain
        for names, type_ in zip(wiring.operands, operands, strict=True)
        for name, key in zip(names, type_.keys, strict=True)
    }
    several = [name for name in gone if domains[name] > 1]
    return several[0] if len(several) == 1 and all(map(is_dense, operands)) else None


def _of_map(child: Plan, function: object) -> Wiring | None:
    if function is None:
        return Wiring((child.type.names,), child.type.names)
    if not isinstance(function, tuple):
        return None
    kept = [part.name if isinstance(part, Var) else None for part in function]
    once = {name for name in kept if name is not None and kept.count(name) == 1}
    result = tuple(name if name in once else None for name in kept)
    return Wiring((tuple(name if name in once else None for name in child.type.names),), result)
