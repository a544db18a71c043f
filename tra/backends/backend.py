"""What a session asks of a backend, and what a run gives back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tra.algebra.sources import FixedTiles, TileSource
from tra.algebra.types import Tile, TileKey
from tra.backends.constants import Constants
from tra.backends.tiles import Tiles
from tra.errors import PlanError
from tra.optimizer.densities import Met
from tra.optimizer.meshes import coordinates, site_number
from tra.optimizer.placement import Placement
from tra.optimizer.plan import Plan
from tra.optimizer.program import Program
from tra.optimizer.roles import Replicated

if TYPE_CHECKING:  # what reads sources asks which are stored
    from tra.backends.passes.limit import Limited
    from tra.backends.passes.schedule import End


@dataclass(frozen=True)
class Measured:
    """What a run really did, in the units of a prediction; what exchanges moved and nodes met by digest."""

    bytes_moved: int
    peak_bytes_per_site: int
    tasks: int
    seconds: float
    exchanges: Mapping[str, int]
    met: Mapping[str, Met]


@dataclass(frozen=True)
class Share:
    """One site's tiles of a relation, wherever they are.

    Attributes:
        held: `Tiles` here, a future on a cluster.
        nbytes: bytes of its tiles, or a little more where it is not known which are there.
    """

    held: Any
    nbytes: int


@dataclass(frozen=True)
class Run:
    """The results of a program: for each root one share per site, and measured figures where asked for."""

    shares: tuple[tuple[Share, ...], ...]
    measured: Measured | None


class Backend(Protocol):
    """Runs programs.

    Attributes:
        name: "local" or "dask".
        n_sites: how many sites plans are made for.
        threads: threads of one site.
        constants: the cost model of the sites, and where its figures come from.
        memory_limit: bytes one site may use, or None.
        resident_limit: bytes of the whole process that may be resident during a run, or None where no such
            limit is kept.
    """

    name: str
    n_sites: int
    threads: int
    constants: Constants
    memory_limit: int | None
    resident_limit: int | None

    def run(
        self, program: Program, sources: Mapping[str, TileSource], measure: bool, together: int = 0
    ) -> Run:
        """Runs a program to its end.

        Args:
            program: what to run.
            sources: what it reads, by source id.
            measure: whether the run is measured.
            together: how many of the first results are used and released together. What a site makes of
                them may then be held as one, which is fewer tasks; `rehome` brings each by itself, as it
                must be before it is fetched.
        """

    def limited(
        self, program: Program, sources: Mapping[str, TileSource], end: End, beside: int = 0
    ) -> Limited | None:
        """How a program runs within the limit on the process; None where there is none.

        Args:
            program: what is to run.
            sources: what it reads, by source id.
            end: where its results go.
            beside: bytes that whoever takes results needs for itself.

        Raises:
            MemoryLimitError: it cannot; names the smallest limit that would do.
        """

    def fetch(self, shares: Sequence[Share]) -> Iterator[Tiles]:
        """Brings shares to the caller, in their order, a few tiles at a time."""

    def at_sites(
        self, shares: Mapping[int, Share], function: Callable[..., Any], arguments: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """Calls a function where shares lie, with each share and with arguments of its own."""

    def sees(self, path: Path) -> bool:
        """Claims that tiles lie elsewhere, and that from there a path here is seen."""

    def let_go(self, paths: Collection[str]) -> None:
        """Lets go of pages of files that were read, and of memory that was freed."""

    def hold(self, share: Share) -> Share:
        """The share as it is to be kept."""

    def seal(self, shares: Sequence[Share]) -> None:
        """Remembers what shares were made from as it is now: others' code runs before they are brought."""

    def release(self, shares: Sequence[Share]) -> None:
        """Says that shares are no longer needed."""

    def close(self) -> None:
        """Frees what the backend started."""


def shares_of(program: Program, held: Sequence[Sequence[Any]]) -> tuple[tuple[Share, ...], ...]:
    """The shares of a program's results, from what each site holds of each root.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.program import program
        >>> (upper, lower), = shares_of(program((scan(),)), [["upper half", "lower half"]])
        >>> lower
        Share(held='lower half', nbytes=64)
    """
    return tuple(
        tuple(Share(h, nbytes) for h, nbytes in zip(sites, sizes, strict=True))
        for sites, sizes in zip(held, program.result_bytes, strict=True)
    )


def result_sites(placement: Placement) -> list[int]:
    """Sites that together hold every tile of a result once.

    Example:
        >>> from tra.optimizer.roles import ALL, Split
        >>> result_sites(Placement((2, 2), (Split("i"), ALL)))
        [0, 2]
    """
    return [
        site_number(placement.mesh, coords)
        for coords in coordinates(placement.mesh)
        if all(
            c == 0 for c, role in zip(coords, placement.roles, strict=True) if isinstance(role, Replicated)
        )
    ]


def result_tiles(backend: Backend, root: Plan, shares: Sequence[Share]) -> Iterator[tuple[TileKey, Tile]]:
    """The tiles of a result, one by one, each once, however many copies there are.

    A tile that can be written to is nobody else's; any other may be a part of what is stored.

    Example:
        >>> import numpy as np
        >>> from tra.backends.local import LocalBackend
        >>> from tra.optimizer.plan import Broadcast
        >>> from tra.optimizer.rules.examples import everywhere, scan
        >>> at_both = Broadcast(scan().type, everywhere(), scan())
        >>> share = Share(Tiles(np.array([[0, 1]]), [np.ones((2, 2))]), 32)
        >>> [key for key, _ in result_tiles(LocalBackend(), at_both, [share, share])]
        [(0, 1)]
    """
    for tiles in result_shares(backend, root, shares):
        for key, tile in tiles:
            yield key, tile if tiles.is_own else _only_to_be_read(tile)


def _only_to_be_read(tile: Tile) -> Tile:
    seen = np.asarray(tile).view()
    seen.flags.writeable = False
    return seen


def result_shares(backend: Backend, root: Plan, shares: Sequence[Share]) -> Iterator[Tiles]:
    """The same, a few tiles at a time, as they lie.

    Example:
        >>> from tra.backends.local import LocalBackend
        >>> from tra.optimizer.rules.examples import scan
        >>> halves = [Share("upper half", 64), Share("lower half", 64)]
        >>> list(result_shares(LocalBackend(), scan(), halves))
        ['upper half', 'lower half']
    """
    return backend.fetch([shares[site] for site in result_sites(root.placement)])


class StoredSource(FixedTiles):
    """A relation that a session has stored: its shares, its placement, and the backend that holds them."""

    remote = False

    def __init__(self, backend: Backend, root: Plan, shares: Sequence[Share]) -> None:
        self.backend = backend
        self.root = root
        self.shares: tuple[Share, ...] | None = tuple(shares)

    def share(self, site: int) -> Share:
        """The share of one site.

        Raises:
            PlanError: the session that stored the relation has been closed.
        """
        return self._open()[site]

    def read(self, key: TileKey) -> Tile:
        """One tile."""
        for found, tile in result_tiles(self.backend, self.root, self._open()):
            if found == key:
                return tile
        raise KeyError(key)

    def release(self) -> None:
        """Forgets the shares."""
        if self.shares is not None:
            self.backend.release(self.shares)
            self.shares = None

    def _open(self) -> tuple[Share, ...]:
        if self.shares is None:
            raise PlanError(
                "this relation was persisted in a session that is closed; compute it again, or save it first"
            )
        return self.shares
