"""A relation with ragged edges and a hole, and one without."""

import numpy as np
import pytest

from tra.algebra.live import live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.sources import tensor_type
from tra.algebra.types import KeySet


@pytest.fixture
def whole():
    """The tensor 0, 1, … of shape (5, 3) in tiles of (2, 2), and its type."""
    array = np.arange(15.0).reshape(5, 3)
    return tensor_type((5, 3), "f8", tile=2), _tiles(array, range(6))


@pytest.fixture
def holed():
    """The same without its third tile."""
    type_, tiles = tensor_type((5, 3), "f8", tile=2), _tiles(np.arange(15.0).reshape(5, 3), (0, 1, 3, 4, 5))
    return with_live(type_, KeySet(live_keys(type_)[[0, 1, 3, 4, 5]])), tiles


def _tiles(array, places):
    keys = [(p // 2, p % 2) for p in places]
    return {(i, j): array[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] for i, j in keys}
