"""Explanations: every stage, node, rule and strategy is shown, as text, picture and data."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tra
from tra.optimizer.explain import FIGURES
from tra.optimizer.figures import readable
from tra.optimizer.plan import plan_order


def matrix(keys, name):
    return tra.from_array(np.ones((60, 60)), keys=keys, tile=(20, 20), name=name)


@pytest.fixture
def explained():
    with tra.connect("local", sites=3, threads=1) as session:
        A, B = session.persist(matrix(("i", "j"), "A"), matrix(("j", "k"), "B"))
        query = tra.relu((A @ B).transform("identity"))
        yield session.explain(query), session.explain(query, analyze=True)


def contraction(facts):
    return next(s for s in facts["strategies"] if s["operator"].startswith("Contraction"))


def test_the_text_shows_everything(explained):
    before, after = map(str, explained)
    assert "transform_identity_drop ×1" in before
    for words in (
        "given",
        "scan A",
        "stage 1",
        "contract(",
        "moves",
        "predicted",
        "not ",
        "constants, fixed",
    ):
        assert words in before
    assert "measured" not in before and "(measured " in after
    names = [line.split(":=")[0].strip() for line in before.splitlines() if ":=" in line]
    assert names == [f"r{n}" for n in range(len(names))]
    assert all(len(line) <= 110 for line in before.splitlines() if ":=" not in line)


def test_every_strategy_that_lost_has_its_price(explained):
    facts = explained[0].to_dict()
    text = str(explained[0]).replace("\n    ", " ")
    for entry in facts["strategies"]:
        assert entry["alternatives"][entry["strategy"]] == pytest.approx(facts["price"]["total"])
        if len(entry["alternatives"]) > 1:
            for rule, price in entry["alternatives"].items():
                assert rule == entry["strategy"] or f"{rule} {readable('seconds', price)}" in text
    assert len(contraction(facts)["alternatives"]) >= 3


def test_the_figures(explained):
    before, after = (found.to_dict() for found in explained)
    for name in FIGURES:
        assert set(before[name]) == {"predicted", "measured"}
        assert before[name]["measured"] is None
        assert before[name]["predicted"] == after[name]["predicted"]
    for name in ("bytes_moved", "tasks"):
        assert after[name]["measured"] == after[name]["predicted"]
    assert after["flops"]["predicted"] == 2 * 60**3 + 60 * 60 * 2 + 3600
    assert after["peak_bytes_per_site"]["measured"] <= after["peak_bytes_per_site"]["predicted"]
    assert before["sites"] == 3 and before["backend"] == "local"


def test_the_data_are_complete_and_json(explained):
    for found in explained:
        facts = found.to_dict()
        assert json.loads(json.dumps(facts)) == facts
        nodes = list(plan_order(*found.planned.program.roots))
        assert len(facts["nodes"]) == len(nodes)
        sent = [node["bytes_moved"] for node in facts["nodes"] if node["bytes_moved"]]
        for kind in ("predicted", "measured") if found.measured else ("predicted",):
            assert sum(figures[kind] for figures in sent) == facts["bytes_moved"][kind]
    assert facts["price"] == {"total": facts["seconds"]["predicted"], "unit": "seconds"}
    assert facts["model"]["from"] == "fixed" and facts["model"]["bandwidth"] > 0
    assert "SELECT" in facts["query"] and facts["rules"][0][0] == "transform_identity_drop"
    assert contraction(facts)["split"] and not contraction(facts)["hinted"]


def test_the_papers_count_is_never_called_seconds():
    with tra.connect("local", sites=3, threads=1, cost_model="paper") as session:
        A, B = session.persist(matrix(("i", "j"), "A"), matrix(("j", "k"), "B"))
        found = session.explain(A @ B, analyze=True)
    facts, text = found.to_dict(), str(found)
    assert facts["price"]["unit"] == "elements" and facts["price"]["total"] > 0
    assert facts["seconds"]["predicted"] is None and facts["seconds"]["measured"] > 0
    assert f"{facts['price']['total']:,.0f} elements sent, in the paper's count" in text
    assert " ms" not in text.split("plan ")[1].split("predicted")[0]
    assert "constants" not in text and "elements sent" in text


def test_a_hint_is_shown_beside_what_it_overrules():
    with tra.connect("local", sites=3, threads=1) as session:
        A, B = session.persist(matrix(("i", "j"), "A"), matrix(("j", "k"), "B"))
        free = contraction(session.explain(A @ B).to_dict())
        other = next(rule for rule in free["alternatives"] if rule != free["strategy"])
        session.hint(A @ B, other)
        found = session.explain(A @ B)
    facts = found.to_dict()
    assert contraction(facts)["strategy"] == other and contraction(facts)["hinted"]
    assert contraction(facts)["alternatives"][free["strategy"]] < facts["price"]["total"]
    assert f"{other}, as hinted" in str(found)


def test_the_order_that_was_chosen_is_shown():
    A, B, v = (tra.from_array(np.ones(shape)) for shape in ((50, 50), (50, 50), (50,)))
    with tra.connect("local", threads=1) as session:
        found = session.explain(A @ B @ v)
    assert [form["rule"] for form in found.to_dict()["forms"]] == ["contraction_reassociate"]
    assert "forms\n  [" in str(found)


def test_the_picture_is_one_piece_of_well_formed_html(explained, tmp_path):
    for found in explained:
        html = found._repr_html_()
        root = ET.fromstring(html)
        boxes = [e for e in root.iter() if e.tag.endswith("}g")]
        assert len(boxes) == len(list(plan_order(*found.planned.program.roots)))
        assert all(box[0].tag.endswith("}title") and box[0].text for box in boxes)
        assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
        found.save(tmp_path / "plan.html")
        assert html in (tmp_path / "plan.html").read_text(encoding="utf-8")


def test_exchanges_stand_out_and_edges_are_as_wide_as_what_moves(explained):
    svg = ET.fromstring(explained[0]._repr_html_())
    nodes = explained[0].to_dict()["nodes"]
    dashed = [e for e in svg.iter() if "stroke-dasharray" in e.attrib]
    assert len(dashed) == sum(node["bytes_moved"] is not None for node in nodes)
    edges = [e for e in svg.iter() if e.tag.endswith("}path")]
    widths = {e.attrib["stroke-width"] for e in edges if len(e)}
    assert widths and min(map(float, widths)) > 1
    assert {e.attrib["stroke-width"] for e in edges if not len(e)} == {"1.0"}


def test_units():
    assert readable("bytes_moved", 999) == "999 B"
    assert readable("flops", 3.2e9) == "3.2 Gflop"
    assert readable("seconds", 90.0) == "90 s"
    assert readable("tasks", 7.0) == "7"
    assert readable("elements", 12345) == "12,345 elements"
