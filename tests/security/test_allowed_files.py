"""A query text names files only below the folders that it was allowed, however it spells them."""

from pathlib import Path

import numpy as np
import pytest

import tra
from tra.cli import main
from tra.errors import CatalogError, QueryError
from tra.sql.runner import Options, run_statements

TRAINING = """INITIALIZE w() ZEROS; LET loss = MEAN((x[n] * w - 2 * x[n]) ^ 2);
TRAIN w MINIMIZE loss USING SGD(0.1) FOR 1 EPOCHS CHECKPOINT TO '{}';"""


@pytest.fixture
def places(tmp_path):
    """A folder of queries, one beside it that they must not reach, and ways that lead there."""
    inside, outside = tmp_path / "queries", tmp_path / "secret"
    for folder in (inside, outside, inside / "data", tmp_path / "queries2"):
        folder.mkdir()
        np.save(folder / "A.npy", np.arange(4.0))
        np.savez(folder / "A.npz", x=np.arange(4.0))
        with tra.connect("local", threads=1):
            tra.from_array(np.arange(4.0), name="A").save(folder / "A.tra")
    (inside / "way").symlink_to(outside)
    (inside / "link.npy").symlink_to(outside / "A.npy")
    (inside / "link.tra").symlink_to(outside / "A.tra")
    (inside / "far.npy").symlink_to(inside / "link.npy")
    (inside / "near.npy").symlink_to("data/A.npy")
    (inside / "loop").symlink_to("loop")
    (inside / "gone.npy").symlink_to(outside / "new.npy")
    return inside, outside


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def bind(text, base, allow=None, execute=False):
    with tra.connect("local", threads=1) as session:
        options = Options(base=base, execute=execute, allow=allow)
        return run_statements(session, text, {"x": np.arange(4.0)}, options)


OUTSIDE = ["../secret/A.npy", "data/../../secret/A.npy", "./way/A.npy", "link.npy",
           "far.npy", "link.tra", "way/A.npz:x", "../queries2/A.npy", "{outside}/A.npy", "//{outside}/A.npy",
           "file://{outside}/A.npy", "/etc/passwd.npy", "/proc/self/root{outside}/A.npy", "gone.npy",
           "way/nothing.npy"]  # fmt: skip
URLS = ["memory://x/A.npy", "file://file://{outside}/A.npy", "local://{outside}/A.npy", "http://host/A.npy",
        "simplecache::file://{outside}/A.npy", "filecache::http://host/A.tra", "github://a:b@c/A.npy",
        "data/x://A.npy"]  # fmt: skip


@pytest.mark.parametrize("path", [*OUTSIDE, *URLS])
@pytest.mark.parametrize("text", ["LOAD A FROM '{}';", "SAVE x TO '{}';"])
def test_what_lies_elsewhere_is_refused(places, text, path):
    inside, outside = places
    path = path.format(outside=outside)
    before = contents(outside)
    with pytest.raises(QueryError) as caught:
        bind("SHOW x;\n" + text.format(path), inside, execute=True)
    headline, line, caret, *rest = str(caught.value).splitlines()
    assert headline.startswith("<query>:2:") and "lies outside of what this text may name" in headline
    assert line[caret.index("^")] == "'"
    assert rest[0] == f"  allowed: {inside}" and "tra run --allow " in rest[1]
    assert contents(outside) == before


@pytest.mark.parametrize(
    "path", ["../secret", "way/../secret", "way/run", "way", "{outside}/run", "data/../.."]
)
@pytest.mark.parametrize("begin", ["TRAIN", "EXPLAIN TRAIN"])
def test_checkpoints_elsewhere_are_refused(places, begin, path):
    inside, outside = places
    before = contents(outside)
    text = TRAINING.replace("TRAIN", begin).format(path.format(outside=outside))
    with pytest.raises(QueryError, match="lies outside of what this text may name"):
        bind(text, inside, execute=True)
    assert contents(outside) == before


@pytest.mark.parametrize(
    "path", ["A.npy", "./A.npy", "data/A.npy", "data/../A.npy", "../queries/A.npy", "near.npy", "A.npz:x",
             "{inside}/data/A.tra", "file://{inside}/A.npy"]
)  # fmt: skip
def test_what_lies_below_may_be_named(places, path):
    inside, _ = places
    loaded = bind(f"LOAD A FROM '{path.format(inside=inside)}'", inside).relations["A"]
    np.testing.assert_array_equal(loaded.compute(), np.arange(4.0))


def test_a_home_is_no_place(places, monkeypatch):
    inside, outside = places
    monkeypatch.setenv("HOME", str(outside))
    with pytest.raises(QueryError, match=r"cannot read .*/queries/~/A.npy"):
        bind("LOAD A FROM '~/A.npy'", inside)


def test_nothing_is_said_of_what_is_there(places):
    """The same words, whether a file is there or not, and before anything of the text runs."""
    inside, outside = places
    said = []
    for name in ("A.npy", "B.npy"):
        with pytest.raises(QueryError) as caught:
            bind(f"SAVE x TO 'out.npy';\nLOAD A FROM '{outside}/{name}'", inside, execute=True)
        said.append(str(caught.value).replace(f"/{name[0]}.", "/?."))
    assert said[0] == said[1] and not (inside / "out.npy").exists()


def test_what_is_allowed_replaces_the_default(places):
    inside, outside = places
    assert bind("LOAD A FROM '../secret/A.npy'", inside, allow=outside).relations["A"].shape == (4,)
    several = [str(outside), inside / "data"]
    assert bind("LOAD A FROM 'way/A.npy'", inside, set(several)).relations["A"].shape
    assert bind("LOAD A FROM 'way/A.npy'; LOAD B FROM 'data/A.npy'", inside, several).relations["B"].shape
    for allow in (several, []):
        with pytest.raises(QueryError, match=r"A\.npy lies outside"):
            bind("LOAD A FROM 'A.npy'", inside, allow)
    with pytest.raises(QueryError, match=r"(?s)allowed: none.*tra run --allow .*/queries, or allow='/"):
        bind("LOAD A FROM 'A.npy'", inside, [])


@pytest.mark.parametrize(
    ("allow", "words"),
    [
        ("nowhere", "allow: there is no folder 'nowhere'"),
        ("", "allow: there is no folder ''"),
        ("a\0", "allow: there is no folder"),
        (["A.npy"], "allow takes a folder; got 'A.npy', which is a file\n  hint: allow='/"),
        ([3], r"allow takes a folder, or several in a list; got 3 in \[3\]"),
        ([".", None], r"several in a list; got None in \['\.', None\]"),
        ({1.5}, "several in a list; got 1.5 in"),
        (b".", r"several in a list; got b'\.'$"),
        (False, "several in a list; got False$"),
        (0, "several in a list; got 0$"),
    ],
)
def test_a_folder_that_is_none_is_not_allowed(places, monkeypatch, allow, words):
    monkeypatch.chdir(places[0])
    with tra.connect("local", threads=1) as session:
        for run in (tra.sql, session.sql):
            with pytest.raises(CatalogError, match=words):
                run("SHOW x", x=1.0, allow=allow)


def test_urls(places):
    with tra.connect("local", threads=1):
        tra.from_array(np.ones(3)).save("memory://allowed/in/A.npy")
    load = "LOAD A FROM 'memory://allowed/{}'"
    for allow in ("memory://", "memory://allowed", "memory://allowed/in/"):
        assert bind(load.format("in/A.npy"), places[0], [allow]).relations["A"].shape == (3,)
    for path in ("inside/A.npy", "in/../A.npy", "in/%2e%2e/A.npy", "in/%252E%252e/A.npy", "in/..\\A.npy"):
        with pytest.raises(QueryError, match="lies outside of what this text may name"):
            bind(load.format(path), places[0], ["memory://allowed/in"])
    with pytest.raises(QueryError, match="lies outside"):
        bind("LOAD A FROM 'A.npy'", places[0], ["memory://allowed"])


def test_links_in_a_circle_and_characters_of_number_zero(places):
    inside, _ = places
    for path in ("loop/A.npy", "loop"):
        with pytest.raises(QueryError, match=r"cannot read|has no known format"):
            bind(f"LOAD A FROM '{path}'", inside)
    for text in ("LOAD A FROM 'a\0.npy'", TRAINING.format("a\0")):
        with pytest.raises(QueryError, match="no character of number zero"):
            bind(text, inside)
    with pytest.raises((QueryError, CatalogError), match="checkpoints"):
        bind(TRAINING.format("loop"), inside, execute=True)


def test_python_is_not_restricted(places, monkeypatch):
    inside, outside = places
    monkeypatch.chdir(inside)
    assert tra.open(outside / "A.npy").shape == (4,)
    with pytest.raises(QueryError, match="lies outside"):
        tra.sql(f"LOAD A FROM '{outside}/A.npy'")
    assert tra.sql(f"LOAD A FROM '{outside}/A.npy'", allow=str(outside)).relations["A"].shape == (4,)


def test_the_command(places, capsys, monkeypatch):
    inside, outside = places
    query = inside / "q.tra"
    query.write_text("LOAD A FROM '../secret/A.npy'; SHOW A;")
    for command in ("run", "explain"):
        assert main([command, str(query)]) == 1
        assert f"tra run --allow {outside}" in capsys.readouterr().err
        assert main([command, str(query), "--allow", str(inside), "--allow", str(outside)]) == 0
        capsys.readouterr()
    assert main(["run", str(query), "--allow", str(outside / "nowhere")]) == 1
    assert "allow: there is no folder" in capsys.readouterr().err
    monkeypatch.chdir(inside)
    query.write_text("LOAD A FROM 'A.npy'; SHOW A;")
    assert main(["run", "q.tra"]) == 0


def test_paths_stand_nowhere_else_in_the_grammar():
    """Whoever adds a statement with a string decides here whether it names a file."""
    grammar = (Path(tra.__file__).parent / "sql" / "grammar.lark").read_text(encoding="utf-8")
    rules = [line.split(":")[0] for line in grammar.splitlines() if "STRING" in line]
    assert rules == ["load", "hint", "save", "checkpoint", "literal", "STRING"]
