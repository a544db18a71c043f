"""What a user asks of operators, and not the cost: hints, checked against the strategies there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tra.algebra.nodes import Expr
from tra.algebra.sources import TileSource
from tra.backends.open_tiles import cut_for
from tra.errors import PlanError, near_name
from tra.optimizer.hint import Hint
from tra.optimizer.meshes import meshes
from tra.optimizer.operators import operator_graph
from tra.optimizer.strategies import Choice, choices, split_labels

_ENOUGH_SITES = 8  # for meshes of one, two and three dimensions


def checked_hint(
    expr: Expr,
    strategy: str | None,
    split: Sequence[str | None] | None,
    n_sites: int,
    sources: Mapping[str, TileSource] | None = None,
) -> Hint:
    """A hint for a result, if some strategy of its operator is as hinted.

    It is looked for in the tiles that plans are made in, which are not those written where these are open.

    Args:
        expr: the result.
        strategy: the name of a strategy, with or without what comes after its comma; None for any.
        split: the key that each mesh dimension splits, None for one that splits nothing; None for any.
        n_sites: how many sites there are; on a single site what several would allow is taken.
        sources: what the result reads, by source id.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> checked_hint(product(), "co-partition", None, 2).strategy
        'co-partition'
        >>> checked_hint(product(), "brodcast left", None, 2)
        Traceback (most recent call last):
        tra.errors.PlanError: [i:2, k:2] of 1/2×1/2 float64 has no strategy 'brodcast left'; did you mean
        'broadcast left'? On 2 sites it has 'broadcast right', 'co-partition, aggregate before shuffle',
        'broadcast left', 'compute everywhere'

    Raises:
        PlanError: there is none; names the strategies, or the keys, that there are.
    """
    _check_types(strategy, split)
    hint = Hint(expr, strategy, None if split is None else tuple(split))
    if strategy is None and split is None:
        raise PlanError("a hint names a strategy, or the keys to split")
    for key in hint.split or ():
        check_key(expr, key, n_sites, sources)
    meant = replace(hint, expr=_as_planned(hint.operator, n_sites, sources))
    found = list(_choices(meant, _several(n_sites)))
    if not any(hint.allows(choice) for choice in found):
        raise _no_choice(meant, found, n_sites)
    return hint


def _several(n_sites: int) -> int:
    return n_sites if n_sites > 1 else _ENOUGH_SITES


def _as_planned(expr: Expr, n_sites: int, sources: Mapping[str, TileSource] | None) -> Expr:
    """The operator of a result, in the tiles that plans are made in."""
    return cut_for(Hint(expr).operator, sources or {}, _several(n_sites))


def _check_types(strategy: Any, split: Any) -> None:
    if strategy is not None and not isinstance(strategy, str):
        raise PlanError(f"a strategy is a name, as `explain` shows it; got {strategy!r}")
    if split is None:
        return
    if isinstance(split, str):
        raise PlanError(f"a split names a key for each mesh dimension; write ({split!r},)")
    if not isinstance(split, Sequence):
        raise PlanError(f"a split names a key, or None, for each mesh dimension; got {split!r}")
    for key in split:
        if key is not None and not isinstance(key, str):
            raise PlanError(f"a split names a key, or None, for each mesh dimension; got {key!r} in it")


def check_key(
    expr: Expr, key: str | None, n_sites: int = 1, sources: Mapping[str, TileSource] | None = None
) -> None:
    """Makes sure that the operator of a result can be split by a key; arguments as for `checked_hint`.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> check_key(product(), "j")
        >>> check_key(product(), "jj")
        Traceback (most recent call last):
        tra.errors.PlanError: [i:2, k:2] of 1/2×1/2 float64 cannot be split by 'jj'; did you mean 'j'? It can
        be split by i, j, k

    Raises:
        PlanError: it cannot; names the keys.
    """
    if key is None:
        return
    node = _as_planned(expr, n_sites, sources)
    keys = split_labels(operator_graph(node)[node.digest])
    if key not in keys:
        near = near_name(key, keys) or "."
        there = f"It can be split by {', '.join(keys)}" if keys else "It has no key to split"
        there += "; a mesh dimension that splits nothing is None" if key == "*" else ""
        raise PlanError(f"{node.type} cannot be split by {key!r}{near} {there}")


def _choices(hint: Hint, n_sites: int) -> Iterator[Choice]:
    operator = operator_graph(hint.operator)[hint.operator.digest]
    for mesh in meshes(n_sites):
        yield from choices(operator, mesh)


def _no_choice(hint: Hint, found: Sequence[Choice], n_sites: int) -> PlanError:
    type_ = hint.operator.type
    where = f"on {n_sites} sites" if n_sites > 1 else "on several sites"
    names = list(dict.fromkeys(choice.rule for choice in found))
    known = {*names, *(name.partition(",")[0] for name in names)}
    if hint.strategy is not None and hint.strategy not in known:
        near = near_name(hint.strategy, sorted(known)) or "."
        listed = f"{where.capitalize()} it has {', '.join(map(repr, names))}"
        return PlanError(f"{type_} has no strategy {hint.strategy!r}{near} {listed}")
    lengths = sorted({len(choice.vector) for choice in found})
    if hint.split is not None and len(hint.split) not in lengths:
        sizes = " or ".join(map(str, lengths))
        there = "is" if lengths == [1] else "are"
        return PlanError(
            f"a split names a key, or none, for each mesh dimension: {where} there {there} {sizes}"
        )
    split = ", ".join("*" if key is None else key for key in hint.split or ())
    fitting = ", ".join(repr(rule) for rule in dict.fromkeys(c.rule for c in found if hint.split == c.vector))
    return PlanError(f"{hint.strategy!r} does not split {type_} by ({split}); that is {fitting}")


def hints_for(roots: Sequence[Expr], hints: Iterable[Hint], n_sites: int) -> tuple[Hint, ...]:
    """The hints that concern a query; on one site there is nothing to ask for.

    One for a join that is folded at once is for the contraction of both.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> hint = checked_hint(product(), "co-partition", None, 2)
        >>> [len(hints_for([expr], [hint], 2)) for expr in (product(), product().child.left)]
        [1, 0]
    """
    hints = list(hints)
    if n_sites == 1 or not hints:
        return ()
    operators = operator_graph(*roots)
    folds = {op.join.digest: op.expr for op in operators.values() if op.join is not None}
    meant = [replace(hint, expr=folds.get(hint.operator.digest, hint.operator)) for hint in hints]
    return tuple(hint for hint in meant if hint.operator.digest in operators)


__all__ = ["Hint", "check_key", "checked_hint", "hints_for"]
