"""What is said of arguments of the wrong kind: what happened, what is legal, and a near name."""

import numpy as np
import pytest

import tra
from tra.errors import KernelError, SchemaError, TraError

a = np.arange(6.0).reshape(2, 3) - 2
A = tra.from_array(a, keys=("i", "j"), tile=(1, 2), name="A")
B = tra.from_array(a + 1, keys=("i", "j"), tile=(1, 2), name="B")


@tra.kernel("()->()")
def forgetful(x):
    x + 1


@tra.kernel("(n)->(n)")
def listed(x):
    return [float(element) * 2 for element in x]


@tra.kernel("()->()")
def two_for_one(x):
    return [1.0, 2.0]


@tra.kernel("(n)->()")
def worded(x):
    return "sum"


KERNEL = [
    (
        lambda: A.transform(np.exp),
        "transform takes a kernel or the name of one, got numpy.exp; did you mean 'exp'",
    ),
    (lambda: A.transform(np.multiply), "got numpy.multiply; did you mean 'mul'"),
    (lambda: A.transform(np.arctan), "got numpy.arctan$"),
    (lambda: A.transform(tra.relu), "got the function relu; did you mean 'relu'"),
    (
        lambda: A.transform(lambda x: x),
        r'got the function <lambda>; @tra.kernel\("\(\)->\(\)"\) makes one of it',
    ),
    (lambda: A.transform(None), "got None"),
    (
        lambda: A.aggregate("i", np.add),
        "aggregate takes a kernel or the name of one, got numpy.add; did you mean 'add'",
    ),
    (lambda: A.join(B, "i", np.multiply), "join takes a kernel .* did you mean 'mul'"),
    (
        lambda: A.transform(forgetful),
        "forgetful gives None on tiles of float64, .*\n  hint: .* without a return",
    ),
    (lambda: A.transform(two_for_one), r"gives shape \(2,\) .* signature \(\)->\(\) makes it \(\)"),
    (
        lambda: A.transform(worded),
        "kernel worded gives an array of <U3 on tiles of float64, not an array of numbers",
    ),
]
SCHEMA = [
    (lambda: A.join(a, "i", "mul"), "join takes a relation, got ndarray; tra.from_array makes one"),
    (
        lambda: A.join(B, 1.5, "mul"),
        r"a key is a name or a place; got 1.5, and the keys of left \[i:2.* are i, j",
    ),
    (lambda: A.join(B, None, "mul"), r"`on` takes key names or pairs \(left, right\); got None"),
    (lambda: A.join(B, ("i", None), "mul"), "`on` takes key names or pairs"),
    (lambda: A.aggregate(None), "a key is a name or a place; got None, and the keys of relation .* are i, j"),
    (lambda: A.aggregate(["i", 1.5]), "a name or a place; got 1.5"),
    (lambda: A.concat(None, 0), "a name or a place; got None"),
    (lambda: A.concat("i", "j"), "an axis is an integer; got 'j'"),
    (lambda: A.filter("i"), "filter takes a function of the keys, as in lambda i, j: …; got 'i'"),
    (lambda: A.rekey("i", "i"), "rekey takes a function of the keys, as in lambda i, j: …; got 'i'"),
    (lambda: A.rekey(lambda i, j: (i, j), None), "key names are strings; got None"),
    (lambda: A.tile("i", 1, "p"), "an axis is an integer; got 'i'"),
    (lambda: A.tile(0, 1.0, "p"), "a tile size is an integer; got 1.0"),
    (lambda: A.tile(0, 1, 3), "key names are strings; got 3"),
    (lambda: A.retile(1.5, 1), "a tile size is an integer; got 1.5"),
    (lambda: A.retile((1,), 1), r"a tile size is an integer; got \(1,\)"),
    (lambda: A.fill("x"), "filled with a number or a truth value; got 'x'"),
    (lambda: A.transpose("ij"), "an axis is an integer; got 'i'"),
    (lambda: A.astype("flaot"), r"cannot cast \[i:2.* to 'flaot': there is no such dtype"),
    (lambda: tra.concatenate(A, B), r"takes a list of tensors, as in tra.concatenate\(\[A, B\], axis=0\)"),
    (lambda: tra.concatenate([A, B], axis="i"), "an axis is an integer; got 'i'"),
    (lambda: tra.einsum(A, B), r"equation first, as in tra.einsum\('ij,jk->ik', A, B\); got Relation"),
    (lambda: tra.from_array([[1], [1, 2]]), "an array has rows of one length"),
    (lambda: tra.from_array(a, keys=3), "key names are strings; got 3"),
    (lambda: tra.from_array(a, tile=1.5), r"integers of at least 1; got tile=\(1.5, 1.5\)"),
    (lambda: tra.from_tiles([a], keys="i"), "takes tiles by key, .*; got list, and tra.from_array makes"),
    (
        lambda: tra.from_array(np.ma.masked_array(a, a > 1)),
        r"a tensor has no mask; got a masked array, .*\n  hint: array\.filled\(value\) .*; tra\.from_tiles",
    ),
    (lambda: A + np.ma.masked_array(a, a > 1), "a tensor has no mask"),
    (
        lambda: tra.from_array(a, keys="ij"),
        r"keys='ij' is one key, called ij, for an array of 2 axes\n  hint: keys=\('i', 'j'\) names one per",
    ),
    (lambda: tra.from_array(a, keys=("", "j")), r"key names are not empty; got \('', 'j'\)"),
    (lambda: tra.from_array(a, name=3), "the name of a relation is a string; got name=3"),
    (lambda: tra.from_tiles({0: a}, keys="i", name=3), "the name of a relation is a string; got name=3"),
]


@pytest.mark.parametrize("number", range(len(KERNEL)))
def test_what_is_no_kernel(number):
    wrong, words = KERNEL[number]
    with pytest.raises(KernelError, match=words):
        wrong()


@pytest.mark.parametrize("number", range(len(SCHEMA)))
def test_what_operators_do_not_take(number):
    wrong, words = SCHEMA[number]
    with pytest.raises(SchemaError, match=words):
        wrong()


def test_a_kernel_may_return_a_list():
    np.testing.assert_array_equal(A.transform(listed).compute(), a * 2)
    picked = tra.kernel("(n)->(m)", name="first two", sizes={"m": 2})(lambda x: x[:2])
    assert tra.from_array(a, keys="i").transform(picked).shape == (2, 2)  # not for tiles of length one


def test_functions_of_numpy_are_queries():
    agree = np.testing.assert_allclose
    assert np.exp(A).expr == tra.exp(A).expr and np.add(A, B).expr == (A + B).expr
    assert np.subtract(2, A).expr == (2 - A).expr and np.power(A, 2).expr == (A**2).expr
    assert (np.float32(2) * A.astype("int32")).dtype == (np.float32(2) * np.ones(1, "int32")).dtype
    agree(np.hypot.reduce(np.ones(2)), 2**0.5)
    agree((np.ones(3) - A).compute(), 1 - a)
    agree(np.logical_and(A, B).compute(), np.logical_and(a, a + 1))
    agree(np.matmul(a, B.T).compute(), a @ (a + 1).T)
    agree((np.array([True, False, True]) & (A > 0)).compute(), np.array([True, False, True]) & (a > 0))
    agree(np.invert(A > 0).compute(), ~(a > 0))
    with pytest.raises(KernelError, match=r"& takes truth values, got float64"):
        np.bitwise_and(A, B)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            lambda: np.arctan(A),
            r"numpy.arctan is no kernel\n  hint: @tra.kernel.* numpy.arctan\(A.compute\(\)\)",
        ),
        (lambda: np.log2(A), "numpy.log2 is no kernel"),
        (lambda: np.add.reduce(A), r"numpy.add.reduce does not take relations\n  hint: .* A.sum\(axis=0\)"),
        (lambda: np.exp(A, dtype="f4"), r"takes no settings; got dtype=\n  hint: tra.exp is .* \.astype"),
        (
            lambda: np.add(a, A, out=a.copy()),
            r"cannot write a relation into an array.*\n  hint: write x = x \+ A",
        ),
        (lambda: np.add(A, "two"), "numpy.add takes relations, arrays and numbers; got str"),
        (lambda: np.ones(3) << A, "numpy.left_shift is no kernel"),
    ],
)
def test_functions_of_numpy_that_are_none(wrong, words):
    with pytest.raises(KernelError, match=words):
        wrong()


def test_relations_are_no_numbers():
    for cast in (float, int, complex):
        words = rf"lazy and no number; call \.compute\(\) first: {cast.__name__}\(A\.compute\(\)\)"
        with pytest.raises(TypeError, match=words):
            cast(A.sum())
        with pytest.raises(
            TypeError, match=rf"shape \(2, 3\); one element is {cast.__name__}\(A\[0, 0\]\.comp"
        ):
            cast(A)
    with pytest.raises(TypeError, match=r"no truth value; call \.compute\(\) first: bool\(A\.compute\(\)\)"):
        bool(A.sum() > 0)
    assert float(A.sum().compute()) == a.sum()
    np.testing.assert_array_equal(np.asarray(A), a)  # arrays are computed


def test_all_of_them_are_errors_of_the_engine():
    for wrong, _ in [*KERNEL, *SCHEMA]:
        with pytest.raises(TraError):
            wrong()


def test_keys_as_one_text_and_masks_of_nothing():
    assert tra.from_array(a[0], keys="ij").keys == ("ij",)
    assert tra.from_array(a, keys="row").keys == ("row",)
    assert tra.from_array(a, keys=("ij",)).keys == ("ij",)
    assert tra.from_array(np.ma.masked_array(a, False)).shape == a.shape
