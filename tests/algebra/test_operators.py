"""The seven operators, case by case: what keys, axes and live keys become."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tra.algebra import live
from tra.algebra.links import eliminate
from tra.algebra.nodes import Constant
from tra.algebra.operators import aggregate, generated, stack
from tra.algebra.relation import Relation
from tra.algebra.types import AtMost, Axis, Box, Key, KeySet, RelType
from tra.errors import SchemaError
from tra.testing import check_type, dtypes, relations


def tensor(shape, keys, tile, dtype="f8"):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    return tra.from_array(array, keys=keys, tile=tile), array


def keys_of(relation):
    return [tuple(key) for key in live.live_keys(relation.expr.type).tolist()]


# -- σ and the domain -----------------------------------------------------------------------------


def test_a_filter_keeps_domain_and_shape():
    A, _ = tensor((10, 6), ("i", "j"), (3, 3))
    B = A.filter(lambda i, j: i < 2)
    assert (B.shape, B.frontier, B.expr.type.domains) == ((10, 6), (2, 2), (4, 2))
    assert B.expr.type.live == Box(((0, 2), (0, 2)))
    with pytest.raises(SchemaError, match=r"no tile at key \(2, 0\)"):
        B.compute()


def test_a_filter_that_keeps_all_or_nothing():
    A, _ = tensor((10,), "i", 3)
    assert A.filter(lambda i: True).expr.type == A.expr.type
    assert A.filter(lambda i: i < 100).expr.type == A.expr.type
    empty = A.filter(lambda i: i > 100)
    assert (
        live.is_empty(empty.expr.type)
        and empty.frontier == (0,)
        and empty.tiles() == {}
        and empty.nbytes == 0
    )
    assert A.filter(lambda i: False).expr.type == empty.expr.type
    assert empty.aggregate(by=()).tiles() == {}
    assert empty.rekey(lambda i: i + 3, keys="k").tiles() == {}
    assert empty.join(empty, on="i", kernel="add").tiles() == {}
    np.testing.assert_array_equal(empty.fill(7).compute(), np.full(10, 7.0))


def test_an_empty_relation_without_keys():
    A = tra.from_tiles({(): 3.0}, keys=())
    assert A.compute() == 3.0 and keys_of(A) == [()]
    gone = A.filter(lambda: False)
    assert gone.tiles() == {} and live.missing_key(gone.expr.type) == ()
    assert gone.fill(2).compute() == 2.0


# -- Σ and rule E ---------------------------------------------------------------------------------


def test_aggregate_orders_its_keys_as_named():
    A, a = tensor((4, 6), ("i", "j"), 2)
    B = A.aggregate(by=("j", "i"))
    assert B.keys == ("j", "i") and B.expr.type.axes == A.expr.type.axes
    np.testing.assert_array_equal(B.compute(), a)


def test_full_tiles_need_no_key():
    A, a = tensor((6, 4), ("i", "j"), 2)
    B = A.aggregate(by="j")
    assert str(B) == "[j:2] of 2×2/4 float64"
    np.testing.assert_array_equal(B.compute(), a.reshape(3, 2, 4).sum(axis=0))


def test_a_single_live_value_is_put_in():
    A, a = tensor((5, 4), ("i", "j"), 2)
    with pytest.raises(SchemaError, match="last tile along axis 0 is 1 of 2: concat or retile first"):
        A.aggregate(by="j")
    for row, size in ((0, 2), (2, 1)):
        B = A.filter(lambda i, j, row=row: i == row).aggregate(by="j")
        assert B.tile_shape == (size, 2)
        np.testing.assert_array_equal(B.compute(), a[2 * row : 2 * row + size])


def test_rule_e_on_part_of_a_link():
    A, _ = tensor((14,), "i", 6)
    B = A.tile(0, 2, "p").filter(lambda i, p: p == 2).aggregate(by="i")
    assert B.expr.type.axes == (Axis(2, (("i", 3),), 10),) and keys_of(B) == [(0,), (1,)]
    C = A.tile(0, 2, "p").filter(lambda i, p: p == 1).aggregate(by="i")
    assert C.expr.type.axes == (Axis(2, (("i", 3),), 12),) and keys_of(C) == [(0,), (1,)]


@given(relations())
def test_rule_e_is_right_or_refuses(relation):
    type_ = relation.expr.type
    keys = live.live_keys(type_)
    for place, axis in enumerate(type_.axes):
        for gone in type_.names:
            try:
                left = eliminate(axis, place, {gone}, type_)
            except SchemaError:
                assert not live.is_uniform(axis, type_)
                continue
            assert gone not in dict(left.link)
            before = axis.lengths(type_.columns(keys), len(keys))
            after = left.lengths(type_.columns(keys), len(keys))
            assert before.tolist() == after.tolist()


def test_sums_over_a_stack_with_a_dense_part_are_dense():
    A, _ = tensor((6,), "i", 2)
    holed = A.filter(lambda i: i != 1)
    both = stack([holed.expr, A.expr], "n")
    assert live.is_dense(aggregate(both, ["i"], "add").type)
    two = stack([holed.expr, A.filter(lambda i: i == 1).expr], "n")
    assert live.is_dense(aggregate(two, ["i"], "add").type)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "MAX_LISTED", 1)
        unknown = A.filter(lambda i: i * i != 1)
        assert isinstance(unknown.expr.type.live, AtMost)
        assert live.is_dense(unknown.fill(0).expr.type)


# -- ⋈ --------------------------------------------------------------------------------------------


def test_key_names_of_a_join():
    A, _ = tensor((4, 4), ("i", "j"), 2)
    assert A.join(A, on="j", kernel="mul").keys == ("i", "j", "i_2")
    assert A.join(A, on={"j": "i"}, kernel="matmul").keys == ("i", "j", "j_2")
    assert A.join(A, on=[("j", "i")], kernel="matmul").expr == A.join(A, on={1: 0}, kernel="matmul").expr
    assert A.join(A, on=("i", "j"), kernel="add").keys == ("i", "j")
    B = A.rekey(lambda i, j: (i, j), keys=("i_2", "i"))
    assert A.join(B, on=(), kernel="outer").keys == ("i", "j", "i_2", "i_3")


def test_tiles_of_length_one_broadcast():
    A, a = tensor((6, 1), ("i", "j"), (2, 1))
    B, b = tensor((1, 6), ("i", "j"), (1, 2))
    C = A.join(B, on=(), kernel="add")
    assert C.tile_shape == (2, 2) and C.keys == ("i", "j", "i_2", "j_2")
    np.testing.assert_array_equal(C.compute().reshape(6, 6), a + b)
    ones, o = tensor((3,), "i", 1)
    wide, w = tensor((4,), "j", 2)
    D = ones.join(wide, on=(), kernel="mul")
    assert D.shape == (3, 4)
    np.testing.assert_array_equal(D.compute(), np.outer(o, w))


def test_truncation_is_asked_for():
    A, a = tensor((10,), "i", 3)
    B, _ = tensor((7,), "i", 3)
    with pytest.raises(SchemaError, match=r"left \w+\.i has frontier 4, right \w+\.i has frontier 3"):
        A.join(B, on="i", kernel="add")
    with pytest.raises(TypeError, match="do not fit"):
        A.join(
            B, on="i", kernel="add", truncate=True
        )  # the last common tile is 3 on one side and 1 on the other
    C, c = tensor((9,), "i", 3)
    D = A.join(C, on="i", kernel="add", truncate=True)
    assert D.expr.type.domains == (3,) and D.shape == (9,)
    np.testing.assert_array_equal(D.compute(), a[:9] + c)
    E = A.filter(lambda i: i > 0).join(C, on="i", kernel="add", truncate=True)
    assert keys_of(E) == [(1,), (2,)]


def test_joins_pair_what_is_live():
    A, _ = tensor((8,), "i", 2)
    B = A.filter(lambda i: i % 2 == 0).join(A.filter(lambda i: i >= 1), on="i", kernel="mul")
    assert keys_of(B) == [(2,)] and B.shape == (8,)


# -- ReKey ----------------------------------------------------------------------------------------


def test_a_permutation_keeps_domains_and_moves_nothing_else():
    A, a = tensor((10, 6), ("i", "j"), (3, 3))
    B = A.filter(lambda i, j: i < 2).rekey(lambda i, j: (j, i), keys=("j", "i"))
    assert (B.keys, B.expr.type.domains, B.shape) == (("j", "i"), (2, 4), (10, 6))
    np.testing.assert_array_equal(A.rekey(lambda i, j: (j, i), keys=("a", "b")).compute(), a)


def test_a_shift_moves_the_extent():
    A, a = tensor((10,), "i", 3)
    B = A.rekey(lambda i: i + 2, keys="i")
    assert B.expr.type == RelType((Key("i", 6),), (Axis(3, (("i", 1),), 16),), np.dtype("f8"), Box(((2, 6),)))
    np.testing.assert_array_equal(B.fill(0).compute(), np.concatenate([np.zeros(6), a]))
    np.testing.assert_array_equal(B.rekey(lambda i: i - 2, keys="i").compute(), a)


def test_keys_split_and_merge():
    A, a = tensor((11,), "i", 2)
    B = A.rekey(lambda i: (i // 4, i % 4), keys=("p", "q"))
    assert B.expr.type.axes == (Axis(2, (("p", 4), ("q", 1)), 11),) and keys_of(B)[-1] == (1, 1)
    np.testing.assert_array_equal(B.compute(), a)
    C = B.rekey(lambda p, q: p * 4 + q, keys="i")
    assert C.expr.type == A.expr.type


def test_a_constant_key_comes_and_goes():
    A, a = tensor((4, 5), ("i", "j"), 2)
    B = A.rekey(lambda i, j: (3, i, j), keys=("c", "i", "j"))
    assert B.expr.type.domains == (4, 2, 3) and B.expr.type.live == Box(((3, 4), (0, 2), (0, 3)))
    back = B.rekey(lambda c, i, j: (i, j), keys=("i", "j"))
    assert back.expr.type == A.expr.type
    row = A.filter(lambda i, j: i == 1).rekey(lambda i, j: j, keys="j")
    assert str(row) == "[j:3] of 2×2/5 float64"
    np.testing.assert_array_equal(row.compute(), a[2:])


def test_the_extent_is_clipped_to_what_the_keys_reach():
    A, a = tensor((10, 6), ("i", "j"), 2)
    D = A.filter(lambda i, j: i == j).rekey(lambda i, j: i, keys="i")
    assert D.expr.type.axes == (Axis(2, (("i", 1),), 6), Axis(2, (("i", 1),), 6)) and live.is_dense(
        D.expr.type
    )
    np.testing.assert_array_equal(D.transform("diag").compute(), np.diag(a))


def test_a_redundant_key_does_not_hide_the_link():
    A, _ = tensor((23,), "i", 2)
    B = A.rekey(lambda i: (i // 4, i % 4, i // 4), keys=("p", "q", "r"))
    assert sorted(dict(B.expr.type.axes[0].link).values()) == [1, 4]
    C = A.rekey(lambda i: (i // 4, i % 4, i // 4 + i % 4), keys=("p", "q", "r"))
    check_type(C.expr, C.tiles())


def test_a_reversal_of_ragged_tiles_is_refused():
    A, _ = tensor((11,), "i", 2)
    with pytest.raises(SchemaError, match="do not say how long the tiles"):
        A.rekey(lambda i: 5 - i, keys="i")
    full, a = tensor((12,), "i", 2)
    B = full.rekey(lambda i: 5 - i, keys="i")
    assert B.shape == (6, 2)  # the keys no longer say where tiles lie
    np.testing.assert_array_equal(B.compute(), a.reshape(6, 2)[::-1])


def test_large_key_sets_are_bounded_while_building_and_checked_when_run():
    A, _ = tensor((30, 30), ("i", "j"), 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "MAX_LISTED", 50)
        B = A.rekey(lambda i, j: (i * 10 + j, 0), keys=("p", "q"))
        assert B.expr.type.live == AtMost(((0, 100), (0, 1))) and B.expr.type.domains == (100, 1)
        C = A.rekey(lambda i, j: (i + j, 0), keys=("p", "q"))
        with pytest.raises(SchemaError, match=r"keys \(0, 1\) and \(1, 0\) both become \(1, 0\)"):
            C.tiles()
        with pytest.raises(SchemaError, match="too many keys"):
            A.rekey(lambda i, j: (max(i, j), min(i, j)), keys=("p", "q"))
        with pytest.raises(SchemaError, match="may be negative"):
            A.rekey(lambda i, j: (i, j - 2 * i), keys=("p", "q"))
        D = A.rekey(lambda i, j: (j, i), keys=("p", "q"))  # moves alone need no list
        assert isinstance(D.expr.type.live, Box)


# -- Tile and Concat ------------------------------------------------------------------------------


def test_pieces_past_the_extent_are_no_holes():
    A, a = tensor((8,), "i", 3)
    B = A.tile(0, 1, "p")
    assert live.is_dense(B.expr.type) and len(B.tiles()) == 8 and B.expr.type.domains == (3, 3)
    assert B.concat("p", 0).expr.type == A.expr.type
    np.testing.assert_array_equal(B.compute(), a)


@given(st.data())
def test_concat_undoes_tile(data):
    n, first, second = (
        data.draw(st.sampled_from([0, 1, 7, 11])),
        data.draw(st.integers(1, 4)),
        data.draw(st.integers(1, 3)),
    )
    A, a = tensor((n,), "i", first * second)
    B = A.tile(0, first, "p") if A.tile_shape[0] % first == 0 and n else A
    np.testing.assert_array_equal(B.compute(), a)
    C = B.concat(B.keys[-1], 0)
    np.testing.assert_array_equal(C.compute(), a)


def test_concat_of_the_coarse_key():
    A, a = tensor((7,), "i", 4)
    B = A.tile(0, 4, "p")  # one piece each
    assert B.concat("i", 0).expr.type.axes == (Axis(8, (("p", 1),), 7),)
    np.testing.assert_array_equal(B.concat("i", 0).compute(), a)
    with pytest.raises(SchemaError, match="the last tile along it is shorter, and i is not the finest"):
        A.tile(0, 2, "p").concat("i", 0)


def test_concat_needs_whole_groups_only():
    A, a = tensor((10, 6), ("i", "j"), 3)
    B = A.filter(lambda i, j: i >= 2).concat("j", 1)
    assert keys_of(B) == [(2,), (3,)]
    np.testing.assert_array_equal(np.concatenate(list(B.tiles().values())), a[6:])
    C = A.filter(lambda i, j: (i + 1) % 2 == 0).concat("j", 1)
    assert keys_of(C) == [(1,), (3,)]
    with pytest.raises(SchemaError, match=r"no tile at key \(2, 0\)"):
        A.filter(lambda i, j: (i != 2) | (j != 0)).concat("j", 1)
    with pytest.raises(SchemaError, match=r"no tile at key \(0, 1\)"):
        A.filter(lambda i, j: j < 1).concat("j", 1)


def test_groups_of_different_sizes_do_not_glue_along_another_axis():
    A, _ = tensor((10, 2), "i", 2)  # five tiles
    B = A.rekey(lambda i: (i // 3, i % 3), keys=("p", "q"))  # three, and two
    assert B.concat("q", 0).expr.type.axes[0] == Axis(6, (("p", 1),), 10)
    with pytest.raises(
        SchemaError, match=r"groups differ in their number of tiles \(there is none at \(1, 2\)\)"
    ):
        B.concat("q", 1)


def test_a_domain_beyond_the_extent_is_not_glued():
    A, _ = tensor((18,), "i", 8)  # pieces 8, 8, 2
    B = A.tile(0, 2, "p").filter(lambda i, p: p == 2).aggregate(by="i")  # i: 0, 1 of 3
    assert B.expr.type.domains == (3,) and keys_of(B) == [(0,), (1,)] and live.is_dense(B.expr.type)
    with pytest.raises(SchemaError, match="groups differ"):
        B.concat("i", 0)
    with pytest.raises(SchemaError, match="overlap or leave gaps"):
        B.compute()


def test_concat_along_an_axis_the_key_does_not_cut():
    A, a = tensor((4, 6), ("i", "j"), 2)
    B = A.concat("j", 0)  # both axes are full along j
    assert B.tile_shape == (6, 2)
    np.testing.assert_array_equal(B.tiles()[(1,)], np.concatenate(np.split(a[2:], 3, axis=1)))


# -- Stack and generated sources ------------------------------------------------------------------


@given(dtypes())
def test_stacks_lead_with_their_number(dtype):
    A, a = tensor((5,), "i", 2, dtype)
    S = Relation(stack([A.expr, A.expr], "n"), A.sources)
    assert S.keys == ("n", "i") and S.shape == (2, 5)
    np.testing.assert_array_equal(S.compute(), [a, a])


def test_constants_live_where_their_type_says():
    type_ = RelType((Key("i", 3),), (Axis(2, (("i", 1),), 5),), np.dtype("i4"), KeySet(np.array([[0], [2]])))
    tiles = Relation(generated(type_, Constant(7)), {}).tiles()
    assert {key: tile.tolist() for key, tile in tiles.items()} == {(0,): [7, 7], (2,): [7]}
