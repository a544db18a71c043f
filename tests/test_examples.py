"""What a stranger reads first has to be true: the README's examples and the query files under examples/."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import tra
from tests.long import sample
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


def train_on_digits(session, epochs=20):
    """The losses of a training from text alone, and the accuracy on images that it has not seen."""
    text = (ROOT / "examples" / "digits_train.tra").read_text()
    assert "FOR 20 EPOCHS" in text
    result = session.sql(text.replace("FOR 20 EPOCHS", f"FOR {epochs} EPOCHS"), base=ROOT / "examples")
    trained, shown = result.outputs
    return [float(line.split()[1]) for line in trained.splitlines()[2:]], float(shown.splitlines()[1])


@pytest.fixture(scope="module")
def learned():
    with tra.connect("local", progress=False) as session:
        return train_on_digits(session)


@pytest.mark.xdist_group("dask")
def test_digits_are_learned_from_text_alone(learned):
    losses, accuracy = learned
    assert len(losses) == 20 and losses[-1] < losses[0] / 100
    assert accuracy >= 0.97


@pytest.mark.xdist_group("dask")
def test_digits_are_learned_on_dask_as_on_threads(client, learned):
    epochs = sample(20, least=3)
    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as session:
        losses, accuracy = train_on_digits(session, epochs)
    assert len(losses) == epochs
    np.testing.assert_allclose(losses, learned[0][:epochs], rtol=1e-2)
    assert epochs < 20 or accuracy >= 0.97
