"""Questions about live keys against counting them one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given

from tra.algebra import live
from tra.algebra.live_rules import matches, with_live
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, RelType
from tra.algebra.volume import n_bytes, n_elements
from tra.testing import relations


def listed(type_):
    return [tuple(key) for key in live.live_keys(type_).tolist()]


@given(relations())
def test_questions_about_live_keys(relation):
    type_ = relation.expr.type
    keys = listed(type_)
    assert keys == sorted(set(keys))
    assert live.n_live(type_) == len(keys)
    assert live.is_empty(type_) == (not keys)
    tops = tuple(max((key[p] + 1 for key in keys), default=0) for p in range(len(type_.keys)))
    assert live.frontier(type_) == relation.frontier == tops
    needed = listed(live.required(type_))
    assert set(keys) <= set(needed)
    missing = sorted(set(needed) - set(keys))
    assert live.missing_key(type_) == (missing[0] if missing else None)
    assert live.is_dense(type_) == (not missing)
    lengths = type_.tile_lengths(np.array(keys, dtype=np.int64).reshape(len(keys), len(type_.keys)))
    for place, axis in enumerate(type_.axes):
        full = bool(np.all(lengths[:, place] == axis.size))
        assert not live.is_uniform(axis, type_) or full


@given(relations())
def test_volumes_count_elements(relation):
    type_ = relation.expr.type
    keys = live.live_keys(type_)
    sizes = np.prod(type_.tile_lengths(keys), axis=1, dtype=np.int64)
    assert n_elements(type_) == sizes.sum()
    assert n_bytes(type_) == relation.nbytes == sizes.sum() * type_.dtype.itemsize
    within = [(0, max(key.domain - 1, 1)) for key in type_.keys]
    inside = np.all([(low <= c) & (c < high) for (low, high), c in zip(within, keys.T, strict=True)], axis=0)
    assert n_elements(type_, within) == (sizes * inside).sum()


@pytest.mark.parametrize(
    ("ranges", "missing"),
    [
        (((0, 2), (0, 3)), None),
        (((0, 1), (0, 3)), (1, 0)),
        (((0, 1), (0, 2)), (0, 2)),
        (((0, 1), (1, 3)), (0, 0)),
        (((1, 2), (0, 2)), (0, 0)),
    ],
)
def test_the_first_hole_of_a_box_is_named(ranges, missing):
    type_ = RelType((Key("i", 2), Key("j", 3)), (), np.dtype("f8"), Box(ranges))
    assert live.missing_key(type_) == missing


def test_a_box_is_cut_down_to_what_is_live():
    axis = Axis(2, (("i", 3), ("j", 1)), 9)  # five tiles, counted by i and j
    type_ = RelType((Key("i", 2), Key("j", 3)), (axis,), np.dtype("f8"), Box(((0, 2), (0, 3))))
    assert live.ranges(type_) == ((0, 2), (0, 3))
    assert listed(type_) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    second = with_live(type_, Box(((1, 2), (0, 3))))
    assert second.live == Box(((1, 2), (0, 2)))
    assert live.is_plain(second) and not live.is_plain(type_)


def test_equal_sets_have_equal_types():
    axis = Axis(2, (("i", 1),), 9)
    type_ = RelType((Key("i", 5), Key("j", 2)), (axis,), np.dtype("f8"), Box(((0, 5), (0, 2))))
    every = np.array(list(itertools.product(range(5), range(2))))
    assert with_live(type_, KeySet(every)) == type_
    assert with_live(type_, KeySet(every[4:])).live == Box(((2, 5), (0, 2)))
    assert with_live(type_, KeySet(every[:0])) == with_live(type_, Box(((3, 3), (0, 2))))
    assert isinstance(with_live(type_, KeySet(every[1:])).live, KeySet)


def test_unknown_keys_count_as_holes():
    type_ = RelType((Key("i", 3),), (), np.dtype("f8"), AtMost(((0, 3),)))
    assert not live.is_dense(type_) and live.missing_key(type_) is None and not live.is_listable(type_)
    assert "known only when it runs" in live.hole_text(type_)
    with pytest.raises(Exception, match="too many to list"):
        live.live_keys(type_)


def test_a_missing_key_is_found_without_listing_a_huge_domain():
    keys = np.array([[p, q] for p in range(3) for q in range(100_000)])[:-1]
    type_ = RelType((Key("i", 10**6), Key("j", 100_000)), (), np.dtype("f8"), KeySet(keys))
    assert live.missing_key(type_) == (2, 99_999)


def test_matches_are_left_major_and_limited():
    left, right = np.array([[0, 1], [1, 1], [2, 0]]), np.array([[1, 7], [1, 8]])
    rows = matches(left, right, [(1, 0)])
    assert [r.tolist() for r in rows] == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert matches(left, right, [(1, 0)], limit=3) is None


def test_codes_refuse_domains_beyond_64_bits():
    with pytest.raises(Exception, match="too large"):
        live.codes(np.zeros((1, 2), np.int64), (2**40, 2**30))
