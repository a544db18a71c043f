"""Random compositions of all operators: the type says exactly what the definitions give, and NumPy agrees."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.long import examples
from tra.algebra import live, reference
from tra.errors import SchemaError
from tra.testing import check_type, queries, relations, tensors

LEGAL = ("zero-size", "not injective", "no tile at key")


def evaluated(relation):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return reference.evaluate(relation.expr, relation.sources)


def check(grown, may_fail):
    for query in grown:
        try:
            tiles = evaluated(query.relation)
        except SchemaError as error:
            assert any(words in str(error) for words in may_fail), error
            return
        check_type(query.relation.expr, tiles)
        if query.array is not None:
            assert query.relation.shape == query.array.shape
            whole = reference.to_array(tiles, query.type)
            np.testing.assert_allclose(whole, query.array, rtol=1e-4)


@given(relations())
def test_relations_are_what_their_type_says(relation):
    check_type(relation.expr, evaluated(relation))


@given(tensors())
def test_tensors_come_back_however_they_are_cut(tensor):
    np.testing.assert_array_equal(tensor.relation.compute(), tensor.array)


@examples(250)
@given(queries())
def test_types_of_random_queries(grown):
    check(grown, LEGAL[:1])


@examples(100)
@given(queries(max_steps=12))
def test_types_of_long_queries(grown):
    check(grown, LEGAL[:1])


@examples(100)
@given(st.data())
def test_queries_with_more_keys_than_are_listed(data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "MAX_LISTED", 3)
        check(data.draw(queries()), LEGAL)


@given(queries())
def test_an_expression_has_one_digest(grown):
    digests = {query.relation.expr.digest: query.relation.expr for query in grown}
    for query in grown:
        same = digests[query.relation.expr.digest]
        assert same == query.relation.expr and hash(same) == hash(query.relation.expr)
        assert same.type == query.type
