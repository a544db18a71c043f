"""Texts that would save over what they load, and what is given in place of text."""

import os

import numpy as np
import pytest

import tra
from tra.errors import QueryError

TEXT = "LOAD A FROM '{}';\nLET C[i, j] = A[i, j] + 1; SHOW C;\nSAVE C TO '{}'; SHOW C"


@pytest.mark.parametrize(
    ("loaded", "saved"),
    [
        ("A.npy", "A.npy"),
        ("./A.npy", "sub/../A.npy"),
        ("A.npy", "{folder}/A.npy"),
        ("link.npy", "A.npy"),
        ("A.npy", "same.npy"),
        ("Z.npz:a", "Z.npz:b"),
        ("R.tra", "R.tra/inner.tra"),
    ],
)
def test_what_is_loaded_is_not_overwritten(tmp_path, loaded, saved):
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "A.npy", values)
    np.savez(tmp_path / "Z.npz", a=values)
    tra.from_array(values).save(tmp_path / "R.tra")
    (tmp_path / "link.npy").symlink_to(tmp_path / "A.npy")
    os.link(tmp_path / "A.npy", tmp_path / "same.npy")
    (tmp_path / "sub").mkdir()
    before, heard = sorted(tmp_path.rglob("*")), []
    with tra.connect("local", threads=1) as session, pytest.raises(QueryError) as caught:
        text = TEXT.format(loaded, saved.format(folder=tmp_path))
        session.sql(text, base=tmp_path, echo=heard.append)
    lines = str(caught.value).splitlines()
    assert lines[0] == "<query>:3:11: this text loads A from the same place"
    assert lines[2].startswith("            ^~") and "write to another path" in lines[3]
    assert heard == [] and sorted(tmp_path.rglob("*")) == before
    np.testing.assert_array_equal(np.load(tmp_path / "A.npy"), values)


def test_it_shows_before_earlier_statements_have_run(tmp_path):
    text = "SAVE A TO 'x.npy'; LOAD x FROM 'x.npy'; SAVE x TO 'x.npy'"
    with tra.connect("local", threads=1) as session, pytest.raises(QueryError, match="this text loads x"):
        session.sql(text, A=np.ones(3), base=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "query text is a str; got NoneType"),
        (3, "query text is a str; got int"),
        ("q/t1.tra", "'q/t1.tra' is a path and no query text; `tra run` runs a query file"),
    ],
)
def test_text_is_text(text, message):
    with pytest.raises(QueryError, match=f"^{message}$"):
        tra.sql(text)
