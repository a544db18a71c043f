"""Products of relations with holes: every way of doing them against the reference evaluator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra import reference
from tra.backends import sparse_products

WAYS = ("cost", "filled", "in place", "on top")


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Lets the formulas choose, or makes one way the cheapest."""
    if request.param == "filled":
        monkeypatch.setattr(sparse_products, "_seconds", lambda *_: float("inf"))
        monkeypatch.setattr("tra.backends.filled_products.MOST", 1e9)
    elif request.param != "cost":
        monkeypatch.setattr(sparse_products, "filled_seconds", lambda *_: float("inf"))
        monkeypatch.setattr(sparse_products, "SMALL", 0 if request.param == "in place" else 1 << 20)
    monkeypatch.setattr(sparse_products, "RUN", 2)
    return request.param


@st.composite
def block_sparse(draw, keys, extents, tiles, name, dtype="f8"):
    """A matrix in tiles of which some are missing: ragged at its end, empty, or one tile."""
    shape = tuple(-(-extent // tile) for extent, tile in zip(extents, tiles, strict=True))
    every = [(i, j) for i in range(shape[0]) for j in range(shape[1])]
    there = draw(st.lists(st.sampled_from(every), unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    axes = tuple(
        tra.Axis(tile, ((key, 1),), extent) for tile, key, extent in zip(tiles, keys, extents, strict=True)
    )
    found = {}
    for key in there:
        lengths = [min(t, e - t * k) for t, e, k in zip(tiles, extents, key, strict=True)]
        found[key] = rng.integers(-4, 5, lengths).astype(dtype)
    if not found:
        zeros = {every[0]: np.zeros([min(t, e) for t, e in zip(tiles, extents, strict=True)], dtype)}
        whole = tra.from_tiles(zeros, keys=keys, axes=axes, domain=shape, name=name)
        return whole.filter(lambda i, j: i > 99)
    return tra.from_tiles(found, keys=keys, axes=axes, domain=shape, name=name)


@st.composite
def pairs(draw, dtype="f8"):
    rows, inner, columns = (draw(st.integers(1, 9)) for _ in range(3))
    r, i, c = (draw(st.integers(1, 4)) for _ in range(3))
    left = draw(block_sparse(("i", "k"), (rows, inner), (min(r, rows), min(i, inner)), "A", dtype))
    right = draw(block_sparse(("k", "j"), (inner, columns), (min(i, inner), min(c, columns)), "B", dtype))
    return left, right


def check(session, query):
    """A query's tiles are those of the definition."""
    expected = reference.evaluate(query.expr, query.sources)
    found = session.tiles(query)
    assert sorted(found) == sorted(expected)
    for key, tile in expected.items():
        assert found[key].dtype == tile.dtype
        np.testing.assert_allclose(found[key], tile)


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i4"])
@examples(150)
@given(data=st.data())
def test_products_are_those_of_the_definition(way, dtype, data):
    left, right = data.draw(pairs(dtype))
    with tra.connect("local", threads=2) as session:
        check(session, left @ right)


@examples(150)
@given(
    operands=pairs(), spec=st.sampled_from(["ik,kj->ij", "ki,kj->ij", "ik,jk->ij", "ik,kj->ji", "ki,jk->ji"])
)
def test_operands_and_results_may_be_transposed(way, operands, spec):
    left, right = operands
    first, second = spec.split("->")[0].split(",")
    turned = [
        part if word == own else part.rekey(lambda a, b: (b, a), keys=tuple(word)).transform("transpose")
        for part, word, own in ((left, first, "ik"), (right, second, "kj"))
    ]
    with tra.connect("local", threads=2) as session:
        check(session, tra.einsum(spec, *turned))


@examples(150)
@given(operands=pairs(), place=st.integers(0, 1))
def test_one_operand_may_be_dense(way, operands, place):
    filled = [part.fill(0) if side == place else part for side, part in enumerate(operands)]
    with tra.connect("local", threads=2) as session:
        check(session, filled[0] @ filled[1])


@examples(150)
@given(operands=pairs(), sites=st.sampled_from([2, 3, 4]))
def test_products_over_several_sites(way, operands, sites):
    with tra.connect("local", sites=sites, threads=1) as session:
        check(session, operands[0] @ operands[1])


@examples(150)
@given(operands=pairs(), side=st.integers(0, 1))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_stays_where_it_is(way, operands, side):
    infinite = [part.transform("log") if side == place else part for place, part in enumerate(operands)]
    with tra.connect("local", threads=2) as session, np.errstate(all="ignore"):
        check(session, infinite[0] @ infinite[1])


@examples(150)
@given(st.data())
def test_keys_that_cut_no_axis_join_and_stay(way, data):
    n, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))

    def batched(keys, shape):
        every = [(b, i, j) for b in range(2) for i in range(n) for j in range(n)]
        there = data.draw(st.lists(st.sampled_from(every), unique=True, min_size=1))
        axes = tuple(tra.Axis(2, ((key, 1),), 2 * n) for key in keys[1:])
        return tra.from_tiles({key: rng.integers(-4, 5, shape) * 1.0 for key in there}, keys, axes, (2, n, n))

    left, right = batched(("b", "i", "k"), (2, 2)), batched(("b", "k", "j"), (2, 2))
    for on, by in (("bk", "bij"), ("bk", "ij"), ("k", ("i", "j", "b_2"))):
        with tra.connect("local", threads=2) as session:
            check(session, left.join(right, on=tuple(on), kernel="matmul").aggregate(tuple(by), "add"))
    assert k


@examples(150)
@given(operands=pairs())
def test_gradients_have_the_holes_of_their_parameters(way, operands):
    left, right = operands
    loss = ((left @ right) ** 2).sum()
    with tra.connect("local", threads=2) as session:
        for gradient, parameter in zip(tra.grad(loss, [left, right]), operands, strict=True):
            check(session, gradient)
            assert sorted(session.tiles(gradient)) == sorted(session.tiles(parameter))


def test_results_are_the_same_bits_whatever_the_threads():
    rng = np.random.default_rng(0)
    for tile, n in ((8, 30), (64, 6)):
        there = [(i, j) for i in range(n) for j in range(n) if rng.random() < 0.4]
        A, B = (
            tra.from_tiles({key: rng.normal(size=(tile, tile)) for key in there}, keys, domain=(n, n))
            for keys in (("i", "k"), ("k", "j"))
        )
        found = []
        for threads in (1, 2, 3):
            with tra.connect("local", threads=threads) as session:
                found.append(session.tiles(A @ B))
        for other in found[1:]:
            assert all(np.array_equal(found[0][key], other[key]) for key in found[0])


@pytest.mark.xdist_group("dask")
def test_only_tiles_that_are_there_move(dask_session):
    rng = np.random.default_rng(0)
    there = [(i, j) for i in range(6) for j in range(6) if rng.random() < 0.3]
    A, B = (
        tra.from_tiles({key: rng.normal(size=(50, 50)) for key in there}, keys, domain=(6, 6), name=name)
        for keys, name in ((("i", "k"), "A"), (("k", "j"), "B"))
    )
    expected = reference.evaluate((A @ B).expr, (A @ B).sources)
    A, B = dask_session.persist(A, B)
    found = dask_session.explain(A @ B, analyze=True)
    moved = found.to_dict()["bytes_moved"]
    assert moved["measured"] == pytest.approx(moved["predicted"], rel=0.05)
    assert moved["predicted"] <= (2 * len(there) + 36) * 50 * 50 * 8
    figures = [node[name] for node in found.nodes for name in ("density", "pairs") if node[name]]
    assert figures and all(f["measured"] in (None, pytest.approx(f["predicted"])) for f in figures)
    assert any(f["measured"] is not None for f in figures)
    tiles = dask_session.tiles(A @ B)
    assert sorted(tiles) == sorted(expected)
    assert all(np.allclose(tiles[key], tile) for key, tile in expected.items())


# -- masks ------------------------------------------------------------------------------------------


@st.composite
def masked(draw):
    """A product, of whole matrices or with holes, and a relation with holes like it."""
    left, right = draw(pairs())
    rows, columns = left.expr.type.axes[0], right.expr.type.axes[1]
    extents, tiles = (rows.extent, columns.extent), (rows.size, columns.size)
    mask = draw(block_sparse(("i", "j"), extents, tiles, "M"))
    if draw(st.booleans()):
        left, right = left.fill(0), right.fill(0)
    return left, right, mask


@examples(150)
@given(operands=masked(), sites=st.sampled_from([1, 3]), first=st.booleans())
def test_products_are_masked(way, operands, sites, first):
    left, right, mask = operands
    product = left @ right
    with tra.connect("local", sites=sites, threads=2) as session:
        check(session, mask * product if first else product * mask)


def test_only_what_a_mask_has_is_computed():
    rng = np.random.default_rng(0)
    A, B = (tra.from_array(rng.normal(size=(600, 600)), tile=100, name=name) for name in "AB")
    M = tra.from_tiles({(n, n): rng.normal(size=(100, 100)) for n in range(6)}, ("i", "j"))
    with tra.connect("local", threads=2) as session:
        whole, found = session.explain(A @ B).to_dict(), session.explain((A @ B) * M).to_dict()
        assert ["join_contract_mask", 1] in found["rules"]
        assert found["flops"]["predicted"] < whole["flops"]["predicted"] / 5
        check(session, (A @ B) * M)
        loss = (((M * 2) @ A) ** 2).sum()
        (gradient,) = tra.grad(loss, [M])
        assert ["join_contract_mask", 1] in session.explain(gradient).to_dict()["rules"]
        check(session, gradient)
        product = A @ B  # is needed whole as well
        query = (product * M).sum() + product.sum()
        assert "join_contract_mask" not in dict(session.explain(query).to_dict()["rules"])
        check(session, query)


@pytest.mark.xdist_group("dask")
def test_masks_on_dask(dask_session):
    rng = np.random.default_rng(0)
    A, B = (tra.from_array(rng.normal(size=(60, 60)), tile=10) for _ in "AB")
    M = tra.from_tiles(
        {(n, (3 * n) % 6): rng.normal(size=(10, 10)) for n in range(6)}, ("i", "j"), domain=(6, 6)
    )
    check(dask_session, (A @ B) * M)


def test_tiles_that_a_product_made_are_given_away_and_those_it_was_given_are_not():
    array = np.ones((4, 4))
    A = tra.from_tiles({(n, n): array for n in range(3)}, ("i", "j"))
    with tra.connect("local", threads=1) as session:
        first, again = (session.tiles(A @ A) for _ in range(2))
        for tile in [*first.values(), *session.tiles(A).values()]:
            assert tile.base is None
            tile[...] = -1
        assert all((tile == 4).all() for tile in again.values())
        check(session, A @ A)
    assert (array == 1).all()
