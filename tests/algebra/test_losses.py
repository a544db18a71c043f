"""Losses against torch and NumPy, on tiles of any size; and labels that do not fit."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tra.algebra.gradient import grad
from tra.algebra.losses import hinge, logistic, softmax_cross_entropy, squared_error
from tra.errors import SchemaError
from tra.testing import tensors

IN_TORCH = {
    "squared_error": "mse_loss",
    "softmax_cross_entropy": "cross_entropy",
    "logistic": "binary_cross_entropy_with_logits",
}
FLOATS = st.sampled_from(["f4", "f8"])


def agrees(loss, expected, dtype):
    """Asserts that a loss is one number of the dtype of the predictions, with the value expected."""
    assert (loss.shape, loss.keys, loss.dtype) == ((), (), np.dtype(dtype))
    tolerance = 1e-4 if np.dtype(dtype).itemsize == 4 else 1e-12
    np.testing.assert_allclose(loss.compute(), expected, rtol=tolerance, atol=tolerance)


@st.composite
def predictions(draw, min_rank=0):
    tensor = draw(tensors(dtype=draw(FLOATS), min_rank=min_rank))
    assume(tensor.array.size)
    return tensor


def reference(name, left, right):
    torch = pytest.importorskip("torch")
    function = getattr(torch.nn.functional, IN_TORCH[name])
    return function(torch.tensor(left), torch.tensor(right)).item()


@given(st.data())
def test_squared_error(data):
    found = data.draw(predictions())
    wanted = data.draw(
        tensors(found.array.shape, dtype=data.draw(st.sampled_from(["f8", "f4", "i4", "bool"])))
    )
    expected = np.mean((found.array.astype("f8") - wanted.array) ** 2)
    agrees(squared_error(found.relation, wanted.relation), expected, found.array.dtype)


@given(st.data())
def test_squared_error_as_in_torch(data):
    found = data.draw(predictions())
    wanted = data.draw(tensors(found.array.shape, dtype=found.array.dtype))
    expected = reference("squared_error", found.array, wanted.array)
    agrees(squared_error(found.relation, wanted.relation), expected, found.array.dtype)


@given(st.data())
def test_logistic(data):
    found = data.draw(predictions())
    truth = data.draw(tensors(found.array.shape, dtype=data.draw(st.sampled_from(["bool", "i8", "f4"]))))
    labels, y = truth.relation > 0, (truth.array > 0).astype(found.array.dtype)
    if data.draw(st.booleans()):
        labels = labels.astype(data.draw(st.sampled_from(["i4", "f8"])))
    agrees(logistic(found.relation, labels), reference("logistic", found.array, y), found.array.dtype)


@given(st.data())
def test_hinge(data):
    found = data.draw(predictions())
    truth = data.draw(tensors(found.array.shape, dtype="f8"))
    labels, y = tra.where(truth.relation > 0, 1, -1), np.where(truth.array > 0, 1, -1)
    expected = np.mean(np.maximum(1 - y * found.array.astype("f8"), 0))
    agrees(hinge(found.relation, labels), expected, found.array.dtype)


@given(st.data())
def test_softmax_cross_entropy_with_classes(data):
    logits = data.draw(predictions(min_rank=1))
    *examples, classes = logits.array.shape
    numbers = data.draw(tensors(examples, dtype=data.draw(st.sampled_from(["i8", "i4"]))))
    labels, y = numbers.relation % classes, np.asarray(numbers.array % classes, "i8")
    flat = logits.array.reshape(-1, classes)
    expected = reference("softmax_cross_entropy", flat, y.reshape(-1))
    agrees(softmax_cross_entropy(logits.relation, labels), expected, logits.array.dtype)


@given(st.data())
def test_softmax_cross_entropy_with_shares(data):
    logits = data.draw(predictions(min_rank=1))
    shares = data.draw(tensors(logits.array.shape, dtype=data.draw(st.sampled_from(["f8", "i4"]))))
    classes = logits.array.shape[-1]
    flat, y = (a.reshape(-1, classes) for a in (logits.array, shares.array.astype(logits.array.dtype)))
    expected = reference("softmax_cross_entropy", flat, y)
    agrees(softmax_cross_entropy(logits.relation, shares.relation), expected, logits.array.dtype)


def test_classes_and_one_hot_rows_agree():
    logits, labels = np.random.default_rng(0).normal(size=(7, 5)), np.array([0, 4, 2, 2, 1, 0, 3])
    for tile in [(7, 5), (3, 2), (2, 5), (7, 1)]:
        Z, y = tra.from_array(logits, tile=tile), tra.from_array(labels, tile=2)
        found = softmax_cross_entropy(Z, y).compute()
        rows = softmax_cross_entropy(Z, tra.one_hot(y, size=5)).compute()
        np.testing.assert_allclose(found, rows, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("tile", [(2, 1), (1, 3)])
def test_large_scores_do_not_overflow(dtype, tile):
    logits = np.array([[1000.0, 0.0, -1000.0], [-1e4, -1e4, -1e4]], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = softmax_cross_entropy(tra.from_array(logits, tile=tile), [1, 2])
        agrees(found, (1000 + np.log(3)) / 2, dtype)
        scores = tra.from_array(np.array([1000.0, -1000.0, 1000.0, -1000.0], dtype), tile=3)
        agrees(logistic(scores, [1, 0, 0, 1]), 500.0, dtype)


def test_a_class_ruled_out_by_minus_infinity():
    logits = np.array([[0.0, -np.inf, 0.0], [1.0, 1.0, -np.inf]])
    for tile in (1, 3):
        agrees(softmax_cross_entropy(tra.from_array(logits, tile=(2, tile)), [2, 0]), np.log(2.0), "f8")


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_that_is_no_class_makes_the_loss_nan(label):
    logits = tra.from_array(np.zeros((4, 3)), tile=(3, 2))
    assert np.isnan(softmax_cross_entropy(logits, [0, 1, label, 2]).compute())


@pytest.mark.parametrize("loss", [squared_error, logistic, hinge])
@pytest.mark.parametrize(("left", "right"), [((4, 1), (4,)), ((4,), (4, 1)), ((4, 3), (3,)), ((4,), ())])
def test_other_shapes_do_not_broadcast(loss, left, right):
    with pytest.raises(SchemaError, match="does not broadcast") as caught:
        loss(np.zeros(left), np.ones(right))
    assert str(left) in str(caught.value) and str(right) in str(caught.value)


@pytest.mark.parametrize("labels", [(4, 1), (1, 4), (3,), (4, 2), ()])
def test_labels_of_another_shape(labels):
    with pytest.raises(SchemaError, match="do not fit logits of shape") as caught:
        softmax_cross_entropy(np.zeros((4, 3)), np.zeros(labels, "i8"))
    assert str(labels) in str(caught.value) and "(4, 3)" in str(caught.value)


def test_labels_that_are_no_integers():
    with pytest.raises(SchemaError, match="are float64, and classes are counted by integers"):
        softmax_cross_entropy(np.zeros((4, 3)), np.zeros(4))


def test_what_is_no_prediction():
    with pytest.raises(SchemaError, match="an axis of classes"):
        softmax_cross_entropy(np.zeros(()), 0)
    with pytest.raises(SchemaError, match="real predictions"):
        squared_error(np.zeros(3, "c16"), np.zeros(3))


def test_predictions_of_integers_are_counted_in_float64():
    agrees(squared_error([1, 2], [0, 0]), 2.5, "f8")


@given(st.data())
def test_gradients_as_in_torch(data):
    """They have the types of the predictions, whatever the tiles of the labels."""
    torch = pytest.importorskip("torch")
    loss = data.draw(st.sampled_from([squared_error, softmax_cross_entropy, logistic]))
    name = loss.__name__
    found = data.draw(predictions(min_rank=1))
    classes = found.array.shape[-1]
    numbers = data.draw(
        tensors(found.array.shape[:-1] if "softmax" in name else found.array.shape, dtype="i8")
    )
    labels, y = numbers.relation % classes, np.asarray(numbers.array % classes, "i8")
    dense = torch.tensor(found.array.reshape(-1, classes) if "softmax" in name else found.array)
    dense.requires_grad_()
    (slope,) = grad(loss(found.relation, labels), [found.relation])
    function = getattr(torch.nn.functional, IN_TORCH[name])
    truth = torch.tensor(y.reshape(-1) if "softmax" in name else y.astype(found.array.dtype))
    function(dense, truth).backward()
    assert slope.expr.type == found.relation.expr.type
    tolerance = 1e-4 if slope.dtype == np.float32 else 1e-12
    expected = dense.grad.numpy().reshape(found.array.shape)
    np.testing.assert_allclose(slope.compute(), expected, rtol=tolerance, atol=tolerance)


def test_the_slope_of_the_logistic_loss_at_zero_and_far_out():
    s, y = np.array([0.0, 0.0, 1000.0, -1000.0, 1000.0]), np.array([0, 1, 1, 0, 0])
    scores = tra.from_array(s, tile=2)
    (slope,) = grad(logistic(scores, y), [scores])
    np.testing.assert_allclose(slope.compute(), np.array([0.5, -0.5, 0, 0, 1]) / 5, atol=1e-16)


def test_the_slope_of_the_hinge():
    s, y = np.array([0.5, 2.0, -1.0, -2.0, 0.5]), np.array([1, 1, 1, -1, -1])
    scores = tra.from_array(s, tile=2)
    (slope,) = grad(hinge(scores, y), [scores])
    np.testing.assert_allclose(slope.compute(), np.array([-1, 0, -1, 0, 1]) / 5)


def test_labels_move_and_not_logits():
    """Where they are cut otherwise, the labels are cut anew: they are the smaller of the two."""
    logits, labels = tra.from_array(np.zeros((9, 4)), tile=(4, 2)), tra.from_array(np.zeros(9, "i8"), tile=3)
    with tra.connect("local", threads=1):
        text = softmax_cross_entropy(logits, labels).to_text()
    retiled = [line for line in text.splitlines() if "RETILE" in line]
    assert len(retiled) == 1 and "TO (4 BY i)" in retiled[0]
