"""Rounds: queries larger than the sites, window by window, hold to the reference whatever is cut."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tra
from tests.long import LONG
from tra.algebra.live_ranges import is_empty
from tra.algebra.nodes import Aggregate, Generated, Join, Source, Transform, postorder
from tra.algebra.reference import evaluate
from tra.backends.window_sources import window_sources
from tra.errors import MemoryLimitError
from tra.optimizer.window_type import NotWindowedError
from tra.optimizer.windowed import windowed
from tra.testing import queries

MANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
SIMPLE = Source | Generated | Transform | Join | Aggregate
rng = np.random.default_rng(0)


def small(limit, **more):
    return tra.connect("local", sites=2, threads=1, memory_limit=limit, progress=False, **more)


def file(folder, name, array):
    np.save(folder / f"{name}.npy", array)
    return folder / f"{name}.npy"


def least(relation):
    """The smallest limit under which a query runs as one plan."""
    with small(1) as session, pytest.raises(MemoryLimitError) as refused:
        session._plans.plan((relation,), relation.sources, {}, False)
    return int(re.search(r"memory_limit=(\d+) would do", str(refused.value)).group(1))


def can_be_cut(root):
    """Claims that every box of keys is made of boxes of what is read: no key counts along several axes."""
    nodes = list(postorder(root))
    for node in nodes:
        links = [link for axis in node.type.axes for link in axis.link]
        if any(len(axis.link) > 1 for axis in node.type.axes) or any(coef != 1 for _, coef in links):
            return False
        if len(links) != len(dict(links)):
            return False
    return all(isinstance(node, SIMPLE) for node in nodes)


@MANY
@given(grown=queries(), data=st.data())
def test_a_window_of_a_query_is_a_window_of_its_result(grown, data):
    relation = data.draw(st.sampled_from(grown)).relation
    type_ = relation.expr.type
    with np.errstate(all="ignore"):
        try:
            expected = evaluate(relation.expr, relation.sources)
        except tra.errors.TraError:
            return
    box = []
    for key in type_.keys:
        low = data.draw(st.integers(0, max(key.domain - 1, 0)))
        box.append((low, data.draw(st.integers(min(low + 1, key.domain), key.domain))))
    try:
        found = windowed(relation.expr, tuple(box))
    except NotWindowedError:
        assert not can_be_cut(relation.expr)
        return
    if is_empty(found.expr.type):
        assert not [key for key in expected if all(a <= k < b for k, (a, b) in zip(key, box, strict=True))]
        return
    with np.errstate(all="ignore"):
        sources = {**relation.sources, **window_sources(found.leaves, relation.sources)}
        made = evaluate(found.expr, sources)
    wanted = {
        tuple(k - a for k, (a, _) in zip(key, box, strict=True)): tile
        for key, tile in expected.items()
        if all(a <= k < b for k, (a, b) in zip(key, box, strict=True))
    }
    assert made.keys() == wanted.keys()
    for key, tile in wanted.items():
        np.testing.assert_array_equal(made[key], tile)


@pytest.mark.parametrize("part", [0.5, 0.2, 0.08] if LONG else [0.2])
def test_products_in_rounds(part):
    a, b, c = (rng.standard_normal(shape) for shape in ((210, 170), (170, 190), (190, 90)))
    A, B, C = (tra.from_array(array, tile=20) for array in (a, b, c))
    for relation, expected in (
        (A @ B, a @ b),
        (tra.relu(A @ B) @ C, np.maximum(a @ b, 0) @ c),
        (tra.exp(-(A @ B)) + 1, np.exp(-(a @ b)) + 1),
        ((A @ B)[7:200, 3:] * 2, (a @ b)[7:200, 3:] * 2),
        (A.T @ A, a.T @ a),
    ):
        with small(int(least(relation) * part)) as session:
            (found,) = session.compute(relation)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
            facts = session.explain(relation).to_dict()
            assert facts["rounds"]
            assert "rounds" in str(session.explain(relation))


def test_long_folds_are_added_up_in_ranges():
    a, b = rng.standard_normal((40, 4000)), rng.standard_normal((4000, 60))
    A, B = tra.from_array(a, tile=(20, 50)), tra.from_array(b, tile=(50, 20))
    for relation, expected in (
        (A @ B, a @ b),
        (tra.relu(A @ B).sum(axis=0), np.maximum(a @ b, 0).sum(axis=0)),
        (A.max(axis=1), a.max(axis=1)),
        (A.argmin(axis=1), a.argmin(axis=1)),
        (A.sum(), a.sum()),
        ((A @ B) / (A * A).sum(), (a @ b) / (a * a).sum()),
    ):
        with small(int(least(relation) * 0.15)) as session:
            (found,) = session.compute(relation)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
            assert any(one["folds"] for one in session.explain(relation).to_dict()["rounds"])


def test_what_is_stored_is_read_in_windows():
    a = rng.standard_normal((400, 300))
    with small(10**6) as session:
        (A,) = session.persist(tra.from_array(a, tile=20))
        relation = tra.exp(A[20:, :]) @ A.T[:, 40:300]
        (found,) = session.compute(relation)
        np.testing.assert_allclose(found, np.exp(a[20:]) @ a.T[:, 40:300], rtol=1e-10, atol=1e-9)
        assert session.explain(relation).to_dict()["rounds"]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".tra", ".zarr", ".parquet"])
def test_saved_in_rounds(tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    a, b = rng.standard_normal((210, 170)), rng.standard_normal((170, 190))
    A, B = (tra.open(file(tmp_path, name, x), tile=20) for name, x in (("A", a), ("B", b)))
    relation = A @ B
    with small(least(relation) // 8) as session:
        session.save(relation, tmp_path / f"C{suffix}")
        found = dict(session.iterate(relation))
    assert found.keys() == {(i, j) for i in range(11) for j in range(10)}
    with tra.connect("local", threads=1):
        np.testing.assert_allclose(tra.open(tmp_path / f"C{suffix}").compute(), a @ b, rtol=1e-10, atol=1e-10)


def test_results_of_several_queries_that_do_not_fit_together():
    a = rng.standard_normal((400, 300))
    A = tra.from_array(a, tile=20)
    with small(int(least(A * 2) * 1.1)) as session:
        one, other = session.compute(A * 2, A + 1)
    np.testing.assert_array_equal(one, a * 2)
    np.testing.assert_array_equal(other, a + 1)


def test_analyze_counts_all_rounds():
    A = tra.from_array(rng.standard_normal((400, 300)), tile=20)
    relation = A @ A.T
    with small(least(relation) // 4) as session:
        facts = session.explain(relation, analyze=True).to_dict()
    assert facts["tasks"]["measured"] >= 2 and facts["peak_bytes_per_site"]["measured"] > 0


def test_nothing_runs_where_no_window_fits(tmp_path):
    a = file(tmp_path, "A", rng.standard_normal((400, 300)))
    A = tra.open(a, tile=100)
    with small(10_000) as session, pytest.raises(MemoryLimitError, match=r"memory_limit=\d+ would do"):
        session.save(A @ A.T, tmp_path / "C.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["A.npy"]


def test_the_limit_that_is_named_would_do():
    A = tra.from_array(rng.standard_normal((400, 300)), tile=100)
    with small(10_000) as session, pytest.raises(MemoryLimitError) as refused:
        session.compute(A @ A.T)
    assert refused.value.would_do < least(A @ A.T)
    with small(refused.value.would_do) as session:
        assert session.compute(A @ A.T)[0].shape == (400, 400)


class Foreign:
    """An array of another library, which reads its file when it is sliced."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, window):
        self.read += 1
        return self.array[window]


def test_arrays_of_other_libraries_are_not_read_while_planning():
    foreign = Foreign(rng.standard_normal((400, 300)))
    A = tra.from_array(foreign, tile=20)
    with small(least(A @ A.T) // 4) as session:
        assert session.explain(A @ A.T).to_dict()["rounds"] and session.explain(A[40:] * 2)
        assert foreign.read == 0
        (found,) = session.compute(A @ A.T)
    np.testing.assert_allclose(found, foreign.array @ foreign.array.T, rtol=1e-10, atol=1e-10)


def test_windows_of_holes_that_lie_unevenly_are_all_planned_before_the_first_runs():
    full = {(i, j): rng.standard_normal((20, 20)) for i in range(12, 16) for j in range(16)}
    tiles = {(i, i): np.ones((20, 20)) for i in range(12)} | full
    A = tra.from_tiles(tiles, keys=("i", "j"))
    relation = A * 2
    ran = []
    for part in (0.7, 0.5, 0.3, 0.2, 0.1):
        with small(int(least(relation) * part)) as session:
            try:
                found = dict(session.iterate(relation))
            except MemoryLimitError:
                continue
            ran.append(part)
        assert found.keys() == tiles.keys()
        assert all(np.array_equal(found[key], tile * 2) for key, tile in tiles.items())
    assert len(ran) >= 3


@pytest.mark.parametrize("n", [205, 201, 219])
def test_the_last_window_may_be_thin(n):
    a, b = rng.standard_normal((n, n)), rng.standard_normal((n, n))
    A, B = (tra.from_array(x, keys=("i", "j"), tile=20) for x in (a, b))
    for relation, expected in ((A * B.T, a * b.T), (A + B, a + b), (A[3:] - B[:-3], a[3:] - b[:-3])):
        with small(int(least(relation) * 0.3)) as session:
            (found,) = session.compute(relation)
            np.testing.assert_array_equal(found, expected)


def test_slices_of_one_file_in_other_tiles_are_told_apart(tmp_path):
    x = np.arange(100.0)
    place = file(tmp_path, "x", x)
    A, B = tra.open(place, tile=10), tra.open(place, tile=20)
    with tra.connect("local", threads=1) as session:
        one, other, both = session.compute(A[10:20], B[20:40], A[10:20] - B[20:30])
    np.testing.assert_array_equal(one, x[10:20])
    np.testing.assert_array_equal(other, x[20:40])
    np.testing.assert_array_equal(both, x[10:20] - x[20:30])


def test_windows_of_one_size_have_one_plan():
    a, b = rng.standard_normal((40, 4000)), rng.standard_normal((4000, 60))
    relation = tra.from_array(a, tile=(20, 50)) @ tra.from_array(b, tile=(50, 20))
    with small(int(least(relation) * 0.15)) as session:
        session.compute(relation)
        planned = len(session._plans._plans)
        session.compute(relation)
        assert len(session._plans._plans) == planned


def test_what_does_not_go_window_by_window_names_what_does(tmp_path):
    A = tra.from_array(np.ones((400, 400)), keys=("i", "j"), tile=20)
    own = tra.kernel("()->()", name="by tiles", output_dtype="f8")(np.abs)
    C = (A @ A).transform(own)  # slices stay above what may look at all of a tile
    with small(1_000_000) as session:
        assert session.compute((A @ A)[3, 4])[0] == 400
        for refused in (session.persist, session.to_dask):
            with pytest.raises(MemoryLimitError, match=rf"hint: {refused.__name__} makes all .* save it"):
                refused(C)
        with pytest.raises(MemoryLimitError, match=r"what the slice is taken of fits .*: save it"):
            session.compute(C[3, 4])
        session.save(C, tmp_path / "C.npy")  # as they say
        assert session.compute(tra.open(tmp_path / "C.npy")[3, 4])[0] == 400
    with small(10_000) as session:  # nothing fits, and nothing is promised
        for refused in (session.persist, session.to_dask, lambda C: session.compute(C[3, 4])):
            with pytest.raises(MemoryLimitError) as caught:
                refused(C)
            assert "save it" not in str(caught.value)
