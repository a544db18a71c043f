"""Functions of elements by fixed polynomials: of +, −, ×, ÷, √ and powers of two, rounded as IEEE 754 says.

NumPy's own take the instructions of the machine: exp and log give other bits with other ones. These give the
same bits wherever float64 is what the standard says, a little less fast. They are within three units in the
last place. Polynomials and constants are those of fdlibm.

Source: fdlibm 5.3, Sun Microsystems 1993: e_exp.c, e_log.c, k_sin.c, k_cos.c.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tra.algebra.types import Tile

Numbers = NDArray[np.float64]

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_PER_LN2 = 1.44269504088896338700e00
_EXP = (
    1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
    -1.65339022054652515390e-06, 4.13813679705723846039e-08,
)  # fmt: skip
_LOG = (
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
    1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01,
)  # fmt: skip
_SIN = (
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10,
)  # fmt: skip
_COS = (
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11,
)  # fmt: skip
_ROOT_HALF = 0.7071067811865476
_NEAR_0 = 4.0  # where exp − 1 loses digits
_TINY, _LARGE = -746.0, 710.0  # exp is 0 below and infinite above


def _polynomial(coefficients: Sequence[float], x: Numbers) -> Numbers:
    total: Numbers = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def _wide(x: Tile) -> Numbers:
    return np.asarray(x, dtype=np.float64)


def exp(x: Tile) -> Numbers:
    """The number e to the power of each number.

    Example:
        >>> exp(np.array([0.0, 2.0, -800.0])).tolist()
        [1.0, 7.38905609893065, 0.0]
    """
    x = np.clip(_wide(x), _TINY, _LARGE)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        k = np.rint(x * _PER_LN2)
        high, low = x - k * _LN2_HIGH, k * _LN2_LOW
        grown = 1.0 - ((low - _curve(high - low)) - high)
        return np.asarray(np.ldexp(grown, np.nan_to_num(k).astype(np.int32)))


def _curve(x: Numbers) -> Numbers:
    """exp(x) − 1 − x for numbers up to ln 2 / 2."""
    square = x * x
    c = x - square * _polynomial(_EXP, square)
    return np.asarray((x * c) / (2.0 - c))


def expm1(x: Tile) -> Numbers:
    """The number e to the power of each number, less one; of small numbers to the last place too.

    Example:
        >>> expm1(np.array([1e-20, 0.0, 2.0])).tolist()
        [1e-20, 0.0, 6.38905609893065]
    """
    x = _wide(x)
    near = np.where(np.abs(x) < _NEAR_0, x, 0.0)
    k = np.rint(near * _PER_LN2)
    high, low = near - k * _LN2_HIGH, k * _LN2_LOW
    grown = high - (low - _curve(high - low))  # less one, and to be doubled k times
    power = np.ldexp(1.0, k.astype(np.int32))
    near = np.where(k == 0, grown, power * grown + (power - 1.0))
    return np.where(np.abs(x) < _NEAR_0, near, exp(x) - 1.0)


def log(x: Tile) -> Numbers:
    """The natural logarithm; −∞ of zero, and no number of what is negative.

    Example:
        >>> log(np.array([1.0, 2.0, 0.0, np.inf])).tolist()
        [0.0, 0.6931471805599453, -inf, inf]
    """
    x = _wide(x)
    usual = (x > 0) & np.isfinite(x)
    mantissa, k = np.frexp(np.where(usual, x, 1.0))
    low = mantissa < _ROOT_HALF
    f, power = np.where(low, 2.0 * mantissa, mantissa) - 1.0, (k - low).astype(np.float64)
    s = f / (2.0 + f)
    square, half = s * s, 0.5 * f * f
    rest = square * _polynomial(_LOG, square)
    found = power * _LN2_HIGH - ((half - (s * (half + rest) + power * _LN2_LOW)) - f)
    unusual = np.where(x == 0, -np.inf, np.where(x == np.inf, np.inf, np.nan))
    return np.where(usual, found, unusual)


def log1p(x: Tile) -> Numbers:
    """The logarithm of one more than each number; of small numbers to the last place too.

    Example:
        >>> log1p(np.array([1e-20, 0.0, 1.0, -1.0])).tolist()
        [1e-20, 0.0, 0.6931471805599453, -inf]
    """
    x = _wide(x)
    one_more = 1.0 + x
    with np.errstate(invalid="ignore", divide="ignore"):
        lost = np.where(np.isfinite(one_more) & (one_more > 0), (x - (one_more - 1.0)) / one_more, 0.0)
    return np.where(x == 0, x, log(one_more) + lost)


def tanh(x: Tile) -> Numbers:
    """The hyperbolic tangent.

    Example:
        >>> tanh(np.array([0.0, 1.0, -50.0])).tolist()
        [0.0, 0.7615941559557649, -1.0]
    """
    x = _wide(x)
    grown = expm1(2.0 * np.minimum(np.abs(x), 22.0))
    return np.where(x < 0, -1.0, 1.0) * (grown / (grown + 2.0))


def sigmoid(x: Tile) -> Numbers:
    """1 / (1 + exp(−x)).

    Example:
        >>> sigmoid(np.array([0.0, 800.0, -800.0])).tolist()
        [0.5, 1.0, 0.0]
    """
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + exp(-_wide(x))))


def logaddexp(x: Tile, y: Tile) -> Numbers:
    """log(exp(x) + exp(y)), which never overflows.

    Example:
        >>> logaddexp(np.array([0.0, 1000.0, -np.inf]), 0.0).tolist()
        [0.6931471805599453, 1000.0, 0.0]
    """
    x, y = _wide(x), _wide(y)
    with np.errstate(invalid="ignore"):
        apart = np.where(x == y, 0.0, -np.abs(x - y))
        return np.asarray(np.maximum(x, y) + log1p(exp(apart)))


def cos_turns(turns: Tile) -> Numbers:
    """The cosine of an angle in whole turns, of 0 to 1.

    Example:
        >>> cos_turns(np.array([0.0, 0.25, 0.5, 0.125])).tolist()
        [1.0, 0.0, -1.0, 0.7071067811865476]
    """
    turns = _wide(turns)
    quarter = np.rint(4.0 * turns)
    angle = (turns - 0.25 * quarter) * (2.0 * np.pi)
    square = angle * angle
    sine = angle + angle * square * _polynomial(_SIN, square)
    cosine = 1.0 - (0.5 * square - square * square * _polynomial(_COS, square))
    place = quarter.astype(np.int64) % 4
    return np.select([place == 0, place == 1, place == 2], [cosine, -sine, -cosine], sine) + 0.0


def power(x: Tile, n: int) -> Numbers:
    """Each number to a whole power, by squares in a fixed order.

    Example:
        >>> power(np.array([2.0, -3.0]), 3).tolist(), power(np.array([2.0]), -1).tolist()
        ([8.0, -27.0], [0.5])
    """
    base, total, left = _wide(x), np.ones_like(_wide(x)), abs(n)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        while left:
            total = total * base if left & 1 else total
            base, left = (base * base, left >> 1) if left > 1 else (base, 0)
        return np.asarray(total if n >= 0 else 1.0 / total)


def powers_of(base: float, n: Tile) -> Numbers:
    """A positive number to each power: to whole ones by squares, and by exp and log what is left of others.

    Example:
        >>> powers_of(2.0, np.array([10.0, -1.0, 0.5, np.inf])).tolist()
        [1024.0, 0.5, 1.414213562373095, inf]
    """
    n = _wide(n)
    size = np.abs(n)
    usual = size < 2.0**53
    left = np.where(usual, np.floor(size), 0.0).astype(np.int64)
    rest = np.where(usual, size - left, size)
    logarithm, square = float(log(np.array(base))), np.float64(base)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        total = np.where(rest == 0, 1.0, exp(rest * logarithm) if logarithm else 1.0)
        while left.any():
            total, square, left = np.where(left & 1, total * square, total), square * square, left >> 1
        return np.where(np.isnan(n), np.nan, np.where(n < 0, 1.0 / total, total))


def cos(x: Tile) -> Numbers:
    """The cosine, to within 2⁻⁵² for each radian that the angle has.

    Example:
        >>> cos(np.array([0.0, np.pi, -np.pi])).tolist()
        [1.0, -1.0, -1.0]
    """
    x = _wide(x)
    is_angle = np.isfinite(x)
    turns = np.where(is_angle, x, 0.0) / (2.0 * np.pi)
    return np.where(is_angle, cos_turns(turns - np.floor(turns)), np.nan)
