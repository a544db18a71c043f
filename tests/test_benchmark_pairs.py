"""What the comparisons stand on: turns, ratios, memory of a process, bars, and the page's head of them."""

import numpy as np
import pytest

from benchmarks import bars, netlab, pairs, report
from benchmarks.bars import Bar
from benchmarks.page import Settings, read_sections
from benchmarks.reasons import REASONS
from benchmarks.shapes import QUICK, SHAPES, Shape
from benchmarks.twins import twins
from tests.long import only_long

MEGABYTE = 1 << 20


@pytest.fixture
def settings(tmp_path):
    return Settings(quick=True, plots=tmp_path / "plots")


def test_all_run_in_turns_and_the_first_round_does_not_count():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    times = pairs.interleaved(runs, 2, before=lambda: order.append("-"))
    assert "".join(order) == "-a-b" * 3
    assert all(len(seconds) == 2 for seconds in times.values())


def test_ratios_are_within_rounds():
    times = {"mine": [1.0, 10.0, 3.0], "other": [2.0, 10.0, 4.0]}
    assert pairs.ratio(times, "mine", "other") == 0.75


def test_what_is_not_a_number_is_not_close():
    with pytest.raises(ArithmeticError, match="it is off by nan"):
        pairs.check_close("it", np.array([np.nan]), np.array([1.0]))


def prepare_copies(n):
    """A run that returns an array as large as its input, and takes one more on the way."""
    given = np.ones(n * MEGABYTE, dtype=np.uint8)

    def run():
        more = given + np.uint8(1)
        return given + more

    return run, given.nbytes


def prepare_nothing():
    """A run that fails."""
    return lambda: 1 / 0, 0


def test_memory_of_a_run_is_seen():
    found = pairs.peak_memory(prepare_copies, 64)
    assert (found.inputs, found.output) == (64 * MEGABYTE, 64 * MEGABYTE)
    assert 0.3 < found.beyond < 0.7  # one array, beside the two that count


def test_a_run_that_fails_is_named():
    with pytest.raises(RuntimeError, match=r"prepare_nothing\(\) did not end"):
        pairs.peak_memory(prepare_nothing)


def test_bars_of_a_section_replace_its_own(settings):
    bars.record(settings, "products", [Bar("time", 2.0, 1.0), Bar("gone", 1.0, 1.0)])
    bars.record(settings, "orders", [Bar("rate", 0.95, 0.9, at_least=True)])
    bars.record(settings, "products", [Bar("time", 0.5, 1.0), Bar("links", None, 0.9)])
    lines = bars.summary(settings.plots, {"orders": "Orders", "products": "Products"})
    assert lines[0] == "2 of 3 bars are met."
    assert [line.split(" | ")[1:] for line in lines[4:7]] == [
        ["rate", "≥ 0.9", "0.95", "met |"],
        ["time", "≤ 1", "0.50", "met |"],
        ["links", "≤ 0.9", "not run", " |"],
    ]


def test_reasons_stand_beside_what_they_explain_and_nowhere_else(settings, monkeypatch):
    monkeypatch.setitem(REASONS, "time", "Links are slow.")
    bars.record(
        settings, "orders", [Bar("time, a", 2.0, 1.0), Bar("time, b", 0.5, 1.0), Bar("time, c", 3.0, 1.0)]
    )
    lines = bars.summary(settings.plots, {"orders": "Orders"})
    assert lines[-4:] == [
        "### Bars that are missed",
        "",
        "**time, a (2.00); time, c (3.00).** Links are slow.",
        "",
    ]


def test_the_page_begins_with_all_bars(settings, tmp_path, monkeypatch):
    class Section:
        @staticmethod
        def section(settings):
            bars.record(settings, "orders", [Bar("time", 2.0, 1.0)])
            return ["text"]

    monkeypatch.setattr(report, "import_module", lambda name: Section)
    page = tmp_path / "page.md"
    report.run(["orders"], settings, page)
    found = read_sections(page.read_text())
    assert any("| time | ≤ 1 | 2.00 | **missed** |" in line for line in found[""])


def test_all_shapes_are_as_much_work():
    for shapes in (SHAPES, QUICK):
        assert len({shape.flops for shape in shapes}) == 1


def test_twins_run_and_end():
    with twins(Shape("common", 40, 400, 40)) as both:
        both.run()
        assert all(process.is_alive() for process in both.processes)
    assert not any(process.is_alive() for process in both.processes)


# -- hosts ----------------------------------------------------------------------------------------


def names_of_workers(client, prefix):
    """Runs beside the scheduler of the hosts."""
    found = client.scheduler_info(n_workers=-1)["workers"].values()
    return sorted(prefix + str(worker["name"]) for worker in found)


@only_long
@pytest.mark.skipif(not netlab.is_there(), reason=netlab.NOT_RUN)
def test_hosts_are_made_and_taken_down():
    found = netlab.on_hosts("tests.test_benchmark_pairs", "names_of_workers", {"prefix": "a "}, 2, "1gbit")
    assert found == ["a host1", "a host2"]
    with pytest.raises(RuntimeError, match="AttributeError"):
        netlab.on_hosts("tests.test_benchmark_pairs", "no_such_name", {}, 1, "none")
