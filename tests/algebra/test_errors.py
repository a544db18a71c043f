"""What errors say: what happened with both operands' facts, what is legal, and a near name."""

import numpy as np
import pytest

import tra
from tra.algebra.nodes import Constant, Iota, Random
from tra.algebra.operators import generated, stack
from tra.algebra.sources import tensor_type
from tra.algebra.types import Axis
from tra.errors import (
    ArgumentError,
    CatalogError,
    KernelError,
    MemoryLimitError,
    PlanError,
    QueryError,
    SchemaError,
    TraError,
    near_name,
)

A = tra.from_array(np.ones((1024, 512)), keys=("i", "j"), tile=(256, 256), name="A")
B = tra.from_array(np.ones((768, 512)), keys=("j", "k"), tile=(256, 256), name="B")
BYTES = tensor_type((300,), "u1", ("i",), 100)
RAGGED = tra.from_array(np.ones((10, 6)), keys=("i", "j"), tile=(4, 3), name="R")
HOLED = tra.from_tiles({(0, 0): np.ones((2, 2)), (1, 1): np.ones((2, 2))}, keys=("i", "j"), name="H")


def test_unequal_frontiers_of_a_join():
    with pytest.raises(SchemaError) as caught:
        A.join(B, on={"i": "j"}, kernel="matmul")
    assert str(caught.value) == (
        "cannot join on i: left A.i has frontier 4, right B.j has frontier 3\n"
        "  left  A[i:4, j:2] of 256/1024×256/512 float64\n"
        "  right B[j:3, k:2] of 256/768×256/512 float64\n"
        "  hint: A's axis 0 has extent 1024 in tiles of 256, B's axis 0 has 768 in tiles of 256; "
        "the tensors do not match (truncate=True joins the common part)"
    )
    finer = tra.from_array(np.ones((1024, 2)), keys=("i", "c"), tile=(128, 2), name="F")
    with pytest.raises(
        SchemaError, match=r"F's axis 0 has 1024 in tiles of 128; retile one of them with \.retile"
    ):
        A.join(finer, on="i", kernel="mul")
    free = tra.from_tiles({(n,): 1.0 for n in range(3)}, keys="n")
    with pytest.raises(SchemaError, match="truncate=True joins the keys that both have"):
        (A + 1).join(free, on={"i": "n"}, kernel="mul")


def test_tiles_that_do_not_fit_a_kernel():
    with pytest.raises(KernelError) as caught:
        A.join(RAGGED, on=(), kernel="matmul")
    assert str(caught.value) == (
        "matmul: the tiles do not fit along dimension n\n"
        "  axis 1 of operand 1 is 256 long, cut by j, extent 512\n"
        "  axis 0 of operand 2 is 4 long, cut by i_2, extent 10\n"
        "  hint: join on the keys that cut this axis, with equal tile sizes; .retile(...) changes them\n"
        "  left  [i:4, j:2] of 256/1024×256/512 float64\n"
        "  right [i:3, j:2] of 4/10×3/6 float64"
    )


SCHEMA = [
    (lambda: A.aggregate(by="ii"), "unknown key 'ii': the keys of relation .* are i, j; did you mean 'i'"),
    (lambda: A.aggregate(by=2), "there is no key 2: .* has 2 keys, counted from 0"),
    (lambda: A.aggregate(by=("i", "i")), "aggregate names a key twice: i, i"),
    (lambda: A.join(B, on="k", kernel="add"), r"unknown key 'k': the keys of left \[i:4, j:2\] .* are i, j"),
    (lambda: A.join(B, on="i", kernel="add"), r"unknown key 'i': the keys of right \[j:3, k:2\] .* are j, k"),
    (lambda: A.join(B, on=[("i", "j"), ("i", "k")], kernel="add"), "join names a key twice: i, i"),
    (lambda: A.join(B, on=[("i", "j", "k")], kernel="add"), "key names or pairs"),
    (
        lambda: RAGGED.aggregate(by="j"),
        "last tile along axis 0 is 2 of 4: concat or retile first\n.*\n.*key i",
    ),
    (
        lambda: A.rekey(lambda i, j: i, keys="i"),
        r"not injective: keys \(0, 0\) and \(0, 1\) both become \(0,\); aggregate over the dropped keys",
    ),
    (
        lambda: A.rekey(lambda i, j: (i // 2, j), keys=("i", "j")),
        r"keys \(0, 0\) and \(1, 0\) both become \(0, 0\)",
    ),
    (
        lambda: A.rekey(lambda i, j: (i - 1, j), keys=("i", "j")),
        r"key \(0, 0\) to \(-1, 0\): keys are not negative",
    ),
    (lambda: A.rekey(lambda i, j: (i, j), keys=("i",)), r"2 components for 1 keys \(i\)"),
    (lambda: A.rekey(lambda i, j: (i, j), keys=("i", "i")), "rekey names a key twice"),
    (lambda: A.rekey(lambda i, j: [(0, 0), (1,)][i], keys="i"), "different lengths|fails on key"),
    (lambda: A.filter(lambda i: i > 0), r"takes \(i\), but the keys are \(i, j\)"),
    (lambda: A.filter(lambda i, j: (i > 0, j > 0)), "one truth value; this one gives 2"),
    (
        lambda: A.tile(axis=0, size=100, key="p"),
        r"cannot tile axis 0 .* by 100: .* tiles of 256 already.*\.retile",
    ),
    (lambda: A.tile(axis=0, size=0, key="p"), "at least 1; got 0"),
    (lambda: A.tile(axis=2, size=2, key="p"), "there is no axis 2: .* tiles of 2 axes"),
    (lambda: A.tile(axis=0, size=2, key="i"), "the key 'i' exists already"),
    (
        lambda: HOLED.concat("i", 0),
        r"concat over i needs a dense relation: .* has no tile at key \(0, 1\); .*fill\(0\)",
    ),
    (lambda: HOLED.compute(), r"compute needs a dense relation: .* has no tile at key \(0, 1\)"),
    (
        lambda: HOLED + 1,
        r"add\(·, 1\) needs a dense relation: .* key \(0, 1\), and absent is not the same as zero",
    ),
    (lambda: HOLED.max(), r"max needs a dense relation: .* key \(0, 1\)"),
    (
        lambda: A + B,
        r"shapes \(1024, 512\) and \(768, 512\) do not broadcast\n  left .*\n  right .*\n.*1024 and 768",
    ),
    (lambda: A @ A, r"matmul of shapes .* inner extents 512 and 1024 differ\n  left  A\[.*\n  right A\["),
    (lambda: tra.from_array(np.ones((2, 2)), keys=("i", "j", "k")), "3 keys .* for an array of 2 axes"),
    (lambda: tra.from_array(np.ones((2, 2)), keys=("i", "i")), "names a key twice"),
    (lambda: tra.from_array(np.ones((2, 2)), keys=("i", 3)), "key names are strings; got 3"),
    (lambda: tra.from_array(np.ones((2, 2)), tile=(1, 2, 3)), "has 3 sizes for 2 keys"),
    (lambda: tra.from_array(np.ones((2, 2)), tile=0), "at least 1; got tile"),
    (lambda: tra.from_array(np.ones((2, 2)), tile=1.5), "integers of at least 1|not iterable"),
    (
        lambda: tra.from_array(np.ones((4, 4)), keys="i", tile=(2, 2)),
        "cuts axis 1, extent 4, but no key counts",
    ),
    (lambda: tra.from_array(np.array(["a"])), "booleans or numbers; got an array of <U1"),
    (lambda: tra.from_tiles({}, keys="i"), "an empty relation needs axes= and domain="),
    (lambda: tra.from_tiles({(0, 0): 1.0}, keys="i"), r"key \(0, 0\) does not fit the keys \(i\)"),
    (lambda: tra.from_tiles({-1: 1.0}, keys="i"), r"key \(-1,\) does not fit"),
    (lambda: tra.from_tiles({1.5: 1.0}, keys="i"), "a key is made of integers; got 1.5"),
    (
        lambda: tra.from_tiles({0: 1.0, 1: [1.0]}, keys="i"),
        r"one dtype and one rank; got float64 and ranks \[0, 1\]",
    ),
    (lambda: tra.from_tiles({0: 1.0, 1: 1}, keys="i"), "one dtype and one rank; got float64, int64"),
    (lambda: tra.from_array(np.zeros(2, [("x", "f8")])), r"booleans or numbers; got an array of \[\('x'"),
    (lambda: tra.from_tiles({0: np.zeros(2, "f8,f8")}, keys="i"), "booleans or numbers; got"),
    (lambda: tra.from_tiles({0: "a"}, keys="i"), "booleans or numbers"),
    (lambda: tra.from_tiles({3: 1.0}, keys="i", domain=(2,)), r"key \(3,\) lies outside the domain \(2,\)"),
    (lambda: tra.from_tiles({0: 1.0}, keys="i", domain=(0,)), "one positive number each"),
    (lambda: tra.from_tiles({0: 1.0}, keys="i", domain=(2, 2)), "does not fit the keys"),
    (
        lambda: tra.from_tiles({(0, 0): np.ones((2, 2)), (0, 1): np.ones((3, 2))}, keys=("i", "j")),
        r"the tile at key \(0, [01]\) has shape .*, but .* makes it",
    ),
    (
        lambda: tra.from_tiles({0: np.ones(2)}, keys="i", axes=[Axis(2, (("k", 1),), 2)]),
        "linked to 'k', but the keys",
    ),
    (
        lambda: tra.from_tiles({0: np.ones(2)}, keys="i", axes=[Axis(2, (("i", 1),), 9)]),
        "extent 9, but its tiles reach",
    ),
    (
        lambda: tra.from_tiles({0: np.ones(2)}, keys="i", axes=[Axis(2, (("i", -1),), 2)]),
        "coefficients of links",
    ),
    (lambda: tra.from_tiles({0: np.ones(2)}, keys="i", axes=[]), "describes 0 axes, but the tiles have 1"),
    (
        lambda: tra.from_tiles({(2**63, 0): np.ones((2, 2))}, ("i", "j")),
        r"key \(9223372036854775808, 0\) is too large: components of keys are 4611686018427387902 at most",
    ),
    (lambda: tra.from_tiles({(2**62 - 2,): np.ones(2)}, "i"), "an extent is 4611686018427387903 at most"),
    (
        lambda: tra.from_coo({"i": np.array([2**63], "u8"), "x": [1.0]}, ("i",), "x"),
        "coordinate 9223372036854775808 of 'i' is too large: 4611686018427387902 is the largest",
    ),
    (
        lambda: tra.from_coo({"i": np.array([2**63 - 1]), "x": [1.0]}, ("i",), "x", shape=(8,)),
        "coordinate 9223372036854775807 of 'i' is too large",
    ),
    (lambda: stack([], "n"), "at least one relation"),
    (lambda: stack([A.expr, B.expr], "n"), "different types\n  first .*\n  other "),
    (lambda: stack([A.expr], "i"), "exists already"),
    (lambda: generated(A.expr.type, Iota(4)), "there is no axis 4"),
    (
        lambda: generated(A.expr.type, Random("cauchy", (0, 1), 0)),
        "unknown distribution 'cauchy': uniform or normal",
    ),
    (lambda: generated(A.expr.type, Random("uniform", (0, np.inf), 0)), "takes finite numbers; got UNIFORM"),
    (lambda: generated(A.expr.type, Random("uniform", (True, "1"), 0)), r"finite numbers; .*\(True, '1'\)"),
    (lambda: generated(A.expr.type, Random("normal", (0, 1e308), 0)), "draws numbers that are finite in fl"),
    (lambda: generated(A.expr.type, Random("normal", (0, 10**400), 0)), "takes finite numbers"),
    (
        lambda: generated(BYTES, Random("uniform", (0, 257), 0)),
        r"that uint8 holds; UNIFORM\(0, 257\) does not",
    ),
    (lambda: generated(BYTES, Random("uniform", (-1, 2), 0)), r"holds; .* does not: it goes from 0 to 255"),
    (lambda: generated(BYTES, Random("normal", (100, 20), 0)), r"holds; NORMAL\(100, 20\) does not"),
    (lambda: generated(BYTES, Constant(256)), "256 is no value of dtype uint8: it goes from 0 to 255"),
    (lambda: generated(BYTES, Constant(1.5)), "1.5 is no value of dtype uint8: it is no integer"),
    (lambda: generated(BYTES, Constant(np.nan)), "nan is no value of dtype uint8: it is no integer"),
    (lambda: generated(BYTES, Constant(10**400)), "one of 1329 bits is no value of dtype uint8"),
    (lambda: generated(BYTES, Constant(np.int64(-1))), "is no value of dtype uint8"),
    (lambda: generated(BYTES, Constant("a")), "'a' is no value of dtype uint8: it is no number"),
    (lambda: generated(A.expr.type, Constant(1j)), "1j is no value of dtype float64: it is complex"),
    (lambda: generated(A.expr.type, Constant(10**400)), "one of 1329 bits is no value of dtype float64"),
    (lambda: generated(BYTES, Iota(0)), "IOTA counts to 299, which is no value of dtype uint8"),
    (lambda: generated(A.expr.type, Random("uniform", (0, 1), -1)), r"from 0 to 2\*\*64 - 1; got -1"),
]

KERNEL = [
    (lambda: A.transform("rellu"), "unknown kernel 'rellu'; did you mean 'relu'"),
    (lambda: A.aggregate("i", "avg"), r"unknown kernel 'avg'.*\n  hint: it is no fold .* A\.mean\(axis\)"),
    (lambda: A.aggregate("i", "sum"), "unknown kernel 'sum'; did you mean 'add'"),
    (lambda: A.aggregate("i", "zork"), "unknown kernel 'zork'\n  hint: kernels are abs, add, "),
    (
        lambda: A.transform("add"),
        "cannot transform with add: it takes 2 operands; join two relations with it",
    ),
    (
        lambda: A.join(A, on=(), kernel="relu"),
        "cannot join with relu: it takes 1 operands, a join kernel takes 2",
    ),
    (lambda: A.aggregate(by="i", kernel="sub"), "cannot aggregate with sub: .* associative and commutative"),
    (lambda: A.aggregate(by="i", kernel="logical_or"), "turns float64 into bool; cast first"),
    (
        lambda: tra.from_array(np.ones(3)).transform("diag"),
        r"diag \(n,n\)->\(n\) takes tiles of at least 2 axes",
    ),
    (lambda: RAGGED.transform("diag"), "axis 0 of operand 1 is 4 long.*\n  axis 1 of operand 1 is 3 long"),
    (lambda: A.transform("squeeze"), "takes tiles of length 1 there; got one 256 long, cut by j, extent 512"),
    (
        lambda: tra.kernel("(n)->(m)", name="unsized")(lambda x: x) and A.transform("unsized"),
        "does not say the size of its output dimension 'm'",
    ),
]


@pytest.mark.parametrize("number", range(len(SCHEMA)))
def test_schema_errors(number):
    wrong, words = SCHEMA[number]
    with pytest.raises((SchemaError, TypeError) if "not iterable" in words else SchemaError, match=words):
        wrong()


@pytest.mark.parametrize("number", range(len(KERNEL)))
def test_kernel_errors(number):
    wrong, words = KERNEL[number]
    with pytest.raises(KernelError, match=words):
        wrong()


def test_errors_are_the_errors_numpy_users_expect():
    for error, base in [
        (SchemaError, ValueError),
        (KernelError, TypeError),
        (ArgumentError, TypeError),
        (CatalogError, KeyError),
        (PlanError, Exception),
        (MemoryLimitError, MemoryError),
        (QueryError, Exception),
    ]:
        assert issubclass(error, TraError) and issubclass(error, base)
    assert str(CatalogError("no file")) == "no file" and str(CatalogError()) == ""
    assert near_name("MATMULL", ["matmul"]) == "; did you mean 'matmul'?"


def test_generated_constants_have_no_session_of_their_own():
    assert generated(A.expr.type, Constant(0)).children == ()


def test_key_functions_with_the_keys_in_another_order():
    with pytest.raises(SchemaError, match=r"takes \(j, i\), but the keys come in the order \(i, j\)"):
        tra.from_array(np.ones((2, 2))).filter(lambda j, i: i == j)


def test_a_kernel_without_a_signature():
    with pytest.raises(KernelError, match="a kernel needs its shape law"):
        tra.kernel(lambda x: x)


def test_casts_to_no_number():
    with pytest.raises(SchemaError, match="tensors are of booleans or numbers"):
        tra.from_array(np.ones(2)).astype(str)


OTHER_WAYS = [
    (lambda: tra.from_array("a.npy"), r"got the text 'a\.npy'\n  hint: tra\.open\(path\)"),
    (lambda: np.asarray(HOLED), r"(?s)needs a dense relation.*hint: .*tra\.from_array\(M\) @ S"),
    (lambda: HOLED + tra.from_tiles({(0,): np.ones((2, 2))}, keys="i"), r"hint: .* what neither has stays"),
    (lambda: tra.connect("local", memory_limit=1), "less than an interpreter .* did you mean '1GB'"),
    (lambda: tra.connect("local", memory_limit="1MB"), "less than an interpreter takes$"),
    (lambda: tra.connect("local", memory_limit="300"), r"less than an interpreter .* did you mean '300MB'"),
]


@pytest.mark.parametrize("number", range(len(OTHER_WAYS)))
def test_errors_that_name_another_way(number):
    call, words = OTHER_WAYS[number]
    with pytest.raises(TraError, match=words):
        call()


def test_holes_stay_where_relations_are_cut_alike():
    other = tra.from_tiles(
        {(0, 0): np.ones((2, 2)), (0, 1): np.ones((2, 2)), (1, 0): np.ones((2, 2))}, ["i", "j"]
    )
    assert sorted((HOLED + other).tiles()) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    other = tra.from_tiles({(0, 0): np.ones((2, 2)), (1, 1): np.ones((2, 2))}, ["k", "l"])
    assert sorted((HOLED + other).tiles()) == [(0, 0), (1, 1)]


def test_a_product_with_a_matrix_on_the_left_is_a_query_as_the_error_says():
    sparse = pytest.importorskip("scipy.sparse")
    M = sparse.csr_matrix(np.arange(16.0).reshape(4, 4))
    with pytest.raises(SchemaError, match=r"tra\.from_array\(M\) @ S"):
        M @ HOLED
    product = tra.from_array(M, tile=2) @ HOLED
    np.testing.assert_array_equal(product.compute(), M @ HOLED.fill(0).compute())
