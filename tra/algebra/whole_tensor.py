"""Relations seen as whole tensors: one plain cut per axis, keys in the order of the axes they cut.

The sugar (arithmetic, einsum, reductions, slices) and the index form speak of tensors, not of tiles. What
stands here brings a relation into the form they work on, and changes cuts where two tensors' tiles differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tra.algebra.arguments import given_integer
from tra.algebra.key_function import Var
from tra.algebra.nodes import Cut, Expr
from tra.algebra.operators import concat, rekey, resolve_axis, tile, transform
from tra.algebra.retiling import check_links, free_keys, retile
from tra.algebra.types import RelType
from tra.errors import SchemaError


def axis_key(type_: RelType, place: int) -> str | None:
    """The one key that counts the tiles along an axis, or None when it is not cut or cut by several keys.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i",), 2)
        >>> axis_key(A, 0), axis_key(A, 1)
        ('i', None)
    """
    axis = type_.axes[place]
    if len(axis.link) == 1 and axis.link[0][1] == 1:
        name = axis.link[0][0]
        return name if type_.domain(name) == axis.n_tiles else None
    return None


def is_whole_form(type_: RelType) -> bool:
    """Claims that every key cuts exactly one axis plainly, in the order of the axes.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> is_whole_form(tensor_type((5, 4), "f8", ("i", "j"), 2))
        True
    """
    keys = [axis_key(type_, p) for p, axis in enumerate(type_.axes) if axis.link]
    return tuple(keys) == type_.names


def whole_form(expr: Expr) -> Expr:
    """The same tensor with every key cutting exactly one axis, in the order of the axes.

    A key that cuts no axis becomes a leading axis; an axis that several keys cut is cut anew by one.

    Example:
        >>> import tra
        >>> A = tra.from_tiles({n: [[1.0, 2.0]] for n in range(3)}, keys="n", name="A")
        >>> A, str(whole_form(A.expr).type)
        (A[n:3] of 1×2 float64, '[n:3] of 1/3×1×2 float64')

    Raises:
        SchemaError: the relation is no whole tensor.
    """
    if is_whole_form(expr.type):
        return expr
    check_links(expr.type, "the tensor of a relation")
    if any(axis.link and axis_key(expr.type, p) is None for p, axis in enumerate(expr.type.axes)):
        expr = retile([expr], current_cuts(expr.type))
    for key in reversed(free_keys(expr.type)):
        grown = transform(expr, "expand_dims", axis=-(len(expr.type.axes) + 1))
        expr = tile(concat(grown, key.name, 0), 0, 1, key.name)
    return axis_order(expr)


def axis_order(expr: Expr) -> Expr:
    """The keys in the order of the axes they cut.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> axis_order(A.rekey(lambda i, k: (k, i), keys=("k", "i")).expr).type.names
        ('i', 'k')
    """
    type_ = expr.type
    order = [name for p in range(len(type_.axes)) if (name := axis_key(type_, p)) is not None]
    order = [name for name in type_.names if name not in order] + order
    return reorder(expr, order)


def reorder(expr: Expr, order: Sequence[str], names: Mapping[str, str] | None = None) -> Expr:
    """The keys in another order, and renamed; nothing is done where nothing changes.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> reorder(A.expr, ["k", "i"], {"i": "row"}).type.names
        ('k', 'row')
    """
    new = [names.get(name, name) for name in order] if names else list(order)
    if tuple(new) == expr.type.names and tuple(order) == expr.type.names:
        return expr
    return rekey(expr, tuple(Var(name) for name in order), new)


def fresh_name(wanted: str, taken: Iterable[str]) -> str:
    """The name, with a suffix where it is taken.

    Example:
        >>> fresh_name("i", ["i", "i_2"])
        'i_3'
    """
    taken = set(taken)
    name, n = wanted, 2
    while name in taken:
        name, n = f"{wanted}_{n}", n + 1
    return name


def current_cuts(type_: RelType) -> list[Cut]:
    """The cuts a relation has; an axis cut by several keys is named after the first of them.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> current_cuts(tensor_type((5, 4), "f8", ("i",), 2))
        [Cut(size=2, key='i'), Cut(size=None, key=None)]
    """
    cuts = []
    for axis in type_.axes:
        linked = [name for name in type_.names if name in dict(axis.link)]
        cuts.append(Cut(max(axis.size, 1), linked[0]) if linked else Cut())
    return cuts


def recut(expr: Expr, sizes: Mapping[int, int], names: Mapping[int, str] | None = None) -> Expr:
    """The same tensor with the axes in `sizes` cut into tiles of that size.

    An axis that is not cut yet is tiled where it lies; others need an exchange (Retile).

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i",), tile=2)
        >>> str(recut(A.expr, {0: 3, 1: 2}, {1: "k"}).type)
        '[i:2, k:2] of 3/6×2/4 float64'
    """
    changed = {p: s for p, s in sizes.items() if not _is_cut(expr.type, p, s)}
    if any(expr.type.axes[p].link for p in changed):
        cuts = current_cuts(expr.type)
        for p, size in changed.items():
            cuts[p] = Cut(max(size, 1), cuts[p].key or _name(expr.type, p, names))
        return axis_order(retile([expr], cuts))
    for p, size in changed.items():
        expr = tile(expr, p, max(size, 1), _name(expr.type, p, names))
    return axis_order(expr) if changed else expr


def _is_cut(type_: RelType, place: int, size: int) -> bool:
    return axis_key(type_, place) is not None and type_.axes[place].size == min(
        size, type_.axes[place].extent
    )


def _name(type_: RelType, place: int, names: Mapping[int, str] | None) -> str:
    return fresh_name((names or {}).get(place, f"k{place}"), type_.names)


def uncut(expr: Expr, place: int) -> Expr:
    """The same tensor with an axis in one piece.

    Example:
        >>> import tra
        >>> str(uncut(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr, 0).type)
        '[k:2] of 6×2/4 float64'
    """
    name = axis_key(expr.type, place)
    return expr if name is None else concat(expr, name, place)


def transpose(expr: Expr, axes: Sequence[int] | None = None) -> Expr:
    """Permutes the axes of the whole tensor, as `numpy.transpose` does; keys follow their axes.

    Example:
        >>> import tra
        >>> str(transpose(tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2).expr).type)
        '[k:2, i:3] of 2/4×2/6 float64'

    Raises:
        SchemaError: the relation is no whole tensor, or `axes` is no permutation of its axes.
    """
    expr = whole_form(expr)
    rank = len(expr.type.axes)
    order = tuple(range(rank))[::-1] if axes is None else tuple(resolve_axis(expr.type, a) for a in axes)
    if sorted(order) != list(range(rank)):
        raise SchemaError(f"transpose takes each axis of {expr.type} once; got {tuple(axes or ())}")
    if order == tuple(range(rank)):
        return expr
    return axis_order(transform(expr, "transpose", axes=order))


def retiled(expr: Expr, sizes: Sequence[int | None]) -> Expr:
    """The same tensor with other tile sizes, one per axis; None leaves an axis in one piece.

    Example:
        >>> import tra
        >>> str(retiled(tra.from_array([1.0] * 10, keys="i", tile=4).expr, [5]).type)
        '[i:2] of 5/10 float64'

    Raises:
        SchemaError: holes, another number of sizes than axes, or a size below 1.
    """
    whole = whole_form(expr)
    names = [axis_key(whole.type, place) for place in range(len(whole.type.axes))]
    taken = [name for name in names if name]
    cuts = []
    for place, size in enumerate(sizes):
        name = names[place] if place < len(names) else None
        if size is not None and name is None:
            name = fresh_name(f"k{place}", taken)
            taken.append(name)
        cuts.append(Cut() if size is None else Cut(given_integer(size, "a tile size"), name))
    return axis_order(retile([whole], cuts))


def unpacked(values: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of a call that takes ``f(1, 2)`` and ``f((1, 2))``.

    Example:
        >>> unpacked((1, 2)), unpacked(((1, 2),))
        ((1, 2), (1, 2))
    """
    return tuple(values[0] if len(values) == 1 and isinstance(values[0], Sequence) else values)


def expand_dims(expr: Expr, place: int) -> Expr:
    """A new axis of extent one at `place` of the whole tensor.

    Example:
        >>> import tra
        >>> str(expand_dims(tra.from_array([1.0] * 4, keys="i", tile=2).expr, 1).type)
        '[i:2] of 2/4×1 float64'
    """
    return transform(expr, "expand_dims", axis=place - len(expr.type.axes) - 1)


def squeeze(expr: Expr, place: int) -> Expr:
    """Drops an axis of extent one.

    Example:
        >>> import tra
        >>> str(squeeze(tra.from_array([[1.0]] * 4, keys=("i", "j"), tile=2).expr, 1).type)
        '[i:2] of 2/4 float64'
    """
    expr = uncut(expr, place)
    return transform(expr, "squeeze", axis=place - len(expr.type.axes))


def default_tile(shape: Sequence[int], edge: int = 1 << 10) -> tuple[int, ...]:
    """Tile sizes for a tensor whose user left them open: up to `edge` along each axis, in even pieces.

    Tensors of many axes have shorter edges, so that a tile has about edge² elements at most. Where that is
    not needed a size depends on the extent alone, so that tensors that meet have tiles that meet.

    Example:
        >>> default_tile((1797, 64)), default_tile((1797, 8, 8)), default_tile((1000, 1000, 1000))
        ((899, 64), (899, 8, 8), (100, 100, 100))
    """
    longest = min(edge, _longest_edge(shape, edge * edge))
    return tuple(-(-extent // max(-(-extent // longest), 1)) for extent in shape)


def _longest_edge(shape: Sequence[int], limit: int) -> int:
    """The longest edge of tiles of about so many elements, where shorter axes stay in one piece."""
    extents = sorted(max(extent, 1) for extent in shape)
    for place, extent in enumerate(extents):
        n_longer = len(extents) - place
        if extent**n_longer >= limit:
            edge: float = limit ** (1 / n_longer)
            return max(round(edge), 1)
        limit //= extent
    return extents[-1] if extents else 1
