"""Checkpoints and other data, other files in the folder, other trainings; arguments of a recipe."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

import tra
from tra.algebra.losses import squared_error
from tra.algebra.optimizers import SGD, Adam
from tra.backends import checkpoint as module
from tra.backends.recipe import checked_recipe
from tra.backends.record import checked_wishes
from tra.errors import CatalogError, PlanError, SchemaError

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(50, 6)), rng.normal(size=50)
W = np.zeros(6)


def loss(p, x, y):
    return squared_error(x @ p["w"], y)


def train(session, folder, epochs, data=(X, Y), loss=loss, start=W, **options):
    options = {"batch": 16, "checkpoint": folder, **options}
    return session.train(loss, {"w": start}, Adam(rate=0.05), data=data, epochs=epochs, **options)


@pytest.fixture
def session():
    with tra.connect("local", sites=2, threads=1, progress=False) as opened:
        yield opened


def dead_process():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


# --- the data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [16, None])
@pytest.mark.parametrize("tile", [None, 8])
def test_other_data_is_another_training(session, tmp_path, batch, tile):
    def data(x):
        return [tra.from_array(x, tile=tile), tra.from_array(Y, tile=tile)]

    train(session, tmp_path, 1, data(X), batch=batch)
    assert train(session, tmp_path, 2, data(X.copy()), batch=batch).history[0].epoch == 2
    with pytest.raises(CatalogError, match=r"the data: other values, [0-9a-f]+… there, [0-9a-f]+… here"):
        train(session, tmp_path, 3, data(X + 1), batch=batch)


def test_other_files_are_another_training_and_other_paths_are_not(session, tmp_path):
    def opened(name, array):
        np.save(tmp_path / name, array)
        return tra.open(tmp_path / name)

    train(session, tmp_path / "c", 1, [opened("a.npy", X), Y])
    train(session, tmp_path / "c", 2, [opened("b.npy", X), Y])
    train(session, tmp_path / "c", 3, [X, Y])
    with pytest.raises(CatalogError, match="the data"):
        train(session, tmp_path / "c", 4, [opened("a.npy", -X), Y])


def test_data_that_a_loss_reads_beside_its_arguments_is_compared(tmp_path):
    def shifted(by):
        more = tra.from_array(np.full(6, by))
        return lambda p, x, y: squared_error(x @ (p["w"] + more), y)

    for sites, epochs in ((2, 1), (3, 2)):
        with tra.connect("local", sites=sites, threads=1, progress=False) as session:
            assert len(train(session, tmp_path, epochs, loss=shifted(1.0)).history) == 4
    with (
        tra.connect("local", threads=1, progress=False) as session,
        pytest.raises(CatalogError, match="the data"),
    ):
        train(session, tmp_path, 3, loss=shifted(2.0))


def test_data_that_was_computed_is_compared(session, tmp_path):
    train(session, tmp_path, 1, [tra.from_array(X) * 2.0, Y])
    with pytest.raises(CatalogError, match="the data"):
        train(session, tmp_path, 2, [tra.from_array(X) * 3.0, Y])


def test_other_initial_values_are_not_another_training(session, tmp_path):
    train(session, tmp_path, 1)
    assert train(session, tmp_path, 2, start=W + 1).history[0].epoch == 2


def test_only_a_few_rows_are_read(session, tmp_path):
    class Counted:
        shape, dtype, n_read, n_rows = (10_000, 6), np.dtype("f8"), 0, 0

        def __getitem__(self, window):
            rows = np.ones((10_000, 6))[window]
            self.n_rows += len(rows)
            return rows

    from tra.backends.recipe import _sources, sampled

    counted = Counted()
    sampled(_sources([tra.from_array(counted)]))
    assert counted.n_rows == 64


# --- the folder --------------------------------------------------------------------------------------


def test_a_copy_of_a_checkpoint_is_left_alone(session, tmp_path):
    copies = [tmp_path / "epoch-00000001-good", tmp_path / "epoch-best"]
    for copy in copies:
        copy.mkdir()
    train(session, tmp_path, 2)
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "epoch-00000002", *copies])
    assert train(session, tmp_path, 3).history[0].epoch == 3


def test_what_a_live_writer_writes_is_left_alone(session, tmp_path):
    code, host = "0123456789ab", socket.gethostname()
    live = tmp_path / f".writing-{os.getppid()}-{code}-{host}"
    elsewhere = tmp_path / f".writing-{dead_process()}-{code}-elsewhere"
    dead = tmp_path / f".writing-{dead_process()}-{code}-{host}"
    for path in (live, elsewhere, dead):
        path.mkdir()
    train(session, tmp_path, 1)
    assert live.exists()
    assert elsewhere.exists()
    assert not dead.exists()


def test_there_is_a_checkpoint_at_each_moment(session, tmp_path, monkeypatch):
    train(session, tmp_path, 2)
    seen, done = [], []
    rename = type(tmp_path).rename

    def watched(path, target):
        found = rename(path, target)
        seen.append(module.found_checkpoint(tmp_path, {}).epoch)
        done.append(path.name)
        return found

    monkeypatch.setattr(type(tmp_path), "rename", watched)
    module.write_checkpoint(tmp_path, {"epoch": 2, "step": 9}, {})
    assert seen == [2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00000002"]
    assert module.found_checkpoint(tmp_path, {}).step == 9


# --- the lock ----------------------------------------------------------------------------------------


def test_a_second_training_in_a_folder_is_refused(tmp_path):
    with module.only_training(tmp_path):
        refused = pytest.raises(CatalogError, match=f"another training .* process {os.getpid()} on ")
        with refused, module.only_training(tmp_path):
            pass
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()
    with module.only_training(tmp_path):
        pass


@pytest.mark.parametrize("pid", [dead_process, os.getpid])
def test_a_lock_that_was_left_is_taken_over(tmp_path, pid):
    (tmp_path / ".lock").write_text(f"{pid()} {socket.gethostname()}")
    with module.only_training(tmp_path):
        assert (tmp_path / ".lock").read_text().split()[0] == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", f"{os.getppid()} {socket.gethostname()}", "1 elsewhere"])
def test_a_lock_that_may_be_held_is_not_taken_over(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    with pytest.raises(CatalogError, match="another training"), module.only_training(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == text


# --- arguments ---------------------------------------------------------------------------------------


def test_names_that_clash_with_what_an_optimizer_keeps_are_refused():
    with pytest.raises(SchemaError, match=r"'w\.mean' is the name of a parameter and of what"):
        checked_recipe(loss, {"w": W, "w.mean": W}, Adam())
    checked_recipe(loss, {"w": W, "w.mean": W}, SGD(rate=0.1))


def test_integers_of_any_kind_are_taken():
    made = checked_recipe(loss, {"w": W}, SGD(0.1), [X, Y], np.int64(2), np.int32(3), np.uint64(2**64 - 1))
    assert (made.batch, made.epochs, made.seed) == (2, 3, 2**64 - 1)
    assert {type(number) for number in (made.batch, made.epochs, made.seed)} == {int}
    assert checked_wishes(None, None, np.int64(2), False).every == 2


@pytest.mark.parametrize("seed", [-1, 2**64, True, 1.5, "1"])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(PlanError, match="seed is an integer from 0"):
        checked_recipe(loss, {"w": W}, SGD(0.1), seed=seed)


def test_one_array_is_one_relation():
    assert [data.shape for data in checked_recipe(loss, {"w": W}, SGD(0.1), X).data] == [(50, 6)]
    assert [data.shape for data in checked_recipe(loss, {"w": W}, SGD(0.1), Y).data] == [(50,)]


def test_two_trainings_at_once_in_one_folder_are_refused(tmp_path):
    def loss(p, x):
        return ((p["w"] * x - 2.0 * x) ** 2).mean()

    def again(record):
        with pytest.raises(CatalogError):
            tra.train(loss, {"w": 0.0}, tra.SGD(0.1), data=[np.ones(4)], checkpoint=tmp_path / "c")
        return True

    with tra.connect("local", threads=1, progress=False):
        done = tra.train(
            loss, {"w": 0.0}, tra.SGD(0.1), data=[np.ones(4)], epochs=2, checkpoint=tmp_path / "c", stop=again
        )
        assert len(done.history) == 1
        assert (
            len(
                tra.train(
                    loss, {"w": 0.0}, tra.SGD(0.1), data=[np.ones(4)], checkpoint=tmp_path / "c"
                ).history
            )
            <= 1
        )


def test_a_parameter_that_is_misspelt_is_named():
    near = r"no parameter 'weihgt'.*'weight'"
    with tra.connect("local", threads=1), pytest.raises(SchemaError, match=near):
        tra.train(lambda p: (p["weihgt"] ** 2).sum(), {"weight": np.ones(3)}, SGD(0.1))
