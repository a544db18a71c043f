"""The gradient of each operator, alone, on relations of every kind, is the central difference."""

import re

import numpy as np
import pytest

import tra
from tra.algebra import live
from tra.algebra.gradient import gradients
from tra.algebra.live import is_empty
from tra.algebra.operators import stack
from tra.algebra.relation import Relation
from tra.algebra.types import AtMost
from tra.errors import KernelError, SchemaError, TraError
from tra.workflows.parameters import zeros

from .gradient_harness import check_gradients, number, sources_of, tiles_of, total, value, weighted

RANDOM = np.random.default_rng(7)
SQUARE = RANDOM.standard_normal((6, 6))
KINDS = {
    "even": tra.from_array(SQUARE, keys=("i", "j"), tile=2, name="A"),
    "ragged": tra.from_array(SQUARE[:5, :5], keys=("i", "j"), tile=(2, 2), name="A"),
    "one tile": tra.from_array(SQUARE, keys=("i", "j"), tile=6, name="A"),
    "holed": tra.from_array(SQUARE, keys=("i", "j"), tile=2, name="A").filter(lambda i, j: (i + j) % 3 != 1),
    "empty": tra.from_array(SQUARE, keys=("i", "j"), tile=2, name="A").filter(lambda i, j: i < 0),
}


def _other(a):
    """A relation of the same tiles under other keys."""
    return a.rekey(lambda i, j: (i, j), keys=("p", "q")).transform("sin")


def _stacked(*operands):
    return Relation(stack([o.expr for o in operands], "s"), operands[0].sources)


def _pairs(a):
    places = tra.from_array(np.arange(36).reshape(6, 6)[: a.shape[0], : a.shape[1]].copy(), ("i", "j"), 2)
    return a.join(places, on=("i", "j"), kernel="pair")


OPERATORS = {
    **{
        f"aggregate {fold} by {by or 'nothing'}": lambda a, fold=fold, by=by: a.aggregate(by=by, kernel=fold)
        for fold in ("add", "mul", "max", "min", "logaddexp")
        for by in ((), "i", ("j", "i"))
    },
    "aggregate twice": lambda a: a.aggregate(by="i", kernel="max").aggregate(by=(), kernel="add"),
    "maximum over axes and keys": lambda a: a.transform("reduce_max").aggregate(by="i", kernel="max"),
    "least pair": lambda a: _pairs(a).aggregate(by="i", kernel="arg_min").transform("value_of"),
    "largest pair": lambda a: _pairs(a).aggregate(by=(), kernel="arg_max").transform("value_of"),
    **{
        f"join {how} on {on}": lambda a, how=how, on=on: a.join(_other(a), on=on, kernel=how)
        for how in ("mul", "add", "sub", "max", "left", "right", "matmul", "outer", "logaddexp")
        for on in ([("i", "p")], [("i", "q"), ("j", "p")], [("i", "p"), ("j", "q")], [])
    },
    "join with itself": lambda a: a.join(a, on=[("i", "i"), ("j", "j")], kernel="mul"),
    "join with rows": lambda a: a.join(a.transform("reduce_sum").aggregate(by="j"), on="j", kernel="add"),
    "join with one row for all": lambda a: a.join(a.aggregate(by=()), on=[], kernel="div"),
    "diagonal": lambda a: a.join(_other(a), on=[("i", "p")], kernel="mul").filter(lambda i, j, q: j == q),
    "diagonal without its keys": lambda a: (
        a.filter(lambda i, j: i == j).rekey(lambda i, j: i, keys=("d",)).transform("diag")
    ),
    "permute": lambda a: a.rekey(lambda i, j: (j, i), keys=("a", "b")),
    "shift": lambda a: a.rekey(lambda i, j: (i + 2, j), keys=("i", "j")),
    "split": lambda a: a.rekey(lambda i, j: (i // 2, i % 2, j), keys=("a", "b", "c")),
    "merge": lambda a: a.rekey(lambda i, j: i * 3 + j, keys=("n",)),
    "table": lambda a: a.rekey(lambda i, j: ([2, 0, 1][i], j), keys=("i", "j")),
    "reverse": lambda a: a.rekey(lambda i, j: (2 - i, j), keys=("i", "j")),
    "drop": lambda a: a.filter(lambda i, j: i == 1).rekey(lambda i, j: j, keys=("j",)),
    "new key": lambda a: a.rekey(lambda i, j: (i, 4, j), keys=("i", "n", "j")),
    "filter": lambda a: a.filter(lambda i, j: i >= j),
    "filter all": lambda a: a.filter(lambda i, j: i > 9),
    "transform": lambda a: a.transform("exp"),
    "tile": lambda a: a.tile(0, 1, "t"),
    "concat": lambda a: a.concat("j", 1),
    "concat twice": lambda a: a.concat("j", 1).concat("i", 0),
    "concat a free key": lambda a: a.concat("j", 1).tile(1, 1, "t").concat("i", 1),
    "stack": lambda a: _stacked(a, a.transform("neg"), a.transform("square")),
    "stack and fold": lambda a: _stacked(a, a.transform("square")).aggregate(by="j", kernel="max"),
    "fill": lambda a: a.fill(1.5),
    "retile": lambda a: a.retile(3, 4),
    "fan-out": lambda a: (
        a.transform("square")
        .join(a.transform("exp"), on=("i", "j"), kernel="mul")
        .join(a, on="i", kernel="add")
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name, kind):
    try:
        relation = OPERATORS[name](KINDS[kind])
    except TraError:  # what needs whole tensors, or even tiles
        assert kind in ("holed", "empty", "ragged", "one tile"), name
        return
    tiles = tiles_of(KINDS[kind]) | tiles_of(relation)
    check_gradients(weighted(relation.expr), tiles, most=4)
    check_gradients(total(relation.expr), tiles, most=2)  # an adjoint that is one number
    (slope,) = gradients(weighted(relation.expr), sources_of(relation.expr)[:1]) or (relation.expr,)
    check_gradients(weighted(slope, seed=9), tiles, most=2)


WINDOWS = {
    "forwards": np.s_[1:5], "backwards": np.s_[::-1], "every second": np.s_[::2], "nothing": np.s_[3:3],
    "every second backwards": np.s_[::-2], "both axes": np.s_[4:0:-2, 1:4], "one row": np.s_[2],
    "a new axis": np.s_[None, 1:, ..., ::2],
}  # fmt: skip


@pytest.mark.parametrize("kind", ["even", "ragged", "one tile"])
@pytest.mark.parametrize("window", WINDOWS)
def test_windows(window, kind):
    relation = KINDS[kind][WINDOWS[window]]
    check_gradients(weighted(relation.expr), tiles_of(KINDS[kind]), most=12)
    twice = tra.concatenate([relation, relation.transform("sin")], axis=-1)
    check_gradients(weighted(twice.expr), tiles_of(KINDS[kind]), most=6)


@pytest.mark.parametrize("how", ["mul", "add", "max", "left", "right", "matmul"])
def test_truncated_joins(how):
    longer = tra.from_array(RANDOM.standard_normal((7, 4)), keys=("i", "j"), tile=2)
    shorter = tra.from_array(RANDOM.standard_normal((4, 4)), keys=("i", "k"), tile=2)
    holed = longer.filter(lambda i, j: i != 1)
    for left, right in [(longer, shorter), (shorter, longer), (holed, shorter)]:
        joined = left.join(right, on="i", kernel=how, truncate=True)
        check_gradients(weighted(joined.expr), tiles_of(joined), most=8)
    crossed = longer.join(shorter.transform("reduce_sum"), on=[("j", "i")], kernel="mul", truncate=True)
    check_gradients(weighted(crossed.expr), tiles_of(crossed))


def test_truncated_joins_of_what_is_no_whole_tensor():
    diagonal = tra.from_tiles(
        {(n,): np.ones((2, 2)) for n in range(3)}, "n", axes=[tra.Axis(2, (("n", 1),), 6)] * 2
    )
    row = tra.from_tiles({0: np.ones((2, 2))}, "n", axes=[tra.Axis(2, (), 2)] * 2, domain=(1,))
    loss = total(diagonal.join(row, on="n", kernel="mul", truncate=True).expr)
    with pytest.raises(KernelError, match="a truncated join has no gradient for"):
        gradients(loss, sources_of(diagonal.expr))


def test_pieces_of_zero_length():
    relation = KINDS["even"][:0].retile(2, 3)
    assert relation.shape == (0, 6)
    check_gradients(weighted(relation.expr), tiles_of(relation))
    column = tra.from_array(np.zeros((0, 3)), tile=2)
    assert tra.grad((column * column).sum(), column)[0].shape == (0, 3)


def test_a_holed_parameter_has_a_gradient_at_its_live_keys():
    holed = tra.from_tiles({(0, 2): np.ones((2, 2)), (2, 0): 3 * np.ones((2, 2))}, ("i", "j"), name="S")
    dense = KINDS["even"]
    loss = (
        (holed.join(dense, on=[("j", "i")], kernel="matmul").aggregate(by=("i", "j_2")) * 1.0).fill(0).sum()
    )
    (slope,) = tra.grad(loss, holed)
    assert slope.expr.type == holed.expr.type
    assert set(slope.tiles()) == {(0, 2), (2, 0)}
    check_gradients(loss.expr, tiles_of(loss))
    (square,) = tra.grad((holed * holed).fill(0).sum(), holed)
    assert square.tiles()[2, 0].tolist() == [[6.0, 6.0], [6.0, 6.0]]


def test_a_full_aggregation_in_the_middle():
    a = KINDS["ragged"]
    (slope,) = tra.grad(a.sum() ** 2, a)
    np.testing.assert_allclose(slope.compute(), np.full((5, 5), 2 * SQUARE[:5, :5].sum()))
    (slope,) = tra.grad((a * a.sum()).sum(), a)
    np.testing.assert_allclose(slope.compute(), np.full((5, 5), 2 * SQUARE[:5, :5].sum()))


def test_an_intermediate_result():
    a = KINDS["ragged"]
    hidden = tra.tanh(a @ a)
    of_hidden, of_a = tra.grad((hidden * hidden + hidden).sum(), [hidden, a])
    np.testing.assert_allclose(of_hidden.compute(), 2 * hidden.compute() + 1)
    (alone,) = tra.grad((hidden * hidden + hidden).sum(), a)
    np.testing.assert_allclose(of_a.compute(), alone.compute())
    loss = hidden.sum()
    assert [g.compute().item() for g in tra.grad(loss, [loss])] == [1.0]


def test_extremes_that_are_asked_for_are_not_passed_by():
    a = KINDS["even"]
    rows = a.max(axis=1)
    of_rows, of_a = tra.grad((rows * rows).sum(), [rows, a])
    np.testing.assert_allclose(of_rows.compute(), 2 * rows.compute())
    expected = np.where(SQUARE.max(1, keepdims=True) == SQUARE, 2 * SQUARE, 0)
    np.testing.assert_allclose(of_a.compute(), expected)


def test_what_the_loss_does_not_depend_on():
    a, other = KINDS["even"], tra.from_array(np.ones(3), tile=2)
    slope, none = tra.grad((a * 2).sum(), [a, other])
    assert none.compute().tolist() == [0.0, 0.0, 0.0] and (slope.compute() == 2).all()
    (through_integers,) = tra.grad(a.astype("int64").sum() * 1.0, a)
    assert not through_integers.compute().any()
    (index,) = tra.grad((a.argmax(axis=1) * 1.0).sum(), a)
    assert not index.compute().any()


def test_what_is_no_gradient():
    a = KINDS["even"]
    for loss, wrt, words in [
        (a * 2, a, r"a gradient is of one number, and this loss has shape \(6, 6\)"),
        (a.sum(axis=0), a, r"take its .sum\(\) or .mean\(\)"),
        (a.sum(), tra.from_array([1, 2], name="n"), r"is with respect to floats; n is n?\[i:1\] of 2 int64"),
        (a.astype("int64").sum(), a, "a gradient is of a real loss; this one is int64"),
        ((a * 1j).sum(), a, "a gradient is of a real loss; this one is complex128"),
        (3.0, a, "a gradient is of relations; got 3.0"),
        (a.sum(), [np.ones(3)], "a gradient is of relations; got array"),
    ]:
        with pytest.raises(SchemaError, match=words):
            tra.grad(loss, wrt)


def test_a_loss_and_its_gradient():
    a = KINDS["even"]
    loss, (slope,) = tra.value_and_grad((a * a).sum(), [a])
    np.testing.assert_allclose(loss.compute(), (SQUARE**2).sum())
    np.testing.assert_allclose(slope.compute(), 2 * SQUARE)


MANY_KEYS = [
    "filter",
    "aggregate add by i",
    "join mul on [('i', 'p')]",
    "permute",
    "shift",
    "split",
    "merge",
    "tile",
]
MANY_KEYS += ["stack", "transform", "fan-out", "table"]


@pytest.mark.parametrize("name", MANY_KEYS)
def test_more_keys_than_are_listed(name, monkeypatch):
    """The gradient is right, or an error says what there is too much of."""
    with monkeypatch.context() as patch:
        patch.setattr(live, "MAX_LISTED", 3)
        a = tra.from_array(SQUARE, keys=("i", "j"), tile=2, name="A").filter(lambda i, j: (i + j) % 2 == 0)
        assert isinstance(a.expr.type.live, AtMost) and not is_empty(a.expr.type)
        try:
            expr = total(OPERATORS[name](a).transform("square").expr)
            (slope,) = gradients(expr, sources_of(expr))
        except TraError as error:
            assert re.search("too many|known only when it runs", str(error))
            return
    tiles = tiles_of(a)
    found = value(slope, tiles)
    assert set(found) == set(tiles["A"]) if "A" in tiles else found
    key = next(iter(found))
    id_ = next(iter(tiles))
    for place in ((0, 0), (1, 1)):
        ends = []
        for step in (1e-5, -1e-5):
            moved = tiles[id_][key].copy()
            moved[place] += step
            ends.append(number(expr, {id_: {**tiles[id_], key: moved}}))
        assert abs(found[key][place] - (ends[0] - ends[1]) / 2e-5) < 1e-5


def test_parameters_generated_alike_cannot_be_told_apart():
    a, b = (zeros((2,), "float64", ("i",)) for _ in range(2))
    with pytest.raises(SchemaError, match="relations 0 and 1 are generated alike"):
        tra.grad((a * 3 + b * 5).sum(), [a, b])
    assert tra.grad((a * 3).sum(), [a])[0].compute().tolist() == [3.0, 3.0]
