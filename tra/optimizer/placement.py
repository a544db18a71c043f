"""Where tiles lie: a mesh of sites, and one role per mesh dimension.

A placement says for each dimension of the mesh whether the relation is *split* there by a key, *replicated*,
in *parts* of an aggregation (a bag: equal parts are never merged), or *scattered* (each tile at one unknown
place). The paper's ALL is replication in every dimension, its PART(D) a split by the keys D.

A key that several mesh dimensions split is cut into as many ranges as those dimensions have sites together;
`boxes.py` says which.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeGuard

from tra.algebra.kernel import Kernel
from tra.algebra.live import frontier
from tra.algebra.types import RelType
from tra.optimizer.meshes import Mesh, n_sites
from tra.optimizer.roles import ALL, SCATTERED, Parts, Role, Scattered, Split


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
