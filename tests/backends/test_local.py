"""The local backend and its parts: nothing given is written to, tiles in order, sessions and their errors."""

import threading

import numpy as np
import pytest

import tra
from tra.algebra import current
from tra.algebra.kernel import kernel
from tra.algebra.sources import tensor_type
from tra.backends.connect import read_bytes
from tra.backends.kernel_calls import call, map_tiles
from tra.backends.local import LocalBackend
from tra.backends.local_operators import aggregate_local, contract_local, groups_of
from tra.backends.threads import THREADS, BlasThreads, blas, parallel
from tra.backends.tiles import Tiles, union
from tra.errors import KernelError, MemoryLimitError, PlanError, SchemaError


def tiles(*keys, size=4):
    keys = np.array(keys, dtype=np.int64)
    return Tiles(keys, [np.full(size, float(sum(key))) for key in keys.tolist()])


# -- tiles ------------------------------------------------------------------------------------------


def test_tiles_are_sorted_and_bags_keep_their_order():
    found = tiles((1, 0), (0, 1), (0, 0))
    assert found.keys.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert [a[0] for a in found.arrays] == [0, 1, 1]
    first, second = Tiles(np.array([[0]]), [np.zeros(1)]), Tiles(np.array([[0]]), [np.ones(1)])
    assert [a[0] for a in union([second, first], 1).arrays] == [1, 0]
    keyless = union([Tiles(np.zeros((1, 0), np.int64), [np.ones(1)])] * 2, 0)
    assert len(keyless) == 2


def test_tiles_in_a_box():
    found = tiles((0, 0), (0, 1), (1, 0), (2, 5))
    assert found.within(((0, 2), (0, 1))).keys.tolist() == [[0, 0], [1, 0]]
    assert found.nbytes == 4 * 4 * 8


def test_owned_tiles_leave_a_larger_array_behind_them():
    base = np.arange(100.0)
    parts = Tiles(np.array([[0], [1]]), [base[:4], base[::2]]).owned()
    assert all(a.base is None and a.flags.c_contiguous for a in parts.arrays)
    received = np.frombuffer(bytearray(base.tobytes()))
    whole = Tiles(np.array([[0], [1]]), [base[:], received])
    assert all(a is b for a, b in zip(whole.owned().arrays, whole.arrays, strict=True))
    assert all(a.base is None for a in whole.copied().arrays)


def test_groups_are_in_order():
    keys, groups = groups_of(np.array([[1], [0], [1]]))
    assert keys.tolist() == [[0], [1]] and [g.tolist() for g in groups] == [[1], [0, 2]]
    keys, groups = groups_of(np.zeros((3, 0), np.int64))
    assert keys.shape == (1, 0) and groups[0].tolist() == [0, 1, 2]
    assert groups_of(np.zeros((0, 2), np.int64))[1] == []


# -- kernels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [4, 4096])
def test_folding_never_writes_into_an_operand(length):
    """Kernels may return an operand, or a view of one; a running total is then a copy."""

    @tra.kernel("(),()->()", name="first of two")
    def first(a, b):
        return a

    type_, made = tensor_type((3 * length,), "f8", ("i",), length), tensor_type((length,), "f8", (), ())
    left = Tiles(np.arange(3)[:, None], [np.full(length, 1.0) for _ in range(3)])
    right = Tiles(np.arange(3)[:, None], [np.full(length, 5.0) for _ in range(3)])
    for pair in (first, kernel("left"), kernel("right")):
        found = contract_local(left, right, type_, type_, ("i",), [("i", "i")], pair, (), kernel("add"), made)
        assert len(found) == 1 and found.arrays[0][0] == (15.0 if pair.name == "right" else 3.0)
        assert all(a[0] == 1.0 for a in left.arrays) and all(a[0] == 5.0 for a in right.arrays)
    folded = aggregate_local(left, type_, (), kernel("max"))
    assert folded.arrays[0][0] == 1.0 and all(a[0] == 1.0 for a in left.arrays)


def test_inputs_may_be_read_only():
    A = np.arange(12.0).reshape(3, 4)
    A.setflags(write=False)
    R = tra.from_array(A, keys=("i", "j"), tile=(1, 2))
    with tra.connect("local", sites=2, threads=2):
        np.testing.assert_array_equal((R.T @ R).compute(), A.T @ A)
        np.testing.assert_array_equal(R.sum(axis=0).compute(), A.sum(axis=0))


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_give_what_single_calls_give(threads):
    token = THREADS.set(threads)
    try:
        for shape in [(), (3,), (2, 3), (200, 200)]:
            left = [np.full(shape, float(n)) for n in range(5)] + [np.ones((2, *shape))]
            right = [np.full(shape, 2.0)] * 5 + [np.ones(shape)]
            for found, a, b in zip(map_tiles(kernel("sub"), [left, right]), left, right, strict=True):
                assert isinstance(found, np.ndarray)
                np.testing.assert_array_equal(found, a - b)
    finally:
        THREADS.reset(token)


def test_what_a_kernel_refuses_is_said_with_its_name_and_shapes():
    with pytest.raises(SchemaError, match=r"kernel matmul failed on tiles of 2×3 float64 and 4×5 float64: "):
        call(kernel("matmul"), np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(KernelError, match=r"kernel neg failed on tiles of 2 bool: "):
        call(kernel("neg"), np.ones(2, dtype=bool))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: 1 / 0, "failed on tiles of 2 float64: ZeroDivisionError: division by zero"),
        (lambda x: x[:1], "gives 1 float64 on tiles of 2 float64, but promises 2 float64"),
        (lambda x: x > 0, "gives 2 bool on tiles of 2 float64, but promises 2 float64"),
        (lambda x: None, "gives scalar object on tiles of 2 float64, but promises 2 float64"),
    ],
)
def test_kernels_that_break_their_word_are_named(function, words):
    broken = tra.kernel("()->()", name="broken", output_dtype="f8", batched=True)(function)
    with pytest.raises(KernelError, match=f"kernel broken {words}"):
        call(broken, np.ones(2))
    A = tra.from_array(np.ones(4), tile=2)
    with tra.connect("local", threads=1) as session, pytest.raises(KernelError, match="kernel broken "):
        session.compute(A.transform(broken))


def test_promised_shapes_have_loops_and_sizes():
    pairs = tra.kernel("(m),(n)->(m,2,k)", name="pairs", sizes={"k": 3}, batched=True, output_dtype="f8")
    found = call(pairs(lambda a, b: np.zeros((4, 5, 7, 2, 3))), np.ones((4, 1, 7)), np.ones((5, 2)))
    assert found.shape == (4, 5, 7, 2, 3)
    half = tra.kernel("(m)->(n)", name="half", sizes={"n": 2})(lambda x: x[:2])
    assert call(half, np.ones(9)).shape == (2,)


def test_threads_run_in_order_and_blas_keeps_to_one():
    token = THREADS.set(3)
    try:
        assert parallel(lambda n: n * n, list(range(50))) == [n * n for n in range(50)]
    finally:
        THREADS.reset(token)
    before = [library["num_threads"] for library in blas().info()]
    with BlasThreads(1), BlasThreads(1):
        assert {i["num_threads"] for i in blas().info() if i["user_api"] == "blas"} <= {1}
    assert [library["num_threads"] for library in blas().info()] == before


# -- sessions ---------------------------------------------------------------------------------------


def test_what_is_stored_does_not_follow_the_array():
    array = np.arange(6.0)
    A = tra.from_array(array, tile=2)
    with tra.connect("local", sites=2, threads=1) as session:
        stored, = session.persist(A)  # fmt: skip
        array[:] = 0
        assert stored.compute().tolist() == [0, 1, 2, 3, 4, 5]
        assert A.compute().tolist() == [0] * 6


def test_what_comes_back_is_the_callers():
    given = {(0,): np.ones(2), (1,): np.ones(2)}
    A = tra.from_tiles(given, keys=("i",))
    with tra.connect("local", sites=2, threads=1) as session:
        stored, moved = session.persist(A, A.rekey(lambda i: 1 - i, keys="i"))
        for relation in (A, stored, moved):
            for tile in session.tiles(relation).values():
                tile[:] = 7
        given[0,][:] = 8
        assert A.compute().tolist() == [8, 8, 1, 1]
        for relation in (stored, moved):
            assert relation.compute().ravel().tolist() == [1, 1, 1, 1]


def test_relations_stored_together_are_split_alike():
    A = tra.from_array(np.ones((8, 40)), keys=("i", "j"), tile=(2, 2))
    B = tra.from_array(np.ones((40, 6)), keys=("j", "k"), tile=(2, 1))
    C = tra.from_array(np.ones(3), keys=("c",), tile=3)
    with tra.connect("local", sites=4, threads=1) as session:
        stored = session.persist(A, B, C)
        places = [str(r.sources[r.expr.id].root.placement) for r in stored]
        assert places == ["split(j) on 4", "split(j) on 4", "all on 4"]
        assert [r.expr.name for r in stored] == [r.expr.name for r in (A, B, C)]
        moved = session.explain(stored[0] @ stored[1], analyze=True).to_dict()["bytes_moved"]
        assert moved["measured"] == moved["predicted"] < 4 * 8 * 6 * 8


def test_sessions_are_a_stack():
    before = current.current()
    with tra.connect("local", threads=1) as outer:
        inner = tra.connect("local", threads=1)
        assert current.current() is inner
        outer.close()
        assert current.current() is inner
        inner.close()
        inner.close()
    assert current.current() is before
    assert "closed" in repr(inner)


@pytest.mark.parametrize(("sites", "text"), [(1, "Session(local, 1 site)"), (2, "Session(local, 2 sites)")])
def test_sessions_count_their_sites(sites, text):
    with tra.connect("local", sites=sites, threads=1) as session:
        assert repr(session) == text


def test_stored_relations_are_of_one_session():
    A = tra.from_array(np.arange(4.0), tile=2)
    with tra.connect("local", sites=2, threads=1) as session:
        stored, = session.persist(A)  # fmt: skip
        with tra.connect("local", sites=2, threads=1), pytest.raises(PlanError, match="another session"):
            stored.compute()
    with pytest.raises(PlanError, match="that is closed"):
        stored.compute()


def test_stored_relations_that_nobody_holds_are_freed():
    with tra.connect("local", threads=1) as session:
        stored = session.persist(tra.from_array(np.arange(4.0)))
        assert len(session._stored) == 1
        del stored
        assert len(session._stored) == 0


def test_sessions_can_be_used_from_several_threads():
    A = tra.from_array(np.arange(400.0).reshape(20, 20), keys=("i", "j"), tile=(3, 3))
    expected = A.compute() @ A.compute()
    found = []
    with tra.connect("local", sites=2, threads=2) as session:
        workers = [threading.Thread(target=lambda: found.append(session.compute(A @ A)[0])) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(found) == 4
    for each in found:
        np.testing.assert_array_equal(each, expected)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backend": "locl"}, "did you mean 'local'"),
        ({"threads": 0}, "threads is a positive number"),
        ({"sites": 1.5}, "sites is a positive number"),
        ({"memory_limit": "plenty"}, "no amount of memory"),
        ({"memory_limit": -5}, "a memory limit is positive"),
        ({"reproducible": "rum"}, "did you mean 'run'"),
        ({"cost_model": "papers"}, "unknown cost_model 'papers'; did you mean 'paper'"),
        ({"without": ["contraction_reasociate"]}, "did you mean 'contraction_reassociate'"),
        ({"without": "map_map_fuse"}, r"write \['map_map_fuse'\]"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "goes with backend='dask'"),
    ],
)
def test_settings_that_are_wrong_are_named(settings, words):
    before = current.current()
    with pytest.raises(PlanError, match=words):
        tra.connect(**settings)
    assert current.current() is before


def test_plans_can_be_chosen_as_the_paper_counts():
    A = tra.from_array(np.ones((8, 4)), keys=("i", "j"), tile=(1, 1))
    B = tra.from_array(np.ones((4, 2)), keys=("j", "k"), tile=(1, 1))
    with tra.connect("local", sites=4, threads=1, cost_model="paper") as session:
        figures = session.explain(A @ session.persist(B)[0]).to_dict()
        assert figures["price"]["unit"] == "elements"
        assert figures["paper_bytes"] == figures["price"]["total"] * 8
        np.testing.assert_array_equal(session.compute(A @ B)[0], np.full((8, 2), 4.0))


def strategies(session, relation):
    return {s["strategy"] for s in session.explain(relation).to_dict()["strategies"] if s["hinted"]}


def test_hints_are_part_of_a_plan_until_they_are_taken_back():
    A = tra.from_array(np.ones((8, 8)), tile=2)
    product = A @ A.T
    with tra.connect("local", sites=4, threads=1) as session:
        free = session.explain(product).to_dict()["plan"]
        session.hint(product, "co-partition")
        assert strategies(session, tra.exp(product)) == {"co-partition, aggregate before shuffle"}
        np.testing.assert_array_equal(session.compute(product)[0], np.full((8, 8), 8.0))
        session.hint(product, split=("j", None))
        assert strategies(session, product) == {"co-partition, aggregate before shuffle"}
        assert session.explain(product).to_dict()["mesh"] == [2, 2]
        assert strategies(session, A + 1) == set()
        session.hint(product, None)
        assert session.explain(product).to_dict()["plan"] == free
        with pytest.raises(PlanError, match="did you mean 'broadcast right'"):
            session.hint(product, "broadcast-right")


def test_a_hint_for_a_join_is_for_the_contraction_that_it_is_part_of():
    A, B = (tra.from_array(np.ones((8, 8)), keys=keys, tile=2) for keys in (("i", "j"), ("j", "k")))
    joined = A.join(B, on=[("j", "j")], kernel="matmul")
    with tra.connect("local", sites=2, threads=1) as session:
        session.hint(joined, "co-partition")
        folded = joined.aggregate(by=("i", "k"), kernel="add")
        assert strategies(session, folded) == {"co-partition, aggregate before shuffle"}


def test_rules_can_be_switched_off_by_name():
    A = tra.from_array(np.ones(4), tile=2)
    query = A.transform("identity") + 1
    for without, n in ([], 1), (["transform_identity_drop"], 0):
        with tra.connect("local", threads=1, without=without) as session:
            rules = [name for name, _ in session.explain(query).to_dict()["rules"]]
            assert rules.count("transform_identity_drop") == n


def test_the_order_of_products_can_be_left_as_it_is_written():
    A, B, v = (tra.from_array(np.ones(shape)) for shape in ((50, 50), (50, 50), (50,)))
    with tra.connect("local", threads=1, without=["contraction_reassociate"]) as session:
        figures = session.explain(A @ B @ v).to_dict()
    assert "contraction_reassociate" not in dict(figures["rules"])
    assert [form["order"] for form in figures["forms"]] == [figures["considered"][0]["orders"][0]]


def test_sums_are_multiplied_out_where_the_rounding_is_tolerated():
    points = np.random.default_rng(0).normal(size=(300, 64))
    A, B = (tra.from_array(points, keys=(name, "i"), name=name) for name in "qx")
    far = A[:, None] - B[None]
    distances = tra.einsum("qxi,qxi->qx", far, far)
    with tra.connect("local", threads=1) as session:
        exact, text = session.compute(distances)[0], str(session.explain(distances))
        assert np.all(np.diag(exact) == 0) and "sum_product_expand would be" in text
    with tra.connect("local", threads=1, tolerance=1e-9) as session:
        figures = session.explain(distances).to_dict()
        assert "sum_product_expand" in dict(figures["rules"])
        np.testing.assert_allclose(session.compute(distances)[0], exact, atol=1e-9 * np.sum(points**2))
    for wrong in (-1, 1, 5, float("nan"), True):
        with pytest.raises(PlanError, match="tolerance is a part of the largest: 0 <= tolerance < 1"):
            tra.connect("local", tolerance=wrong)


def test_memory_is_read_as_text():
    assert read_bytes("1kB") == 1000 and read_bytes("1KiB") == 1024 and read_bytes(7) == 7


def test_a_plan_that_is_too_large_says_what_it_needs():
    A = tra.from_array(np.ones((100, 100)), tile=(10, 10))
    with (
        tra.connect("local", threads=1, memory_limit="20MB") as session,
        pytest.raises(MemoryLimitError, match="the limit is"),
    ):
        session.compute(A @ A)


def test_nothing_to_run_and_what_is_no_tensor():
    with tra.connect("local", threads=1) as session:
        with pytest.raises(PlanError, match="at least one relation"):
            session.compute()
        holed = tra.from_tiles({(1,): np.ones(2)}, keys=("i",))
        with pytest.raises(SchemaError, match="fill"):
            session.compute(holed)


def test_progress_of_threads(capfd):
    with tra.connect("local", threads=1, progress=True) as session:
        session.compute(tra.from_array(np.ones(3)) + 1)
    out, _ = capfd.readouterr()
    assert out == ""


def test_a_backend_of_one_site_moves_nothing():
    A = tra.from_array(np.ones((6, 6)), tile=(2, 2))
    with tra.connect("local", threads=2) as session:
        figures = session.explain(A @ A.T, analyze=True).to_dict()
    assert isinstance(session.backend, LocalBackend)
    assert figures["bytes_moved"] == {"predicted": 0, "measured": 0}
    assert figures["tasks"] == {"predicted": 1, "measured": 1}


@pytest.mark.parametrize("step", [lambda x, a: tra.exp(x) / 3, lambda x, a: x + a])
def test_long_chains_of_functions(step):
    a = tra.from_array(np.full((3, 3), 0.5), tile=2)
    x, expected = a, np.full((3, 3), 0.5)
    for _ in range(400):
        x = step(x, a)
        expected = np.exp(expected) / 3 if "exp" in step.__code__.co_names else expected + 0.5
    with tra.connect("local", threads=1) as session:
        np.testing.assert_allclose(session.compute(x)[0], expected)
