"""The page about workflows is true, and the query files beside it do what it says."""

import doctest
import re
import time
from pathlib import Path

import numpy as np
import pytest

import tra
from tra.workflows import kmeans

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "workflows.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
SECONDS = 60  # more than ten times what each file takes on an idle machine
NAMES = ["ffnn", "logistic_regression", "kmeans", "matrix_factorisation", "nearest_neighbours"]


def run(name):
    """What a query file defines, after it has run on one site."""
    start = time.perf_counter()
    path = EXAMPLES / f"{name}.tra"
    with tra.connect("local", sites=1, threads=1) as session:
        made = session.sql(path.read_text(), base=EXAMPLES).relations
        found = {name: r.compute() for name, r in made.items() if r.expr.type.shape in ((), (10, 64))}
    assert time.perf_counter() - start < SECONDS
    return found


def test_the_examples(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = PAGE.read_text().replace("```", "")  # doctest would expect the end of a block to be printed
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) >= 40
    assert doctest.DocTestRunner(optionflags=FLAGS).run(examples).failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_text_is_that_of_the_file(name):
    section = PAGE.read_text().split(f"](../examples/{name}.tra):")[1]
    (block,) = re.findall(r"```sql\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    text = (EXAMPLES / f"{name}.tra").read_text()
    assert block in text
    assert len(text.splitlines()) < 40


@pytest.mark.parametrize(
    "name, accuracy", [("ffnn", 0.9), ("logistic_regression", 0.88), ("nearest_neighbours", 0.96)]
)
def test_a_file_classifies(name, accuracy):
    assert run(name)["accuracy"] >= accuracy


def test_the_file_of_kmeans_finds_what_python_finds():
    found = run("kmeans")
    X = tra.from_array(np.load(EXAMPLES / "data" / "digits.npz")["X_train"])
    with tra.connect("local", sites=1, threads=1):
        centres = kmeans.cluster(X, X[:10]).centres.compute()
    np.testing.assert_allclose(found["C"], centres, atol=1e-5)
    assert found["purity"] > 0.78


def test_the_file_of_matrix_factorisation_beats_means():
    found = run("matrix_factorisation")
    assert found["error"] < 0.8 * found["error_of_means"]
