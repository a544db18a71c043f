"""Rules on slices: moved towards the sources, where they leave less to compute and less to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from tra.algebra.kernel import Kernel
from tra.algebra.key_function import Var
from tra.algebra.live import is_dense
from tra.algebra.nodes import Aggregate, Cut, Expr, Join, ReKey, Retile, Transform, Window
from tra.algebra.operators import aggregate, join, rekey, transform
from tra.algebra.retiling import full_windows, retile
from tra.algebra.whole_tensor import axis_key, current_cuts
from tra.optimizer.rules.equal import is_known, same_type

MOST = 0.5  # of the elements: slices of more save less work than cutting several operands may cost


@dataclass(frozen=True)
class _Slice:
    """What is taken along an axis, and the length of tiles it is cut into; None leaves them as they are."""

    window: Window
    size: int | None


_Slices = Mapping[int, _Slice]


def slice_slice_fuse(node: Expr) -> Expr | None:
    """Retile_v(Retile_w(R)) = Retile_(w∘v)(R): a slice of a slice is a slice.

    Applies when: both have one operand, and the keys come in the same order.
    Source: own; the composition of windows.

    Example:
        >>> import tra
        >>> A = tra.from_array([float(n) for n in range(10)], tile=2, name="A")
        >>> slice_slice_fuse(A[2:8][1:3].expr).windows
        ((Window(start=3, step=1, count=2),),)
    """
    match node:
        case Retile(operands=(Retile(operands=(child,), windows=(inner,)),), windows=(outer,)):
            taken = [
                Window(w.start + w.step * v.start, w.step * v.step, v.count)
                for w, v in zip(inner, outer, strict=True)
            ]
            return same_type(node, lambda: retile([child], node.cuts, [taken]))
    return None


def slice_transform_push(node: Expr) -> Expr | None:
    """Retile_w(λ(R)) = λ(Retile_w(R)): only what is wanted goes through the kernel.

    Applies when: the kernel does alike with every part of the sliced axes, the slice holds at most half of
    the elements, and no tile of R is missing.
    Source: own; the textbook's selection under a projection.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 4, tile=2, name="A")
        >>> slice_transform_push(tra.exp(A)[1:3].expr).child == A[1:3].expr
        True
    """
    match _sliced(node):
        case Transform() as whole:
            return _pushed(node, whole, lambda parts: _made(whole, parts))
    return None


def slice_join_push(node: Expr) -> Expr | None:
    """Retile_w(L ⋈ R) = Retile_w'(L) ⋈ Retile_w''(R): each operand is cut along the axes it has.

    Applies when: as for a map, and keys that are joined are cut alike.
    Source: own; the textbook's selection under a join.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 4] * 4, tile=2, name=name) for name in "AB")
        >>> pushed = slice_join_push((A + B)[1:3].expr)
        >>> pushed.left == A[1:3].expr, pushed.right == B[1:3].expr
        (True, True)
    """
    match _sliced(node):
        case Join() as whole:
            return _pushed(node, whole, lambda parts: _made(whole, parts))
    return None


def slice_aggregate_push(node: Expr) -> Expr | None:
    """Retile_w(Σ(L ⋈ R)) = Σ(Retile_w'(L) ⋈ Retile_w''(R)), and Σ of a map alike: a part of a product or sum.

    Applies when: the fold looks at elements one by one, the keys that go cut no axis of the slice, and the
    slice can be taken of what the kernel under the fold takes.
    Source: own; the textbook's selection under a grouping, by what is grouped by.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 4] * 4, tuple(keys), tile=2) for keys in ("ij", "jk"))
        >>> pushed = slice_aggregate_push((A @ B)[1:3].expr)
        >>> pushed.child.left == A[1:3].expr, pushed.child.right == B.expr
        (True, True)
    """
    match _sliced(node):
        case Aggregate(child=Join() | Transform() as made, by=by, kernel=fold) as whole:
            if _goes_by_elements(fold) and all(_is_kept(whole, made, place) for place in _slices(node)):
                return _pushed(node, made, lambda parts: aggregate(_made(made, parts), by, fold))
    return None


def slice_rekey_push(node: Expr) -> Expr | None:
    """Retile_w(ReKey_f(R)) = ReKey_f(Retile_w(R)).

    Applies when: f gives keys other names or another order, and as for a map.
    Source: own; R1-3, for elements.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 4, tile=2, name="A")
        >>> renamed = A.rekey(lambda i, j: (i, j), keys=("a", "b"))
        >>> slice_rekey_push(renamed[1:3].expr).child == A[1:3].expr
        True
    """
    match _sliced(node):
        case ReKey(child=child, function=tuple(function), keys=keys):
            names = [part.name for part in function if isinstance(part, Var)]
            if sorted(names) == sorted(child.type.names) and _is_whole(child):
                parts = _slices(node)
                return same_type(node, lambda: _recut(node, rekey(_cut(child, parts), function, keys)))
    return None


def absorbed(node: Expr) -> tuple[Expr, ...]:
    """The nodes that would be made again for another user: what the slice is of, and what an aggregate folds.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> len(absorbed(A.sum().retile().expr))
        2
    """
    match node:
        case Retile(operands=(Aggregate(child=made) as whole,)):
            return (whole, made)
    return node.children


def _sliced(node: Expr) -> Expr | None:
    """What a slice is taken of that leaves out enough to be worth it."""
    match node:
        case Retile(operands=(whole,), windows=(windows,)) if windows != full_windows(whole.type):
            n_taken, n = prod(w.count for w in windows), prod(whole.type.shape)
            return whole if 0 < n_taken <= MOST * n else None
    return None


def _slices(node: Expr) -> _Slices:
    """The slices of a Retile, by axis; those that take all of an axis are none."""
    assert isinstance(node, Retile)
    full = full_windows(node.operands[0].type)
    taken = enumerate(zip(node.windows[0], full, node.cuts, strict=True))
    return {place: _Slice(window, cut.size) for place, (window, all_, cut) in taken if window != all_}


def _pushed(node: Expr, whole: Join | Transform, build: Callable[[Sequence[Expr]], Expr]) -> Expr | None:
    """The node, of which `whole` is what is cut, over slices of what `whole` is made of."""
    below = _slices_below(whole, _slices(node)) if all(map(_is_whole, whole.children)) else None
    if below is None:
        return None
    sides = list(zip(whole.children, below, strict=True))
    return same_type(node, lambda: _recut(node, build([_cut(*side) for side in sides])))


def _recut(node: Expr, made: Expr) -> Expr:
    assert isinstance(node, Retile)
    return made if made.type == node.type else retile([made], node.cuts)


def _is_whole(expr: Expr) -> bool:
    """Claims that no tile is missing, and that each axis is cut by one key at most."""
    plain = all(not axis.link or axis_key(expr.type, place) for place, axis in enumerate(expr.type.axes))
    return plain and is_known(expr) and is_dense(expr.type)


def _goes_by_elements(fold: Kernel) -> bool:
    return fold.laws.elementwise and not fold.laws.ordered and not fold.user


def _is_kept(whole: Aggregate, made: Expr, place: int) -> bool:
    """Claims that an axis is cut by the same keys before the fold."""
    return whole.type.axes[place] == made.type.axes[place]


def _made(whole: Join | Transform, parts: Sequence[Expr]) -> Expr:
    """The same operator over other operands."""
    if isinstance(whole, Join):
        return join(parts[0], parts[1], whole.on, whole.kernel, truncate=whole.truncate)
    return transform(parts[0], whole.kernel)


def _slices_below(whole: Join | Transform, slices: _Slices) -> list[dict[int, _Slice]] | None:
    """What a slice of the result takes of each operand, by axis; None where that is not known."""
    kernel, operands = whole.kernel, whole.children
    if kernel.laws.as_cut or (kernel.user and not kernel.laws.elementwise):
        return None
    found: list[dict[int, _Slice]] = [{} for _ in operands]
    for place, part in slices.items():
        extent, is_reached = whole.type.axes[place].extent, False
        for number, axis in _axes_below(whole, place):
            met = operands[number].type.axes[axis].extent
            if met == 1 != extent:
                continue  # it broadcasts
            if met != extent or found[number].setdefault(axis, part) != part:
                return None
            is_reached = True
        if not is_reached:
            return None
    return found if isinstance(whole, Transform) or _joins_alike(whole, found) else None


def _axes_below(whole: Join | Transform, place: int) -> Iterator[tuple[int, int]]:
    """The axes of the operands that an axis of the result is made of, part by part; none where it is not."""
    signature, n_loops = whole.kernel.signature, len(whole.type.axes) - len(whole.kernel.signature.output)
    for number, (dims, operand) in enumerate(zip(signature.inputs, whole.children, strict=True)):
        loops = len(operand.type.axes) - len(dims)
        if place < n_loops:
            if place - n_loops + loops >= 0:
                yield number, place - n_loops + loops
        elif whole.kernel.laws.contraction:
            dim = signature.output[place - n_loops]
            yield from ((number, loops + n) for n, other in enumerate(dims) if other == dim)


def _joins_alike(whole: Join, found: Sequence[_Slices]) -> bool:
    """Claims that keys which are joined count the same tiles after the cut as before."""
    sides = zip(whole.children, found, strict=True)
    cut = [{axis_key(side.type, axis): part for axis, part in parts.items()} for side, parts in sides]
    return all(cut[0].get(mine) == cut[1].get(theirs) for mine, theirs in whole.on)


def _cut(operand: Expr, slices: _Slices) -> Expr:
    """A slice of an operand, whose other axes stay as they are."""
    if not slices:
        return operand
    cuts, windows = current_cuts(operand.type), list(full_windows(operand.type))
    for place, part in slices.items():
        windows[place] = part.window
        if cuts[place].key is not None and part.size is not None:
            cuts[place] = Cut(part.size, cuts[place].key)
    return retile([operand], cuts, [windows])
