"""Trainings that would go wrong in silence, or with a message about something else."""

import numpy as np
import pytest

import tra
from tra.errors import ArgumentError, NotFiniteError, SchemaError

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(40, 3)), rng.normal(size=40)


@pytest.fixture(params=[1, 2])
def session(request):
    with tra.connect("local", sites=request.param, threads=1, progress=False) as opened:
        yield opened


# --- parameters that the loss does not use ------------------------------------------------------------

START = {"w": np.zeros(3), "U": np.ones((2, 2)), "v": 0.0}


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda p, x, y: 3.0, "the loss depends on no parameter; there are w, U, v"),
        (lambda p, x, y: (x.sum() - y.sum()) ** 2, "the loss depends on no parameter"),
        (lambda p, x, y: (x @ p["w"] - y).sum(), "does not depend on the parameters U, v, but on w alone"),
        (lambda p, x, y: (x @ p["w"] - y).sum() + p["v"], "on the parameter U, but on w, v alone"),
        (lambda p, x, y: p["w"].sum() + p["v"] + p["U"].shape[0], "on the parameter U, "),
    ],
)
def test_a_loss_uses_every_parameter(session, loss, message):
    with pytest.raises(SchemaError, match=message):
        session.train(loss, START, tra.SGD(0.1), data=[X, Y])
    with pytest.raises(SchemaError, match=message):
        session.explain_train(loss, START, tra.SGD(0.1), data=[X, Y], batch=8)


def test_parameters_may_be_used_anywhere(session):
    def loss(p, x, y):
        inner = (p["U"] @ p["U"]).sum() + p["v"]
        return tra.losses.squared_error(x @ p["w"], y) + inner * inner

    assert session.train(loss, START, tra.SGD(0.001), data=[X, Y], epochs=2).losses


@pytest.mark.parametrize("train", [tra.train, tra.Session.train], ids=["tra", "session"])
@pytest.mark.parametrize(
    ("given", "meant"), [("epoch", "epochs"), ("batch_size", "batch"), ("metric", "metrics")]
)
def test_a_wrong_argument_is_named(session, train, given, meant):
    own = (session,) if train is tra.Session.train else ()
    with pytest.raises(ArgumentError, match=f"train has no argument '{given}'; did you mean '{meant}'"):
        train(*own, entropy, {"W": np.zeros((3, 4))}, tra.SGD(0.1), **{given: 5})


# --- labels that are no classes -----------------------------------------------------------------------


def entropy(p, x, y):
    return tra.losses.softmax_cross_entropy(x @ p["W"], y)


@pytest.mark.parametrize("batch", [None, 16])
@pytest.mark.parametrize("label", [4, -1])
@pytest.mark.parametrize("tile", [None, 7])
def test_a_label_that_is_no_class_is_named(session, batch, label, tile):
    labels = np.arange(40) % 4
    labels[23] = label
    data = [tra.from_array(X, tile=tile), tra.from_array(labels, tile=tile, name="kinds")]
    with pytest.raises(NotFiniteError) as caught:
        session.train(entropy, {"W": np.zeros((3, 4))}, tra.SGD(0.1), data=data, batch=batch)
    assert f"is nan: label {label}, but there are 4 classes, 0 to 3 (in kinds)" in str(caught.value)
    assert "rate" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_another_cause_is_found_as_before(session):
    def loss(p, x, y):
        return entropy(p, x, y) + tra.log(p["W"]).sum()

    with pytest.raises(NotFiniteError, match=r"-inf; the first result .* Transform log .*\n  hint: a lower"):
        session.train(loss, {"W": np.zeros((3, 4))}, tra.SGD(0.1), data=[X, np.arange(40) % 4])
