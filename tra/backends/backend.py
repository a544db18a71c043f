"""What a session asks of a backend, and what a run gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tra.algebra.sources import TileSource
from tra.algebra.types import Tile, TileKey
from tra.backends.tiles import Tiles
from tra.errors import PlanError
from tra.optimizer.cost import CostModel
from tra.optimizer.placement import Placement, Replicated, coordinates, site_number
from tra.optimizer.plan import Plan
from tra.optimizer.stages import Program


@dataclass(frozen=True)
class Measured:
    """What a run really did, in the units of a prediction."""

    bytes_moved: int
    peak_bytes_per_site: int
    tasks: int
    seconds: float
    exchanges: Mapping[str, int]


@dataclass(frozen=True)
class Share:
    """One site's tiles of a relation, wherever they are: `Tiles` here, a future on a cluster."""

    held: Any


class Backend(Protocol):
    """Runs programs.

    Attributes:
        name: "local" or "dask".
        n_sites: how many sites plans are made for.
        model: the cost model of the sites.
        memory_limit: bytes one site may use, or None.
    """

    name: str
    n_sites: int
    model: CostModel
    memory_limit: int | None

    def run(self, program: Program, sources: Mapping[str, TileSource], measure: bool) -> Run:
        """Runs a program to its end."""

    def fetch(self, share: Share) -> Iterator[Tiles]:
        """Brings a share to the caller, a few tiles at a time."""

    def release(self, shares: list[Share]) -> None:
        """Says that shares are no longer needed."""

    def close(self) -> None:
        """Frees what the backend started."""


@dataclass(frozen=True)
class Run:
    """The results of a program: for each root one share per site, and measured figures where asked for."""

    shares: tuple[tuple[Share, ...], ...]
    measured: Measured | None


def result_sites(placement: Placement) -> list[int]:
    """Sites that together hold every tile of a result once."""
    return [
        site_number(placement.mesh, coords)
        for coords in coordinates(placement.mesh)
        if all(c == 0 for c, role in zip(coords, placement.roles, strict=True) if isinstance(role, Replicated))
    ]


def result_tiles(backend: Backend, root: Plan, shares: tuple[Share, ...]) -> Iterator[tuple[TileKey, Tile]]:
    """The tiles of a result, one by one, each once."""
    for site in result_sites(root.placement):
        for tiles in backend.fetch(shares[site]):
            yield from tiles


class StoredSource:
    """A relation that a session has stored: its shares, its placement, and the backend that holds them."""

    remote = False

    def __init__(self, backend: Backend, root: Plan, shares: tuple[Share, ...]) -> None:
        self.backend = backend
        self.root = root
        self.shares: tuple[Share, ...] | None = shares

    def share(self, site: int) -> Share:
        """The share of one site.

        Raises:
            PlanError: the session that stored the relation has been closed.
        """
        if self.shares is None:
            raise PlanError("this relation was persisted in a session that is closed; compute it again, or save it first")
        return self.shares[site]

    def read(self, key: TileKey) -> Tile:
        """One tile."""
        for site in result_sites(self.root.placement):
            for tiles in self.backend.fetch(self.share(site)):
                for found, tile in tiles:
                    if found == key:
                        return tile
        raise KeyError(key)

    def release(self) -> None:
        """Forgets the shares."""
        if self.shares is not None:
            self.backend.release(list(self.shares))
            self.shares = None
