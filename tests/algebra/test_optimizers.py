"""Optimizers against torch, step by step; the types of what they give; settings that are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples, sample
from tra.algebra.live import frontier, is_empty
from tra.algebra.optimizers import SGD, Adam, AdamW
from tra.algebra.parameter_tiles import zeros
from tra.algebra.schedules import Cosine, Step, Warmup
from tra.algebra.sources import tensor_type
from tra.algebra.types import AtMost
from tra.errors import SchemaError
from tra.testing import relations, tensors

# Ours, the optimizer of torch, its settings.
PAIRS = [
    (SGD(0.05), "SGD", {"lr": 0.05}),
    (SGD(0.05, weight_decay=0.1), "SGD", {"lr": 0.05, "weight_decay": 0.1}),
    (SGD(0.02, momentum=0.9), "SGD", {"lr": 0.02, "momentum": 0.9}),
    (
        SGD(0.02, momentum=0.8, nesterov=True, weight_decay=0.01),
        "SGD",
        {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    (SGD(0.05, momentum=0.5, clip=0.7), "SGD", {"lr": 0.05, "momentum": 0.5}),
    (Adam(), "Adam", {}),
    (
        Adam(0.02, beta1=0.8, beta2=0.95, eps=1e-6, weight_decay=0.1),
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
    ),
    (Adam(0.02, clip=1.5), "Adam", {"lr": 0.02}),
    (AdamW(0.02), "AdamW", {"lr": 0.02}),
    (
        AdamW(0.02, beta1=0.3, weight_decay=0.2, clip=3.0),
        "AdamW",
        {"lr": 0.02, "betas": (0.3, 0.999), "weight_decay": 0.2},
    ),
    (AdamW(0.02, weight_decay=0.0), "AdamW", {"lr": 0.02, "weight_decay": 0.0}),
]
OPTIMIZERS = [ours for ours, *_ in PAIRS]
TILES = {"W": (3, 2), "b": 4, "s": None}


def draw_start(dtype):
    rng = np.random.default_rng(7)
    return {"W": rng.normal(size=(5, 3)).astype(dtype), "b": rng.normal(size=7).astype(dtype),
            "s": np.array(rng.normal(), dtype)}  # fmt: skip


def slope(name, value, step):
    """A gradient that depends on the parameter and on the step, as a loss over batches has it."""
    noise = np.random.default_rng([step, len(name), value.size]).normal(size=value.shape)
    return np.asarray(2 * value + noise, value.dtype)


def held(arrays):
    """Parameters as relations, cut into ragged tiles; the state is cut like its parameter."""
    return {name: tra.from_array(a, tile=TILES[name.partition(".")[0]]) for name, a in arrays.items()}


def run_ours(rule, start, n):
    values, state = start, {name: R.compute() for name, R in rule.start(held(start)).items()}
    for step in range(n):
        slopes = held({name: slope(name, value, step) for name, value in values.items()})
        moved, kept = rule.update(held(values), slopes, held(state), step)
        values, state = ({name: np.asarray(R.compute()) for name, R in d.items()} for d in (moved, kept))
    return values, state


def run_torch(name, options, clip, start, n, schedule=None):
    torch = pytest.importorskip("torch")
    values = {key: torch.tensor(value, requires_grad=True) for key, value in start.items()}
    rule = getattr(torch.optim, name)(values.values(), foreach=False, **options)
    for step in range(n):
        if schedule:
            rule.param_groups[0]["lr"] = schedule(step)
        for key, value in values.items():
            value.grad = torch.from_numpy(slope(key, value.detach().numpy(), step))
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(list(values.values()), clip)
        rule.step()
    return {key: value.detach().numpy() for key, value in values.items()}


@pytest.mark.parametrize(("ours", "name", "options"), PAIRS, ids=lambda v: str(v)[:60])
@pytest.mark.parametrize(("dtype", "tolerance"), [("f8", 1e-12), ("f4", 1e-4)])
def test_steps_as_in_torch(ours, name, options, dtype, tolerance):
    start, n = draw_start(dtype), sample(100, least=20) if dtype == "f8" else 20
    expected = run_torch(name, options, ours.clip, start, n)
    found, _ = run_ours(ours, start, n)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_allclose(found[key], value, rtol=tolerance, atol=tolerance * np.abs(value).max())


@pytest.mark.parametrize(("name", "ours"), [("SGD", SGD), ("Adam", Adam), ("AdamW", AdamW)])
def test_schedules_in_optimizers_as_in_torch(name, ours):
    rule = ours(Warmup(3, then=Step(0.05, factor=0.5, every=4)))
    start = draw_start("f8")

    def rate(t):
        return 0.05 * (t + 1) / 4 if t < 3 else 0.05 * 0.5 ** ((t - 3) // 4)

    expected = run_torch(name, {}, None, start, 15, rate)
    found, _ = run_ours(rule, start, 15)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-13)


@given(st.data())
def test_types_stay_whatever_the_tiles(data):
    """The new parameter and what is remembered have the type of the parameter: keys, tiles, dtype, holes."""
    parameter = data.draw(relations(data.draw(st.sampled_from(["f8", "f4"]))))
    rule = data.draw(st.sampled_from([*OPTIMIZERS, Adam(Cosine(0.1, steps=9)), AdamW(Cosine(0.1, steps=9))]))
    given_, state = {"W": parameter}, rule.start({"W": parameter})
    for step in range(2):
        moved, state = rule.update(given_, {"W": parameter.transform("square")}, state, float(step))
        for relation in (*moved.values(), *state.values()):
            assert relation.expr.type == parameter.expr.type
            relation.tiles()
        given_ = moved
    assert sorted(state) == sorted(f"W.{part}" for part in rule.remembers)


@given(st.data())
def test_tiles_move_as_the_whole_tensor_does(data):
    """However parameters are cut, they move as they do in one piece; the norm is that of all of them."""
    rule = data.draw(st.sampled_from(OPTIMIZERS))
    pieces, whole, slopes, lines = {}, {}, {}, {}
    for name in ("W", "b"):
        tensor = data.draw(tensors(dtype="f8", max_rank=2))
        pieces[name], whole[name] = tensor.relation, tra.from_array(tensor.array, keys=())
        slopes[name] = tensor.relation.transform("cos")
        lines[name] = tra.from_array(np.cos(tensor.array), keys=())
    moved, _ = rule.update(pieces, slopes, rule.start(pieces), 2)
    expected, _ = rule.update(whole, lines, rule.start(whole), 2)
    for name in pieces:
        np.testing.assert_allclose(moved[name].compute(), expected[name].compute(), rtol=1e-12, atol=1e-14)


@examples(60)
@given(st.data())
def test_gradients_that_are_cut_otherwise(data):
    array = data.draw(tensors(dtype="f4", max_rank=2)).array
    W = tra.from_array(array, tile=data.draw(st.integers(1, 3))) if array.ndim else tra.from_array(array)
    gradient = data.draw(tensors(array.shape, dtype=data.draw(st.sampled_from(["f8", "i4"]))))
    moved, _ = SGD(0.5).update({"W": W}, {"W": gradient.relation}, {}, 0)
    assert moved["W"].expr.type == W.expr.type
    np.testing.assert_allclose(moved["W"].compute(), array - np.float32(0.5) * gradient.array, rtol=1e-5)


def test_holes_of_gradients_are_zeros_and_those_of_parameters_stay():
    W = tra.from_tiles({(0,): [1.0, 2.0], (2,): [3.0, 4.0]}, keys="i")
    gradient = tra.from_tiles({(1,): [8.0, 8.0], (2,): [1.0, 2.0]}, keys="i")
    moved, kept = SGD(0.5, momentum=0.5).update(
        {"W": W}, {"W": gradient}, {"W.velocity": zeros(W.expr.type)}, 0
    )
    assert {k: t.tolist() for k, t in moved["W"].tiles().items()} == {(0,): [1.0, 2.0], (2,): [2.5, 3.0]}
    assert {k: t.tolist() for k, t in kept["W.velocity"].tiles().items()} == {(0,): [0, 0], (2,): [1, 2]}


def test_a_parameter_without_tiles():
    W = tra.from_array(np.ones((4, 3)), tile=2)
    nothing = W.filter(lambda i, j: i > 9)
    assert is_empty(nothing.expr.type) and not any(frontier(nothing.expr.type))
    for rule in (Adam(clip=1.0), SGD(0.1, momentum=0.5, clip=1.0)):
        for parameters in ({"W": nothing}, {"W": nothing, "V": W}):
            moved, _ = rule.update(parameters, parameters, rule.start(parameters), 0)
            assert moved["W"].tiles() == {}
            assert moved["W"].expr.type == nothing.expr.type


def test_clipping_leaves_small_gradients_alone_and_bounds_large_ones():
    W, b = tra.from_array(np.zeros((2, 3)), tile=2), tra.from_array(np.zeros(4), tile=3)
    for scale, expected in [(0.001, 0.001), (7.0, 5 / math.sqrt(10))]:
        slopes = {"W": W + scale, "b": b + scale}
        moved, _ = SGD(1.0, clip=5.0).update({"W": W, "b": b}, slopes, {}, 0)
        for relation in moved.values():
            np.testing.assert_allclose(relation.compute(), -expected, rtol=1e-6)


def test_clipping_what_is_not_finite_says_so():
    W = tra.from_array(np.array([1.0, 2.0], "f4"))
    moved, _ = SGD(0.1, clip=1.0).update({"W": W}, {"W": np.nan * W}, {}, 0)
    assert np.isnan(moved["W"].compute()).all()


def test_one_expression_serves_every_step():
    """The step is data: two steps differ in their sources alone."""
    W, gradient = tra.from_array(np.ones(5), tile=2), tra.from_array(np.ones(5), tile=2)
    step = tra.from_array(np.array(0.0), name="step")
    rule = Adam(Cosine(0.1, steps=10), clip=1.0)
    state = rule.start({"W": W})
    first = rule.update({"W": W}, {"W": gradient}, state, step)[0]["W"]
    later = rule.update({"W": W}, {"W": gradient}, state, step)[0]["W"]
    assert first.expr == later.expr
    assert first.sources.keys() == {*W.sources, *gradient.sources, *step.sources}


def test_plain_descent_remembers_nothing():
    assert SGD(0.1).start({"W": tra.from_array(np.ones(3))}) == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), "SGD: rate is a number of at least 0 or a schedule.*got rate=-0.1"),
        (lambda: SGD(math.nan), "got rate=nan"),
        (lambda: SGD("fast"), "got rate='fast'"),
        (lambda: SGD(Cosine), "got rate=<class"),
        (
            lambda: SGD(0.1, momentum=1.0),
            "SGD: momentum is a number of at least 0 and below 1; got momentum=1.0",
        ),
        (lambda: SGD(0.1, momentum=-0.5), "got momentum=-0.5"),
        (lambda: SGD(0.1, nesterov=True), "nesterov looks ahead along a momentum above 0; got momentum=0.0"),
        (lambda: SGD(0.1, momentum=0.5, nesterov=1), "nesterov is True or False; got nesterov=1"),
        (lambda: SGD(0.1, weight_decay=-1), "weight_decay is a number of at least 0; got weight_decay=-1"),
        (lambda: SGD(0.1, clip=0), "SGD: clip is a number above 0, or None; got clip=0"),
        (lambda: SGD(0.1, clip="norm"), "clip is a number above 0, or None; got clip='norm'"),
        (lambda: Adam(beta1=1.0), "Adam: beta1 is a number of at least 0 and below 1; got beta1=1.0"),
        (lambda: Adam(beta2=-0.1), "beta2 is a number of at least 0 and below 1; got beta2=-0.1"),
        (lambda: Adam(eps=-1e-8), "eps is a number of at least 0; got eps=-1e-08"),
        (lambda: AdamW(-1), "AdamW: rate is a number of at least 0 or a schedule.*got rate=-1"),
    ],
)
def test_settings_that_are_refused(make, message):
    with pytest.raises(SchemaError, match=message):
        make()


def test_numpy_scalars_as_settings_do_not_change_dtypes():
    W = tra.from_array(np.ones(3, "f4"))
    rule = SGD(np.float64(0.5), momentum=np.float64(0.5), weight_decay=np.float64(0.5))
    assert type(rule.rate) is float
    assert rule.update({"W": W}, {"W": W}, rule.start({"W": W}), 0)[0]["W"].dtype == np.float32


def test_what_does_not_fit_the_parameters():
    W, b = tra.from_array(np.ones((4, 3)), tile=2), tra.from_array(np.ones(3))
    rule = SGD(0.1, momentum=0.9)
    state = rule.start({"W": W})
    with pytest.raises(SchemaError, match="no gradient 'W'; did you mean 'w'"):
        rule.update({"W": W}, {"w": W}, state, 0)
    with pytest.raises(SchemaError, match=r"no state 'W.velocity'"):
        rule.update({"W": W}, {"W": W}, {}, 0)
    with pytest.raises(SchemaError, match=r"the gradient of W is .* of shape \(3,\).*of shape \(4, 3\)"):
        rule.update({"W": W}, {"W": b}, state, 0)
    with pytest.raises(SchemaError, match=r"W.velocity is float64 of shape \(3,\)"):
        rule.update({"W": W}, {"W": W}, {"W.velocity": b}, 0)
    with pytest.raises(SchemaError, match="the step is one number"):
        rule.update({"W": W}, {"W": W}, state, b)
    holed = W.filter(lambda i, j: i == j)
    with pytest.raises(SchemaError, match="is cut otherwise"):
        rule.update({"W": W.retile(3, 3)}, {"W": holed}, rule.start({"W": W.retile(3, 3)}), 0)


@pytest.mark.parametrize("dtype", ["i8", "bool", "c16"])
def test_parameters_are_of_floats(dtype):
    W = tra.from_array(np.ones(3, dtype))
    with pytest.raises(SchemaError, match="parameters are of floats; W is"):
        Adam().start({"W": W})


def test_parameters_have_keys_that_are_known():
    type_ = tensor_type((5,), "f8", ("i",), 2)
    unknown = zeros(replace(type_, live=AtMost(((0, 3),))))
    with pytest.raises(SchemaError, match="known only when it runs"):
        Adam().start({"W": unknown})
