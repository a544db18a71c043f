"""Small plans for the examples of rules."""

from tra.algebra.sources import tensor_type
from tra.optimizer.placement import ALL, Placement, Split
from tra.optimizer.plan import Scan


def split(key: str) -> Placement:
    """Two sites, split by a key."""
    return Placement((2,), (Split(key),))


def everywhere() -> Placement:
    """Two sites, a copy at each."""
    return Placement((2,), (ALL,))


def scan() -> Scan:
    """A 4×4 matrix of 2×2 tiles, split by rows."""
    return Scan(tensor_type((4, 4), "f8", ("i", "j"), (2, 2)), split("i"), "A", "0", "A")
