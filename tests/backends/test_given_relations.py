"""What is no relation is named when a session is asked to run it."""

import pytest

import tra
from tra.errors import SchemaError


@pytest.mark.parametrize("given", [3, [1.0, 2.0], None])
def test_what_is_no_relation_is_named(given):
    with tra.connect("local", threads=1) as session:
        for ask in (session.compute, session.persist, session.explain):
            with pytest.raises(SchemaError, match="a session runs relations; got"):
                ask(given)


def test_explain_takes_one_relation():
    x = tra.from_array([1.0, 2.0])
    with tra.connect("local", threads=1) as session, pytest.raises(SchemaError, match="takes one relation"):
        session.explain(x, x + 1)
