"""Shape laws of kernels, in NumPy's gufunc notation: ``(m,n),(n,p)->(m,p)``.

The core dimensions named in a signature bind the trailing axes of each operand; the axes before them are
loop dimensions, aligned from the right and broadcast as NumPy does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from tra.algebra.live import is_listable, is_uniform, live_keys
from tra.algebra.types import Axis, RelType
from tra.errors import KernelError

Found: TypeAlias = tuple[Axis, str]  # an axis, and where it stands, for messages
_GROUP = re.compile(r"\(([^()]*)\)")
_DIMS = r"\(\s*(?:\w+(?:\s*,\s*\w+)*)?\s*\)"
_WHOLE = re.compile(rf"\s*{_DIMS}(?:\s*,\s*{_DIMS})*\s*->\s*{_DIMS}\s*")


@dataclass(frozen=True, slots=True)
class Signature:
    """Core dimensions of each input, and of the output; a dimension is a name or a fixed size in digits."""

    inputs: tuple[tuple[str, ...], ...]
    output: tuple[str, ...]

    def __str__(self) -> str:
        groups = ",".join(f"({','.join(dims)})" for dims in self.inputs)
        return f"{groups}->({','.join(self.output)})"


@lru_cache(maxsize=1024)
def parse_signature(text: str) -> Signature:
    """Reads a gufunc signature.

    Example:
        >>> parse_signature("(m,n),(n,p)->(m,p)").output
        ('m', 'p')

    Raises:
        KernelError: the text is not a signature with inputs and one output.
    """
    if not _WHOLE.fullmatch(text):
        raise KernelError(f"{text!r} is not a kernel signature; write one like '(m,n),(n,p)->(m,p)'")
    *inputs, output = (_dims(group) for group in _GROUP.findall(text))
    return Signature(tuple(inputs), output)


def _dims(group: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in group.split(",") if part.strip())


def _is_extent_one(axis: Axis) -> bool:
    """Claims that the axis has one element in all, so that it broadcasts."""
    return axis.size == 1 and axis.extent == 1


def bind_axes(
    signature: Signature, operands: Sequence[RelType], joined: RelType, sizes: Mapping[str, int], kernel: str
) -> tuple[Axis, ...]:
    """The axes of a kernel's result: loop dimensions, then the core dimensions of the output.

    Args:
        signature: the shape law.
        operands: types of the operands, with links already in the names of `joined`.
        joined: keys and live set of the result, which decide what is uniform.
        sizes: sizes of core dimensions that appear in the output only.
        kernel: the kernel's name, for messages.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> A = tensor_type((5, 4), "f8", ("i", "j"), 2)
        >>> bind_axes(parse_signature("(m,n)->(n)"), [A], A, {}, "column sums")
        (Axis(size=2, link=(('j', 1),), extent=4),)

    Raises:
        KernelError: the tiles do not fit the kernel; names both operands' axes.
    """
    loops, cores = _sorted_axes(signature, operands, kernel)
    bound = {dim: _unify(found, joined, kernel, dim) for dim, found in cores.items()}
    for dim, axis in bound.items():
        if dim.isdigit() and not (axis.size == int(dim) and is_uniform(axis, joined)):
            raise KernelError(
                f"{kernel} {signature} takes tiles of length {dim} there; got one {describe(axis)}"
            )
    loop_axes = [_unify(found, joined, kernel, None) for found in loops]
    core_axes = [bound[d] if d in bound else _new_axis(d, sizes, kernel) for d in signature.output]
    return (*loop_axes, *core_axes)


def _sorted_axes(
    signature: Signature, operands: Sequence[RelType], kernel: str
) -> tuple[list[list[Found]], dict[str, list[Found]]]:
    """The axes that meet: per loop dimension, left to right, and per core dimension."""
    loops: list[list[Found]] = []
    cores: dict[str, list[Found]] = {}
    for number, (dims, operand) in enumerate(zip(signature.inputs, operands, strict=True), start=1):
        n_loops = len(operand.axes) - len(dims)
        if n_loops < 0:
            raise KernelError(
                f"{kernel} {signature} takes tiles of at least {len(dims)} axes; "
                f"operand {number} is {operand}"
            )
        found = [(axis, f"axis {place} of operand {number}") for place, axis in enumerate(operand.axes)]
        for dim, item in zip(dims, found[n_loops:], strict=True):
            cores.setdefault(dim, []).append(item)
        loops.extend([] for _ in range(n_loops - len(loops)))
        for level, item in enumerate(reversed(found[:n_loops])):
            loops[level].append(item)
    return loops[::-1], cores


def _new_axis(dim: str, sizes: Mapping[str, int], kernel: str) -> Axis:
    size = int(dim) if dim.isdigit() else sizes.get(dim)
    if size is None:
        raise KernelError(
            f"{kernel} does not say the size of its output dimension {dim!r}; give sizes={{{dim!r}: …}}"
        )
    return Axis(size, (), size)


def _unify(found: list[Found], joined: RelType, kernel: str, dim: str | None) -> Axis:
    """One axis for all operands: identical or uniform of equal size; size 1 broadcasts in loops."""
    candidates = found
    if dim is None:
        candidates = [f for f in candidates if not _is_extent_one(f[0])] or candidates[:1]
        candidates = [f for f in candidates if f[0].size != 1] or candidates
    first, first_where = candidates[0]
    for axis, where in candidates[1:]:
        if axis != first and not _are_alike(axis, first, joined):
            what = f"dimension {dim}" if dim else "the loop dimensions"
            raise KernelError(
                f"{kernel}: the tiles do not fit along {what}\n"
                f"  {first_where} is {describe(first)}\n  {where} is {describe(axis)}\n"
                "  hint: join on the keys that cut this axis, with equal tile sizes; .retile(...) "
                "changes them"
            )
    return first


def _are_alike(axis: Axis, first: Axis, joined: RelType) -> bool:
    """Claims that two axes have equal lengths at every live key: full tiles, or keys that say the same."""
    if axis.size == first.size and is_uniform(axis, joined) and is_uniform(first, joined):
        return True
    if not is_listable(joined):
        return False
    keys = live_keys(joined)
    one, other = replace(joined, axes=(axis,)), replace(joined, axes=(first,))
    return np.array_equal(one.tile_lengths(keys), other.tile_lengths(keys))


def describe(axis: Axis) -> str:
    """An axis in words: tile size, extent and the keys that cut it.

    Example:
        >>> describe(Axis(4, (("i", 2), ("ii", 1)), 10)), describe(Axis(3, (), 3))
        ('4 long, cut by 2*i + ii, extent 10', '3 long, not cut')
    """
    if not axis.link:
        return f"{axis.size} long, not cut"
    terms = " + ".join(name if coef == 1 else f"{coef}*{name}" for name, coef in axis.link)
    return f"{axis.size} long, cut by {terms}, extent {axis.extent}"
