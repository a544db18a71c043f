"""What a stranger reads first has to be true: the README's examples and the query files under examples/."""

import doctest
import re
from pathlib import Path

import pytest

import tra
from tra.cli import main

ROOT = Path(__file__).resolve().parent.parent
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_readme_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # they save a file
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False, optionflags=FLAGS)
    assert tried >= 8
    assert failed == 0


def test_readme_names_files_that_exist():
    prose = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#:]+)\)", prose):
        assert (ROOT / link).exists(), link


def test_digits_demo_classifies_well_both_ways(capsys):
    text = (ROOT / "examples" / "digits.tra").read_text()
    with tra.connect("local") as session:
        result = session.sql(text, base=ROOT / "examples", execute=False)
        network, neighbours = session.compute(
            result.relations["network_accuracy"], result.relations["neighbours_accuracy"]
        )
    assert network >= 0.96
    assert neighbours >= 0.95


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.tra")), ids=lambda p: p.name)
def test_query_files_explain_and_are_formatted(path, capsys):
    assert main(["explain", str(path)]) == 0
    capsys.readouterr()
    assert main(["fmt", str(path)]) == 0
    assert capsys.readouterr().out == path.read_text()


@pytest.mark.xdist_group("dask")
@pytest.mark.parametrize("backend", [{"backend": "local"}, {"backend": "dask", "sites": 2, "threads": 1}])
def test_digits_are_learned_from_text_alone(backend):
    text = (ROOT / "examples" / "digits_train.tra").read_text()
    with tra.connect(**backend, progress=False) as session:
        result = session.sql(text, base=ROOT / "examples")
    trained, shown = result.outputs
    losses = [float(line.split()[1]) for line in trained.splitlines()[2:]]
    assert len(losses) == 20 and losses[-1] < losses[0] / 100
    assert float(shown.splitlines()[1]) >= 0.97
