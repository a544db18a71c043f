"""einsum agrees with NumPy on hundreds of random equations, on threads and on a cluster."""

import random

import numpy as np
import pytest

import tra
from tests.long import LONG

EXTENTS = {"a": 2, "b": 3, "c": 5, "d": 1, "e": 4, "f": 7}
N_EQUATIONS = 240


def array_of(shape, chooser):
    values = np.random.default_rng(chooser.randrange(2**32)).integers(-3, 4, shape)
    return values.astype(chooser.choice(["f8", "f8", "f8", "i8", "c16", "f4"]))


def relation_of(array, chooser):
    keys = [f"k{p}" for p in range(chooser.randint(0, array.ndim))]
    return tra.from_array(array, keys=keys, tile=[chooser.randint(1, 4) for _ in keys])


def equation(chooser):
    """An equation of one to five operands: diagonals, traces, outer products, reductions, ellipses."""
    labels = chooser.sample(sorted(EXTENTS), chooser.randint(1, 4))
    n_operands = chooser.choice([1, 1, 2, 2, 2, 3, 3, 4, 5])
    longest = 3 if n_operands < 4 else 2
    terms = ["".join(chooser.choices(labels, k=chooser.randint(0, longest))) for _ in range(n_operands)]
    dots = [chooser.random() < 0.15 for _ in terms]
    lead = [chooser.choice([(), (3,), (2, 3), (1,)]) if dot else None for dot in dots]
    used = sorted({c for term in terms for c in term})
    output = chooser.sample(used, chooser.randint(0, len(used)))
    text = ",".join(("..." if dot else "") + term for term, dot in zip(terms, dots, strict=True))
    if any(dots) or chooser.random() < 0.8:
        text += "->" + ("..." if any(dots) else "") + "".join(output)
    shapes = [(*(more or ()), *(EXTENTS[c] for c in term)) for term, more in zip(terms, lead, strict=True)]
    return text, shapes


def drawn(seed):
    """An equation with arrays and relations; now and then one relation stands for several operands."""
    chooser = random.Random(seed)
    text, shapes = equation(chooser)
    arrays, relations = [], []
    for place, shape in enumerate(shapes):
        same = [p for p in range(place) if shapes[p] == shape]
        if same and chooser.random() < 0.5:
            arrays.append(arrays[same[0]])
            relations.append(relations[same[0]])
        else:
            arrays.append(array_of(shape, chooser))
            relations.append(relation_of(arrays[-1], chooser))
    return text, arrays, relations


def compared(agreement, seeds, compute):
    cases = [drawn(seed) for seed in seeds]
    queries = [tra.einsum(text, *relations) for text, _, relations in cases]
    for (text, arrays, _), found in zip(cases, compute(*queries), strict=True):
        expected = np.einsum(text, *arrays)
        assert found.shape == expected.shape, text
        assert found.dtype == expected.dtype, text
        agreement.close(found, expected)


def test_the_equations_are_of_every_kind():
    texts = [drawn(seed)[0] for seed in range(N_EQUATIONS)]
    terms = [text.split("->")[0].split(",") for text in texts]
    assert {len(t) for t in terms} == {1, 2, 3, 4, 5}
    assert any(len(set(t)) < len(t) for found in terms for t in found), "diagonals"
    assert any(text.endswith("->") for text in texts), "full reductions"
    assert any("..." in text for text in texts) and any("->" not in text for text in texts)
    assert len(set(texts)) > 150


@pytest.mark.parametrize(("sites", "every"), [(1, 5), (2, 5), (3, 1), (4, 5), (5, 5)])
def test_on_threads(agreement, sites, every):
    with tra.connect("local", sites=sites, threads=1) as session:
        compared(agreement, range(0, N_EQUATIONS, every if LONG else 3 * every), session.compute)


@pytest.mark.xdist_group("dask")
def test_on_a_cluster(agreement, client):
    with tra.connect("dask", scheduler=client, progress=False) as session:
        for start in range(0, N_EQUATIONS, 60 if LONG else 180):
            compared(agreement, range(start, start + 60), session.compute)
