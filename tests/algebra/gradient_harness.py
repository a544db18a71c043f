"""What tests of gradients share: a loss of any relation, and its gradient held to central differences."""

import warnings

import numpy as np
from hypothesis import strategies as st

from tra.algebra.gradient import gradients
from tra.algebra.live import is_listable, live_keys
from tra.algebra.makers import Random
from tra.algebra.nodes import Generated, Source, postorder
from tra.algebra.operators import aggregate, generated, join, transform
from tra.algebra.random_query import Chooser, Query, grow
from tra.algebra.reference import evaluate
from tra.algebra.sources import TilesSource
from tra.errors import SchemaError
from tra.testing import check_type, relations, tensors


def weighted(expr, seed=3):
    """Σ of all elements, each times a random weight: a loss that sees every one of them."""
    if expr.type.dtype.kind == "c":
        expr = join(*(transform(expr, part) for part in ("real", "imag")), list(expr.type.names), "add")
    if expr.type.dtype.kind != "f":
        expr = transform(expr, "cast", dtype="float64")
    weights = generated(expr.type, Random("normal", (0.0, 1.0), seed))
    return total(join(expr, weights, list(expr.type.names), "mul"))


def total(expr):
    """Σ of all elements."""
    for _ in expr.type.axes:
        expr = transform(expr, "reduce_sum", axis=-1)
    return aggregate(expr, [], "add")


def sources_of(expr):
    """The float sources of an expression."""
    return [node for node in postorder(expr) if isinstance(node, Source) and node.type.dtype.kind in "fc"]


def tiles_of(relation):
    """Every source of a relation, in memory."""
    return {
        node.id: {tuple(k): np.array(relation.sources[node.id].read(tuple(k))) for k in _keys(node.type)}
        for node in postorder(relation.expr)
        if isinstance(node, Source)
    }


def _keys(type_):
    return live_keys(type_).tolist()


def value(expr, tiles, known=None):
    """The tiles of an expression."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return evaluate(expr, {id_: TilesSource(by_key) for id_, by_key in tiles.items()}, known)


def number(loss, tiles, known=None):
    """The loss; 0 where there is nothing to add up."""
    found = value(loss, tiles, known)
    return float(found[()]) if found else 0.0


def check_gradients(loss, tiles, most=None, seed=0):
    """Asserts that the gradients of a loss have the types of its sources, and are the central differences.

    Args:
        most: how many elements of each source are tried; all when left out.
    """
    wrt = sources_of(loss)
    found = gradients(loss, wrt)
    known = {node.digest: value(node, {}) for node in postorder(loss) if isinstance(node, Generated)}
    try:
        number(loss, tiles, known)
    except SchemaError as error:  # a maximum of nothing
        assert "zero-size" in str(error)
        return found
    for source, expr in zip(wrt, found, strict=True):
        assert expr.type == source.type
        result = value(expr, tiles)
        check_type(expr, result)
        assert set(result) == set(tiles[source.id])
        places = [(k, i) for k, tile in tiles[source.id].items() for i in np.ndindex(tile.shape)]
        random = np.random.default_rng(seed)
        for n in random.permutation(len(places))[:most]:
            _check_element(loss, tiles, known, source.id, *places[n], result)
    return found


def _check_element(loss, tiles, known, id_, key, place, result):
    steps = (1, 1j) if tiles[id_][key].dtype.kind == "c" else (1,)
    slopes = [[_slope(loss, tiles, known, id_, key, place, step * h) for h in (1e-5, 3e-5)] for step in steps]
    if any(abs(fine - coarse) > 1e-4 * max(1, abs(fine)) for fine, coarse in slopes):
        return  # at a corner
    expected = sum(step * fine for step, (fine, _) in zip(steps, slopes, strict=True))
    given = result[key][place]
    assert abs(given - expected) <= 1e-5 * max(1, abs(expected)), (id_, key, place, given, expected)


def _slope(loss, tiles, known, id_, key, place, step):
    ends = []
    for sign in (1, -1):
        moved = tiles[id_][key].copy()
        moved[place] += sign * step
        ends.append(number(loss, {**tiles, id_: {**tiles[id_], key: moved}}, known))
    return (ends[0] - ends[1]) / (2 * abs(step))


@st.composite
def compositions(draw, max_steps=6):
    """A relation made of random operators over one source of any kind, and random numbers for its tiles."""
    choose = Chooser(lambda low, high: draw(st.integers(low, high)))
    if draw(st.booleans()):
        query = Query(draw(tensors(dtype="float64")).relation)
    else:
        query = Query(draw(relations("float64", max_rank=2)))
    for _ in range(draw(st.integers(1, max_steps))):
        grown = grow(query, choose)
        if grown.relation.nbytes < 1 << 14 and grown.type.dtype.kind == "f" and is_listable(grown.type):
            query = grown
    return query.relation, random_tiles(draw, query.relation)


def random_tiles(draw, relation):
    """Random numbers for the tiles of every source of a relation."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return {
        id_: {key: random.standard_normal(tile.shape) for key, tile in by_key.items()}
        for id_, by_key in tiles_of(relation).items()
    }
