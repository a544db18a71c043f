"""Variable elimination finds what trying all combinations finds."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.long import examples
from tra.optimizer.elimination import Factor, eliminate

NAMES = "abcde"


@st.composite
def problems(draw):
    sizes = {name: draw(st.integers(1, 4)) for name in NAMES}
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    factors = []
    for _ in range(draw(st.integers(0, 7))):
        scope = tuple(draw(st.permutations(NAMES))[: draw(st.integers(0, 3))])
        factors.append(Factor(scope, random.integers(0, 6, [sizes[name] for name in scope]).astype(float)))
    return sizes, factors


def price(values, factors):
    return sum(float(f.table[tuple(values[name] for name in f.scope)]) for f in factors)


@examples(150)
@given(problems())
def test_trying_everything_agrees(problem):
    sizes, factors = problem
    found = eliminate(sizes, factors)
    everything = itertools.product(*(range(size) for size in sizes.values()))
    assert list(found) == list(sizes)
    assert price(found, factors) == min(price(dict(zip(sizes, v, strict=True)), factors) for v in everything)
    assert eliminate(sizes, factors) == found


def test_a_chain_of_many_variables_is_cheap():
    sizes = {f"v{n}": 9 for n in range(400)}
    random = np.random.default_rng(0)
    factors = [Factor((f"v{n}", f"v{n + 1}"), random.random((9, 9))) for n in range(399)]
    assert eliminate(sizes, factors, limit=81) is not None
    assert eliminate(sizes, factors, limit=80) is None
