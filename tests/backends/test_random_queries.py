"""Random queries on the local backend: any sites, any threads, the reference evaluator's result."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tra
from tests.long import examples
from tra.algebra.live import is_dense
from tra.algebra.nodes import postorder
from tra.errors import SchemaError, TraError
from tra.testing import arrays, queries, relations, shapes, tensors

SITES, THREADS = st.integers(1, 5), st.integers(1, 3)


def check(agreement, relation, sites, threads):
    """The tiles, their type, and the bytes that were predicted."""
    expected = agreement.expected(relation)
    with (
        tra.connect("local", sites=sites, threads=threads) as session,
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        if expected is None:
            with pytest.raises(TraError):
                session.tiles(relation)
            return
        found = session.tiles(relation)
        agreement.same(found, expected)
        agreement.typed(relation, found)
        check_figures(agreement, session.explain(relation, analyze=True))


def check_figures(agreement, explained):
    figures, planned = explained.to_dict(), explained.planned
    assert figures["tasks"]["measured"] == figures["tasks"]["predicted"]
    if all(is_dense(node.type) for node in postorder(*planned.roots)) and agreement.bytes_are_known(
        planned.program.roots
    ):
        assert figures["bytes_moved"]["measured"] == figures["bytes_moved"]["predicted"]
        assert figures["peak_bytes_per_site"]["measured"] <= figures["peak_bytes_per_site"]["predicted"]


@examples(400)
@given(queries(max_steps=6), SITES, THREADS)
def test_compositions_of_operators(agreement, grown, sites, threads):
    check(agreement, grown[-1].relation, sites, threads)


@examples(100)
@given(queries(max_steps=5), SITES)
def test_whole_tensors(agreement, grown, sites):
    relation, array = grown[-1].relation, grown[-1].array
    assume(array is not None)
    with tra.connect("local", sites=sites, threads=1), np.errstate(all="ignore"):
        found = relation.compute()
    assert found.shape == array.shape
    agreement.close(found, array.astype(found.dtype))


@st.composite
def joins(draw):
    """Two relations of any kind, joined on keys of equal domains, maybe folded."""
    dtype = draw(st.sampled_from(["f8", "i4", "c8"]))
    left, right = (draw(relations(dtype, max_keys=2, max_rank=2)) for _ in range(2))
    equal = [
        (mine.name, theirs.name)
        for mine in left.expr.type.keys
        for theirs in right.expr.type.keys
        if mine.domain == theirs.domain
    ]
    on = (
        draw(st.lists(st.sampled_from(equal), max_size=2, unique_by=(lambda p: p[0], lambda p: p[1])))
        if equal
        else []
    )
    try:
        joined = left.join(
            right, on=on, kernel=draw(st.sampled_from(["mul", "left", "sub", "outer", "matmul"]))
        )
        by = draw(st.permutations(joined.keys))[: draw(st.integers(0, len(joined.keys)))]
        return joined.aggregate(by=by) if draw(st.booleans()) else joined
    except TraError:
        return None


@examples(200)
@given(joins(), SITES, THREADS)
def test_joins_of_two_relations(agreement, joined, sites, threads):
    assume(joined is not None)
    check(agreement, joined, sites, threads)


SUGAR = {
    "add": lambda a, b: a + b,
    "subtract and scale": lambda a, b: (a - b) * 2,
    "compare": lambda a, b: a == b,
    "where": lambda a, b: tra.where(a == b, a, b),
    "matmul": lambda a, b: a.T @ b,
    "gram": lambda a, b: a @ a.T + b @ b.T,
    "outer": lambda a, b: tra.einsum("...i,...j->...ij", a, b),
    "total": lambda a, b: (a * b).sum(),
    "columns": lambda a, b: a.sum(axis=0) + b.sum(axis=0),
    "mean": lambda a, b: (a + b).mean(axis=-1, keepdims=True) * a,
    "largest": lambda a, b: a.max(axis=0) - b.min(axis=0),
    "place": lambda a, b: a.argmin(axis=-1) + b.argmax(axis=-1),
    "concatenate": lambda a, b: tra.concatenate([a, b, a], axis=-1),
    "slices": lambda a, b: a[1:] + b[:-1],
    "steps": lambda a, b: a[::-2, ...] * b[::-2, ...],
    "retile": lambda a, b: a.retile(*(2 for _ in a.shape)) + b,
    "transpose": lambda a, b: (a.T + b.T).T - a,
    "shared": lambda a, b: (a + b) * (a + b) - (a + b),
}


@st.composite
def sugared(draw):
    shape = draw(shapes(max_rank=2, min_rank=1))
    dtype = draw(st.sampled_from(["f8", "f4", "i8"]))
    left, right = (draw(tensors(shape, dtype)).relation for _ in range(2))
    try:
        return SUGAR[draw(st.sampled_from(sorted(SUGAR)))](left, right)
    except (TraError, IndexError):
        return None


@examples(200)
@given(sugared(), SITES, THREADS)
def test_sugar_over_two_tensors_of_other_tiles(agreement, relation, sites, threads):
    assume(relation is not None)
    check(agreement, relation, sites, threads)


@examples(40)
@given(st.data(), SITES)
def test_persisted_relations_are_used_where_they_lie(agreement, data, sites):
    shape = data.draw(shapes(max_rank=2, min_rank=2))
    left, right = (data.draw(tensors(shape, "f8")).relation for _ in range(2))
    with tra.connect("local", sites=sites, threads=1) as session:
        stored = session.persist(left, right)
        for before, after in zip((left, right), stored, strict=True):
            agreement.same(session.tiles(after), agreement.expected(before))
        product = left.T @ right
        found, = session.compute(stored[0].T @ stored[1])  # fmt: skip
        np.testing.assert_allclose(found, product.compute())
        check_figures(agreement, session.explain(stored[0].T @ stored[1], analyze=True))


@examples(50)
@given(arrays((6, 5), "f8"), SITES)
def test_results_do_not_depend_on_sites_or_threads(array, sites):
    """The same plan gives the same bits, whatever the number of threads."""
    A = tra.from_array(array, keys=("i", "j"), tile=(2, 2))
    results = []
    for threads in (1, 3):
        with tra.connect("local", sites=sites, threads=threads):
            results.append((A.T @ A).compute())
    np.testing.assert_array_equal(*results)


def test_holes_that_are_found_when_the_plan_runs_are_named():
    A = tra.from_tiles({(0,): np.ones(2), (2,): np.ones(2)}, keys=("i",))
    with tra.connect("local", sites=2, threads=1), pytest.raises(SchemaError, match="fill"):
        A.compute()
