"""Training: steps are queries that are planned once, over state that stays on the backend."""

import math

import numpy as np
import psutil
import pytest

import tra
from tests.long import only_long
from tra.algebra.losses import softmax_cross_entropy, squared_error
from tra.algebra.optimizers import SGD, Adam
from tra.backends import homes, state
from tra.errors import MemoryLimitError, NotFiniteError, PlanError, SchemaError

rng = np.random.default_rng(11)
X = rng.normal(size=(200, 6))
TRUE = rng.normal(size=6)
Y = X @ TRUE + 0.25


@pytest.fixture(params=["local", "two sites", "dask"])
def session(request):
    if request.param == "dask":
        client = request.getfixturevalue("client")
        given = {"backend": "dask", "scheduler": client, "sites": 2, "cost_model": "fixed"}
    else:
        given = {"backend": "local", "sites": 1 if request.param == "local" else 2, "threads": 1}
    with tra.connect(**given, progress=False) as opened:
        yield opened


@pytest.fixture
def local():
    with tra.connect("local", sites=2, threads=1, progress=False) as opened:
        yield opened


def loss(p, x, y):
    return squared_error(x @ p["w"] + p["b"], y)


START = {"w": np.zeros(6), "b": 0.0}


def by_hand(n_epochs, batch, seed, rate):
    """The same training in NumPy."""
    from tra.backends.batches import batch_rows

    w, b, losses = np.zeros(6), 0.0, []
    for epoch in range(n_epochs):
        rows = batch_rows(200, batch, seed, epoch) if batch else [np.arange(200)]
        for r in rows:
            error = X[r] @ w + b - Y[r]
            losses.append(float(np.mean(error**2)))
            w, b = w - rate * 2 * X[r].T @ error / len(r), b - rate * 2 * float(np.mean(error))
    return w, b, losses


@pytest.mark.xdist_group("dask")
@pytest.mark.parametrize("batch", [None, 64])
def test_a_training_is_what_numpy_makes_of_it(session, batch):
    found = session.train(loss, START, SGD(rate=0.05), data=[X, Y], batch=batch, epochs=6, seed=9)
    w, b, losses = by_hand(6, batch, 9, 0.05)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-9)
    np.testing.assert_allclose(found.parameters["w"].compute(), w, rtol=1e-9)
    np.testing.assert_allclose(found.parameters["b"].compute(), b, rtol=1e-9)
    assert found.n_plans == (1 if batch is None else 2)  # 200 rows are three batches of 64, and one of 8


@pytest.mark.xdist_group("dask")
def test_state_is_replaced_and_planned_once(session, monkeypatch):
    session.assign(w=tra.from_array(TRUE, tile=3), b=1.0)
    made = []
    monkeypatch.setattr("tra.backends.plans.plan_query", counted(made, homes.plan_query))
    for _ in range(40):
        session.assign(w=session.state["w"] * 0.5 + session.state["b"], b=session.state["b"])
    assert len(made) <= 3
    expected = TRUE
    for _ in range(40):
        expected = expected * 0.5 + 1.0
    np.testing.assert_allclose(session.state["w"].compute(), expected)
    assert sorted(session.state) == ["b", "w"] and len(session.state) == 2


@pytest.mark.xdist_group("dask")
def test_names_are_assigned_by_one_program(session, monkeypatch):
    session.assign(w=tra.from_array(TRUE, tile=3), v=tra.from_array(TRUE, tile=3))
    w, v = session.state["w"], session.state["v"]
    run, ran = session.backend.run, []

    def noted(program, *given, **named):
        ran.append(len(program.roots))
        return run(program, *given, **named)

    monkeypatch.setattr(session.backend, "run", noted)
    session.assign(w=v * 2.0, v=w + v, total=(w + v).sum(), again=(w + v).sum(), b=v, c=v)
    assert ran == [4, 2]
    session.assign(w=session.state["w"] * 0.0)  # the others are nobody else's
    expected = {"w": TRUE * 0.0, "v": TRUE * 2.0, "b": TRUE, "c": TRUE}
    expected |= dict.fromkeys(("total", "again"), (TRUE * 2.0).sum())
    for name, value in expected.items():
        np.testing.assert_allclose(session.state[name].compute(), value)


def test_a_name_that_cannot_be_computed_leaves_all_as_they_are(local):
    local.assign(a=[1.0, 2.0], b=[3.0])
    with pytest.raises(tra.errors.TraError):
        local.assign(a=[0.0, 0.0], b=tra.from_array(np.zeros((0, 2))).max(axis=0))
    assert [local.state[name].compute().tolist() for name in "ab"] == [[1.0, 2.0], [3.0]]


def counted(calls, function):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


def test_state_can_be_swapped_and_retyped(local):
    local.assign(a=[1.0, 2.0], b=[3.0, 4.0])
    a = local.state["a"]
    local.assign(a=local.state["b"], b=a)
    assert [local.state[name].compute().tolist() for name in "ab"] == [[3.0, 4.0], [1.0, 2.0]]
    assert a.compute().tolist() == [3.0, 4.0]  # the name, and not the value it had
    local.assign(a=[1.0, 2.0, 3.0])
    assert local.state["a"].shape == (3,)
    with pytest.raises(PlanError, match="a was kept by a session, and is gone"):
        a.compute()
    with pytest.raises(tra.errors.CatalogError, match="there is no state 'c'"):
        local.state["c"]


def test_metrics_and_records(local):
    found = local.train(
        loss, START, SGD(rate=0.05), data=[X, Y], batch=100, epochs=2,
        metrics={"largest": lambda p, x, y: (x @ p["w"] + p["b"] - y).max()},
    )  # fmt: skip
    assert [(r.epoch, r.step) for r in found.history] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert all(r.metrics["largest"] ** 2 >= r.loss and r.samples_per_second > 0 for r in found.history)
    assert found.losses == [r.loss for r in found.history]
    assert repr(found).startswith("Training(w, b: 4 steps, loss ")


def test_it_stops_when_asked(local):
    found = local.train(
        loss, START, SGD(rate=0.05), data=[X, Y], epochs=100, stop=lambda record: record.loss < 0.5
    )
    assert found.losses[-1] < 0.5 <= found.losses[-2]


def test_data_may_be_stored_computed_or_at_rest(local, tmp_path):
    tra.from_array(X, tile=(50, 6)).save(tmp_path / "x.npy")
    kinds = {
        "array": tra.from_array(X),
        "stored": local.persist(tra.from_array(X, tile=(50, 6)))[0],
        "computed": tra.from_array(X * 2, tile=(50, 6)) / 2,
        "file": tra.open(tmp_path / "x.npy"),
    }
    for batch in (None, 64):
        results = {
            kind: local.train(loss, START, SGD(rate=0.05), data=[x, Y], batch=batch, epochs=2)
            for kind, x in kinds.items()
        }
        for found in results.values():
            np.testing.assert_allclose(found.losses, results["array"].losses, rtol=1e-12)
    np.testing.assert_array_equal(kinds["stored"].compute(), X)  # what the user has stored stays


def test_what_else_a_loss_reads_is_stored_once(local):
    reads = []
    mask = tra.from_array(np.arange(6.0), tile=2)
    source = mask.sources[mask.expr.id]
    read = type(source).read
    counting = type("Counting", (type(source),), {"read": lambda s, key: reads.append(key) or read(s, key)})
    source.__class__ = counting
    local.train(lambda p, x, y: squared_error((x * mask) @ p["w"], y), {"w": np.zeros(6)}, SGD(rate=0.01),
                data=[X, Y], epochs=5)  # fmt: skip
    assert len(reads) <= 6


@pytest.mark.xdist_group("dask")
def test_trained_parameters_go_on_being_trained(session):
    first = session.train(loss, START, Adam(rate=0.05), data=[X, Y], epochs=3)
    values = {name: relation.compute() for name, relation in first.parameters.items()}
    second = session.train(loss, first.parameters, Adam(rate=0.05), data=[X, Y], epochs=40)
    assert second.losses[-1] < first.losses[-1]
    for name, relation in first.parameters.items():
        np.testing.assert_array_equal(relation.compute(), values[name])


def test_without_data_a_loss_is_of_parameters_alone(local):
    found = local.train(lambda p: (p["w"] - 3.0).transform("square").sum(), {"w": [0.0, 1.0]}, SGD(rate=0.25),
                        epochs=60)  # fmt: skip
    np.testing.assert_allclose(found.parameters["w"].compute(), [3.0, 3.0])


def test_what_no_gradient_reaches_stays(local):
    def with_constant(p, x, y):
        return loss(p, x, y) + tra.stop_gradient(p["still"]).sum()

    found = local.train(with_constant, {**START, "still": [7.0]}, SGD(rate=0.05), data=[X, Y], epochs=3)
    assert found.parameters["still"].compute().tolist() == [7.0]


@pytest.mark.xdist_group("dask")
def test_the_first_result_that_is_not_finite_is_named(session):
    def exploding(p, x, y):
        return tra.log(x @ p["w"] + p["b"] + 1.0).mean()

    with pytest.raises(NotFiniteError) as error, np.errstate(all="ignore"):
        session.train(exploding, START, SGD(rate=1.0), data=[X, Y], epochs=50)
    assert "the loss of step" in str(error.value) and "Transform log" in str(error.value)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_data_that_is_not_finite_is_named(local):
    bad = X.copy()
    bad[150, 3] = math.inf
    with pytest.raises(NotFiniteError, match=r"loss of step 1, in epoch 1, is .* is the data x"):
        local.train(loss, START, SGD(rate=1.0), data=[tra.from_array(bad, name="x"), Y], epochs=2)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"loss": 1.0}, PlanError, "a loss is a function"),
        ({"loss": lambda p, x, y: x @ p["w"]}, SchemaError, "loss is a number"),
        ({"loss": lambda p, x, y: (y > 0).sum()}, SchemaError, "a loss is a floating-point number"),
        ({"parameters": {}}, PlanError, "parameters are relations by name"),
        ({"parameters": {"loss": 1.0}}, PlanError, "cannot be the name"),
        ({"using": 0.1}, PlanError, "using is an optimizer"),
        ({"epochs": 0}, PlanError, "epochs is an integer of at least 1"),
        ({"batch": 0}, PlanError, "batch is an integer of at least 1"),
        ({"batch": 4, "data": []}, PlanError, "takes examples from data"),
        ({"seed": 1.5}, PlanError, "seed is an integer"),
        ({"metrics": ["accuracy"]}, PlanError, "metrics are functions by name"),
        ({"metrics": {"m": lambda p, x, y: y}}, SchemaError, "m is a number"),
        ({"data": [X, Y[:7]]}, SchemaError, "has 200 rows, .* has 7"),
        ({"data": [X, 3.0]}, SchemaError, "axis 0 that counts the examples"),
        ({"stop": 3}, PlanError, "stop is a function"),
        ({"every": 0}, PlanError, "every is a number of epochs"),
        ({"checkpoint": 3}, PlanError, "checkpoint is a folder"),
    ],
)
def test_arguments_are_checked(local, changed, error, message):
    given = {"loss": loss, "parameters": START, "using": SGD(rate=0.1), "data": [X, Y], **changed}
    with pytest.raises(error, match=message):
        local.train(given.pop("loss"), given.pop("parameters"), given.pop("using"), **given)


def test_a_line_shows_how_it_goes(local, capsys):
    local.train(loss, START, SGD(rate=0.05), data=[X, Y], epochs=3, progress=True)
    assert local.backend.progress is False
    capsys.readouterr()


def zeros(*shape):
    return tra.from_array(np.broadcast_to(np.float32(0), shape))


def network(p, x, y):
    return squared_error(tra.relu(x @ p["W1"]) @ p["W2"], y)


@pytest.mark.parametrize("sites", [2, 4])
@pytest.mark.parametrize("using", [SGD(rate=0.1), Adam(rate=0.1)], ids=["SGD", "Adam"])
def test_wide_networks_keep_their_weights_in_pieces(sites, using):
    n, d, h, c = 1000, 60000, 1000, 1500
    with tra.connect("local", sites=sites, threads=1) as opened:
        found = opened.explain_train(
            network, {"W1": zeros(d, h), "W2": zeros(h, c)}, using, data=[zeros(n, d), zeros(n, c)]
        )
    everywhere = 2 * (sites - 1) * (d * h + h * c) * 4
    assert found.to_dict()["bytes_moved"]["predicted"] * 10 < everywhere


@pytest.mark.parametrize("sites", [2, 4])
def test_narrow_networks_share_the_data_and_have_weights_everywhere(sites):
    n, d, h, c = 10000, 64, 128, 10
    with tra.connect("local", sites=sites, threads=1) as opened:
        found = opened.explain_train(
            network, {"W1": zeros(d, h), "W2": zeros(h, c)}, SGD(rate=0.1), data=[zeros(n, d), zeros(n, c)]
        )
    scans = {node.name: str(node.placement) for node in found.planned.program.given}
    assert scans["W1"] == scans["W2"] == f"all on {sites}"
    assert [p for name, p in scans.items() if name not in ("W1", "W2", "(step)")] == [
        f"split(i) on {sites}"
    ] * 2
    assert found.to_dict()["bytes_moved"]["predicted"] < 13 * (d * h + h * c) * 4  # gradients, and no data


@only_long
def test_memory_stays_flat_over_two_thousand_steps(local):
    process, sizes = psutil.Process(), []

    def watch(record):
        sizes.append(process.memory_info().rss)
        return record.step >= 2000

    local.train(loss, START, SGD(rate=0.01), data=[X, Y], epochs=2000, stop=watch)
    assert len(sizes) == 2000
    second, last = np.mean(sizes[500:1000]), np.mean(sizes[1500:])
    assert last < 1.05 * second


@only_long
@pytest.mark.xdist_group("dask")
def test_a_scheduler_remembers_no_more_from_step_to_step(client):
    counts = []

    def watch(record):
        if record.step % state.REHOMED_EVERY == 0:
            counts.append(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))
        return False

    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as opened:
        opened.train(loss, START, Adam(rate=0.01), data=[X, Y], epochs=200, stop=watch)
    assert max(counts[6:]) <= max(counts[:6]) + 8


@pytest.mark.xdist_group("dask")
def test_class_labels_and_single_precision(session):
    labels = (X[:, 0] > 0).astype(np.int64)
    found = session.train(
        lambda p, x, y: softmax_cross_entropy(x @ p["W"] + p["b"], y),
        {"W": np.zeros((6, 2), "f4"), "b": np.zeros(2, "f4")},
        Adam(rate=0.1), data=[X.astype("f4"), labels], batch=50, epochs=10,
    )  # fmt: skip
    assert found.parameters["W"].dtype == np.float32
    assert found.losses[-1] < 0.3


@pytest.mark.parametrize("batch", [None, 64])
def test_nothing_is_planned_once_the_steps_go(local, monkeypatch, batch):
    made, seen = [], []
    for module in ("homes", "plans", "open_tiles"):
        monkeypatch.setattr(f"tra.backends.{module}.plan_query", counted(made, homes.plan_query))

    def watch(record):
        seen.append(len(made))
        return False

    local.train(loss, START, SGD(rate=0.05), data=[X, Y], batch=batch, epochs=8, stop=watch)
    assert made and seen[-1] == seen[4]  # the last batch of the first epoch is smaller: a plan of its own


def test_data_of_another_session_is_refused(local):
    (x,) = local.persist(tra.from_array(X))
    with tra.connect("local", threads=1) as other, pytest.raises(PlanError, match="in another session"):
        other.train(loss, START, SGD(rate=0.05), data=[x, Y])


def test_results_lie_with_the_session(local):
    found = local.train(loss, START, SGD(rate=0.05), data=[X, Y])
    local.close()
    with tra.connect("local", threads=1), pytest.raises(PlanError, match="session"):
        found.parameters["w"].compute()


@pytest.mark.xdist_group("dask")
def test_workers_read_the_rows_of_files(client, tmp_path):
    np.save(tmp_path / "x.npy", X)
    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as opened:
        found = {
            kind: opened.train(loss, START, SGD(rate=0.05), data=[x, Y], batch=128, epochs=2).losses
            for kind, x in {"array": X, "file": tra.open(tmp_path / "x.npy")}.items()
        }
    assert found["array"] == found["file"]


def two_layers(p, x, y):
    return squared_error(tra.tanh(x @ p["W1"]) @ p["W2"], y)


@only_long
def test_homes_hold_when_a_step_is_planned_on_a_grid_of_sites():
    draw = np.random.default_rng(3)
    data = [draw.normal(size=(400, 200)), draw.normal(size=(400, 50))]
    start = {"W1": draw.normal(size=(200, 300)) / 20, "W2": draw.normal(size=(300, 50)) / 20}
    given = {"backend": "local", "threads": 1, "cost_model": "fixed", "progress": False}
    found = []
    for limited in ({"sites": 4, "memory_limit": 1_900_000}, {"sites": 1}):
        with tra.connect(**given, **limited) as opened:
            if limited["sites"] == 4:
                explained = opened.explain_train(two_layers, start, Adam(rate=0.01), data=data)
                assert {root.placement.mesh for root in explained.planned.program.roots} == {(2, 2)}
            made = opened.train(two_layers, start, Adam(rate=0.01), data=data, epochs=3)
            found.append((made.losses, {name: r.compute() for name, r in made.parameters.items()}))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-9)
    for name in start:
        np.testing.assert_allclose(found[0][1][name], found[1][1][name], rtol=1e-6)


def test_a_step_that_moves_what_it_carries_is_refused(local, monkeypatch):
    monkeypatch.setattr("tra.backends.training.lies_alike", lambda *given: False)
    with pytest.raises(PlanError, match=r"a step leaves w at .* on 2, the next one reads it at .* on 2"):
        local.train(loss, START, SGD(rate=0.05), data=[X, Y])


@pytest.mark.xdist_group("dask")
@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("tile", [None, 1])
def test_what_the_last_update_makes_is_finite_or_refused(session, tmp_path, tile):
    start = {"v": np.ones(2), "w": tra.from_array(np.zeros(2), tile=tile)}
    rest = [lambda p: (p["w"] * np.array([1.0, 0.0])).sum() + p["v"].sum() * 0.0, start, SGD(rate=1e308)]
    message = r"w has values that are not finite after the update of step 2, whose loss was -1e.*, in epoch 2"
    with pytest.raises(NotFiniteError, match=message):
        session.train(*rest, epochs=2, checkpoint=tmp_path)
    with pytest.raises(NotFiniteError, match=message):
        session.train(*rest, epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000001"]
    kept = session.train(*rest, epochs=1, checkpoint=tmp_path)
    assert kept.losses == [] and kept.parameters["w"].compute().tolist() == [-1e308, 0.0]


def test_parameters_with_holes_or_without_elements_are_checked_too(local):
    grid = tra.from_array(np.arange(6.0).reshape(3, 2), tile=1)
    start = {"w": grid.filter(lambda i, j: (i + j) % 2 == 0), "none": np.zeros((0, 3))}
    found = local.train(lambda p: p["w"].fill(0).sum() + p["none"].sum(), start, SGD(rate=1.0))
    assert found.losses == [7.0]


def test_a_loss_without_tiles_is_refused(local):
    nothing = tra.from_array(X, tile=(50, 6)).filter(lambda i, j: i > 7).sum()
    with pytest.raises(SchemaError, match="loss has no tile"):
        local.train(lambda p: nothing * p["w"], {"w": 1.0}, SGD(rate=0.1))
    with pytest.raises(SchemaError, match="most has no tile"):
        local.train(loss, START, SGD(rate=0.1), data=[X, Y], metrics={"most": lambda p, x, y: nothing})


def test_homes_are_moved_though_none_of_the_first_fits(monkeypatch):
    real, tried = homes.plan_step, []

    def tight(query, placed, context):
        tried.append(dict(placed))
        if len(tried) < 4:
            raise MemoryLimitError(f"memory_limit={len(tried)} would do", len(tried))
        return real(query, placed, context)

    def too_large(*given):
        raise MemoryLimitError("memory_limit=0 would do", 0)

    data = [tra.from_array(np.ones(shape), tile=5) for shape in ((40, 20), (40, 5))]
    start = {"W1": tra.from_array(np.ones((20, 30)), tile=5), "W2": tra.from_array(np.ones((30, 5)), tile=5)}
    with tra.connect("local", sites=2, threads=1, cost_model="fixed", progress=False) as opened:
        with monkeypatch.context() as patched:
            patched.setattr(homes, "plan_step", tight)
            opened.train(two_layers, start, SGD(rate=0.01), data=data)
        assert len(tried) >= 4 and all(placed.keys() == tried[0].keys() for placed in tried)
        monkeypatch.setattr(homes, "plan_query", too_large)
        with pytest.raises(MemoryLimitError, match="memory_limit=0 "):
            opened.train(two_layers, start, SGD(rate=0.01), data=data)


def test_of_limits_that_would_do_the_smallest_is_named(local, monkeypatch):
    limits = iter([700, 300, 500, *range(900, 990)])

    def failing(*given):
        raise MemoryLimitError(f"memory_limit={(limit := next(limits))} would do", limit)

    monkeypatch.setattr(homes, "plan_step", failing)
    with pytest.raises(MemoryLimitError, match="memory_limit=300 "):
        local.explain_train(loss, START, SGD(rate=0.05), data=[X, Y])
