"""Where relations are between passes: with their sources, in memory, on disk, or with whoever takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tra.algebra.types import RelType
from tra.backends.block import Ranges
from tra.backends.passes.buffer import Buffer
from tra.backends.passes.kept import Kept
from tra.backends.passes.schedule import End, Pass, Schedule
from tra.backends.passes.spill import Spill
from tra.backends.tiles import Tiles

Read: TypeAlias = Callable[[str, Ranges, Buffer], Tiles]  # a relation's tiles in a box of keys
Take: TypeAlias = Callable[[str, Tiles], None]


class Results:
    """What passes read and make.

    Args:
        schedule: the passes.
        types: the type of every relation, by digest.
        read: reads or generates a source's tiles in a box of keys.
        take: is given the windows of results that are taken as they come.
        spill: where results wait, those included that are read from there afterwards.
    """

    def __init__(
        self, schedule: Schedule, types: Mapping[str, RelType], read: Read, take: Take, spill: Spill
    ) -> None:
        self._ends, self._last, self._types = schedule.ends, schedule.last_use(), types
        self._read, self._take, self._spill = read, take, spill
        self._kept: dict[str, Kept] = {}
        self._made: set[str] = set()

    def read(self, digest: str, box: Ranges, buffer: Buffer) -> Tiles:
        """The tiles of a relation in a box of keys."""
        if digest in self._kept:
            return self._kept[digest].tiles.within(box).shared()
        if digest in self._made:
            return self._spill.read(digest, self._types[digest], box, buffer)
        return self._read(digest, box, buffer)

    def put(self, digest: str, tiles: Tiles, is_whole: bool) -> None:
        """Takes a result, or a window of it."""
        if digest in self._kept:
            self._kept[digest].put(tiles, is_whole)
        elif self._ends.get(digest) is End.TAKEN:
            self._take(digest, tiles)
        else:
            self._spill.put(digest, tiles)

    def begin(self, one: Pass) -> None:
        """Makes room for what a pass leaves in memory."""
        self._kept.update({digest: Kept(self._types[digest]) for digest in one.kept})

    def end(self, number: int, one: Pass) -> None:
        """Lets go of what no later pass takes."""
        self._made |= one.group.outputs
        for digest in [d for d in self._kept if d not in self._ends and self._last.get(d, -1) <= number]:
            del self._kept[digest]

    def in_memory(self) -> dict[str, Tiles]:
        """What is in memory, by digest."""
        return {digest: kept.tiles for digest, kept in self._kept.items()}
