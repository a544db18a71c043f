"""Checkpoints: going on gives the numbers of a run that was never stopped, whatever kills the writer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tra
from tra.algebra.losses import squared_error
from tra.algebra.optimizers import SGD, Adam
from tra.algebra.schedules import Step
from tra.backends import checkpoint as module
from tra.errors import CatalogError

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(50, 6)), rng.normal(size=50)
START = {"w": np.zeros(6), "b": 0.5}

SCRIPT = """
import sys
import numpy as np
import tra
from tra.algebra.losses import squared_error
from tra.algebra.optimizers import Adam

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(50, 6)), rng.normal(size=50)

def loss(p, x, y):
    return squared_error(x @ p["w"] + p["b"], y)

with tra.connect("local", threads=1, progress=False) as session:
    found = session.train(loss, {"w": np.zeros(6), "b": 0.5}, Adam(rate=0.05), data=[X, Y], batch=16,
                          epochs=int(sys.argv[2]), seed=3, checkpoint=sys.argv[1], every=2)
    np.save(sys.argv[3], found.parameters["w"].compute())
"""


def loss(p, x, y):
    return squared_error(x @ p["w"] + p["b"], y)


def train(session, folder, epochs, using=None, loss=loss, start=START, **options):
    options = {"data": [X, Y], "batch": 16, "seed": 3, "checkpoint": folder, **options}
    found = session.train(loss, start, using or Adam(rate=0.05), epochs=epochs, **options)
    return {name: relation.compute() for name, relation in found.parameters.items()}, found


def same(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.tobytes() == right[name].tobytes(), name


@pytest.fixture(params=[1, 2])
def session(request):
    with tra.connect("local", sites=request.param, threads=1, progress=False) as opened:
        yield opened


@pytest.mark.parametrize("batch", [16, None])
def test_a_training_goes_on_with_the_same_bits(session, tmp_path, batch):
    whole, found = train(session, None, 7, batch=batch)
    part, _ = train(session, tmp_path, 3, batch=batch)
    assert any(part["w"] != whole["w"])
    resumed, rest = train(session, tmp_path, 7, batch=batch)
    same(resumed, whole)
    assert rest.losses == found.losses[-len(rest.losses) :]
    assert rest.history[0].epoch == 4
    assert rest.history[-1].step == found.history[-1].step


def test_a_finished_training_gives_its_parameters_again(session, tmp_path):
    first, _ = train(session, tmp_path, 3)
    again, found = train(session, tmp_path, 3)
    same(again, first)
    assert found.losses == []


def test_fewer_epochs_than_are_done_are_refused(session, tmp_path):
    train(session, tmp_path, 5)
    with pytest.raises(
        CatalogError, match=r"-00000005 has 5 epochs done, and 3 are asked for.*\n.*at least 5"
    ):
        train(session, tmp_path, 3)
    assert train(session, tmp_path, 5)[1].losses == []


def test_on_other_sites_it_goes_on_from_the_same_values(tmp_path):
    with tra.connect("local", sites=2, threads=1, progress=False) as two:
        part, _ = train(two, tmp_path, 2)
    with tra.connect("local", sites=3, threads=1, progress=False) as three:
        same(train(three, tmp_path, 2)[0], part)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 4}, "seed: 3 there, 4 here"),
        ({"batch": 25}, "batch: 16 there, 25 here"),
        (
            {"using": SGD(rate=0.05)},
            "\n  optimizer: Adam there, SGD here\n  beta1: 0.9 there, nothing here\n",
        ),
        ({"using": Adam(rate=0.1)}, "training\n  rate: 0.05 there, 0.1 here\n  hint"),
        (
            {"using": Adam(rate=Step(0.05, 0.5, 9))},
            "rate: 0.05 there, Step(rate=0.05, factor=0.5, every=9) here",
        ),
        ({"using": Adam(rate=lambda step: 0.1 + 0 * step)}, "rate: 0.05 there, a function here"),
        (
            {"loss": lambda p, x, y: loss(p, x, y) * 2},
            "the loss, or a function in the optimizer, is another: ",
        ),
        ({"start": {"w": np.zeros(6), "b": np.zeros(1)}}, "\n  b: () float64 there, (1,) float64 here\n"),
        ({"data": [X[:49], Y[:49]]}, "examples: 50 there, 49 here"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(session, tmp_path, changed, message):
    train(session, tmp_path, 1)
    with pytest.raises(CatalogError, match="of another training") as error:
        train(session, tmp_path, 2, **changed)
    assert message in str(error.value)


def test_metrics_do_not_make_it_another_training(session, tmp_path):
    train(session, tmp_path, 1)
    _, found = train(session, tmp_path, 2, metrics={"bias": lambda p, x, y: p["b"]})
    assert len(found.losses) == 4


def test_only_the_last_checkpoint_is_kept(session, tmp_path):
    train(session, tmp_path, 5, every=2)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000005"]
    manifest = json.loads((tmp_path / "epoch-00000005" / "manifest.json").read_text())
    assert (manifest["epoch"], manifest["step"]) == (5, 20)


def test_a_stopped_training_keeps_the_epochs_it_finished(session, tmp_path):
    train(session, tmp_path, 9, stop=lambda record: record.step == 7)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000001"]


@pytest.mark.parametrize("step", ["save", "_sync", "_put_in_place"])
def test_a_writer_that_fails_leaves_the_checkpoint_before(session, tmp_path, monkeypatch, step):
    whole, _ = train(session, None, 4)
    train(session, tmp_path, 2)
    with monkeypatch.context() as patched:
        patched.setattr(module, step, lambda *_: (_ for _ in ()).throw(OSError("no space left")))
        with pytest.raises(CatalogError, match="cannot write a checkpoint"):
            train(session, tmp_path, 4)
    assert (tmp_path / "epoch-00000002" / "manifest.json").exists()
    same(train(session, tmp_path, 4)[0], whole)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000004"]


def test_a_damaged_checkpoint_says_so(session, tmp_path):
    train(session, tmp_path, 1)
    (tmp_path / "epoch-00000001" / "manifest.json").write_text("{")
    with pytest.raises(CatalogError, match="damaged"):
        train(session, tmp_path, 2)


def test_a_killed_run_goes_on_to_the_weights_of_one_that_was_not(tmp_path):
    def start(folder, epochs, out):
        command = [sys.executable, "-c", SCRIPT, str(folder), str(epochs), str(out)]
        return subprocess.Popen(command, cwd=Path(tra.__file__).parents[1], env={**os.environ})

    killed = start(tmp_path / "a", 4000, tmp_path / "never.npy")
    until = time.monotonic() + 60
    while not any((tmp_path / "a").glob("epoch-*")) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (at,) = sorted((tmp_path / "a").glob("epoch-*"))[-1:]
    epochs = int(at.name.partition("-")[2]) + 3
    runs = [start(tmp_path / name, epochs, tmp_path / f"{name}.npy") for name in "ab"]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert not (tmp_path / "never.npy").exists()
