"""Sessions on Dask: clusters given and started, errors that name what is wrong and where."""

import os
import traceback

import numpy as np
import pytest

import tra
from tests.backends.kills import leftover
from tra.algebra import current
from tra.algebra.relation import Relation
from tra.backends import cluster as cluster_module
from tra.backends import plans, probe
from tra.backends.dask_graph import Graph
from tra.backends.storage import open_source, save
from tra.backends.workers import workers_there
from tra.errors import CatalogError, MemoryLimitError, PlanError, SchemaError, TraError

pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture
def A():
    return tra.from_array(np.arange(30.0).reshape(6, 5), keys=("i", "j"), tile=(2, 2), name="A")


# -- sessions ---------------------------------------------------------------------------------------


def test_addresses_clients_and_clusters_are_taken_and_left_open(cluster, client, A):
    expected = A.compute()
    for scheduler in (cluster.scheduler_address, client, cluster):
        with tra.connect("dask", scheduler=scheduler, sites=2, progress=False) as session:
            assert session.backend.n_sites == 2
            np.testing.assert_array_equal(A.compute(), expected)
    assert client.status == "running"
    assert cluster.status.name == "running"


def test_a_cluster_of_our_own_is_started_and_closed():
    with tra.connect("dask", sites=1, threads=1, memory_limit="1GB", progress=False) as session:
        opened = session.backend.client
        np.testing.assert_array_equal(tra.from_array(np.arange(3.0)).compute(), np.arange(3.0))
        assert session.backend.memory_limit == 10**9
    assert opened.status == "closed"


def test_closing_brings_back_the_session_before(client):
    with tra.connect("local", threads=1) as outer:
        with tra.connect("dask", scheduler=client, progress=False) as inner:
            assert current.current() is inner
        assert current.current() is outer


def test_stored_relations_belong_to_their_session(client, A):
    with tra.connect("dask", scheduler=client, sites=2, progress=False) as session:
        stored, = session.persist(A)  # fmt: skip
        with (
            tra.connect("local", threads=1) as other,
            pytest.raises(PlanError, match="persisted in another session"),
        ):
            other.compute(stored)
        with (
            tra.connect("dask", scheduler=client, progress=False),
            pytest.raises(PlanError, match="another session"),
        ):
            (stored + 1).compute()
        np.testing.assert_array_equal(session.compute(stored)[0], A.compute())
    with (
        tra.connect("dask", scheduler=client, progress=False),
        pytest.raises(PlanError, match="that is closed"),
    ):
        stored.compute()
    with pytest.raises(PlanError, match="the session is closed"):
        session.compute(A)


def test_nothing_is_left_whoever_still_refers_to_a_run(client, monkeypatch, A):
    graphs, shares, expected = [], [], A.compute() @ A.compute().T
    send = Graph.submit

    def sent(graph):
        graphs.append(graph)
        found = send(graph)
        shares.extend(held for root in found for held in root)
        return found

    def left():
        return [key for key in leftover(client, 2) if any(graph.token in key for graph in graphs)]

    monkeypatch.setattr(Graph, "submit", sent)
    with tra.connect("dask", scheduler=client, sites=2, progress=False) as session:
        np.testing.assert_array_equal(session.compute(A @ A.T)[0], expected)
        assert left() and shares
        del shares[:]
        assert not left()  # graphs are referred to
        (B,) = session.persist(A * 2)
        shares.extend(share.held for share in B.sources[B.expr.id].shares)
    assert not left() and len(graphs) > 1
    del B


def test_a_stored_relation_can_be_stored_again(client, A):
    with tra.connect("dask", scheduler=client, progress=False) as session:
        once, = session.persist(A)  # fmt: skip
        twice, other = session.persist(once, once + 1)
        del once
        np.testing.assert_array_equal(twice.compute() + 1, other.compute())


def test_plans_are_kept_by_digest(client, monkeypatch, A):
    planned = []
    plan = plans.plan_query
    monkeypatch.setattr(plans, "plan_query", lambda *a: planned.append(1) or plan(*a))
    with tra.connect("dask", scheduler=client, progress=False) as session:
        for _ in range(3):
            session.compute(A @ A.T)
        assert len(planned) == 1
        session.explain(A @ A.T, analyze=True)
        assert len(planned) == 1
        session.compute(A.T)
        assert len(planned) == 2


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_on_standard_error_or_not_at_all(client, capfd, progress, A):
    with tra.connect("dask", scheduler=client, progress=progress) as session:
        session.compute(A * 2)
        session.compute(A * 3)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("dashboard:") == progress


# -- what goes wrong --------------------------------------------------------------------------------


def test_errors_of_kernels_are_the_same_as_on_threads(client, A):
    @tra.kernel("()->()", name="cold", output_dtype="f8")
    def cold(tile):
        raise ValueError("too cold")

    @tra.kernel("()->()", name="warm", output_dtype="f8")
    def warm(tile):
        raise TypeError("too warm")

    @tra.kernel("()->()", name="odd", output_dtype="f8")
    def odd(tile):
        raise RuntimeError("too odd")

    for query in (A.transform(cold), A.transform(warm), A.transform(odd)):
        errors = []
        with tra.connect("local", threads=1) as session, pytest.raises(TraError) as caught:
            session.compute(query)
        errors.append(caught.value)
        with (
            tra.connect("dask", scheduler=client, progress=False) as session,
            pytest.raises(TraError) as caught,
        ):
            session.compute(query)
        errors.append(caught.value)
        assert type(errors[0]) is type(errors[1])
        assert str(errors[0]) == str(errors[1])
        assert "too" in str(errors[0]) and "kernel" in str(errors[0])
    with tra.connect("dask", scheduler=client, progress=False) as session:
        np.testing.assert_array_equal(session.compute(A)[0], A.compute())


@pytest.mark.parametrize(("error", "n"), [(ValueError, 1), (RuntimeError, 1), (MemoryError, 3)])
def test_only_what_may_pass_is_tried_again(client, tmp_path, error, n):
    @tra.kernel("(n)->(n)", name="counted", output_dtype="f8")
    def counted(tile):
        with (tmp_path / "calls").open("a") as file:
            file.write("x")
        raise error("no")

    one = tra.from_array(np.ones(3))
    with (
        tra.connect("dask", scheduler=client, sites=1, progress=False) as session,
        pytest.raises((TraError, MemoryError)),
    ):
        session.compute(one.transform(counted))
    assert (tmp_path / "calls").read_text() == "x" * n


def test_failed_tasks_are_raised_with_their_lines_and_not_logged(capfd, A):
    @tra.kernel("()->()", name="cold", output_dtype="f8")
    def cold(tile):
        raise ValueError("too cold")

    def of_the_user():
        raise ValueError("logged as ever")

    with tra.connect("dask", sites=1, threads=1, progress=False) as session:
        with pytest.raises(TraError) as caught:
            session.compute(A.transform(cold))
        assert capfd.readouterr().err == ""
        future = session.backend.client.submit(of_the_user)
        assert "as ever" in str(future.exception())
    assert "Compute Failed" in capfd.readouterr().err
    lines = "".join(traceback.format_exception(caught.value))
    assert "in run_stage" in lines and 'raise ValueError("too cold")' in lines


def elsewhere(answer, there):
    """A function that answers otherwise in other processes than this one; it travels by value."""
    here = os.getpid()

    def ask(*arguments):
        import os

        return answer(*arguments) if os.getpid() == here else there

    return ask


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ((None, "3.11.0"), "tra is not installed on tcp://.*install tra-engine"),
        (("9.9.9", "3.11.0"), "need one version of tra: here it is .*tcp://.* has 9.9.9"),
    ],
)
def test_workers_without_this_version_are_named(client, monkeypatch, there, words):
    own = (tra.__version__, "3.11.0")
    monkeypatch.setattr(probe, "installed", elsewhere(lambda: own, there))
    with pytest.raises(PlanError, match=words):
        tra.connect("dask", scheduler=client, progress=False)
    assert client.status == "running"


def test_a_worker_that_does_not_see_a_file_is_named(client, monkeypatch, tmp_path, A):
    path = tmp_path / "a.npy"
    save(path, A.expr.type, A.tiles().items())
    node, source = open_source(path)
    relation = Relation(node, {node.id: source})
    with tra.connect("dask", scheduler=client, progress=False) as session:
        np.testing.assert_array_equal(session.compute(relation)[0], A.compute())
    monkeypatch.setattr(probe, "unseen", elsewhere(lambda paths: [], [str(path)]))
    with (
        tra.connect("dask", scheduler=client, progress=False) as session,
        pytest.raises(CatalogError, match=rf"worker tcp://.* cannot see {path}; put the file on storage"),
    ):
        session.compute(relation)


@pytest.mark.parametrize("backend", ["local", "dask"])
def test_the_memory_error_names_a_limit_that_does(backend, client):
    A = tra.from_array(np.ones((512, 512)), keys=("i", "j"), tile=(128, 128))
    B = tra.from_array(np.ones((512, 512)), keys=("j", "k"), tile=(128, 128))
    more = {"scheduler": client} if backend == "dask" else {"sites": 3}

    def run(limit):
        with tra.connect(backend, memory_limit=limit, progress=False, **more) as session:
            return session.compute(A @ B)[0]

    with pytest.raises(MemoryLimitError, match=r"memory_limit=\d+ would do") as caught:
        run(10_000)
    named = int(str(caught.value).split("memory_limit=")[1].split(" would do")[0])
    np.testing.assert_allclose(run(named), A.compute() @ B.compute())
    with pytest.raises(MemoryLimitError):
        run(named - 1)


def test_clusters_that_do_not_answer_or_are_too_small(client, monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.5)
    with pytest.raises(
        PlanError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9: .*(refused|no conn)"
    ):
        tra.connect("dask", scheduler="tcp://127.0.0.1:9")
    worker = next(iter(workers_there(client)))
    with pytest.raises(PlanError, match=f"no Dask scheduler answers at {worker}: a Worker is there"):
        tra.connect("dask", scheduler=worker)
    monkeypatch.setattr(cluster_module, "ANSWER_SECONDS", 0.5)
    with pytest.raises(PlanError, match=r"9 sites asked for, but after .* the cluster has 3 workers"):
        tra.connect("dask", scheduler=client, sites=9)


def test_results_with_holes_are_named_by_both(client):
    holed = tra.from_tiles({(0,): np.ones(2), (2,): np.ones(2)}, keys=("i",))
    with tra.connect("dask", scheduler=client, progress=False) as session:
        assert sorted(session.tiles(holed)) == [(0,), (2,)]
        with pytest.raises(SchemaError, match="fill"):
            session.compute(holed)


def test_progress_is_drawn_for_a_client_that_is_not_the_default(cluster, capfd, A):
    with tra.connect("dask", scheduler=cluster.scheduler_address, progress=True) as session:
        np.testing.assert_array_equal(session.compute(A + 1)[0], A.compute() + 1)
    assert "dashboard: http" in capfd.readouterr().err
