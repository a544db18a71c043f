"""The page about EXPLAIN has to be true: its example runs, and it names every word that can be printed."""

import doctest
import re
from pathlib import Path
from typing import get_args

import pytest

import tra
from tra.optimizer.cost import CostModel
from tra.optimizer.explain_text import explanation_text
from tra.optimizer.plan import Plan
from tra.optimizer.rules.registry import STRATEGIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain.md"
TEXT = PAGE.read_text(encoding="utf-8")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
STEPS = {
    "Scan": "scan", "Make": "make", "Broadcast": "broadcast", "Shuffle": "shuffle",
    "Repartition": "repartition", "LocalJoin": "join", "LocalContract": "contract",
    "LocalAggregate": "aggregate", "LocalFilter": "filter", "LocalMap": "map", "LocalTile": "tile",
    "LocalConcat": "concat", "LocalStack": "stack",
}  # fmt: skip


def test_the_example():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=FLAGS)
    assert tried >= 4
    assert failed == 0


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda rule: rule.name)
def test_every_strategy_is_there(strategy):
    section = TEXT.split("\n## Strategies")[1].split("\n## ")[0]
    assert re.search(rf"`(…, )?{re.escape(strategy.name)}`", section)


@pytest.mark.parametrize("node", [node.__name__ for node in get_args(Plan)])
def test_every_step_is_there(node):
    assert re.search(rf"\| `{STEPS[node]}\b", TEXT.split("\n## The plan")[1].split("\n## ")[0])


def test_every_name_of_the_data_is_there():
    with tra.connect("local", sites=2, threads=1) as session:
        facts = session.explain(tra.from_array([1.0, 2.0], tile=1, name="A") + 1).to_dict()
    section = TEXT.split("\n## As data")[1]
    names = {*facts, *facts["nodes"][0], *facts["strategies"][0], *facts["price"]} - {"operator"}
    assert not [name for name in names if f"`{name}`" not in section]


def test_every_constant_and_figure_is_there():
    model = CostModel(half_edge=68.0, single_speedup=2.2, upload=5e8)
    with tra.connect("local", sites=2, threads=1) as session:
        facts = session.explain(tra.from_array([1.0, 2.0], tile=1, name="A") + 1).to_dict()
    shown = explanation_text({**facts, "model": {**facts["model"], **vars(model)}})
    constants = shown.split("constants, ")[1].split("\n\n")[0].split("\n", 1)[1]
    for phrase in " ".join(constants.split()).split(", "):
        words = re.sub(r"[\d.]+( [A-Za-z]+)?(/s)?", "", phrase).strip()
        assert words in re.sub(r"[\d.]+( [A-Za-z]+)?(/s)?", "", TEXT), phrase
    for row in [line[:22].strip() for line in shown.split("predicted")[-1].splitlines()[1:]]:
        assert f"`{row}`" in TEXT
