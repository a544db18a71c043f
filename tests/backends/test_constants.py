"""Constants of cost models: fixed, counted as the paper does, or measured, and measured anew when asked."""

import json

import numpy as np
import pytest

import tra
from tra.backends import calibrate, calibrate_cluster
from tra.backends.calibrate import Speed, rounded
from tra.backends.constants import Constants
from tra.optimizer.cost import CostModel

FIGURES = ("bandwidth", "flop_rate", "half_edge", "element_rate", "memory_bandwidth", "latency", "upload")


@pytest.mark.parametrize("figure", [1.0, 1.2e9, 7.7e-5, 9.99e3, 3.4])
def test_rounding_is_coarse_and_stays(figure):
    assert rounded(rounded(figure)) == rounded(figure)
    assert 0.8 < rounded(figure) / figure < 1.25


def test_speeds_become_constants():
    tiny = Speed(large=4e10, small=8e9, single=9e10, elements=5e9, memory=1e10).fit(CostModel(upload=3.0))
    assert tiny.flop_rate > 4e10 and tiny.half_edge > 64 and tiny.upload == 3.0
    even = Speed(large=4e10, small=5e10, single=2e10, elements=5e9, memory=1e10).fit(CostModel())
    assert (even.half_edge, even.single_speedup) == (0.0, 1.0)


def test_fixed_constants_do_not_measure():
    def never():
        raise AssertionError

    constants = Constants(CostModel(latency=2.0), never)
    assert (constants.model.latency, constants.origin) == (2.0, "fixed")
    constants.choose("paper")
    assert constants.model.paper
    constants.model = CostModel(latency=3.0)
    assert (constants.model.latency, constants.origin) == (3.0, "given")


def test_what_cannot_be_measured_is_fixed():
    def busy():
        raise TimeoutError("at work")

    constants = Constants(CostModel(), busy)
    constants.choose("measured")
    with pytest.warns(UserWarning, match="could not be measured: at work"):
        assert constants.model == CostModel()
    assert constants.origin.startswith("fixed, since")


def test_this_process_is_measured_when_a_session_asks_for_it(monkeypatch):
    calls = []
    measure = calibrate.measure_speed
    monkeypatch.setattr(calibrate, "measure_speed", lambda threads: calls.append(threads) or measure(threads))
    calibrate.speed_here.cache_clear()
    A = tra.from_array(np.ones(4), tile=2)
    with tra.connect("local", threads=1) as session:
        assert session.explain(A + 1).to_dict()["model"]["from"] == "fixed"
    for before in ([], [1]):
        with tra.connect("local", threads=1, cost_model="measured") as session:
            assert calls == before
            session.explain(A)
            model = session.explain(A + 1).to_dict()["model"]
            assert model["from"] == "measured" and model["memory_bandwidth"] > 0
            json.dumps(model)
    assert calls == [1, 1]


@pytest.mark.xdist_group("dask")
def test_a_cluster_is_measured_before_the_first_plan(client, monkeypatch):
    monkeypatch.setattr(calibrate_cluster, "_known", {})
    A = tra.from_array(np.ones(4), tile=2)
    found = []
    for _ in range(2):
        with tra.connect("dask", scheduler=client, sites=2, progress=False) as session:
            model = session.explain(A + 1).to_dict()["model"]
            assert model["from"] == "measured"
            assert all(model[name] >= 0 for name in FIGURES) and model["bandwidth"] > 0
            found.append(model)
    assert found[0] == found[1] and len(calibrate_cluster._known) == 1
    calibrate_cluster._known.update(dict.fromkeys(calibrate_cluster._known, CostModel(latency=7.0)))
    for kind, anew in (("seconds", False), ("measured", True), ("seconds", True)):
        given = {"scheduler": client, "sites": 2, "progress": False, "cost_model": kind}
        with tra.connect("dask", **given) as session:
            assert (session.backend.constants.model.latency < 7.0) is anew
    assert 1e-5 < model["latency"] < 1
    with tra.connect("dask", scheduler=client, sites=2, progress=False, cost_model="fixed") as session:
        assert session.explain(A + 1).to_dict()["model"]["from"] == "fixed"


@pytest.mark.xdist_group("dask")
def test_a_site_alone_is_measured_too(client, monkeypatch):
    monkeypatch.setattr(calibrate_cluster, "_known", {})
    with tra.connect("dask", scheduler=client, sites=1, progress=False) as session:
        assert session.backend.constants.model.upload > 0
        assert session.backend.constants.origin == "measured"


def test_slow_small_tiles_give_no_absurd_rate():
    """Products of tiny tiles may run far below an eighth of the speed of large ones."""
    speed = Speed(large=9e11, small=5e10, single=9e11, elements=1e10, memory=8e9)
    assert 9e11 <= speed.fit(CostModel()).flop_rate <= 2e12
