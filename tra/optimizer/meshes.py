"""Meshes: the sites as a grid of one to three dimensions.

A mesh may have fewer sites than the cluster: the last ones are idle, because a number of sites that is a
product of small factors moves less.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations, product
from math import isqrt, prod
from typing import TypeAlias

Mesh: TypeAlias = tuple[int, ...]
MAX_IDLE = 0.15  # of the sites
MAX_ORDERED = 16  # sites


def meshes(n_sites: int, ordered: bool = True) -> list[Mesh]:
    """The meshes worth planning for: one to three dimensions, at most `MAX_IDLE` of the sites idle.

    A mesh that is no larger than another in any dimension is left out: its sites would have more to do and
    more to receive.

    Args:
        n_sites: how many sites there are.
        ordered: tells orders of the dimensions of small meshes apart, which matters where relations lie on
            the sites already.

    Example:
        >>> meshes(4), meshes(5), meshes(1), meshes(6)
        ([(4,), (2, 2)], [(5,)], [()], [(6,), (3, 2), (2, 3)])
        >>> meshes(7), meshes(8, ordered=False)
        ([(7,), (3, 2), (2, 3)], [(8,), (4, 2), (2, 2, 2)])
    """
    if n_sites == 1:
        return [()]
    least = -int(-n_sites * (1 - MAX_IDLE) // 1)
    shapes = [shape for q in range(n_sites, least - 1, -1) for shape in _factorisations(q)]
    best = [shape for shape in shapes if not any(_covers(other, shape) for other in shapes)]
    found = sorted((tuple(g for g in shape if g > 1) for shape in best), key=lambda m: (len(m), -prod(m)))
    if not ordered or n_sites > MAX_ORDERED:
        return found
    return [order for mesh in found for order in sorted(set(permutations(mesh)), reverse=True)]


def _factorisations(n: int) -> Iterator[tuple[int, int, int]]:
    """Every way to write a number as three factors, largest first."""
    for c in range(1, round(n ** (1 / 3)) + 1):
        if n % c == 0:
            rest = n // c
            for b in range(c, isqrt(rest) + 1):
                if rest % b == 0:
                    yield rest // b, b, c


def _covers(large: tuple[int, int, int], small: tuple[int, int, int]) -> bool:
    return large != small and all(a >= b for a, b in zip(large, small, strict=True))


def n_sites(mesh: Mesh) -> int:
    """How many sites the mesh has.

    Example:
        >>> n_sites((2, 3)), n_sites(())
        (6, 1)
    """
    return prod(mesh)


def coordinates(mesh: Mesh) -> Iterator[tuple[int, ...]]:
    """The coordinates of each site, in site order.

    Example:
        >>> list(coordinates((2, 2)))
        [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    return product(*(range(g) for g in mesh))


@lru_cache(maxsize=4096)
def site_coordinates(mesh: Mesh, site: int) -> tuple[int, ...]:
    """The coordinates of one site.

    Example:
        >>> site_coordinates((2, 3), 4)
        (1, 1)
    """
    result = []
    for g in reversed(mesh):
        site, rest = divmod(site, g)
        result.append(rest)
    return tuple(reversed(result))


def site_number(mesh: Mesh, coords: tuple[int, ...]) -> int:
    """The site at the coordinates.

    Example:
        >>> site_number((2, 3), (1, 1))
        4
    """
    number = 0
    for g, c in zip(mesh, coords, strict=True):
        number = number * g + c
    return number
