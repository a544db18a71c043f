"""Retile undone: the adjoint of windows of tensors, laid end to end and cut anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tra.algebra.adjoint import fill, in_domain, lift
from tra.algebra.key_function import Const, KeyExpr, Op, Var
from tra.algebra.live import full_box
from tra.algebra.nodes import Constant, Cut, Expr, Retile, Window
from tra.algebra.operators import concat, generated, rekey
from tra.algebra.retiling import full_windows, offsets_along, retile
from tra.algebra.tilewise import Value, is_number
from tra.algebra.types import Axis, Box, Key, RelType
from tra.algebra.whole_tensor import current_cuts, fresh_name
from tra.errors import KernelError, SchemaError


def undo_retile(node: Retile, z: Value) -> Iterator[tuple[Expr, Value]]:
    """The operands of a Retile, each with its adjoint: zero outside its windows.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=2)
        >>> (operand, value), = undo_retile(A[1:].expr, A[1:].expr)
        >>> from tra.algebra.relation import Relation
        >>> Relation(value, A.sources).compute()
        array([0., 2., 3.])
    """
    starts = offsets_along(node.windows, node.along)
    whole = None if is_number(z) else fill(lift(z, node.type), node.type)
    for operand, windows, start in zip(node.operands, node.windows, starts, strict=True):
        if whole is None and tuple(windows) == full_windows(operand.type):
            yield operand, z
        elif all(window.count for window in windows):
            whole = fill(lift(z, node.type), node.type) if whole is None else whole
            yield operand, _put_back(whole, operand.type, windows, node.along, start)


def uncropped(value: Value, cropped: RelType, type_: RelType) -> Expr:
    """The adjoint of an operand of a truncated join: zero where the other operand has no keys.

    Args:
        value: the adjoint of the part that was joined.
        cropped: the type of that part.
        type_: the type of the operand.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([1.0] * n, "i", tile=2).expr for n in (6, 4))
        >>> str(uncropped(B, B.type, A.type).type)
        '[i:3] of 2/6 float64'

    Raises:
        KernelError: the operand is no whole tensor, and what was cropped cuts it.
    """
    whole, dense = lift(value, cropped), replace(cropped, live=full_box(cropped))
    whole = fill(whole, replace(dense, dtype=whole.type.dtype))
    windows = [Window(0, 1, axis.extent) for axis in cropped.axes]
    try:
        if cropped.axes != type_.axes:
            whole = _put_back(whole, replace(type_, keys=_mixed(cropped, type_)), windows, 0, 0)
        return lift(in_domain(whole, type_), type_)
    except SchemaError as error:
        raise KernelError(f"a truncated join has no gradient for {type_}: {error}") from error


def _mixed(cropped: RelType, type_: RelType) -> tuple[Key, ...]:
    """Keys that cut an axis as they are in the whole, others as they are in the part."""
    pairs = zip(cropped.keys, type_.keys, strict=True)
    return tuple(key if key.name in type_.linked else part for part, key in pairs)


def _put_back(whole: Expr, type_: RelType, windows: Sequence[Window], along: int, start: int) -> Expr:
    """One operand's part of the adjoint, at its place among zeros, cut as the operand is."""
    cuts = _plain_cuts(type_)
    read = [_read(window, start if p == along else 0) for p, window in enumerate(windows)]
    part = retile([whole], cuts, [read]) if windows else whole
    for place, window in enumerate(windows):
        step = abs(window.step)
        if step > 1 and window.count > 1:
            part = retile([_spaced(part, place, step)], cuts)
        low = window.start if window.step > 0 else window.start + window.step * (window.count - 1)
        part = _padded(part, cuts, place, low, type_.axes[place].extent)
    return _keys_of(part, type_)


def _read(window: Window, start: int) -> Window:
    """Where the adjoint of a window lies: backwards for a window that runs backwards."""
    if window.step < 0:
        return Window(start + window.count - 1, -1, window.count)
    return Window(start, 1, window.count)


def _plain_cuts(type_: RelType) -> list[Cut]:
    """The operand's cuts, each axis by one key of its own."""
    taken = set(type_.names)
    cuts = []
    for axis, cut in zip(type_.axes, current_cuts(type_), strict=True):
        if len(axis.link) > 1:
            cut = Cut(cut.size, fresh_name(f"{cut.key}_all", taken))
            taken.add(str(cut.key))
        cuts.append(cut)
    return cuts


def _spaced(part: Expr, place: int, step: int) -> Expr:
    """The elements along an axis `step` apart, with zeros between them; the axis in one piece."""
    cuts = current_cuts(part.type)
    key = cuts[place].key or fresh_name("place", part.type.names)
    cuts[place] = Cut(1, key)
    single = retile([part], cuts)
    function = tuple(
        Op("*", Var(name), Const(step)) if name == key else Var(name) for name in single.type.names
    )
    apart = rekey(single, function, single.type.names)
    return concat(fill(apart, replace(apart.type, live=full_box(apart.type))), key, place)


def _padded(part: Expr, cuts: Sequence[Cut], place: int, before: int, extent: int) -> Expr:
    """The tensor with zeros before and after along an axis."""
    axis = part.type.axes[place]
    after = extent - before - axis.extent
    if not before and not after:
        return part
    pieces = [_zeros(part.type, place, before), part, _zeros(part.type, place, after)]
    return retile([piece for piece in pieces if piece.type.axes[place].extent], cuts, along=place)


def _zeros(type_: RelType, place: int, extent: int) -> Expr:
    axes = list(type_.axes)
    axes[place] = Axis(extent, (), extent)
    gone = {name for name, _ in type_.axes[place].link}
    keys = tuple(key for key in type_.keys if key.name not in gone)
    bare = RelType(keys, tuple(axes), type_.dtype, Box(()))
    return generated(replace(bare, live=full_box(bare)), Constant(0))


def _keys_of(part: Expr, type_: RelType) -> Expr:
    """The keys of the operand again, where several of them cut one axis."""
    shown: dict[str, KeyExpr] = {}
    for axis, cut in zip(type_.axes, _plain_cuts(type_), strict=True):
        for name, coef in axis.link:
            whole: KeyExpr = Var(str(cut.key))
            if len(axis.link) > 1:
                whole = whole if coef == 1 else Op("//", whole, Const(coef))
                whole = Op("%", whole, Const(type_.domain(name)))
            shown[name] = whole
    function = tuple(shown.get(name, Var(name)) for name in type_.names)
    if function == tuple(Var(name) for name in part.type.names) and part.type.names == type_.names:
        return in_domain(part, type_)
    return in_domain(rekey(part, function, type_.names), type_)
