"""Expressions as data: digests, sharing, pickles, pictures."""

import pickle
import time

import cloudpickle
import numpy as np
import pytest

import tra
from tra.algebra import current
from tra.algebra.nodes import Expr, Node, Transform, postorder
from tra.errors import PlanError
from tra.testing import ReferenceEngine

A = tra.from_array(np.arange(12.0).reshape(3, 4), keys=("i", "j"), tile=2, name="A")


def test_equal_queries_are_equal_and_others_are_not():
    assert (A + 1).expr == (A + 1).expr and hash((A + 1).expr) == hash((A + 1).expr)
    different = [
        A + 1,
        A + 1.0,
        A + True,
        1 + A,
        A - 1,
        A * 1,
        A.T,
        A.filter(lambda i, j: i > 0),
        A.tile(0, 1, "p"),
        A.tile(0, 1, "q"),
        A[1:],
        A[:1],
        A.transform("softmax", axis=-1),
        A.transform("softmax", axis=-2),
        A.max(axis=0),
        A.min(axis=0),
    ]
    assert len({relation.expr.digest for relation in different}) == len(different)
    again = tra.from_array(np.arange(12.0).reshape(3, 4), keys=("i", "j"), tile=2, name="A")
    assert again.expr != A.expr  # equal data, but another source


def test_a_shared_node_costs_nothing():
    start = time.perf_counter()
    deep = A
    for _ in range(200):
        deep = deep + deep
    assert hash(deep.expr) and deep.expr == deep.expr and len(repr(deep.expr)) < 200
    assert len(list(postorder(deep.expr))) == 201
    assert time.perf_counter() - start < 2


def test_operands_come_before_their_users():
    query = (A @ A.T + 1).sum()
    seen = set()
    for node in postorder(query.expr, A.expr):
        assert all(child.digest in seen for child in node.children)
        assert node.digest not in seen
        seen.add(node.digest)
    assert query.expr.digest in seen


def test_expressions_travel():
    for relation in (A, A @ A.T, A[::-1], A.filter(lambda i, j: i == 0).fill(2), A.argmin(axis=1)):
        for tool in (pickle, cloudpickle):
            copy = tool.loads(tool.dumps(relation.expr))
            assert copy == relation.expr and copy.type == relation.expr.type
    opaque = A.filter(lambda i, j: i in {0}).expr
    assert cloudpickle.loads(cloudpickle.dumps(opaque)) == opaque


def test_nodes_are_frozen():
    with pytest.raises(AttributeError):
        A.expr.name = "B"
    node: Expr = (A + 1).expr
    assert isinstance(node, Transform) and isinstance(node, Node) and node != "A"


def test_what_a_relation_shows():
    assert repr(A) == "A[i:2, j:2] of 2/3×2/4 float64" and repr(A + 1) == "[i:2, j:2] of 2/3×2/4 float64"
    assert (A.keys, A.frontier, A.tile_shape, A.shape, A.ndim, A.nbytes) == (
        ("i", "j"),
        (2, 2),
        (2, 2),
        (3, 4),
        2,
        96,
    )
    assert "<svg" in A._repr_html_() and A.sum()._repr_html_()


def test_sessions_stack():
    engine = ReferenceEngine()
    before = current.current()
    current.push(engine)
    assert current.current() is engine
    with pytest.raises(PlanError, match="explain needs a session"):
        A.explain()
    current.remove(engine)
    assert current.current() is before


def test_without_a_session(monkeypatch):
    monkeypatch.setattr(current, "_open", [])
    monkeypatch.setattr(current, "_default", [])
    with pytest.raises(PlanError, match=r"no session is open; tra\.connect\(\) opens one"):
        A.compute()
    engine = ReferenceEngine()
    current.set_default(lambda: current.push(engine))
    assert current.current() is engine
