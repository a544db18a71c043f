"""Exact sums and products: the same bits in any order, and no further off than their bound."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.exact import elementary
from tra.algebra.exact.slicing import (
    Slices,
    exponent,
    peak,
    product_error,
    slice_of,
    slices_for,
    sum_error,
    sum_slices,
)

from .exact_reference import exact_matmul, exact_sum

ULP = 2.0**-52


@st.composite
def tensors(draw, *shape, most=280):
    """Numbers of many magnitudes, from 10^-most to 10^most, zeros among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.integers(-most, most))
    high = draw(st.integers(low, min(low + draw(st.sampled_from([0, 5, 40, 400])), most)))
    array = rng.standard_normal(shape) * 10.0 ** rng.integers(low, high + 1, shape)
    array[rng.random(shape) < draw(st.sampled_from([0.0, 0.3]))] = 0.0
    return array


def lengths(most=60):
    return st.integers(1, most)


# -- slices -----------------------------------------------------------------------------------------


@examples(100)
@given(st.data(), lengths(), st.sampled_from([1, 2, 3]), st.integers(2, 40))
def test_slices_are_short_integers_that_add_up(data, n, number, bits):
    x = data.draw(tensors(n))
    e = exponent(peak(x, (-1,)))
    slices = [slice_of(x, e, s, bits) for s in range(number)]
    for one in slices:
        assert np.all(one == np.rint(one)) and np.all(np.abs(one) <= 2.0**bits)
    scale = Fraction(2) ** int(e[0])
    for place, value in enumerate(x):
        whole = sum(
            Fraction(float(one[place])) * scale / 2 ** (bits + s * (bits + 1)) for s, one in enumerate(slices)
        )
        assert abs(Fraction(float(value)) - whole) <= Fraction(Slices(number, bits).lost) * scale


# -- sums -------------------------------------------------------------------------------------------


@examples(200)
@given(st.data(), lengths(400))
def test_sums_are_as_good_as_their_bound_says(data, n):
    x = data.draw(tensors(n))
    found = float(exact_sum(x, (-1,))[0])
    true = sum(map(Fraction, x.tolist()))
    allowed = sum_error(slices_for(n, 1, sum_slices(n)), n) * float(np.max(np.abs(x)))
    assert abs(Fraction(found) - true) <= Fraction(allowed) + Fraction(np.spacing(abs(found))) / 2


@examples(100)
@given(st.data(), lengths(400))
def test_sums_of_like_magnitudes_are_those_of_fsum(data, n):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = rng.standard_normal(n)
    assert float(exact_sum(x, (-1,))[0]) == pytest.approx(fsum(x), rel=ULP, abs=n * 2.0**-80)


@examples(100)
@given(st.data(), lengths(200))
def test_parts_of_a_sum_come_in_any_order(data, n):
    """Slices of parts are added up in any order and grouping, plainly: + is associative there."""
    x = data.draw(tensors(n))
    slices = slices_for(n, 1, sum_slices(n))
    e = exponent(peak(x, (-1,)))
    order = np.random.default_rng(n).permutation(n)
    cut = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    for number in range(slices.number):
        whole = np.sum(slice_of(x, e, number, slices.bits))
        parts = np.split(slice_of(x[order], e, number, slices.bits), cut)
        assert sum(float(np.sum(part)) for part in reversed(parts)) == whole


# -- products ---------------------------------------------------------------------------------------


@examples(60)
@given(st.data(), lengths(6), lengths(40), lengths(6), st.sampled_from([1, 2, 3, 4]))
def test_products_are_as_good_as_their_bound_says(data, n, k, m, number):
    x, y = data.draw(tensors(n, k, most=130)), data.draw(tensors(k, m, most=130))
    slices = slices_for(k, 2, number)
    found = exact_matmul(x, y, slices)
    bound = Fraction(product_error(slices, k))
    for i in range(n):
        for j in range(m):
            true = sum(
                Fraction(a) * Fraction(b) for a, b in zip(x[i].tolist(), y[:, j].tolist(), strict=True)
            )
            largest = Fraction(float(np.max(np.abs(x[i])))) * Fraction(float(np.max(np.abs(y[:, j]))))
            rounded = Fraction(float(np.spacing(np.abs(found[i, j]))))
            assert abs(Fraction(float(found[i, j])) - true) <= bound * largest + rounded


@examples(60)
@given(st.data(), lengths(20), lengths(60), lengths(20))
def test_products_have_the_same_bits_in_any_order(data, n, k, m):
    x, y = data.draw(tensors(n, k)), data.draw(tensors(k, m))
    found = exact_matmul(x, y)
    rng = np.random.default_rng(k)
    rows, inner, columns = (rng.permutation(size) for size in (n, k, m))
    moved = exact_matmul(x[np.ix_(rows, inner)], y[np.ix_(inner, columns)])
    assert moved.tobytes() == found[np.ix_(rows, columns)].tobytes()
    assert exact_matmul(y.T, x.T).T.tobytes(order="C") == found.tobytes()
    first = exact_matmul(x[:1], y)
    assert first.tobytes() == found[:1].tobytes()


@examples(30)
@given(st.data(), lengths(20), lengths(60), lengths(20), st.integers(1, 60), st.integers(1, 3))
def test_the_engine_gives_these_bits(data, n, k, m, tile, sites):
    x, y = data.draw(tensors(n, k, most=130)), data.draw(tensors(k, m, most=130))
    A, B = tra.from_array(x, ("i", "j"), tile), tra.from_array(y, ("j", "k"), tile)
    with tra.connect("local", sites=sites, threads=1, reproducible="exact") as session:
        product, total = session.compute(A @ B, A.sum(axis=1))
    assert product.tobytes() == exact_matmul(x, y).tobytes()
    assert total.tobytes() == exact_sum(x, (-1,)).tobytes()


def test_infinite_terms_and_factors():
    """A sum with an infinite term is infinite; a product with such a factor is no number."""
    x = np.array([np.inf, 1.0, 1e-300])
    assert exact_sum(x, (-1,))[0] == np.inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(exact_sum(np.array([np.inf, -np.inf]), (-1,))[0])
    y = np.array([[1.0], [2.0], [1e-200]])
    for number in (1, 2, 3):
        found = exact_matmul(np.stack([x, np.array([1.0, 2.0, 3.0])]), y, slices_for(3, 2, number))
        assert np.isnan(found[0, 0]) and np.isfinite(found[1, 0])


def test_numbers_beyond_measure():
    """Products that leave the range of numbers become infinite or nothing, as elsewhere."""
    large, small = np.full((1, 2), 1e300), np.full((1, 2), 1e-300)
    assert exact_matmul(large, large.T)[0, 0] == np.inf
    assert exact_matmul(small, small.T)[0, 0] == 0.0
    tiny = np.full((1, 2), 5e-324)
    assert exact_matmul(tiny, np.ones((2, 1)))[0, 0] <= 1e-323


# -- element functions ------------------------------------------------------------------------------

PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211707"
)


def _cosine(turns):
    """The cosine of an angle in whole turns, by its series."""
    square = (2 * PI * turns) ** 2
    term = total = Decimal(1)
    for n in range(1, 60):
        term *= -square / ((2 * n - 1) * (2 * n))
        total += term
    return total


def _tanh(x):
    grown = (2 * x).exp()
    return (grown - 1) / (grown + 1)


FUNCTIONS = {
    "exp": (elementary.exp, Decimal.exp, st.floats(-745, 709.7)),
    "expm1": (elementary.expm1, lambda x: x.exp() - 1, st.floats(-40, 700) | st.floats(-1e-3, 1e-3)),
    "log": (elementary.log, Decimal.ln, st.floats(1e-300, 1e300) | st.floats(0.5, 2.0)),
    "log1p": (elementary.log1p, lambda x: (1 + x).ln(), st.floats(-0.999, 1e10) | st.floats(-1e-3, 1e-3)),
    "tanh": (elementary.tanh, _tanh, st.floats(-30, 30) | st.floats(-1e-3, 1e-3)),
    "sigmoid": (elementary.sigmoid, lambda x: 1 / (1 + (-x).exp()), st.floats(-700, 700)),
    "cos_turns": (elementary.cos_turns, _cosine, st.floats(0, 1)),
}
UNITS = {"exp": 1.5, "log": 1.5, "cos_turns": 8.0}  # in the last place; of the cosine in that of 1


def _unit(value):
    return Decimal(float(np.spacing(abs(float(value)))))


@pytest.mark.parametrize("name", FUNCTIONS)
@examples(300)
@given(data=st.data())
def test_functions_by_fixed_polynomials(name, data):
    fixed, true, numbers = FUNCTIONS[name]
    x = data.draw((numbers | st.floats(0.01, 1)).filter(lambda number: abs(number) > 1e-290 or not number))
    found = float(fixed(np.array(x)))
    with localcontext(prec=400):
        expected = true(Decimal(x))
        unit = Decimal(2.0**-53) if name == "cos_turns" else _unit(expected)
        assert abs(Decimal(found) - expected) <= Decimal(UNITS.get(name, 3.0)) * unit
    beside = np.array([0.5, x, 0.25])
    assert fixed(beside)[1] == found == fixed(beside[::-1])[1]


@examples(200)
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_sums_of_powers(x, y):
    found = float(elementary.logaddexp(np.array(x), np.array(y)))
    with localcontext(prec=1000):
        expected = (Decimal(x).exp() + Decimal(y).exp()).ln()
        assert abs(Decimal(found) - expected) <= 3 * _unit(max(abs(x), abs(y), 1.0))


@examples(100)
@given(st.floats(0.01, 100), st.integers(-20, 20))
def test_whole_powers(x, n):
    expected = Fraction(x) ** n
    for found in (elementary.power(np.array(x), n), elementary.powers_of(x, np.array(n))):
        assert abs(Fraction(float(found)) - expected) <= (2 + abs(n)) * expected * Fraction(ULP)
    with localcontext(prec=100):
        rooted, between = Decimal(x) ** Decimal(n + 0.25), float(elementary.powers_of(x, np.array(n + 0.25)))
        assert abs(Decimal(between) - rooted) <= (12 + 2 * abs(n)) * rooted * Decimal(ULP)


@examples(100)
@given(st.floats(-1e6, 1e6))
def test_the_cosine_of_an_angle(x):
    with localcontext(prec=60):
        expected = _cosine(Decimal(x) / (2 * PI) % 1)
    assert abs(Decimal(float(elementary.cos(np.array(x)))) - expected) <= Decimal(ULP * (4 + abs(x)))


def test_what_functions_make_of_what_is_no_number():
    for fixed, plain in [
        (elementary.exp, np.exp), (elementary.expm1, np.expm1), (elementary.log, np.log),
        (elementary.log1p, np.log1p), (elementary.tanh, np.tanh),
    ]:  # fmt: skip
        x = np.array([np.inf, -np.inf, np.nan, 0.0, 1.0])
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(fixed(x), plain(x), rtol=1e-15)
