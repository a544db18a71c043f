"""Passes: whatever fits the reference evaluator's result, in the smallest memory there is a schedule for."""

import re
import warnings
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tra
from tra.backends.passes import limit
from tra.backends.passes.schedule import End
from tra.backends.passes.shape import Leaf
from tra.errors import MemoryLimitError, TraError
from tra.testing import queries, relations

MANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@contextmanager
def only_tiles_count():
    """Sources are as if in files, and the process itself takes nothing."""
    with (
        patch.object(limit, "_baseline", lambda query: 0),
        patch.object(limit, "DRIFT", 0),
        patch.object(limit, "leaf_of", lambda source, type_: Leaf()),
    ):
        yield


def session(bytes_):
    return tra.connect("local", threads=2, memory_limit=bytes_, progress=False)


def named(run):
    """The limit that an error names; None where there is none."""
    try:
        run()
    except MemoryLimitError as refused:
        return int(re.search(r"memory_limit=(\d+) would do", str(refused)).group(1))
    return None


def schedule_of(opened, relation, end=End.FILE):
    planned = opened._plans.plan((relation,), relation.sources, {}, whole=False)
    return opened.backend.limited(planned.program, relation.sources, end).schedule


def check(agreement, relation, times):
    expected = agreement.expected(relation)
    if expected is None:
        return
    with only_tiles_count(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with session(1) as tight:
            least = named(lambda: tight.tiles(relation)) or 1
        with session(max(int(least * times), 1)) as opened:
            assert schedule_of(opened, relation).held <= least * times
            agreement.same(opened.tiles(relation), expected)
        if least > 1:
            with session(least - 1) as tight:
                assert named(lambda: tight.tiles(relation)) == least


@settings(MANY, max_examples=150)
@given(queries(max_steps=6), st.sampled_from([1, 1.3, 2, 5]))
def test_compositions_of_operators_in_windows(agreement, grown, times):
    check(agreement, grown[-1].relation, times)


@settings(MANY, max_examples=60)
@given(relations("f8", max_keys=3, max_rank=2), st.data())
def test_folds_in_windows(agreement, relation, data):
    names = relation.expr.type.names
    kept = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    kernel = data.draw(st.sampled_from(["add", "max"]))
    try:
        folded = relation.aggregate(kept, kernel)
    except TraError:
        return
    check(agreement, folded, 1)
