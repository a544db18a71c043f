"""The page about reproducibility has to be true: its examples run, and its bounds are those of the code."""

import doctest
import re
from pathlib import Path

import pytest

import tra
from tra.algebra.exact.slicing import Slices, product_error, slices_for, sum_error, sum_slices
from tra.optimizer.reproducible.exact_sums import LEAST_LOST
from tra.optimizer.reproducible.fixed_functions import FIXED
from tra.optimizer.reproducible.level import LEVELS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reproducibility.md"
TEXT = PAGE.read_text(encoding="utf-8")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def test_the_examples():
    blocks = re.findall(r"```python\n(.*?)```\n", TEXT, re.DOTALL)
    assert len(blocks) > 3
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "reproducibility.md", str(PAGE), 0)
    shown = []
    with tra.connect("local", threads=1):
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=shown.append)
    assert tried > 10 and not failed, "".join(shown)


@pytest.mark.parametrize("name", [*(f'"{level}"' for level in LEVELS), *sorted(FIXED)])
def test_every_level_and_function_is_there(name):
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize(("n", "number", "bits"), [(1000, 3, 20), (5, 1, 25), (10**6, 4, 15), (7, 2, 24)])
def test_the_bounds(n, number, bits):
    """As the page spells them."""
    assert slices_for(n, 2, number) == Slices(number, bits)
    lost = (number + 1) * 2.0 ** (-number * (bits + 1)) * (1 + 2.0**-bits)
    assert product_error(Slices(number, bits), n) <= 4 * n * (lost + 2.0 ** (-52 - bits))
    assert sum_error(Slices(number, bits), n) <= 2 * n * (2.0 ** (-number * (bits + 1)) + 2.0 ** (-52 - bits))


def test_the_table():
    """How many slices a result takes, of how many terms."""

    def n_slices(code, terms, tolerance=0.0):
        least = max(LEAST_LOST[code], tolerance)
        return next(s for s in range(1, 20) if product_error(slices_for(terms, 2, s), 1) <= least)

    assert n_slices("d", 174_000) == 3 and n_slices("d", 176_000) == 4
    assert n_slices("d", 65_000, 1e-10) == 2 and n_slices("d", 66_000, 1e-10) == 3
    assert n_slices("f", 10**6) == 2 and n_slices("f", 1_100_000) == 3
    assert sum_slices(134_000_000) == 2
    assert LEAST_LOST["d"] == 2.0**-49 and LEAST_LOST["f"] == 2.0**-30
