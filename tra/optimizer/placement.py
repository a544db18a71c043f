"""Where tiles lie: a mesh of sites, and one role per mesh dimension.

A placement says for each dimension of the mesh whether the relation is *split* there by a key, *replicated*,
in *parts* of an aggregation (a bag: equal parts are never merged), or *scattered* (each tile at one unknown
place). The paper's ALL is replication in every dimension, its PART(D) a split by the keys D.

A key that several mesh dimensions split is cut into as many ranges as those dimensions have sites together;
cuts are even ranges of the key's domain, so that two placements agree exactly when roles and domains do.
A mesh may have fewer sites than the cluster: the last ones are idle, because a number of sites that is a
product of small factors moves less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations, product
from math import isqrt, prod
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from tra.algebra.kernel import Kernel
from tra.algebra.live import frontier, ranges
from tra.algebra.types import RelType

Mesh: TypeAlias = tuple[int, ...]
Ranges: TypeAlias = tuple[tuple[int, int], ...]
MAX_IDLE = 0.15  # of the sites
MAX_ORDERED = 16  # sites


@dataclass(frozen=True, slots=True)
class Split:
    """Range split by the key called `key`.

    Attributes:
        key: the key.
        is_minor: cuts the ranges that other dimensions of this key make, also where it comes first.
    """

    key: str
    is_minor: bool = False

    def __str__(self) -> str:
        return f"split({self.key}{', minor' * self.is_minor})"


@dataclass(frozen=True, slots=True)
class Replicated:
    """Every site along the dimension holds a copy."""

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True, slots=True, repr=False)
class Parts:
    """Each site along the dimension holds one part; folding the parts with `kernel` gives the tiles.

    Attributes:
        kernel: the aggregation that makes one tile of the parts.
        key: the key that was split and is folded away, or None when it was no plain key.
        domain: the domain of that key.
        live: the range of its live values; a site that has none of them holds no part.
    """

    kernel: Kernel
    key: str | None = None
    domain: int = 0
    live: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return f"parts({self.kernel.name})"

    def __repr__(self) -> str:
        return f"Parts({self.kernel.identity_key}, {self.key!r}, {self.domain}, {self.live})"


@dataclass(frozen=True, slots=True)
class Scattered:
    """Each tile lies at one site along the dimension; which one is known when the plan runs."""

    def __str__(self) -> str:
        return "scattered"


def parts_over(kernel: Kernel, type_: RelType, key: str) -> Parts:
    """The parts that come of folding away a key of a relation that is split by it.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.algebra.sources import tensor_type
        >>> parts_over(ADD, tensor_type((6, 4), "f8", ("i", "j"), (2, 2)), "i").live
        (0, 3)
    """
    return Parts(kernel, key, type_.domain(key), ranges(type_)[type_.names.index(key)])


Role: TypeAlias = Split | Replicated | Parts | Scattered
ALL = Replicated()
SCATTERED = Scattered()


@dataclass(frozen=True)
class Placement:
    """One role per dimension of the mesh.

    Example:
        >>> str(Placement((2, 2), (Split("i"), ALL)))
        'split(i)×all on 2×2'
    """

    mesh: Mesh
    roles: tuple[Role, ...]
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(isinstance(role, Split) and role.is_minor for role in self.roles):
            object.__setattr__(self, "roles", _one_form(self.roles))
        object.__setattr__(self, "_hash", hash((self.mesh, self.roles)))  # searches look placements up

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return Placement, (self.mesh, self.roles)  # texts hash differently elsewhere

    def __str__(self) -> str:
        if not self.roles:
            return "one site"
        return "×".join(map(str, self.roles)) + f" on {'×'.join(map(str, self.mesh))}"

    @property
    def parts(self) -> tuple[int, ...]:
        """The mesh dimensions that hold parts."""
        return tuple(d for d, role in enumerate(self.roles) if isinstance(role, Parts))

    @property
    def is_scattered(self) -> bool:
        """Claims that the place of a tile is not known before the plan runs."""
        return SCATTERED in self.roles

    @property
    def scatter(self) -> int:
        """At how many sites a scattered tile may lie."""
        return prod(g for g, role in zip(self.mesh, self.roles, strict=True) if isinstance(role, Scattered))

    def fold_kernel(self) -> Kernel | None:
        """The kernel that folds the parts, or None when there are none."""
        return next((role.kernel for role in self.roles if isinstance(role, Parts)), None)


def replicated(mesh: Mesh) -> Placement:
    """The placement ALL.

    Example:
        >>> str(replicated((2, 2)))
        'all×all on 2×2'
    """
    return Placement(mesh, (ALL,) * len(mesh))


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


def _one_form(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    """The roles without a minor one that cuts finer for coming later: equal placements are equal."""
    keys = {role.key for role in roles if isinstance(role, Split)}
    orders = {key: sorted((r.is_minor, d) for d, r in enumerate(roles) if _splits(r, key)) for key in keys}
    plain = {key for key, order in orders.items() if order == sorted(order, key=lambda pair: pair[1])}
    return tuple(Split(r.key) if isinstance(r, Split) and r.key in plain else r for r in roles)


def splitting(placement: Placement, key: str) -> list[int]:
    """The mesh dimensions that split a key: those that cut coarse ranges first.

    Example:
        >>> splitting(Placement((2, 3, 2), (Split("i", is_minor=True), Split("i"), ALL)), "i")
        [1, 0]
    """
    found = [(role.is_minor, d) for d, role in enumerate(placement.roles) if _splits(role, key)]
    return [d for _, d in sorted(found)]


def _splits(role: Role, key: str) -> TypeGuard[Split]:
    return isinstance(role, Split) and role.key == key


@lru_cache(maxsize=1 << 16)
def site_box(keys: tuple[tuple[str, int], ...], placement: Placement, site: int) -> Ranges:
    """The key ranges a site holds: (name, domain) pairs in, one range per key out.

    Example:
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
        >>> box_of(tensor_type((6, 4), "f8", ("i", "j"), (2, 2)), Placement((2,), (Split("i"),)), 1)
        ((1, 3), (0, 2))
    """
    return site_box(tuple((k.name, k.domain) for k in type_.keys), placement, site)


def boxes_of(type_: RelType, placement: Placement) -> tuple[Ranges, ...]:
    """The key ranges that each site holds.

    Example:
        >>> from tra.algebra.sources import tensor_type
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


def widest_key(type_: RelType, among: Collection[str] | None = None) -> str | None:
    """The key of largest frontier, the first of several; None where none has more than one value.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> matrix = tensor_type((12, 4), "f8", ("i", "j"), (4, 1))
        >>> widest_key(matrix), widest_key(matrix, among=["i"]), widest_key(matrix, among=[])
        ('j', 'i', None)
    """
    pairs = zip(frontier(type_), type_.names, strict=True)
    found = [(f, name) for f, name in pairs if f > 1 and (among is None or name in among)]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def is_satisfied(have: Placement, need: Placement) -> bool:
    """Claims that a relation lies as it is needed, so that no exchange is called for.

    Example:
        >>> is_satisfied(Placement((2,), (ALL,)), Placement((2,), (Split("i"),)))  # a part has to be dropped
        False
    """
    return have == need


def on_mesh(placement: Placement, mesh: Mesh) -> Placement:
    """A placement on one mesh dimension, said on another mesh of as many sites: the same ranges at each.

    On a mesh of other sites it cannot be said, and stays as it is.

    Example:
        >>> str(on_mesh(Placement((4,), (Split("i"),)), (2, 2)))
        'split(i)×split(i) on 2×2'
    """
    if placement.mesh == mesh or n_sites(placement.mesh) != n_sites(mesh):
        return placement
    role = placement.roles[0] if placement.roles else ALL
    return Placement(mesh, (role,) * len(mesh))
