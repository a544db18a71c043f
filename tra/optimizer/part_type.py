"""Parts as a relation of their own: which site of the mesh has a part of which tile of a sum."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from tra.algebra.types import Key, KeyArray, KeySet, RelType
from tra.optimizer.boxes import Ranges
from tra.optimizer.folded import Folded, distinct_keys
from tra.optimizer.meshes import Mesh, n_sites, site_coordinates
from tra.optimizer.placement import Placement
from tra.optimizer.roles import Parts


def part_type(type_: RelType, have: Placement) -> RelType | None:
    """The parts that sites hold, by mesh dimension of parts and by key; None where all sites hold alike.

    Example:
        >>> import tra
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.roles import parts_over
        >>> A = tra.from_tiles({(0, 1): [1.0], (2, 0): [2.0]}, keys=("i", "j"), name="A")
        >>> role = parts_over(ADD, A.expr.type, "i", ("j",))
        >>> found = part_type(A.aggregate(by="j").expr.type, Placement((3,), (role,)))
        >>> found.names, found.live.keys.tolist()
        (('(0)', 'j'), [[0, 1], [2, 0]])
    """
    roles = tuple((have.mesh[d], role) for d in have.parts if isinstance(role := have.roles[d], Parts))
    if not roles or have.is_scattered or {role.folded for _, role in roles} != {roles[0][1].folded}:
        return None
    return _part_type(type_, roles)


@lru_cache(maxsize=64)
def _part_type(type_: RelType, roles: tuple[tuple[int, Parts], ...]) -> RelType | None:
    folded = roles[0][1].folded
    if folded is None:
        return None
    sizes = [g for g, _ in roles]
    columns = [*_coordinates(folded, roles), *folded.kept.T]
    live = KeySet(distinct_keys(columns, [*sizes, *type_.domains]))
    dimensions = tuple(Key(f"({d})", g) for d, g in enumerate(sizes))
    return replace(type_, keys=(*dimensions, *type_.keys), live=live)


def _coordinates(folded: Folded, roles: tuple[tuple[int, Parts], ...]) -> list[KeyArray]:
    """Where along each mesh dimension each key was folded; those that fold one key cut nested ranges."""
    found: dict[int, KeyArray] = {}
    for role in dict.fromkeys(role for _, role in roles):
        assert role.key is not None
        places = [place for place, (_, other) in enumerate(roles) if other == role]
        sizes = tuple(roles[place][0] for place in places)
        starts = np.arange(prod(sizes)) * role.domain // prod(sizes)
        range_ = np.searchsorted(starts, folded.column(role.key), side="right") - 1
        found |= dict(zip(places, np.unravel_index(range_, sizes), strict=True))
    return [found[place] for place in range(len(roles))]


def held_parts_box(have: Placement, site: int) -> Ranges:
    """The mesh coordinates of one site, as ranges of the first keys of `part_type`; empty for no such site.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.roles import ALL
        >>> held_parts_box(Placement((2, 3), (ALL, Parts(ADD))), 4)
        ((1, 2),)
    """
    if site >= n_sites(have.mesh):
        return ((0, 0),) * len(have.parts)
    coords = site_coordinates(have.mesh, site)
    return tuple((coords[d], coords[d] + 1) for d in have.parts)


def asked_parts_box(have: Placement, need: Placement, target: int) -> Ranges:
    """The same for all sites that a target takes parts from: its own along dimensions that stay in parts.

    Example:
        >>> from tra.algebra.kernels.elementwise import ADD
        >>> from tra.optimizer.roles import ALL
        >>> asked_parts_box(Placement((2, 3), (Parts(ADD),) * 2), Placement((2, 3), (ALL, Parts(ADD))), 4)
        ((0, 2), (1, 2))
    """
    own: Mesh = site_coordinates(have.mesh, target % n_sites(have.mesh))
    stays = [have.mesh == need.mesh and need.roles[d] == have.roles[d] for d in have.parts]
    return tuple(
        (own[d], own[d] + 1) if stay else (0, have.mesh[d]) for d, stay in zip(have.parts, stays, strict=True)
    )
