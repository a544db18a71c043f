"""Reductions and softmax against NumPy."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.relation import Relation
from tra.algebra.sources import FixedTiles
from tra.errors import SchemaError
from tra.testing import Tensor, tensors

REDUCTIONS = ["sum", "prod", "max", "min", "any", "all", "mean", "var", "std"]


def close(relation, array):
    array = np.asarray(array)
    assert (relation.shape, relation.dtype) == (array.shape, array.dtype)
    with np.errstate(all="ignore"):
        computed = relation.compute()
    tolerance = 1e-4 if array.dtype.itemsize <= 8 and array.dtype.kind in "fc" else 1e-9
    np.testing.assert_allclose(computed, array, rtol=tolerance, atol=tolerance)


@st.composite
def axes_of(draw, rank):
    if draw(st.integers(0, 3)) == 0:
        return None
    chosen = draw(st.permutations(range(rank)))[: draw(st.integers(0, rank))]
    axes = tuple(draw(st.sampled_from([a, a - rank])) for a in chosen)
    return axes[0] if len(axes) == 1 and draw(st.booleans()) else axes


@examples(150)
@given(st.data())
def test_reductions(data):
    tensor = data.draw(tensors())
    name, keepdims = data.draw(st.sampled_from(REDUCTIONS)), data.draw(st.booleans())
    axis = data.draw(axes_of(tensor.array.ndim))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected = getattr(tensor.array, name)(axis=axis, keepdims=keepdims)
        except ValueError:
            with pytest.raises(ValueError, match="extent 0"):
                getattr(tensor.relation, name)(axis=axis, keepdims=keepdims)
            return
        close(getattr(tensor.relation, name)(axis=axis, keepdims=keepdims), expected)


@examples(100)
@given(st.data())
def test_places_of_extremes_with_ties_and_nan(data):
    tensor = data.draw(tensors())
    array = tensor.array.copy()
    if array.dtype.kind in "fc" and array.size and data.draw(st.booleans()):
        holes = np.random.default_rng(data.draw(st.integers(0, 99))).random(array.shape) < 0.3
        array[holes] = np.nan
    relation = Relation(
        tensor.relation.expr, {k: _Replaced(v, array) for k, v in tensor.relation.sources.items()}
    )
    tensor = Tensor(relation, array)
    axis = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1)) if array.ndim else None
    keepdims = data.draw(st.booleans())
    for name in ("argmin", "argmax"):
        try:
            expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
        except ValueError:
            with pytest.raises(ValueError, match="extent 0"):
                getattr(tensor.relation, name)(axis=axis, keepdims=keepdims)
            continue
        close(getattr(tensor.relation, name)(axis=axis, keepdims=keepdims), expected)


class _Replaced(FixedTiles):
    """The same source over other values."""

    remote = False

    def __init__(self, source, array):
        self.source, self.array = source, array

    def read(self, key):
        kept, self.source.array = self.source.array, self.array
        try:
            return self.source.read(key)
        finally:
            self.source.array = kept


def softmax(x, axis):
    x = x - x.max(axis=axis, keepdims=True)
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


@given(st.data())
def test_softmax_along_any_axis(data):
    tensor = data.draw(tensors(dtype=data.draw(st.sampled_from(["f8", "f4", "i8"])), min_rank=1))
    axis = data.draw(st.integers(-tensor.array.ndim, tensor.array.ndim - 1))
    if not tensor.array.shape[axis]:
        with pytest.raises(SchemaError, match="extent 0"):
            tra.softmax(tensor.relation, axis=axis)
        return
    expected = softmax(tensor.array, axis)
    close(tra.softmax(tensor.relation, axis=axis), expected)
    close(tra.log_softmax(tensor.relation, axis=axis), np.log(expected))
    x = tensor.array.astype(expected.dtype)
    close(tra.logsumexp(tensor.relation, axis=axis), np.log(np.exp(x).sum(axis=axis)))


def test_softmax_of_large_numbers_and_infinities():
    a = np.array([[1000.0, 1001.0, 1002.0], [-np.inf, 0.0, -np.inf], [-1e4, -1e4, -1e4]])
    for tile in (1, 2, 3):
        A = tra.from_array(a, tile=(2, tile))
        close(tra.softmax(A, axis=1), softmax(a, 1))
        top = a.max(axis=1)
        close(tra.logsumexp(A, axis=1), top + np.log(np.exp(a - top[:, None]).sum(axis=1)))


def test_a_ragged_edge_changes_no_mean():
    a = np.random.default_rng(0).normal(size=(7, 11))
    A = tra.from_array(a, tile=(3, 4))
    close(A.mean(axis=0), a.mean(axis=0))
    close(A.var(), a.var())
    close(tra.exp(A).sum(), np.exp(a).sum())


def test_reductions_that_are_refused():
    A = tra.from_array(np.ones((3, 4)))
    for axis, words in [
        (2, "no axis 2"),
        ((0, 0), "named twice"),
        ((0, -2), "named twice"),
        (1.0, "integer"),
    ]:
        with pytest.raises(SchemaError, match=words):
            A.sum(axis=axis)
    assert A.sum(axis=np.int64(1)).shape == (3,)
    with pytest.raises(SchemaError, match="one axis or none"):
        A.argmin(axis=(0, 1))
    with pytest.raises(SchemaError, match="max of nothing: axis 0"):
        tra.from_array(np.ones((0, 4))).max(axis=0)
    assert tra.from_array(np.ones((0, 4))).max(axis=1).shape == (0,)


@given(st.data())
def test_kernels_as_functions_of_whole_tensors(data):
    tensor = data.draw(tensors(dtype="f8", min_rank=2))
    A, a = tensor.relation, tensor.array
    close(tra.reduce_sum(A), a.sum(axis=-1))
    close(tra.reduce_prod(A, axis=0), a.prod(axis=0))
    close(tra.transpose(A), a.T)
    close(tra.transpose(A, axes=range(a.ndim)), a)
    close(tra.expand_dims(A, axis=1), np.expand_dims(a, 1))
    close(tra.expand_dims(a), np.expand_dims(a, -1))
    if a.shape[-1] == 1:
        close(tra.squeeze(A), a.squeeze(-1))
    else:
        with pytest.raises(SchemaError, match="extent is not 1"):
            tra.squeeze(A)
    square = data.draw(tensors(shape=(3, 5, 5), dtype="f8"))
    close(tra.diag(square.relation), np.einsum("...ii->...i", square.array))


def test_kernels_that_need_whole_axes():
    norm = tra.kernel("(n)->()", name="length of a vector", batched=True)(
        lambda x: np.sqrt((x * x).sum(axis=-1))
    )
    a = np.arange(12.0).reshape(3, 4)
    function = getattr(tra, "length of a vector")
    close(function(tra.from_array(a, tile=(2, 4))), np.sqrt((a * a).sum(axis=1)))
    with pytest.raises(SchemaError, match=r"takes whole axes, but axis 1 of .* is cut"):
        function(tra.from_array(a, tile=(2, 3)))
    assert tra.from_array(a, tile=(2, 3)).transform(norm).shape == (2, 3)  # one per tile: what λ means
    with pytest.raises(SchemaError, match="no place 4 for a new axis"):
        tra.expand_dims(a, axis=4)
