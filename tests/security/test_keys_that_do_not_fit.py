"""Keys, domains and numbers of a text that leave 64 bits: NumPy wraps them silently, the engine says so."""

import numpy as np
import pytest

import tra
from tra.algebra.types import LARGEST
from tra.errors import MemoryLimitError, QueryError, SchemaError
from tra.sql.runner import Options, run_statements

A = tra.from_array(np.arange(20.0).reshape(5, 4), keys=("i", "j"), tile=(2, 3), name="A")
MANY = "CONSTANT (i: 1000000000000) AXES () VALUE 1 TYPE float32"


@pytest.mark.parametrize(
    "text, message",
    [
        ("SELECT A.i * 9223372036854775807 * 9223372036854775807 AS k, A.j, A.tile FROM A", "does not fit"),
        ("SELECT A.i + 9223372036854775807 AS k, A.j, A.tile FROM A", "does not fit the integers of 64 bits"),
        (
            "SELECT A.i + 4611686018427387904 AS k, A.j, A.tile FROM A",
            "the domain of key k is 4611",
        ),
        ("SELECT A.i, A.j, 99999999999999999999 AS k, A.tile FROM A", "does not fit"),
        (f"SELECT i * i AS k, tile FROM ({MANY}) AS B", "the domain of key k is 4611"),
        ("SELECT i, j, tile FROM A WHERE i * 9223372036854775807 * 2 = 0", "does not fit"),
        ("CONSTANT (i: 99999999999999999999) AXES () VALUE 1 TYPE float32", "the domain of key i is"),
        ("CONSTANT (i: 3) AXES (4000000000000000000 BY i) VALUE 1 TYPE int8", "the reach of an axis is"),
        ("CONSTANT () AXES (4611686018427387903) VALUE 1 TYPE float64", "the size of a tile in bytes is"),
        ("INITIALIZE w(d: 99999999999999999999) ZEROS", "is 4611686018427387903 at most"),
        ("LET B[i, j, k] = ONE_HOT(A[i, j], size => 99999999999999999999)", "is 4611686018427387903 at most"),
        ("RETILE A[0:99999999999999999999:1, *] TO (1, *)", "not all within an extent of 5"),
        ("LET n = MUL(2^40, 2^40)", "MUL of these numbers does not fit 64 bits"),
        ("LET n = SQUARE(2^40)", "does not fit 64 bits"),
        ("LET n = 2^40 * 2^40", "too large for an integer of 64 bits"),
        ("LET n = " + " * ".join(["10^300"] * 100), "more than 4096 bits"),
    ],
)
def test_what_leaves_64_bits_is_refused(text, message):
    with pytest.raises(QueryError, match="(?i)" + message.replace("^", "\\^")):
        run_statements(None, text, {"A": A}, Options(execute=False))


def test_what_is_compared_may_be_any_number():
    text = "SELECT i, j, tile FROM A WHERE i < 99999999999999999999 AND j > -99999999999999999999"
    kept = run_statements(None, text, {"A": A}, Options(execute=False)).relation
    assert kept.frontier == A.frontier


def test_numbers_that_fit_stay_as_they_are():
    result = run_statements(None, "LET n = MUL(2^31, 2^31); LET m = -2^63; LET r = SQUARE(-3)", {}, Options())
    assert result.relations["n"].compute() == 1 << 62 and result.relations["m"].dtype == np.int64
    assert result.relations["r"].compute() == 9


@pytest.mark.parametrize("big", [1 << 63, 1 << 70, -(1 << 80)])
def test_key_functions_in_python(big):
    with pytest.raises(SchemaError, match="does not fit the integers of 64 bits"):
        A.rekey(lambda i, j: (i + big, j), keys=("i", "j"))
    with pytest.raises(SchemaError, match="is not within"):
        A.rekey(lambda i, j: (i + big if i else i, j), keys=("i", "j"))
    with pytest.raises(SchemaError, match="does not fit"):
        A.filter(lambda i, j: (i + 1) * big > 0)


def test_products_of_keys_that_wrap_to_keys_that_look_right():
    """(2⁶³ − 1)² is 1 modulo 2⁶⁴: NumPy would give back the old keys."""
    top = (1 << 63) - 1
    assert (np.arange(3) * top * top).tolist() == [0, 1, 2]
    with pytest.raises(SchemaError, match=r"i \* 9223372036854775807\) \* 9223372036854775807 does not fit"):
        A.rekey(lambda i, j: (i * top * top, j), keys=("i", "j"))


def test_domains_and_extents():
    with pytest.raises(SchemaError, match="at most"):
        tra.from_tiles({(0,): np.ones(2)}, keys="i", domain=(LARGEST + 1,))
    with pytest.raises(SchemaError, match="at most"):
        tra.Axis(1, (("i", 1),), LARGEST + 1)
    held = tra.from_tiles({(0,): np.ones(())}, keys="i", domain=(LARGEST,))
    assert held.keys and list(held.tiles()) == [(0,)]


def test_what_no_memory_holds():
    text = "SHOW (CONSTANT (i: 1) AXES (1000000000000000) VALUE 1 TYPE float64)"
    with tra.connect("local", threads=1) as session, pytest.raises(MemoryLimitError) as caught:
        session.sql(text)
    assert str(caught.value).startswith("<query>:1:1: the memory is not enough: Unable to allocate")


def test_holes_among_more_keys_than_can_be_counted():
    far = A.rekey(lambda i, j: (i, j, i + (1 << 61)), keys=("i", "j", "k"))
    assert len(far.tiles()) == 6 and sorted(far.tiles())[-1] == (2, 1, (1 << 61) + 2)
    with pytest.raises(SchemaError, match=r"no tile at|hole|missing"):
        far.compute()
