"""What is given to sessions and is no such thing: the engine's own errors say what it should be."""

import numpy as np
import pytest

import tra
from tra.errors import CatalogError, PlanError, SchemaError, TraError

A = tra.from_array(np.ones((4, 4)), keys=("i", "j"), tile=2, name="A")
B = tra.from_array(np.ones((4, 4)), keys=("j", "k"), tile=2, name="B")


@pytest.fixture
def session():
    with tra.connect("local", threads=1, sites=2) as opened:
        yield opened


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"without": 3}, "without is a list of names of rules; got 3"),
        ({"without": [3]}, "without is a list of names of rules; got 3 in it"),
        ({"without": "map_map_fuse"}, r"without is a list of names of rules; write \['map_map_fuse'\]"),
        ({"without": ["zzz"]}, r"there is no rule 'zzz'\. All rules are listed in docs/rules\.md, and .*"),
        ({"without": ["nonsense"]}, r"there is no rule 'nonsense'\. All rules are listed in docs/.*"),
        ({"without": ["push"]}, r"there is no rule 'push'\. Rules with names like it are \w+_push, .*"),
        ({"without": ["one site"]}, "'one site' cannot be switched off: .* that can be are split, copy .*"),
        ({"without": ["stored"]}, "'stored' cannot be switched off: .*"),
        ({"progress": "x"}, "progress is True, False or None; got 'x'"),
        (
            {"backend": "dask", "scheduler": 3},
            "scheduler is an address, a Client or a cluster object .*got 3",
        ),
        ({"backend": ["local"]}, r"unknown backend \['local'\].*; use 'local' or 'dask'"),
        ({"memory_limit": [1]}, r"\[1\] is no amount of memory; write one like '2GB'"),
    ],
)
def test_connect(given, message):
    with pytest.raises(PlanError, match=f"^{message}$"):
        tra.connect(**given)


def test_nothing_is_switched_off():
    with tra.connect("local", threads=1, without=None) as session:
        assert session.compute(A.sum())[0] == 16


def test_an_unknown_rule_gets_at_most_eight_near_ones():
    with pytest.raises(PlanError, match="did you mean 'map_map_fuse'") as caught:
        tra.connect("local", without=["map_map_fuze"])
    names = str(caught.value).split("Rules with names like it are ")[1].split(", ")
    assert names[0] == "map_map_fuse" and len(names) <= 8


@pytest.mark.parametrize(
    ("strategy", "split", "message"),
    [
        (3, None, "a strategy is a name, as `explain` shows it; got 3"),
        (None, 3, "a split names a key, or None, for each mesh dimension; got 3"),
        (None, [3], "a split names a key, or None, for each mesh dimension; got 3 in it"),
        (None, "i", r"a split names a key for each mesh dimension; write \('i',\)"),
        (None, ("*",), r".* cannot be split by '\*'.*; a mesh dimension that splits nothing is None"),
        (None, ("i", "k"), ".* on 2 sites there is 1"),
    ],
)
def test_hints(session, strategy, split, message):
    with pytest.raises(PlanError, match=f"^{message}$"):
        session.hint(A @ B, strategy, split=split)


def test_a_hint_is_for_a_relation(session):
    with pytest.raises(PlanError, match=r"^a hint is for a relation; got 'C'$"):
        session.hint("C", "broadcast left")


def test_a_session_that_is_closed_takes_no_hint():
    session = tra.connect("local", threads=1)
    session.close()
    with pytest.raises(PlanError, match=r"^the session is closed$"):
        session.hint(A @ B, "broadcast left")


@pytest.mark.parametrize("path", [3, None, b"A.npy"])
def test_a_path_is_a_path(path):
    with pytest.raises(CatalogError, match=r"^a path is a str or a Path; got "):
        tra.open(path)
    with pytest.raises(TraError):
        A.save(path)


def test_what_a_relation_at_rest_is_called(tmp_path):
    np.save(tmp_path / "A.npy", np.ones(4))
    A.save(tmp_path / "A.tra")
    for path in (tmp_path / "A.npy", tmp_path / "A.tra"):
        with pytest.raises(SchemaError, match=r"^the name of a relation is a string; got name=3$"):
            tra.open(path, name=3)
        with pytest.raises(SchemaError, match=r"^key names are strings; got 3$"):
            tra.open(path, keys=3)
    with pytest.raises(SchemaError, match=r"with 2 keys; 1 names are given: ij$"):
        tra.open(tmp_path / "A.tra", keys="ij")
