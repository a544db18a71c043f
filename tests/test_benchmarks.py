"""Benchmarks at tiny sizes: their rows are what they claim, and the page keeps what is not run anew."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import tra
from benchmarks import (
    alternatives,
    crossovers,
    exchanges,
    holes,
    lower_bound,
    orders,
    page,
    planning,
    report,
)
from tests.long import only_long

MODULES = sorted(path.stem for path in Path(page.__file__).parent.glob("[!_]*.py"))


@pytest.fixture(scope="module")
def session(default_client):
    with tra.connect("dask", scheduler=default_client, progress=False, cost_model="fixed") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path):
    return page.Settings(quick=True, plots=tmp_path / "plots")


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(import_module(f"benchmarks.{name}"), optionflags=flags).failed == 0


def test_every_section_is_a_module():
    assert set(report.SECTIONS) <= set(MODULES)
    assert all(hasattr(import_module(f"benchmarks.{name}"), "section") for name in report.SECTIONS)


# -- the page -------------------------------------------------------------------------------------


def test_sections_that_do_not_run_stay(tmp_path, settings, monkeypatch):
    written = tmp_path / "page.md"
    titles = [report.SECTIONS[name] for name in ("workflows", "orders", "lower_bound")]
    page.write_page(written, {"": ["# Old"], titles[1]: ["old"], titles[2]: ["kept", "", "| a |"]})
    monkeypatch.setattr(orders, "section", lambda settings: ["new"])
    report.run(["orders"], settings, written)
    found = page.read_sections(written.read_text())
    assert list(found) == ["", titles[1], titles[2]]
    assert "new" in found[titles[1]]
    assert "old" not in found[titles[1]]
    assert "\n".join(found[titles[2]]).strip() == "kept\n\n| a |"


# -- without running anything ---------------------------------------------------------------------


def test_products_on_cubes_of_sites_reach_the_lower_bound(settings):
    rows = lower_bound.sweep([4, 5, 8], n=720, processes=1)
    assert [row.mesh for row in rows] == ["2×2", "5", "2×2×2"]
    assert rows[2].elements == 3 * 720**2 // 4 - 3 * 720**2 // 8
    assert [round(row.ratio, 3) for row in rows] == [1.135, 1.878, 1.0]
    assert all(row.elements <= lower_bound.least_of_grids(row.sites) * 720**2 * 1.001 for row in rows)
    assert lower_bound.summary(rows)[2] == "| equal | 1 | 3 |"
    lower_bound.plot(rows, settings)
    assert (settings.plots / "lower_bound.svg").exists()


@only_long
def test_strategies_change_where_the_papers_count_says():
    sweep, model = crossovers.SWEEPS[1], crossovers.MODELS["paper"]
    row = crossovers.priced(8192, sweep.shape(8192), model)
    assert set(row.by_strategy) == set(crossovers.STRATEGIES)
    assert crossovers.envelope_holds([row])
    rows = [crossovers.Priced(n, *crossovers.chosen(sweep.shape(n), model), {}) for n in (3840, 8192, 12800)]
    assert [row.chosen for row in rows] == ["2-D split", "replicate (mixed split)", "co-partition"]
    found = crossovers.crossings(rows, sweep, model)
    for crossing, expected in zip(found, sweep.expected.values(), strict=True):
        assert expected <= crossing.size <= expected + crossovers.N_TILES


@pytest.mark.parametrize("what", planning.QUERIES)
def test_planning_is_timed(what):
    found = planning.plan_once(planning.Case(what, 2, 2))
    assert found.seconds > 0
    assert found.operators == {"forward": 7, "training": 27, "tiles": 3, "holed": 1}[what]


def test_growth_is_held_against_n_log_n():
    rows = [
        planning.Planning(planning.Case("forward", n, 2), 0, s, 0, True) for n, s in ((10, 1.0), (100, 15.0))
    ]
    assert planning.growth(rows, "forward", 2) == pytest.approx((15.0, 20.0))


def test_plans_over_listed_keys_are_held_against_their_number():
    times = ((1000, 0.01), (100_000, 0.5))
    rows = [planning.Planning(planning.Case("holed", n, 4), 1, s, 8, True, 0.004) for n, s in times]
    assert planning.linear_growth(rows) == pytest.approx((50.0, 100.0))
    assert "| 100,000 | 500 ms | 4 ms |" in planning.holed_table(rows)


def test_rank_correlation():
    assert alternatives.rank_correlation([1, 2, 3], [10, 20, 90]) == pytest.approx(1.0)
    assert alternatives.rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)


# -- on clusters ----------------------------------------------------------------------------------


@only_long
@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize("query", orders.QUERIES, ids=lambda query: query.name)
def test_orders_beside_dask(session, default_client, query):
    own, *others = orders.compare(session, default_client, query, 80, rounds=1)
    assert (own.who, own.ratio, len(others)) == ("tra", 1.0, 2)
    assert all(0 < own.tasks < other.tasks for other in others)
    assert all(own.bytes_moved <= other.bytes_moved for other in others)


@pytest.mark.xdist_group("benchmarks")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("matmul", {"n": 400, "k": 400, "m": 400}), ("ffnn", {"n": 300, "d": 300, "h": 300, "c": 300})],
)
def test_bytes_are_as_predicted(session, name, sizes):
    rows = exchanges.exchanges_of(session, exchanges.WORKLOADS[name], sizes, edge=100)
    assert rows
    assert max(row.deviation for row in rows) < exchanges.BAR


@pytest.mark.xdist_group("benchmarks")
def test_alternatives_are_priced_and_run(session, settings):
    cases = [*alternatives.products(session, 64)[:4], *alternatives.chains(session, 64)[:2]]
    rows = alternatives.time_cases(session, cases, rounds=1)
    assert [row.how for row in rows[:4]] == list(alternatives.STRATEGIES)
    assert all(row.predicted > 0 and row.measured > 0 for row in rows)
    strategies = session.explain(cases[0].relation).to_dict()["strategies"]
    assert not any(entry["hinted"] for entry in strategies)
    alternatives.plot(rows, settings)
    assert (settings.plots / "alternatives.svg").exists()


# -- holes ----------------------------------------------------------------------------------------


def test_products_with_holes_are_timed():
    row = holes.measure(holes.make(0.5, 4, 8), 8, rounds=1)
    assert set(row.times) == {"holes", "dense", "numpy"} and 0 < row.case.matching < 1
    assert len(holes.lines([row])) == 4
    (bar,) = holes.verdict([row])
    assert bar.value == row.allowance > 0


def test_what_a_product_with_holes_may_take():
    case = holes.Case(0.5, {(0, 0): None}, {(0, 0): None, (0, 1): None}, 2)
    assert case.matching == 2 / 8
    row = holes.Row(case, {"holes": [0.52, 1.5, 2.0], "dense": [1.0, 2.0, 0.01], "numpy": []}, 0.5)
    assert row.allowance == 1.5 / 1.02
