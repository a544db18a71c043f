"""Concat undone: the adjoint of tiles that were glued together."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

from tra.algebra.adjoint import fill, in_domain, lift
from tra.algebra.key_function import Const, KeyExpr, Op, Var
from tra.algebra.live import is_uniform
from tra.algebra.nodes import Concat, Constant, Expr
from tra.algebra.operators import concat, generated, rekey, tile
from tra.algebra.type_rules import tile_type
from tra.algebra.types import Axis
from tra.algebra.whole_tensor import fresh_name, reorder


def undo_concat(node: Concat, z: Expr) -> Expr:
    """The adjoint cut into the tiles that were glued, under the key that had numbered them.

    Args:
        node: the Concat.
        z: the adjoint of its result, lifted.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], keys="i", tile=2)
        >>> glued = A.concat("i", 0).expr
        >>> str(undo_concat(glued, glued).type)
        '[i:2] of 2/3 float64'
    """
    axis = node.child.type.axes[node.axis]
    if axis.size == 0:  # nothing says into how many tiles nothing is cut
        return generated(replace(node.child.type, dtype=z.type.dtype), Constant(0))
    if axis.link and node.key not in dict(axis.link) and not is_uniform(axis, node.child.type):
        return _regrouped(node, fill(z, node.type), axis)
    cut = tile(z, node.axis, axis.size, node.key)
    return in_domain(reorder(cut, node.child.type.names), node.child.type)


def _regrouped(node: Concat, z: Expr, axis: Axis) -> Expr:
    """Where the glued tiles were shorter at the edge: cut into what divides both lengths, and joined."""
    type_ = node.child.type
    last = axis.n_tiles - 1
    edge = axis.extent - axis.size * last
    unit = gcd(axis.size, edge)
    number, within = fresh_name("number", type_.names), fresh_name("within", type_.names)
    pieces = tile(z, node.axis, unit, number)
    shown = {name: Var(name) for name in type_.names}
    at_edge = Op("==", _offset(axis), Const(last))
    group = _by_place(number, "//", axis.size // unit, edge // unit, at_edge)
    place = _by_place(number, "%", axis.size // unit, edge // unit, at_edge)
    parts = tuple(group if name == node.key else shown[name] for name in type_.names)
    moved = rekey(pieces, (*parts, place), (*type_.names, within))
    return concat(lift(moved, tile_type(type_, node.axis, unit, within)), within, node.axis)


def _offset(axis: Axis) -> KeyExpr:
    """Which tile of the axis this is, in keys."""
    terms: list[KeyExpr] = [Op("*", Var(name), Const(coef)) for name, coef in axis.link]
    total = terms[0]
    for term in terms[1:]:
        total = Op("+", total, term)
    return total


def _by_place(key: str, symbol: str, full: int, edge: int, at_edge: KeyExpr) -> KeyExpr:
    """The piece number divided by the pieces of a full tile, or of one at the edge."""
    inner = Op("*", Op(symbol, Var(key), Const(full)), Op("-", Const(1), at_edge))
    return Op("+", inner, Op("*", Op(symbol, Var(key), Const(edge)), at_edge))
