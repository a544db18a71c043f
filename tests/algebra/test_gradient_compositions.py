"""Gradients of random compositions of operators, on relations of any kind, are the central differences."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.long import examples
from tra.algebra.gradient import gradients
from tra.errors import KernelError, TraError
from tra.testing import relations

from .gradient_harness import check_gradients, compositions, random_tiles, sources_of, total, weighted


@examples(300)
@given(compositions())
def test_random_compositions(drawn):
    relation, tiles = drawn
    check_gradients(weighted(relation.expr), tiles, most=5)


@examples(60)
@given(compositions(max_steps=3))
def test_gradients_of_gradients(drawn):
    relation, tiles = drawn
    loss = weighted(relation.expr)
    for expr in gradients(loss, sources_of(loss)):
        check_gradients(weighted(expr, seed=5), tiles, most=3)


@st.composite
def joins(draw):
    """Two relations of any kind, joined on keys of equal domains or not, maybe folded; and their tiles."""
    left, right = (draw(relations("float64", max_keys=2, max_rank=2)) for _ in range(2))
    pairs = [(mine, theirs) for mine in left.keys for theirs in right.keys]
    unique = (lambda pair: pair[0], lambda pair: pair[1])
    on = draw(st.lists(st.sampled_from(pairs), max_size=2, unique_by=unique)) if pairs else []
    how = draw(st.sampled_from(["mul", "add", "max", "left", "sub", "outer", "matmul", "logaddexp"]))
    try:
        joined = left.join(right, on=on, kernel=how, truncate=True)
        by = draw(st.permutations(joined.keys))[: draw(st.integers(0, len(joined.keys)))]
        joined = joined.aggregate(by=by, kernel=draw(st.sampled_from(["add", "max"])))
    except TraError:
        return None
    return joined, random_tiles(draw, joined)


@examples(200)
@given(joins())
def test_joins_of_two_relations(drawn):
    assume(drawn is not None)
    relation, tiles = drawn
    try:
        check_gradients(weighted(relation.expr), tiles, most=4)
        check_gradients(total(relation.expr), tiles, most=2)
    except KernelError as error:  # what was cut off lies in no one place
        assert "a truncated join has no gradient for" in str(error)
