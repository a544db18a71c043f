"""Kernels that mean the same however tensors are cut, so that they may run on many tiles as on one."""

from __future__ import annotations

from collections.abc import Sequence

from tra.algebra.kernel import Kernel
from tra.algebra.types import Axis, RelType


def loose_keys(type_: RelType) -> set[str]:
    """Keys that cut no axis: those of tiles that were summed and not yet added up, for instance.

    Example:
        >>> from tra.algebra.tensor_type import tensor_type
        >>> loose_keys(tensor_type((4,), "f8", ("i",), 2))
        set()
    """
    return set(type_.names) - type_.linked


def leaves_cuts(kernel: Kernel, type_: RelType) -> bool:
    """Claims that the kernel means the same however axes are cut: by element, or over axes in one piece.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.tensor_type import tensor_type
        >>> rows = tensor_type((4, 4), "f8", ("i", "j"), 2)
        >>> leaves_cuts(kernel("exp"), rows), leaves_cuts(kernel("softmax", axis=-1), rows)
        (True, False)
    """
    core = kernel.signature.inputs[0]
    moves = kernel.laws.contraction and len(set(core)) == len(core)
    whole = not any(axis.link for axis in type_.axes[len(type_.axes) - len(core) :]) if core else False
    return kernel.laws.elementwise or moves or whole


def pairs_alike(left: RelType, right: RelType, on: Sequence[tuple[str, str]], kernel: Kernel) -> bool:
    """Claims that axes which meet in the kernel are cut by keys that are joined, or are in one piece.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.tensor_type import tensor_type
        >>> A, B = tensor_type((4, 6), "f8", ("i", "k"), 2), tensor_type((6, 8), "f8", ("k", "j"), 2)
        >>> matmul = kernel("matmul")
        >>> pairs_alike(A, B, [("k", "k")], matmul), pairs_alike(A, B, [], matmul)
        (True, False)
    """
    if not (kernel.laws.elementwise or kernel.laws.contraction):
        return False
    one, other = kernel.signature.inputs
    if len(set(one)) < len(one) or len(set(other)) < len(other):
        return False
    n_left, n_right = len(left.axes) - len(one), len(right.axes) - len(other)
    met = list(zip(reversed(left.axes[:n_left]), reversed(right.axes[:n_right]), strict=False))
    ends = dict(zip(other, right.axes[n_right:], strict=True))
    met += [(a, ends[name]) for name, a in zip(one, left.axes[n_left:], strict=True) if name in ends]
    keys = {(a.link[0][0], b.link[0][0]) for a, b in met if a.link and b.link}
    return keys == set(on) and all(_meet(a, b) for a, b in met)


def _meet(one: Axis, other: Axis) -> bool:
    """Claims that two axes are cut alike, both in one piece, or that one of them is of length one.

    Tiles of length one broadcast to longer ones one by one; side by side they would not.
    """
    alike = bool(one.link) == bool(other.link) and one.size == other.size
    return alike or 1 in (one.extent, other.extent)
