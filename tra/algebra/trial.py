"""A kernel under test: random tiles that fit it, and how a counterexample is shown.

Values are multiples of a half, so that sums and products of a few of them are exact in any float.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel
from tra.algebra.types import Tile, dtype_name

Dtypes = tuple[np.dtype[Any], ...]


@dataclass
class Trial:
    """One kernel under test: its operands' dtypes, and random tiles that fit it."""

    kernel: Kernel
    dtypes: Dtypes
    random: np.random.Generator

    def lengths(self) -> dict[str, int]:
        """Random lengths of the core dimensions."""
        dims = sorted({d for dims in self.kernel.signature.inputs for d in dims})
        return {d: int(d) if d.isdigit() else int(self.random.integers(1, 5)) for d in dims}

    def tiles(self, lengths: dict[str, int], loops: tuple[int, ...]) -> list[Tile]:
        """One random tile per operand."""
        shapes = [loops + tuple(lengths[d] for d in dims) for dims in self.kernel.signature.inputs]
        return [random_tile(self.random, s, d) for s, d in zip(shapes, self.dtypes, strict=True)]

    def sample(self) -> list[Tile]:
        """One random tile per operand, of random lengths and loop dimensions."""
        return self.tiles(self.lengths(), self.loops())

    def loops(self) -> tuple[int, ...]:
        """Random loop dimensions."""
        return tuple(int(n) for n in self.random.integers(1, 4, size=self.random.integers(0, 3)))

    def fail(self, claim: str, tiles: Sequence[Tile], left: Any, right: Any) -> None:
        """Raises the counterexample."""
        shown = "\n".join(f"  operand {p + 1}: {_shown(t)}" for p, t in enumerate(tiles))
        raise AssertionError(
            f"kernel {self.kernel} is not as it claims on {' and '.join(map(dtype_name, self.dtypes))}: "
            f"{claim}\n{shown}\n  gives {_shown(left)}\n  not   {_shown(right)}"
        )

    def expect(self, claim: str, tiles: Sequence[Tile], left: Any, right: Any) -> None:
        """Raises the counterexample unless both sides agree where they are finite."""
        if not agree(np.asarray(left), np.asarray(right)):
            self.fail(claim, tiles, left, right)


def _shown(tile: Any) -> str:
    return np.array2string(np.asarray(tile), separator=", ", threshold=40).replace("\n", "")


def random_tile(random: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tile:
    """A read-only tile of small values; pairs have small indices and many ties.

    Example:
        >>> random_tile(np.random.default_rng(0), (3,), np.dtype("f4"))
        array([3., 1., 0.], dtype=float32)
    """
    tile: Tile = np.empty(shape, dtype)
    if dtype.names is not None:
        for name in dtype.names:
            low = 0 if name == "index" else -3
            tile[name] = random.integers(low, 4, size=shape).astype(dtype[name])
    elif dtype.kind == "b":
        tile[...] = random.integers(0, 2, size=shape).astype(bool)
    elif dtype.kind in "iu":
        tile[...] = random.integers(0 if dtype.kind == "u" else -4, 5, size=shape).astype(dtype)
    else:
        tile[...] = random.integers(-8, 9, size=shape) / 2
        if dtype.kind == "c":
            tile += 1j * random.integers(-8, 9, size=shape) / 2
    tile.setflags(write=False)
    return tile


def agree(left: Tile, right: Tile) -> bool:
    """Claims that two tiles are equal but for rounding; what is not finite on either side is not compared.

    Example:
        >>> agree(np.array([0.1 + 0.2, np.nan]), np.array([0.3, 1.0]))
        True
    """
    if left.shape != right.shape:
        return False
    if left.dtype.names is not None:
        return left.dtype.names == right.dtype.names and all(
            agree(left[n], right[n]) for n in left.dtype.names
        )
    finite = np.isfinite(left) & np.isfinite(right)
    coarse = {np.float16: 1e-2, np.float32: 1e-4, np.complex64: 1e-4}
    rtol = max(coarse.get(t, 1e-9) for t in (left.dtype.type, right.dtype.type))
    return bool(np.allclose(left[finite], right[finite], rtol=rtol, atol=rtol))
