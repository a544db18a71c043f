"""The text of relations: what it looks like, what it takes from outside, and what has none."""

import re

import numpy as np
import pytest

import tra
from tra.algebra import registry
from tra.algebra.kernel import bind_literal, kernel, make_kernel
from tra.algebra.nodes import Constant
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.sources import tensor_type
from tra.algebra.types import AtMost, RelType
from tra.errors import QueryError
from tra.sql.printer import to_text

A = tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A")
B = tra.from_array(np.arange(24.0).reshape(4, 6), keys=("j", "k"), tile=(3, 2), name="B")
U = tra.from_array(
    np.arange(24.0).reshape(4, 6), keys=("i", "j"), tile=(2, 3), name="U"
)  # all tiles are full

# --- texts -----------------------------------------------------------------------------------------


def test_text_of_a_matrix_product(check_round_trip):
    assert check_round_trip(A @ B) == (
        "-- pass by name: A, [i:3, j:2] of 2/5×3/4 float64\n"
        "-- pass by name: B, [j:2, k:3] of 3/4×2/6 float64\n"
        "SELECT A.i, B.k, SUM(MATMUL(A.tile, B.tile)) AS tile FROM A JOIN B ON A.j = B.j GROUP BY A.i, B.k;"
    )


def test_a_node_that_is_used_twice_is_printed_once(check_round_trip):
    shared = tra.relu(A)
    for _ in range(12):
        shared = shared + shared
    text = check_round_trip(shared)
    assert text.count("RELU") == 1
    assert len(text.splitlines()) < 60


def test_a_source_alone(check_round_trip):
    assert check_round_trip(A).splitlines()[1] == "A;"


def test_a_deep_expression_is_split_into_views(check_round_trip):
    deep = A
    for _ in range(1000):
        deep = deep + 1
    assert check_round_trip(deep).count("CREATE VIEW") == 333


def test_views_are_not_called_as_sources(check_round_trip):
    r0 = tra.from_array(np.ones(3), name="r0")
    text = check_round_trip(tra.concatenate([(r0 + 1).retile(2), r0]) @ np.ones(6))
    assert "VIEW r0_2 AS" in text and "VIEW r0 AS" not in text


def test_two_sources_of_one_name(check_round_trip):
    other = tra.from_array(np.ones((5, 4)), keys=("i", "j"), tile=(2, 3), name="A")
    text = check_round_trip(A * other + A)
    assert "-- pass by name: A_2, " in text


@pytest.mark.parametrize("name", ["select", "a b", 'quo"te', "Tile", "é", "r0"])
def test_names_that_need_quotes(name, check_round_trip):
    odd = tra.from_array(np.ones((2, 2)), keys=(name, "tile"), name=name)
    check_round_trip(odd.aggregate(by="tile"))
    check_round_trip(odd.rekey(lambda a, b: (b, a + 1), keys=("tile", name)))


def test_a_name_with_a_line_break(check_round_trip):
    check_round_trip(tra.from_array(np.ones(2), name="a\nb") + 1)
    with pytest.raises(QueryError, match="cannot be written as a name"):
        to_text(tra.from_array(np.ones(2), keys=("a\nb",)) + 1)


# --- files -----------------------------------------------------------------------------------------


def test_files_are_loaded(tmp_path, check_round_trip):
    np.save(tmp_path / "a.npy", np.ones((5, 4)))
    A.save(tmp_path / "b.tra")
    a = tra.open(tmp_path / "a.npy", keys=("p", "q"), tile=(2, 3), name="a")
    b = tra.open(tmp_path / "b.tra", keys=("q", "p"))
    text = check_round_trip(a + b)
    assert text.startswith(f"LOAD a(p, q) FROM '{tmp_path}/a.npy' TILE (2, 3);\nLOAD b(q, p) FROM '")
    np.testing.assert_allclose(tra.sql(text, allow="/").relation.compute(), 1 + A.compute())
    check_round_trip(tra.open(tmp_path / "a.npy", keys=()) + 1)


def test_files_of_one_name(tmp_path, check_round_trip):
    folders = [tmp_path / "one", tmp_path / "two"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        np.save(folder / "a.npy", np.full(3, float(number + 1)))
    one, two = (tra.open(folder / "a.npy") for folder in folders)
    three = tra.from_array(np.full(3, 4.0), name="a")
    text = check_round_trip(one - two * three)
    assert "CREATE VIEW a_3 AS a;\nLOAD a" in text
    assert tra.sql(text, allow="/", a_2=three).relation.compute().tolist() == [-7.0] * 3
    check_round_trip(one + tra.open(folders[0] / "a.npy", keys=("n",), tile=2))


def test_an_empty_file(tmp_path, check_round_trip):
    np.save(tmp_path / "a.npy", np.ones((0, 4)))
    check_round_trip(tra.open(tmp_path / "a.npy") * 2)


# --- what has no text ------------------------------------------------------------------------------


def test_opaque_functions_are_refused():
    with pytest.raises(
        QueryError, match=r"the ReKey to \(a, b\) has no text.*could not be traced.*arithmetic"
    ):
        to_text(U.rekey(lambda i, j: ([1, 0][i], j), keys=("a", "b")))
    with pytest.raises(QueryError, match=r"a filter of \[i:3, j:2\] .* has no text"):
        to_text(A.filter(lambda i, j: i in {0, 2}))


def test_what_explain_shows_for_them():
    assert A.filter(lambda i, j: i in {0, 2}).explain().query is None


def test_kernels_of_the_user(check_round_trip):
    @tra.kernel("()->()", name="Twice as Much")
    def twice(x):
        return 2 * x

    text = check_round_trip(A.transform(twice))
    assert text.startswith("-- pass by name: A") and "\n-- register the kernel: Twice as Much\n" in text
    old = A.transform(twice)
    tra.kernel("()->()", name="Twice as Much")(lambda x: x + x)
    with pytest.raises(
        QueryError, match=r"has no text: it is not the kernel that is registered as 'Twice as Much'"
    ):
        to_text(old)
    with pytest.raises(QueryError, match="registered as 'unheard of'"):
        to_text(A.transform(make_kernel("unheard of", "()->()", np.abs)))


def test_a_kernel_called_sum(check_round_trip):
    try:
        tra.kernel("()->()", name="sum")(lambda x: x)
        text = check_round_trip(U.transform("sum").aggregate(by="i"))
        assert "ADD(SUM(U.tile))" in text
    finally:
        registry._REGISTRY.pop("sum")


def test_numbers_of_numpy():
    assert "size => 3" in to_text(tra.one_hot(A.astype(int), size=np.int64(3)))
    with pytest.raises(QueryError, match=r"np.float64\(2.0\) is a float64, which query text cannot say"):
        to_text(A.transform(bind_literal(kernel("mul"), 1, np.float64(2.0))))


def test_keys_that_are_known_only_later():
    type_ = tensor_type((4,), "f8", ("i",), 2)
    later = RelType(type_.keys, type_.axes, type_.dtype, AtMost(((0, 2),)))
    with pytest.raises(QueryError, match="known only when it runs"):
        to_text(Relation(generated(later, Constant(0)), {}))


def test_comments_name_every_tensor_once():
    text = to_text(A @ B + A @ B)
    assert re.findall("-- pass by name: (.*?),", text) == ["A", "B"]
