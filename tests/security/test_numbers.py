"""NaN, infinities and overflow follow NumPy whatever the tiles and sites; the page about numbers is true."""

import doctest
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import tra
from tra.errors import KernelError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "numbers.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
VALUES = np.array([
    [1, np.nan, 3, -np.inf, 0.0],
    [np.inf, 2, np.nan, 0, -0.0],
    [5, 6, -np.inf, 8, np.inf],
    [7, 7, -7, 1e308, 1e308],
    [np.nan, np.nan, 1, 2, -np.inf],
])  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module", params=[1, 2])
def session(request):
    with tra.connect("local", sites=request.param, threads=1) as session:
        yield session


def test_the_examples(session):
    blocks = re.findall(r"```python\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "numbers.md", str(PAGE), 0)
    shown = []
    failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=shown.append)
    assert tried > 10 and not failed, "".join(shown)


@pytest.mark.parametrize("tile", [1, 2, 5])
@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize(
    "name", ["max", "min", "argmax", "argmin", "any", "all", "sum", "prod", "mean", "var"]
)
def test_reductions(session, name, axis, tile):
    found = getattr(tra.from_array(VALUES, tile=tile), name)(axis=axis).compute()
    expected = getattr(np, name)(VALUES, axis=axis)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64"])
@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_reductions_of_other_dtypes(session, name, dtype):
    values = VALUES.astype(dtype)
    found = getattr(tra.from_array(values, tile=2), name)(axis=0).compute()
    np.testing.assert_array_equal(found, getattr(np, name)(values, axis=0))


@pytest.mark.parametrize("tile", [1, 2, 5])
@pytest.mark.parametrize("name, function", [
    ("maximum", np.maximum), ("minimum", np.minimum), ("add", np.add), ("mul", np.multiply),
    ("sub", np.subtract), ("div", np.divide), ("lt", np.less), ("ge", np.greater_equal), ("eq", np.equal),
    ("ne", np.not_equal), ("pow", np.power),
])  # fmt: skip
def test_elements(session, name, function, tile):
    A, B = (tra.from_array(values, tile=tile) for values in (VALUES, VALUES.T.copy()))
    np.testing.assert_array_equal(getattr(tra, name)(A, B).compute(), function(VALUES, VALUES.T))


@pytest.mark.parametrize("tile", [1, 2, 5])
def test_products(session, tile):
    """0·∞ and ∞ − ∞ are NaN in a product of matrices, in whatever order its terms are added."""
    values = np.clip(VALUES, -1e3, np.inf) + np.where(-np.inf == VALUES, -np.inf, 0)
    found = (tra.from_array(values, tile=tile) @ tra.from_array(VALUES.T.copy(), tile=tile)).compute()
    expected = np.array([[(row * column).sum() for column in VALUES] for row in values])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("tile", [1, 2, 5])
def test_kernels_along_an_axis(session, tile):
    A = tra.from_array(VALUES, tile=tile)
    for axis in (0, 1):
        top = np.logaddexp.reduce(VALUES, axis=axis)
        np.testing.assert_allclose(tra.logsumexp(A, axis=axis).compute(), top)
    bare = np.array([[0.0, -np.inf, 1.0], [np.inf, 1.0, 2.0], [np.nan, 1.0, 2.0]])
    found = tra.softmax(tra.from_array(bare, tile=tile), axis=1).compute()
    np.testing.assert_allclose(found[0], [1 / (1 + np.e), 0, np.e / (1 + np.e)])
    assert np.isnan(found[1:]).all()


@pytest.mark.parametrize("density", [0.3, 0.7])
def test_holes_are_skipped_and_zeros_are_not(session, density):
    """The plan may fill holes with zeros only where that changes nothing."""
    rng = np.random.default_rng(3)
    tiles = {(i, j): rng.choice([1.0, np.inf, np.nan, 0.0], (2, 2)) for i in range(6) for j in range(6)
             if rng.random() < density}  # fmt: skip
    right = rng.choice([1.0, 0.0, 2.0], (12, 4))
    holed = tra.from_tiles(tiles, ("i", "j"))
    found = (holed @ tra.from_array(right, tile=2)).tiles()
    expected = {}
    for (i, j), tile in tiles.items():
        for k in range(2):
            block = right[2 * j : 2 * j + 2, 2 * k : 2 * k + 2]
            part = np.array([[(row * column).sum() for column in block.T] for row in tile])
            expected[i, k] = expected.get((i, k), 0) + part
    assert found.keys() == expected.keys()
    for key, tile in found.items():
        np.testing.assert_allclose(tile, expected[key])


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
def test_dtypes_of_integer_reductions(session, dtype):
    values = np.ones(5, dtype)
    for name in ("sum", "prod", "mean", "var", "max", "argmax"):
        found, expected = getattr(tra.from_array(values, tile=2), name)().compute(), getattr(np, name)(values)
        assert (found, found.dtype) == (expected, expected.dtype)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_integers_wrap_as_in_numpy(session, dtype):
    top = np.iinfo(dtype).max
    values = np.array([[top, 2], [top // 2, 3]], dtype)
    A = tra.from_array(values, tile=1)
    np.testing.assert_array_equal((A + A).compute(), values + values)
    np.testing.assert_array_equal((A * A).compute(), values * values)
    np.testing.assert_array_equal((A @ A).compute(), values @ values)
    np.testing.assert_array_equal((-A).compute(), -values)
    np.testing.assert_array_equal(A.sum(axis=0).compute(), values.sum(axis=0))
    np.testing.assert_array_equal(
        A.aggregate(by="i", kernel="add").compute()[:, 0], values.sum(axis=1, dtype=dtype)
    )


def test_numbers_that_a_dtype_does_not_hold(session):
    small = tra.from_array(np.array([1], "uint8"))
    for make in (lambda: small + 300, lambda: small * -1, lambda: tra.maximum(small, 256)):
        with pytest.raises(KernelError, match="out of bounds for uint8"):
            make()


def test_means_of_halves(session):
    """A sum of float16 overflows where its mean does not: NumPy computes means by way of float32."""
    values = np.full(100, 60000, "float16")
    mean = tra.from_array(values, tile=7).mean().compute()
    assert mean == values.mean() and mean.dtype == np.float16
    many = np.ones(70_000, "float16")
    assert tra.from_array(many, tile=10_000).mean().compute() == many.mean() == 1
    (gradient,) = tra.grad(tra.from_array(values, name="x").mean(), [tra.from_array(values, name="x")])
    assert gradient.dtype == np.float16
