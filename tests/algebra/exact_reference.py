"""Exact products and sums in one piece, to which those of the engine are held to the last bit."""

from functools import reduce

import numpy as np

from tra.algebra.exact.slicing import (
    carried,
    exponent,
    pairs_of,
    peak,
    scaled,
    slice_of,
    slices_for,
    sum_slices,
)


def exact_matmul(x, y, slices=None):
    """The product of two matrices."""
    slices = slices or slices_for(x.shape[1], 2, 3)
    rows, columns = exponent(peak(x, (-1,))), exponent(peak(y, (-2,)))
    xs, ys = (
        [slice_of(operand, e, s, slices.bits, factor=True) for s in range(slices.number)]
        for operand, e in ((x, rows), (y, columns))
    )
    places = [reduce(np.add, (xs[s] @ ys[t] for s, t in pairs)) for pairs in pairs_of(slices)]
    total = places[-1]
    for place in reversed(places[:-1]):
        total = carried(place, total, slices.bits)
    return scaled(total, rows + columns, 2 * slices.bits, np.float64)


def exact_sum(x, axes, slices=None):
    """The sum along some axes, which stay with length one."""
    n_terms = int(np.prod([x.shape[axis] for axis in axes]))
    slices = slices or slices_for(n_terms, 1, sum_slices(n_terms))
    e = exponent(peak(x, axes))
    total = 0.0
    for number in reversed(range(slices.number)):
        place = np.sum(slice_of(x, e, number, slices.bits), axis=axes, keepdims=True)
        total = carried(place, total, slices.bits)
    return scaled(total, e, slices.bits, np.float64)
