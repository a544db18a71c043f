"""Slices, transposes, concatenation and retiling against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.errors import SchemaError
from tra.testing import shapes, tensors


def agree(relation, array):
    assert (relation.shape, relation.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(relation.compute(), array)


@st.composite
def indices(draw, shape):
    items = []
    for extent in shape[: draw(st.integers(0, len(shape)))]:
        if extent and draw(st.booleans()):
            items.append(draw(st.integers(-extent, extent - 1) | st.sampled_from([np.int64(extent - 1)])))
        else:
            ends = st.none() | st.integers(-9, 9)
            items.append(
                slice(draw(ends), draw(ends), draw(st.none() | st.sampled_from([1, 2, -1, -2, -3, 5])))
            )
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    if draw(st.booleans()):
        at = draw(st.integers(0, len(items)))
        n_after = sum(item is not None for item in items[at:])
        tail = items[at:] if n_after == 0 else []
        items = [*items[:at], ..., *tail]
    return tuple(items) if len(items) != 1 or draw(st.booleans()) else items[0]


@examples(150)
@given(st.data())
def test_basic_indices(data):
    tensor = data.draw(tensors())
    index = data.draw(indices(tensor.array.shape))
    agree(tensor.relation[index], np.asarray(tensor.array[index]))


@examples(40)
@given(st.data())
def test_indices_after_an_ellipsis(data):
    tensor = data.draw(tensors(min_rank=1))
    last = tensor.array.shape[-1]
    index = (
        ...,
        data.draw(st.sampled_from([slice(None, None, -1), slice(1, None, 2), None] + [0] * (last > 0))),
    )
    agree(tensor.relation[index], np.asarray(tensor.array[index]))


def test_indices_that_are_refused():
    A = tra.from_array(np.ones((3, 4)))
    for index, words in [
        ((0, 0, 0), "too many indices: .* has 2 axes, got 3"),
        ((..., ...), "at most one ellipsis"),
        (3, "index 3 is out of range for axis 0 .*, extent 3"),
        ((0, -5), "index -5 is out of range for axis 1"),
        (True, "cannot index with bool"),
        (np.bool_(True), "cannot index with bool"),
        (np.array([0, 1]), r"cannot index with ndarray(?s:.*)hint: a few places are tra\.concatenate"),
        ([0, 1], r"cannot index with list(?s:.*)hint: a few places are tra\.concatenate"),
        (np.array([True, False]), r"hint: how many elements .* tra\.where\(condition, A, 0\)"),
        (tra.from_array([1.0, 2.0]) > 1, r"hint: how many elements .* tra\.where\(condition, A, 0\)"),
        (1.0, "cannot index with float"),
        (slice(0, 3, 0), r"cannot index with slice\(0, 3, 0\)"),
        (slice(0.5, 3), "slices of integers"),
    ]:
        with pytest.raises(SchemaError, match=words):
            A[index]


@given(st.data())
def test_transposes(data):
    tensor = data.draw(tensors())
    axes = data.draw(st.permutations(range(tensor.array.ndim)))
    agree(tensor.relation.T, tensor.array.T)
    agree(tensor.relation.transpose(), tensor.array.transpose())
    if axes:
        agree(tensor.relation.transpose(*axes), tensor.array.transpose(*axes))
        agree(tensor.relation.transpose(tuple(axes)), tensor.array.transpose(axes))
        negative = [a - len(axes) for a in axes]
        agree(tensor.relation.transpose(negative), tensor.array.transpose(axes))


def test_keys_follow_their_axes():
    A = tra.from_array(np.ones((4, 6)), keys=("i", "j"), tile=2)
    assert A.T.keys == ("j", "i")
    assert A[1:, 0].keys == ("i",)
    assert A[None, :, ::2].keys == ("i", "j")
    for wrong in [(0,), (0, 0), (0, 5)]:
        with pytest.raises(SchemaError):
            A.transpose(*wrong)


@examples(100)
@given(st.data())
def test_concatenation(data):
    shape = data.draw(shapes(min_rank=1))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = []
    for _ in range(data.draw(st.integers(1, 3))):
        longer = list(shape)
        longer[axis] = data.draw(st.sampled_from([0, 1, 2, 5]))
        parts.append(data.draw(tensors(shape=longer)))
    expected = np.concatenate([p.array for p in parts], axis=axis)
    agree(tra.concatenate([p.relation for p in parts], axis=axis), expected)
    mixed = [p.array if n % 2 else p.relation for n, p in enumerate(parts)]
    agree(tra.concatenate(mixed, axis=axis), expected)


def test_concatenation_keeps_large_tiles():
    long = tra.from_array(np.ones(100), keys="n", tile=25)
    empty = tra.from_array(np.ones(0), keys="n")
    assert tra.concatenate([empty, long]).tile_shape == (25,)
    assert tra.concatenate([empty, long]).keys == ("n",)


def test_concatenations_that_are_refused():
    A, B = tra.from_array(np.ones((3, 4))), tra.from_array(np.ones((3, 5)))
    for operands, axis, words in [
        ([], 0, "at least one tensor"),
        ([A, B], 0, "along axis 1 the extents are 4 and 5"),
        ([A, tra.from_array(np.ones(3))], 0, "tensors of 2 and 1 axes"),
        ([A, A], 2, "there is no axis 2"),
    ]:
        with pytest.raises(SchemaError, match=words):
            tra.concatenate(operands, axis=axis)


@examples(100)
@given(st.data())
def test_retiling(data):
    tensor = data.draw(tensors())
    sizes = [data.draw(st.sampled_from([None, 1, 2, 3, 4, 100])) for _ in tensor.array.shape]
    retiled = tensor.relation.retile(*sizes)
    agree(retiled, tensor.array)
    expected = tuple(n if s is None else min(s, n) for s, n in zip(sizes, tensor.array.shape, strict=True))
    assert retiled.tile_shape == expected
    assert len(retiled.keys) == sum(s is not None for s in sizes)


def test_retilings_that_are_refused():
    A = tra.from_array(np.ones((3, 4)))
    assert A.retile((2, 2)).tile_shape == A.retile([2, 2]).tile_shape == (2, 2)
    for sizes, words in [
        ((2,), "2 axes, got 1 sizes"),
        ((2, 0), "at least 1; got 0"),
        ((1, 2, 3), "got 3 sizes"),
    ]:
        with pytest.raises(SchemaError, match=words):
            A.retile(*sizes)
    with pytest.raises(SchemaError, match=r"no tile at key \(0,\)"):
        tra.from_tiles({(1,): np.ones(2)}, keys="i").retile(1)
