"""Explanations: every stage, node, rule and strategy is shown, as text, picture and data."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tra
from tra.optimizer.explain import FIGURES, readable
from tra.optimizer.plan import plan_order


@pytest.fixture
def explained():
    A = tra.from_array(np.ones((60, 60)), keys=("i", "j"), tile=(20, 20), name="A")
    B = tra.from_array(np.ones((60, 60)), keys=("j", "k"), tile=(20, 20), name="B")
    with tra.connect("local", sites=3, threads=1) as session:
        stored = session.persist(A, B)
        query = tra.relu((stored[0] @ stored[1]).transform("identity"))
        yield session.explain(query), session.explain(query, analyze=True)


def test_the_text_shows_everything(explained):
    before, after = map(str, explained)
    assert "transform_identity_drop ×1" in before
    for words in ("given", "scan A", "stage 1", "contract(", "moves", "predicted", "not "):
        assert words in before
    assert "measured" not in before and "measured" in after
    names = [line.split(":=")[0].strip() for line in before.splitlines() if ":=" in line]
    assert names == [f"r{n}" for n in range(len(names))]


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
    json.dumps(after)


def test_strategies_name_what_lost(explained):
    contraction = next(
        s for s in explained[0].to_dict()["strategies"] if s["operator"].startswith("Contraction")
    )
    assert contraction["strategy"] in contraction["alternatives"]
    assert len(contraction["alternatives"]) >= 3


def test_the_picture_is_one_piece_of_well_formed_html(explained, tmp_path):
    html = explained[0]._repr_html_()
    root = ET.fromstring(html)
    boxes = [e for e in root.iter() if e.tag.endswith("}g")]
    assert len(boxes) == len(list(plan_order(*explained[0].planned.program.roots)))
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
    explained[0].save(tmp_path / "plan.html")
    assert html in (tmp_path / "plan.html").read_text(encoding="utf-8")


def test_units():
    assert readable("bytes_moved", 999) == "999 B"
    assert readable("flops", 3.2e9) == "3.2 Gflop"
    assert readable("seconds", 90.0) == "90 s"
    assert readable("tasks", 7.0) == "7"
