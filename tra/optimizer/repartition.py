"""Who sends what when whole tensors are cut anew: boxes of elements, since old and new tiles do not line up.

Along one axis the tiles of a key box hold a few runs of elements (one, unless several keys cut the axis), and
axes are independent of each other, so that what two sites share is a product over the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tra.algebra.nodes import Window
from tra.algebra.retiling import offsets_along
from tra.algebra.types import RelType
from tra.optimizer.boxes import Ranges, box_of
from tra.optimizer.exchange import Piece, n_tellers, senders
from tra.optimizer.meshes import n_sites
from tra.optimizer.placement import Placement

Windows = tuple[tuple[Window, ...], ...]
Run = tuple[int, int]


def window_slices(window: Window, new: Run, old: Run, offset: int) -> tuple[slice, slice] | None:
    """Which elements of an old run go where in a new one, along one axis.

    Args:
        window: the elements of the old tensor that the new one is made of.
        new: begin and end of the new run, in the new tensor.
        old: begin and end of the old run, in the old tensor.
        offset: where this operand's window begins in the new tensor.

    Returns:
        A slice of the old run and one of the new run, or None when they share nothing.

    Example:
        >>> window_slices(Window(1, 2, 4), (0, 3), (2, 6), 0)
        (slice(1, 4, 2), slice(1, 3, None))
    """
    low, high = _shared(window, new, old, offset)
    if low >= high:
        return None
    step = window.step
    first = window.start + low * step - old[0]
    stop = window.start + (high - 1) * step - old[0] + (1 if step > 0 else -1)
    taken = slice(first, stop if stop >= 0 else None, step)
    return taken, slice(low + offset - new[0], high + offset - new[0])


def _shared(window: Window, new: Run, old: Run, offset: int) -> Run:
    """Which elements of a window, counted from its beginning, lie in an old run and in a new one."""
    low, high = max(new[0] - offset, 0), min(new[1] - offset, window.count)
    step = window.step
    if step > 0:
        return max(low, -(-(old[0] - window.start) // step)), min(
            high, (old[1] - 1 - window.start) // step + 1
        )
    return max(low, -(-(window.start - old[1] + 1) // -step)), min(high, (window.start - old[0]) // -step + 1)


def runs(type_: RelType, axis: int, box: Ranges) -> list[Run]:
    """The elements along an axis that the tiles of a key box hold, as runs in order.

    Example:
        >>> from tra.algebra.types import Axis, Box, Key
        >>> import numpy as np
        >>> axis = Axis(5, (("i", 2), ("j", 1)), 18)
        >>> t = RelType((Key("i", 2), Key("j", 2)), (axis,), np.dtype("f8"), Box(((0, 2), (0, 2))))
        >>> runs(t, 0, ((0, 2), (0, 2))), runs(t, 0, ((0, 2), (1, 2)))
        ([(0, 18)], [(5, 10), (15, 18)])
    """
    spans, ax = dict(zip(type_.names, box, strict=True)), type_.axes[axis]
    offsets: list[Run] = [(0, 1)]
    for name, coef in sorted(ax.link, key=lambda part: part[1]):
        low, high = spans[name]
        if offsets == [(0, coef)]:
            offsets = [(low * coef, high * coef)]
        else:
            offsets = [(begin + coef * k, end + coef * k) for k in range(low, high) for begin, end in offsets]
    found = [(min(begin * ax.size, ax.extent), min(end * ax.size, ax.extent)) for begin, end in offsets]
    return [(begin, end) for begin, end in found if begin < end]


@lru_cache(maxsize=1 << 14)
def repartition_pieces(
    types: tuple[RelType, ...],
    have: tuple[Placement, ...],
    type_: RelType,
    need: Placement,
    along: int,
    windows: Windows,
) -> tuple[tuple[Piece, int, int], ...]:
    """Pieces of a repartition, each with its operand and its size in elements; boxes are of new keys.

    Example:
        >>> from tra.algebra.retiling import full_windows
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split
        >>> old, new = (tensor_type((12,), "f8", ("i",), size) for size in (3, 4))
        >>> rows = Placement((2,), (Split("i"),))
        >>> found = repartition_pieces((old,), (rows,), new, rows, 0, (full_windows(old),))
        >>> [(piece.source, piece.target, n) for piece, _, n in found]
        [(0, 0, 4), (0, 1, 2), (1, 1, 6)]
    """
    result = []
    for target in range(n_sites(need.mesh)):
        wanted = box_of(type_, need, target)
        for operand, (old, placed) in enumerate(zip(types, have, strict=True)):
            offsets = _offsets(windows, along, operand)
            for source in senders(placed, need, target):
                held = box_of(old, placed, source)
                n = _n_shared(old, held, type_, wanted, windows[operand], offsets)
                if n:
                    result.append((Piece(source, target, wanted), operand, n))
    return tuple(result)


def _n_shared(
    old: RelType,
    old_box: Ranges,
    new: RelType,
    new_box: Ranges,
    windows: Sequence[Window],
    offsets: Sequence[int],
) -> int:
    """Elements that the old tiles of one box give to the new tiles of another."""
    count = 1
    olds, news = dict(zip(old.names, old_box, strict=True)), dict(zip(new.names, new_box, strict=True))
    for key in old.keys:
        if key.name not in old.linked:
            low, high = max(olds[key.name][0], news[key.name][0]), min(olds[key.name][1], news[key.name][1])
            count *= max(high - low, 0)
    for axis, (window, offset) in enumerate(zip(windows, offsets, strict=True)):
        if not count:
            return 0
        shared = [
            _shared(window, to, of, offset)
            for to in runs(new, axis, new_box)
            for of in runs(old, axis, old_box)
        ]
        count *= sum(max(high - low, 0) for low, high in shared)
    return count


@lru_cache(maxsize=1 << 14)
def repartition_received(
    types: tuple[RelType, ...],
    have: tuple[Placement, ...],
    type_: RelType,
    need: Placement,
    along: int,
    windows: Windows,
) -> tuple[int, ...]:
    """Bytes that each site receives from other sites in a repartition: all that it needs, less what it has.

    Example:
        >>> from tra.algebra.retiling import full_windows
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split
        >>> old, new = (tensor_type((12,), "f8", ("i",), size) for size in (3, 4))
        >>> rows = Placement((2,), (Split("i"),))
        >>> repartition_received((old,), (rows,), new, rows, 0, (full_windows(old),))
        (0, 16)
    """
    totals = []
    for site in range(n_sites(need.mesh)):
        wanted, total = box_of(type_, need, site), 0.0
        for operand, (old, placed) in enumerate(zip(types, have, strict=True)):
            offsets = _offsets(windows, along, operand)
            everything = tuple((0, key.domain) for key in old.keys)
            all_ = _n_shared(old, everything, type_, wanted, windows[operand], offsets)
            own = 0
            if site < n_sites(placed.mesh):
                held = box_of(old, placed, site)
                own = _n_shared(old, held, type_, wanted, windows[operand], offsets)
            total += (n_tellers(placed, need, site) * all_ - own) / placed.scatter
        totals.append(round(total) * type_.dtype.itemsize)
    return tuple(totals)


def _offsets(windows: Windows, along: int, operand: int) -> list[int]:
    """Where an operand begins in the new tensor, along each axis."""
    start = offsets_along(windows, along)[operand]
    return [start if axis == along else 0 for axis in range(len(windows[operand]))]
