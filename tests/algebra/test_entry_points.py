"""Calls whose arguments do not fit: they name the right one, for every public function and method."""

import inspect

import numpy as np
import pytest

import tra
from tra.algebra.entry_point import entry_point
from tra.errors import ArgumentError, TraError
from tra.testing import reference_session

A = tra.from_array(np.ones((3, 2)), name="A")
PUBLIC = [
    *(getattr(tra, name) for name in tra.__all__ if name not in ("sql", "kernel")),
    *(getattr(tra.losses, name) for name in dir(tra.losses)),
    *(getattr(tra.schedules, name) for name in ("Constant", "Cosine", "Exponential", "Step", "Warmup")),
    *(member for owner in (tra.Relation, tra.Session) for name, member in inspect.getmembers(owner)
      if not name.startswith("_") and name not in ("sql", "assign", "join", "transform")),
]  # fmt: skip
CALLED = [
    entry for entry in PUBLIC
    if entry in (tra.SGD, tra.Adam, tra.AdamW)
    or (inspect.isfunction(entry) and not entry.__name__.startswith("_"))
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tra.Adam(lr=0.1),
            r"Adam has no argument 'lr'; did you mean 'rate'\?\n  hint: call Adam",
        ),
        (
            lambda: tra.SGD(),
            r"SGD: missing a required argument: 'rate'\n  hint: call SGD\(rate, ",
        ),
        (lambda: tra.SGD(0.1, 0.9, False, 0.0, None, 3), "SGD: too many positional arguments"),
        (lambda: tra.connect(site=2), r"connect has no argument 'site'; did you mean 'sites'\?"),
        (lambda: tra.connect("dask", n_workers=2), "no argument 'n_workers'; did you mean 'sites'"),
        (lambda: tra.train(len), "train: missing a required argument: 'parameters'"),
        (
            lambda: A.explain(anlyze=True),
            r"'anlyze'; did you mean 'analyze'\?\n  hint: call explain\(",
        ),
        (lambda: A.sum(dim=0, keepdim=True), "sum has no argument 'dim'; did you mean 'axis'"),
        (lambda: tra.from_array([1.0], chunks=2), "from_array has no argument 'chunks'; did you mean 'tile'"),
        (lambda: tra.schedules.Cosine(0.1, T_max=5), "Cosine has no argument 'T_max'; did you mean 'steps'"),
        (lambda: tra.losses.hinge(A), "hinge: missing a required argument: 'labels'"),
        (lambda: tra.einsum(), "einsum: missing a required argument: 'equation'"),
        (lambda: tra.open("a.npy", foo=1), r"open has no argument 'foo'\n  hint: call open\(path, keys=None"),
    ],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(ArgumentError, match=message) as caught:
        call()
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, TraError)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("entry", CALLED, ids=lambda entry: entry.__qualname__)
def test_every_public_function_does_so(entry):
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(entry).parameters.values()):
        pytest.skip("it takes arguments of any name, and hands them on")
    with pytest.raises(ArgumentError, match=f"{entry.__name__} has no argument 'no_such'"):
        entry(no_such=1)


def test_there_are_many():
    assert len(CALLED) > 40


def test_signatures_and_docstrings_stay():
    assert list(inspect.signature(tra.Adam).parameters)[:2] == ["rate", "beta1"]
    assert list(inspect.signature(tra.Relation.explain).parameters) == ["self", "analyze"]
    assert tra.connect.__module__ == "tra.backends.connect" and "Opens a session" in tra.connect.__doc__


def test_what_a_function_raises_itself_stays():
    @entry_point
    def outer(value):
        return inner(value, 2)

    def inner(value):
        return value

    with pytest.raises(TypeError, match=r"inner\(\) takes 1 positional argument") as caught:
        outer(1)
    assert not isinstance(caught.value, ArgumentError)
    with reference_session(), pytest.raises(TypeError, match="len"):
        tra.value_and_grad(len(3), [A])
