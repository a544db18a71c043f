"""Holding a rule to the definitions: what it makes must have the type and the tiles of what it took."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from tra.algebra import reference
from tra.algebra.nodes import Expr, postorder
from tra.algebra.trial import agree
from tra.algebra.types import Tile, TileKey
from tra.errors import TraError

Tiles = dict[TileKey, Tile]


def check_rule(
    rule: Callable[[Expr], Expr | None], query: Expr, sources: Mapping[str, reference.TileReader]
) -> int:
    """Applies a rule at every node of a query, and compares what it makes with the reference evaluator.

    Args:
        rule: a rule on expressions.
        query: the query.
        sources: the data of its sources.

    Returns:
        At how many nodes the rule fired.

    Example:
        >>> import tra
        >>> def sum_of_powers(node):  # claims that every kernel is linear
        ...     return (A.aggregate() ** 2).expr if node.children else None
        >>> A = tra.from_array([1.0, 2.0], tile=1, name="A")
        >>> check_rule(sum_of_powers, (A ** 2).aggregate().expr, A.sources)
        Traceback (most recent call last):
        AssertionError: rule sum_of_powers changed a type: [i:2] of 1/2 float64 became [] of 1 float64

    Raises:
        AssertionError: the rule changed a type, a key or a value.
    """
    n_fired = 0
    for node in postorder(query):
        made = rule(node)
        if made is not None:
            n_fired += 1
            _compare(rule.__name__, node, made, sources)
    return n_fired


def _compare(name: str, old: Expr, new: Expr, sources: Mapping[str, reference.TileReader]) -> None:
    if old.type != new.type:
        raise AssertionError(f"rule {name} changed a type: {old.type} became {new.type}")
    expected = _evaluated(old, sources)
    if expected is None:
        return
    found = _evaluated(new, sources)
    if found is None or set(found) != set(expected):
        raise AssertionError(f"rule {name} changed the keys of {old.type}")
    for key, tile in expected.items():
        if found[key].dtype != tile.dtype or not agree(found[key], tile):
            raise AssertionError(f"rule {name} changed the tile at {key}: {tile} became {found[key]}")


def _evaluated(expr: Expr, sources: Mapping[str, reference.TileReader]) -> Tiles | None:
    """The tiles of a query; None where a kernel refuses its values."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            return reference.evaluate(expr, sources)
        except TraError:
            return None
