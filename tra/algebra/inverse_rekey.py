"""ReKey undone: each tile goes back to the key it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from tra.algebra.key_function import (
    Const,
    KeyExpr,
    KeyFunction,
    Op,
    Opaque,
    Var,
    apply,
    plain_shift,
)
from tra.algebra.links import single_values
from tra.algebra.live import live_keys
from tra.algebra.nodes import Expr, ReKey
from tra.algebra.operators import rekey
from tra.algebra.types import RelType, TileKey


def is_permutation(node: ReKey) -> bool:
    """Claims that the keys are only renamed or put in another order.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 3] * 2, tile=2)
        >>> swapped, shifted = (lambda i, j: (j, i)), (lambda i, j: (i + 1, j))
        >>> [is_permutation(A.rekey(function, keys=("a", "b")).expr) for function in (swapped, shifted)]
        [True, False]
    """
    if isinstance(node.function, Opaque) or not all(isinstance(part, Var) for part in node.function):
        return False
    return len(set(node.function)) == len(node.function) == len(node.child.type.keys)


def undo_rekey(node: ReKey, z: Expr) -> Expr:
    """Tiles under the keys of a ReKey, back under the keys of its operand.

    Args:
        node: the ReKey.
        z: tiles by its keys; by some of them where it is a permutation.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=1)
        >>> turned = A.rekey(lambda i: 2 - i, ("n",))
        >>> from tra.algebra.relation import Relation
        >>> undone = Relation(undo_rekey(turned.expr, turned.expr), A.sources)
        >>> [tile.item() for tile in undone.tiles().values()]
        [1.0, 2.0, 3.0]

    Raises:
        SchemaError: the keys are too many to list, and the function is neither shift, split nor merge.
    """
    old = node.child.type
    if is_permutation(node):
        came_from = {new: part.name for new, part in zip(node.keys, node.function, strict=True)}  # type: ignore
        names = [came_from[name] for name in z.type.names]
        order = sorted(range(len(names)), key=lambda p: old.names.index(names[p]))
        return rekey(z, tuple(Var(z.type.names[p]) for p in order), [names[p] for p in order])
    inverse = None if isinstance(node.function, Opaque) else _inverse(node.function, node.keys, old)
    if inverse is not None:
        undone = rekey(z, inverse, old.names)
        if undone.type.domains == old.domains:
            return undone
    return rekey(z, _looked_up(node), old.names)


def _inverse(function: tuple[KeyExpr, ...], keys: tuple[str, ...], old: RelType) -> KeyFunction | None:
    """Shifts turned back, halves of a split put together, merges taken apart; None for anything else."""
    found: dict[str, KeyExpr] = {name: Const(value) for name, value in single_values(old).items()}
    parts = dict(zip(keys, function, strict=True))
    for key, part in parts.items():
        shift = plain_shift(part)
        if shift is not None:
            found[shift[0]] = Op("-", Var(key), Const(shift[1])) if shift[1] else Var(key)
        found.update(_taken_apart(key, part, old) or _put_together(key, part, parts) or {})
    return tuple(found[name] for name in old.names) if set(found) == set(old.names) else None


def _put_together(key: str, part: KeyExpr, parts: Mapping[str, KeyExpr]) -> dict[str, KeyExpr] | None:
    """I from i // n and i % n."""
    match part:
        case Op("//", Var(name), Const(n)):
            rest = next((k for k, p in parts.items() if p == Op("%", Var(name), Const(n))), None)
            return {name: Op("+", Op("*", Var(key), Const(n)), Var(rest))} if rest else None
    return None


def _taken_apart(key: str, part: KeyExpr, old: RelType) -> dict[str, KeyExpr] | None:
    """I and j from i·n + j, where j stays below n."""
    match part:
        case Op("+", Op("*", Var(high), Const(n)), Var(low)) if 0 < old.domain(low) <= n and high != low:
            return {high: Op("//", Var(key), Const(n)), low: Op("%", Var(key), Const(n))}
    return None


def _looked_up(node: ReKey) -> Opaque:
    """The inverse as a table of the keys there are, with the domains of the operand."""
    type_ = node.child.type
    old = live_keys(type_)
    new = apply(node.function, type_.names, old)
    table = KeyTable({tuple(n): tuple(o) for n, o in zip(new.tolist(), old.tolist(), strict=True)})
    parts = (repr(type_.domains).encode(), new.tobytes(), old.tobytes())
    return Opaque(table, node.keys, sha256(b"inverse\0" + b"\0".join(parts)).hexdigest()[:16], type_.domains)


@dataclass(frozen=True)
class KeyTable:
    """A function of keys that is a table.

    Example:
        >>> KeyTable({(0, 1): (5,)})(0, 1)
        (5,)
    """

    rows: Mapping[TileKey, TileKey]

    def __call__(self, *key: int) -> TileKey:
        return self.rows[key]
