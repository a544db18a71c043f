"""Error-free slices: numbers as short integers, so that every sum and product of slices is exact.

A number x below 2^e is cut into slices of b bits: x = (d₀ + d₁·2^-(b+1) + d₂·2^-2(b+1) + …)·2^(e-b), each dₛ
an integer of magnitude up to 2^b. A sum of n products of two slices is an integer below 2^53 where
2b + log₂ n ≤ 53, so that float64 holds it exactly whatever the order, the BLAS, the threads or the device:
+ is associative there. What is left over after the last slice is lost, the same everywhere.

Slices of an operand share one exponent e for all terms of a sum: that of the largest magnitude in them. It is
taken over the whole sum before anything is cut, so that no cut of tensors into tiles changes a slice.

Source: Ozaki, Ogita, Oishi, Rump, "Error-free transformations of matrix multiplication by using fast routines
of matrix multiplication and its applications", Numerical Algorithms 59, 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tra.algebra.types import Tile

DIGITS = 53  # bits of a float64
_MOST = 50  # bits of a slice: scaled numbers stay far from overflow
_LEAST = -960  # exponents below are taken for this one: so that 2^(b-e) is a number


@dataclass(frozen=True, slots=True)
class Slices:
    """How the operands of a sum are cut.

    Attributes:
        number: slices of each operand.
        bits: bits of a slice.
    """

    number: int
    bits: int

    @property
    def lost(self) -> float:
        """The most that all slices of one number lack, as a part of 2^e.

        Example:
            >>> Slices(2, 20).lost == 2.0**-42
            True
        """
        return 2.0 ** (-self.number * (self.bits + 1))


def slices_for(n_terms: int, n_operands: int, number: int) -> Slices:
    """The longest slices whose sums stay exact.

    Args:
        n_terms: terms of the sum, over the whole tensor.
        n_operands: 2 for sums of products, 1 for sums.
        number: slices of each operand.

    Example:
        >>> slices_for(2048, 2, 3), slices_for(10**6, 1, 2)
        (Slices(number=3, bits=20), Slices(number=2, bits=33))

    Raises:
        OverflowError: more terms than any slices allow.
    """
    together = max(n_terms, 1) * (number if n_operands == 2 else 1)
    bits = min((DIGITS - ceil(log2(together))) // n_operands, _MOST)
    if bits < 1:
        raise OverflowError(f"no slices make a sum of {n_terms} terms exact")
    return Slices(number, bits)


def peak(x: Tile, axes: tuple[int, ...]) -> Tile:
    """The largest finite magnitude along some axes, which stay with length one; 0 where there is none.

    Example:
        >>> peak(np.array([[1.0, -3.0], [np.inf, 2.0]]), (-1,)).tolist()
        [[3.0], [2.0]]
    """
    if not axes:
        found = np.abs(x.astype(np.float64))
    else:
        high = np.max(x, axis=axes, keepdims=True, initial=0)
        low = np.min(x, axis=axes, keepdims=True, initial=0)
        found = np.maximum(high.astype(np.float64), -low.astype(np.float64))
    if np.isfinite(found).all():
        return found
    finite = np.where(np.isfinite(x), np.abs(x.astype(np.float64)), 0.0)
    return finite if not axes else np.max(finite, axis=axes, keepdims=True, initial=0.0)


def exponent(magnitude: Tile) -> NDArray[np.int32]:
    """The least e for which magnitudes lie below 2^e; one that is small beyond measure where they are tiny.

    Example:
        >>> exponent(np.array([1.0, 0.75, 0.0])).tolist()
        [1, 0, 0]
    """
    found: NDArray[np.int32] = np.frexp(magnitude)[1]
    return np.maximum(found, np.int32(_LEAST))


def slice_of(x: Tile, exponents: Tile, number: int, bits: int, factor: bool = False) -> NDArray[np.float64]:
    """One slice of numbers below 2^e: integers of magnitude up to 2^bits, as float64.

    What is infinite is its own first slice in a sum. In a product it would meet slices that are 0 and others
    that are not, wherever the numbers they belong to are small: there it is no number, in every slice.

    Args:
        x: the numbers.
        exponents: e, for each of them.
        number: which slice, from 0.
        bits: of a slice.
        factor: they are factors of products.

    Example:
        >>> x, e = np.array([3.0, 1.25]), np.int32(2)
        >>> [slice_of(x, e, number, 2).tolist() for number in (0, 1)]
        [[3.0, 1.0], [0.0, 2.0]]
    """
    with np.errstate(invalid="ignore", under="ignore"):
        rest: NDArray[np.float64] = np.asarray(x * np.ldexp(1.0, bits - exponents))
        for _ in range(number):
            rest = np.asarray(np.subtract(rest, np.rint(rest), out=rest if rest.ndim else None))
            rest *= 2.0 ** (bits + 1)
        found = np.asarray(np.rint(rest, out=rest if rest.ndim else None))
        # the rest of an infinite number is none
        if factor != (number > 0) and not np.isfinite(found).all():
            found = np.where(np.isfinite(found), found, np.nan if factor else 0.0)
    return found


def carried(high: Tile, low: Tile, bits: int) -> Tile:
    """Sums of one slice and of those after it, rounded once.

    Example:
        >>> float(carried(np.array(3.0), np.array(4.0), 2))
        3.5
    """
    with np.errstate(invalid="ignore"):
        found: Tile = high + low * 2.0 ** -(bits + 1)
    return found


def scaled(total: Tile, exponents: Tile, bits: int, dtype: Any) -> Tile:
    """Sums of slices as numbers again: times 2^(e - bits), where bits are those of all operands.

    Every zero is positive and every NaN is the same.

    Example:
        >>> scaled(np.array([3.5]), np.array([2], dtype=np.int32), 2, np.float32)
        array([3.5], dtype=float32)
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = np.asarray(np.ldexp(total, exponents - np.int32(bits)))
        found += 0.0
        if not np.isfinite(found).all():
            found[np.isnan(found)] = np.nan
        return found.astype(dtype, copy=False)


def pairs_of(slices: Slices) -> Sequence[Sequence[tuple[int, int]]]:
    """For each place of the result which slices of both operands are multiplied for it, highest first.

    Example:
        >>> pairs_of(Slices(2, 20))
        [[(0, 0)], [(0, 1), (1, 0)]]
    """
    return [[(s, place - s) for s in range(place + 1)] for place in range(slices.number)]


def sum_slices(n_terms: int) -> int:
    """How many slices sums of so many numbers need, so that no less is kept than a float64 holds.

    Example:
        >>> sum_slices(10**6), sum_slices(10**9)
        (2, 3)
    """
    return 2 if n_terms <= 1 << 27 else 3


def product_error(slices: Slices, n_terms: int) -> float:
    """The most by which an exact product is off, as a part of largest |x| times largest |y| of its terms.

    A number lacks up to `lost` of 2^e ≤ 2·max|x|, for each of two factors; the S - 1 products of slices that
    have the first place left out are as large. Where sums of places are put together they are rounded, the
    last time to the nearest float64: half a unit of the result, which comes on top, as rounding to another
    type does.

    Example:
        >>> product_error(Slices(3, 20), 2048) < 1e-14
        True
    """
    each = (slices.number + 1) * slices.lost * (1 + 2.0**-slices.bits)
    carried_ = 2.0 ** (1 - DIGITS - slices.bits) if slices.number > 1 else 0.0
    return 4.0 * n_terms * (each + carried_)


def sum_error(slices: Slices, n_terms: int) -> float:
    """The most by which an exact sum is off, as a part of the largest magnitude in it.

    Half a unit in the last place of the result comes on top.

    Example:
        >>> sum_error(Slices(2, 33), 10**6) < 1e-14
        True
    """
    carried_ = 2.0 ** (1 - DIGITS - slices.bits) if slices.number > 2 else 0.0
    return 2.0 * n_terms * (slices.lost + carried_)
