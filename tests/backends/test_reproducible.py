"""Levels of reproducibility: results are right, bits the same, and what cannot keep a level is refused."""

import re
import warnings
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.backends.test_passes import only_tiles_count
from tests.long import LONG, examples
from tra.algebra.makers import Random
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.tensor_type import tensor_type
from tra.errors import MemoryLimitError, PlanError, TraError
from tra.optimizer.rules.registry import RULES
from tra.testing import queries, relations

LEVELS = ("tiling", "exact")
RNG = np.random.default_rng(0)


def opened(level, sites=1, threads=1, **more):
    return tra.connect("local", sites=sites, threads=threads, reproducible=level, progress=False, **more)


@contextmanager
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def spread(*shape, dtype="f8"):
    return (RNG.normal(size=shape) * 10.0 ** RNG.integers(-4, 5, shape)).astype(dtype)


def same_bits(one, other):
    assert set(one) == set(other)
    for key, tile in one.items():
        assert tile.dtype == other[key].dtype
        assert tile.tobytes() == np.ascontiguousarray(other[key]).tobytes(), key


# -- any query --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@examples(150)
@given(grown=queries(max_steps=5), data=st.data())
def test_any_query_is_right_or_refused(agreement, level, grown, data):
    relation = data.draw(st.sampled_from(grown)).relation
    expected = agreement.expected(relation)
    if expected is None:
        return
    found = []
    for sites, threads in ((1, 1), (3, 2)):
        with opened(level, sites, threads) as session, quiet():
            try:
                found.append(session.tiles(relation))
            except PlanError as error:
                assert "reproducible=" in str(error) or "canonical order" in str(error)
                return
    same_bits(*found)
    finite = all(np.isfinite(tile).all() for tile in expected.values() if tile.dtype.kind in "fc")
    if finite:
        agreement.same(found[0], expected)


@examples(60)
@given(grown=queries(max_steps=5), data=st.data())
def test_threads_change_no_bit_of_a_plan(agreement, grown, data):
    relation = data.draw(st.sampled_from(grown)).relation
    if agreement.expected(relation) is None:
        return
    found = []
    for threads in (1, 2, 3):
        with opened("run", 2, threads) as session, quiet():
            found.append(session.tiles(relation))
    same_bits(found[0], found[1])
    same_bits(found[0], found[2])


# -- whole tensors, however they are cut ------------------------------------------------------------

X, Y, V = spread(60, 41), spread(41, 37), spread(41)
NUMBERS = Relation(
    generated(tensor_type((41, 5), "f8", ("j", "l"), (10, 3)), Random("normal", (0.0, 1.0), 7)), {}
)
WHOLE = {
    "product": lambda x, y, v: x @ y,
    "products": lambda x, y, v: (x @ y) @ (y.T @ v),
    "sum of columns": lambda x, y, v: x.sum(axis=0),
    "sum": lambda x, y, v: (x * x).sum() + x.mean(),
    "variance": lambda x, y, v: x.var(axis=1),
    "dot": lambda x, y, v: v @ v,
    "of transposes": lambda x, y, v: x.T @ x,
    "einsum": lambda x, y, v: tra.einsum("ij,jk,j->ki", x, y, v),
    "softmax": lambda x, y, v: tra.softmax(tra.tanh(x) @ tra.tanh(y)),
    "logsumexp": lambda x, y, v: tra.logsumexp(tra.tanh(x), axis=0),
    "extremes": lambda x, y, v: x.max(axis=0) - tra.relu(x).min(axis=0),
    "arguments": lambda x, y, v: (x @ y).argmin(axis=1),
    "slices": lambda x, y, v: (x[3:50:2] @ y)[:, ::-1],
    "of slices": lambda x, y, v: x[:, 5:30] @ y[5:30],
    "concatenated": lambda x, y, v: tra.concatenate([x @ y, x @ y * 2], axis=0).sum(axis=1),
    "gradient": lambda x, y, v: tra.grad(tra.square(tra.tanh(x) @ tra.tanh(y)).sum(), [y])[0],
    "powers": lambda x, y, v: (tra.abs(x) ** 0.5 + x**3).sum(axis=1),
    "generated": lambda x, y, v: x @ NUMBERS,
    "nothing": lambda x, y, v: tra.softmax(x[:0] @ y) + (x[:0] @ y[:, :1]),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", WHOLE)
def test_how_tensors_are_cut_changes_no_bit(level, name):
    found = []
    for tile, sites in ((None, 1), (7, 3), (16, 2), ((60, 1), 2), (1000, 1)):
        x = tra.from_array(X, ("i", "j"), tile)
        y = tra.from_array(Y, ("j", "k"), tile if tile != (60, 1) else 20)
        v = tra.from_array(V, ("j",), 20 if tile == (60, 1) else tile)
        with opened(level, sites) as session:
            found.append(session.compute(WHOLE[name](x, y, v))[0])
    with opened("off") as session:
        (expected,) = session.compute(WHOLE[name](x, y, v))
    assert len({one.tobytes() for one in found}) == 1
    scale = np.max(np.abs(expected), initial=1.0)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("level", LEVELS)
def test_arrays_that_go_backwards(level):
    """NumPy's functions take another way, with other bits, through memory that is gone through backwards."""
    array = np.random.default_rng(2).normal(size=(700, 90))[::-1, ::-1]
    found = set()
    for tile, sites in (((700, 90), 1), ((300, 1), 2), ((64, 64), 3)):
        x = tra.from_array(array, ("i", "j"), tile)
        with opened(level, sites) as session:
            found.add(session.compute(tra.exp(x) + tra.log1p(x * x))[0].tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_smaller_numbers(level, dtype):
    x, y = RNG.normal(size=(30, 50)).astype(dtype), RNG.normal(size=(50, 20)).astype(dtype)
    found = []
    for tile in (11, 50):
        with opened(level, 2) as session:
            found += session.compute(tra.from_array(x, tile=tile) @ tra.from_array(y, tile=tile))
    assert found[0].dtype == np.dtype(dtype) and found[0].tobytes() == found[1].tobytes()
    limit = 2e-2 if dtype == "f2" else 1e-5
    np.testing.assert_allclose(found[0], x.astype("f8") @ y.astype("f8"), rtol=limit, atol=limit * 10)


def test_long_sums_are_shared_by_sites_in_whole_subtrees():
    """Seventeen canonical blocks along the inner axis, in two groups of eight and a rest."""
    x, y = spread(30, 17_000), spread(17_000, 20)
    found = []
    for tile, sites in ((5000, 1), (1000, 2), (777, 3), (None, 3)):
        with opened("tiling", sites) as session:
            found += session.compute(tra.from_array(x, tile=tile) @ tra.from_array(y, tile=tile))
    assert len({one.tobytes() for one in found}) == 1
    np.testing.assert_allclose(found[0], x @ y, rtol=1e-9, atol=1e-9 * np.abs(x @ y).max())


# -- what is exact is associative -------------------------------------------------------------------

ALONE = ("one site", "stored")  # which cannot be switched off
REGROUPED = [
    rule.name for rule in RULES if rule.rule_class in ("structural", "regroup") and rule.name not in ALONE
]


@examples(60)
@given(st.data())
def test_rules_that_move_or_regroup_are_equalities_where_sums_are_exact(data):
    """Whatever rules and strategies a plan is made with, its bits are those of any other."""
    n, k, m = (data.draw(st.integers(1, 40)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    a, b = (rng.normal(size=s) * 10.0 ** rng.integers(-8, 8, s) for s in ((n, k), (k, m)))
    tiles = [data.draw(st.integers(1, 20)) for _ in range(3)]
    A, B = tra.from_array(a, ("i", "j"), tiles[:2]), tra.from_array(b, ("j", "k"), tiles[1:])
    product = A.join(B, "j", "matmul")
    query = data.draw(
        st.sampled_from([
            product.aggregate(["i", "k"], "add"),
            A @ B,
            (A @ B).sum(axis=0),
            product.aggregate(["i", "k"], "add").filter(lambda i, k: (i + k) % 2 == 0),
            A.sum(),
        ])
    )  # fmt: skip
    found = []
    for _ in range(3):
        without = data.draw(st.lists(st.sampled_from(REGROUPED), unique=True, max_size=6))
        with opened("exact", data.draw(st.integers(1, 4)), without=without) as session:
            found.append(session.tiles(query))
    same_bits(found[0], found[1])
    same_bits(found[0], found[2])


# -- holes, windows, passes, rounds -----------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@examples(60)
@given(left=relations("f8", max_keys=2, max_rank=2), data=st.data())
def test_products_of_relations_with_holes(agreement, level, left, data):
    """Tiles are part of such a query; sites, threads and what is skipped are not."""
    try:
        query = left.join(left.rekey(lambda *keys: keys[::-1]), left.keys[-1], "mul") if left.keys else left
        query = query.aggregate(query.keys[:1], "add") if query.keys else query
    except TraError:
        return
    expected = agreement.expected(query)
    if expected is None:
        return
    found = []
    for sites, threads in ((1, 1), (2, 2), (3, 1)):
        with opened(level, sites, threads) as session, quiet():
            found.append(session.tiles(query))
    same_bits(found[0], found[1])
    same_bits(found[0], found[2])
    if all(np.isfinite(tile).all() for tile in expected.values()):
        agreement.same(found[0], expected)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", [5, 60])
@pytest.mark.parametrize("part", [0.1, 0.9])
def test_block_sparse_products(level, size, part):
    """Few tiles or most of them, small or large: skipped, packed or filled, the bits are the same."""
    rng = np.random.default_rng(1)
    tiles = {
        (i, j): spread(size, size) for i in range(9) for j in range(9) if rng.random() < part or i == j == 8
    }
    S = tra.from_tiles(tiles, keys=("i", "j"))
    D = tra.from_tiles(
        {(i, j): np.zeros((size, size)) for i in range(9) for j in range(9)} | tiles, ("j", "k")
    )
    found = []
    for sites, threads in ((1, 1), (2, 2), (3, 1)):
        with opened(level, sites, threads) as session:
            found.append(session.tiles(S @ D))
    same_bits(found[0], found[1])
    same_bits(found[0], found[2])
    if level == "exact":  # a tile of zeros is as good as none
        with opened(level, 2) as session:
            dense = session.tiles(D @ D)
        same_bits(found[0], {key: tile for key, tile in dense.items() if key in found[0]})


def within(level, relation, limit, **more):
    """The tiles of a result within a limit, and the passes or rounds that made it."""
    with opened(level, memory_limit=limit, **more) as session:
        facts = session.explain(relation).to_dict()
        return session.tiles(relation), facts["passes"] or facts["rounds"]


def least(level, relation, **more):
    """The smallest limit that is named."""
    try:
        within(level, relation, 1, **more)
    except MemoryLimitError as error:
        return int(re.search(r"memory_limit=(\d+) would do", str(error)).group(1))
    return 1


IN_PASSES = {
    "product": lambda x, y: x @ y,
    "sum of rows": lambda x, y: x.sum(axis=1),
    "sum of columns": lambda x, y: tra.relu(x @ y).sum(axis=0),
    "softmax": lambda x, y: tra.softmax(tra.tanh(x @ y)),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", list(IN_PASSES)[: None if LONG else 2])
def test_passes_change_no_bit(level, name):
    part, tile = (1, 300) if level == "tiling" else (3, 100 if LONG else 150)  # slices are many
    x, y = spread(1500 // part, 2700 // part), spread(2700 // part, 1300 // part)
    relation = IN_PASSES[name](tra.from_array(x, tile=tile), tra.from_array(y, tile=tile))
    with opened(level) as session:
        expected = session.tiles(relation)
    with only_tiles_count():
        little = {"exact": 6, "tiling": 9 if name == "product" else 3}[level] * x.nbytes // 5
        smallest = least(level, relation) if LONG else little
        loops = set()
        for times in (1, 2, 12) if LONG else (1, 12):
            found, passes = within(level, relation, int(smallest * times))
            same_bits(found, expected)
            loops.add(str([one["loops"] for one in passes]))
    assert len(loops) > 1 and any("windows" in one for one in loops)


@pytest.mark.parametrize("level", LEVELS if LONG else ["tiling"])
def test_rounds_change_no_bit(level):
    part = 1 if level == "exact" else 10  # canonical blocks are large, slices are many
    x, y = spread(210 * part, 170 * part), spread(170 * part, 190 * part)
    A, B = (tra.from_array(array, tile=(20 if LONG else 70) * part) for array in (x, y))
    every = (A @ B, tra.exp(-tra.tanh(A @ B)) + 1, (A @ B)[7:200, 3:] * 2, (A @ B).sum(axis=0))
    for relation in every if LONG else every[2:3]:
        with opened(level, 2) as session:
            expected = session.tiles(relation)
        smallest = least(level, relation, sites=2)
        n_windows = set()
        for times in (1, 1.3, 2) if LONG else (1,):
            found, rounds = within(level, relation, int(smallest * times), sites=2)
            same_bits(found, expected)
            n_windows.add(str(rounds))
        assert any("windows" in one for one in n_windows), smallest


def test_a_budget_in_steps_leaves_passes_as_they_are():
    """A process that holds a little more than before gives the same passes, and so the same bits."""
    from tra.backends.passes import limit

    x = spread(600, 900)
    A = tra.from_array(x, tile=100)
    found = []
    with only_tiles_count():
        for held in (100_000, 130_000):
            with patch.object(limit, "_baseline", lambda query, held=held: held):
                found.append(within("run", A @ A.T, 4_000_000))
    for tiles, passes in found[1:]:
        same_bits(found[0][0], tiles)
        assert [one["loops"] for one in passes] == [one["loops"] for one in found[0][1]]


@pytest.mark.parametrize("optimizer", [tra.AdamW(0.1), tra.SGD(tra.schedules.Cosine(0.1, steps=3))])
def test_trainings_with_any_optimizer(optimizer):
    found = set()
    for tile, sites in ((7, 1), (60, 2)):
        data = [tra.from_array(array, tile=tile) for array in (X, X[:, :3])]
        with opened("exact", sites) as session:
            trained = session.train(
                lambda p, x, y: tra.losses.squared_error(tra.tanh(x @ p["W"]), y),
                {"W": tra.from_array(Y[:, :3], name="W")}, optimizer, data=data, epochs=3,
            )  # fmt: skip
            found.add(session.compute(trained.parameters["W"])[0].tobytes())
    assert len(found) == 1


# -- what is said, and what is refused --------------------------------------------------------------

A = tra.from_array(np.ones((600, 500)), ("i", "j"), 100, name="A")


@pytest.mark.parametrize("level", ["off", "run", "tiling", "exact"])
def test_explain_says_the_level_and_its_price(level):
    with opened(level, 2) as session:
        explained = session.explain(A @ A.T)
    facts = explained.to_dict()["reproducible"]
    assert facts["level"] == level
    (heading,) = [line for line in str(explained).splitlines() if line.startswith("plan ")]
    assert f"reproducible={level!r}" in heading
    assert facts["price"] == 1.0 if level in ("off", "run") else facts["price"] > (level == "exact")
    assert ("times the price of 'run'" in heading) == (level in LEVELS)


@pytest.mark.parametrize(
    ("level", "query", "says"),
    [
        ("tiling", lambda: A.prod(), "reproducible='tiling' has no reduce_prod.* of float64"),
        ("exact", lambda: A.prod(), "reproducible='exact' has no reduce_prod.* of float64"),
        ("exact", lambda: tra.sin(A), "reproducible='exact' has no sin of float64"),
        ("exact", lambda: A**1.7, "reproducible='exact' has no pow.*1.7"),
        ("exact", lambda: A**np.inf, "reproducible='exact' has no pow.*inf"),
        ("exact", lambda: (A * (1 + 0j)).sum(), "reproducible='exact' has no .*complex128"),
        ("exact", lambda: A.astype("longdouble").sum(), "float64, float32 and float16"),
    ],
)
def test_what_cannot_keep_a_level_is_refused_when_it_is_planned(level, query, says):
    with opened(level) as session:
        for plan in (session.compute, session.explain, session.persist):
            with pytest.raises(PlanError, match=says):
                plan(query())


def test_a_kernel_of_a_user_is_refused_where_bits_depend_on_the_machine():
    @tra.kernel("()->()", elementwise=True, name="twice")
    def twice(tile):
        return tile * 2

    with opened("exact") as session, pytest.raises(PlanError, match="has no twice"):
        session.compute(A.transform(twice))


@pytest.mark.parametrize("level", LEVELS)
def test_hints_for_what_a_level_writes_anew_are_refused(level):
    with opened(level, 2) as session:
        session.hint(A @ A.T, "broadcast left")
        with pytest.raises(PlanError, match=f"reproducible='{level}' computes .* by other operators"):
            session.compute(A @ A.T)
        session.hint(A @ A.T)
        session.hint(A * A, "co-partition")
        assert session.compute(A * A)[0].sum() == A.shape[0] * A.shape[1]


def test_an_unknown_level_is_named():
    with pytest.raises(PlanError, match=r"reproducible.*'tiling'"):
        tra.connect("local", reproducible="tilling")
