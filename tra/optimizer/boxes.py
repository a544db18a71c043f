"""Boxes: the key ranges that a site holds of a relation that is placed.

Cuts are even ranges of a key's domain, so that two placements agree exactly when roles and domains do.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tra.algebra.types import RelType
from tra.optimizer.meshes import n_sites, site_coordinates
from tra.optimizer.placement import Placement, splitting
from tra.optimizer.roles import Parts

Ranges: TypeAlias = tuple[tuple[int, int], ...]


def cut(domain: int, parts: int, index: int) -> tuple[int, int]:
    """The range of part `index` when a domain is cut evenly.

    Example:
        >>> [cut(7, 3, p) for p in range(3)]
        [(0, 2), (2, 4), (4, 7)]
    """
    return index * domain // parts, (index + 1) * domain // parts


def _range_along(placement: Placement, coords: tuple[int, ...], dimensions: Iterable[int]) -> tuple[int, int]:
    """Into how many ranges some mesh dimensions cut together, coarse ones first, and which the site has."""
    parts, index = 1, 0
    for d in dimensions:
        parts, index = parts * placement.mesh[d], index * placement.mesh[d] + coords[d]
    return parts, index


@lru_cache(maxsize=1 << 16)
def site_box(keys: tuple[tuple[str, int], ...], placement: Placement, site: int) -> Ranges:
    """The key ranges a site holds: (name, domain) pairs in, one range per key out.

    Example:
        >>> from tra.optimizer.roles import Split
        >>> both = Placement((2, 2), (Split("i"), Split("i")))
        >>> [site_box((("i", 6), ("j", 2)), both, site) for site in range(4)]
        [((0, 1), (0, 2)), ((1, 3), (0, 2)), ((3, 4), (0, 2)), ((4, 6), (0, 2))]
    """
    coords = site_coordinates(placement.mesh, site)
    box = []
    for name, domain in keys:
        box.append(cut(domain, *_range_along(placement, coords, splitting(placement, name))))
    return tuple(box)


def box_of(type_: RelType, placement: Placement, site: int) -> Ranges:
    """The key ranges of a relation that a site holds.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split
        >>> box_of(tensor_type((6, 4), "f8", ("i", "j"), (2, 2)), Placement((2,), (Split("i"),)), 1)
        ((1, 3), (0, 2))
    """
    return site_box(tuple((k.name, k.domain) for k in type_.keys), placement, site)


def boxes_of(type_: RelType, placement: Placement) -> tuple[Ranges, ...]:
    """The key ranges that each site holds.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> from tra.optimizer.roles import Split
        >>> boxes_of(tensor_type((6,), "f8", ("i",), 2), Placement((2,), (Split("i"),)))
        (((0, 1),), ((1, 3),))
    """
    return _site_boxes(tuple((k.name, k.domain) for k in type_.keys), placement)


@lru_cache(maxsize=1 << 14)
def _site_boxes(keys: tuple[tuple[str, int], ...], placement: Placement) -> tuple[Ranges, ...]:
    return tuple(site_box(keys, placement, site) for site in range(n_sites(placement.mesh)))


@lru_cache(maxsize=1 << 12)
def box_array(keys: tuple[tuple[str, int], ...], placement: Placement) -> NDArray[np.int64]:
    """The key ranges of all sites as one array: (sites, keys, 2). Who asks gets the same array again.

    Example:
        >>> from tra.optimizer.roles import Split
        >>> box_array((("i", 6),), Placement((2,), (Split("i"),))).tolist()
        [[[0, 3]], [[3, 6]]]
    """
    coords = np.indices(placement.mesh, dtype=np.int64).reshape(len(placement.mesh), -1)
    result = np.empty((n_sites(placement.mesh), len(keys), 2), dtype=np.int64)
    for place, (name, domain) in enumerate(keys):
        parts, index = 1, np.zeros(len(result), dtype=np.int64)
        for d in splitting(placement, name):
            parts, index = parts * placement.mesh[d], index * placement.mesh[d] + coords[d]
        result[:, place, 0], result[:, place, 1] = index * domain // parts, (index + 1) * domain // parts
    return result


@lru_cache(maxsize=1 << 12)
def holds_part(placement: Placement, site: int) -> bool:
    """Claims that a site holds a part: that its range of each key folded away has live values.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> [holds_part(Placement((3,), (Parts(ADD, "k", 2, (0, 2)),)), site) for site in range(3)]
        [False, True, True]
    """
    coords = site_coordinates(placement.mesh, site)
    for role in placement.roles:
        if isinstance(role, Parts) and role.key is not None:
            same = (d for d in placement.parts if placement.roles[d] == role)
            low, high = cut(role.domain, *_range_along(placement, coords, same))
            if max(low, role.live[0]) >= min(high, role.live[1]):
                return False
    return True


@lru_cache(maxsize=1 << 12)
def all_hold_parts(placement: Placement) -> bool:
    """Claims that no site's range of a key folded away is empty.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> [all_hold_parts(Placement((3,), (Parts(ADD, "k", n, (0, n)),))) for n in (2, 3)]
        [False, True]
    """
    roles = {role for role in placement.roles if isinstance(role, Parts) and role.key is not None}
    n_ranges = {
        role: prod(placement.mesh[d] for d in placement.parts if placement.roles[d] == role) for role in roles
    }
    return all(role.live == (0, role.domain) and n <= role.domain for role, n in n_ranges.items())
