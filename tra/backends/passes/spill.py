"""Results that wait on disk: tiles one after the other in a file without a name.

The system removes such a file with the process that holds it open, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from tra.algebra.types import RelType, Tile, TileKey
from tra.backends.block import Block, Ranges
from tra.backends.passes.buffer import Buffer
from tra.backends.read_tiles import lying_in
from tra.backends.tiles import Tiles
from tra.errors import CatalogError

_AT_ONCE = 512  # parts of memory that one call reads into


class Spill:
    """The tiles of results, by relation and key.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> type_ = tensor_type((3,), "f8", ("i",), 2)
        >>> with Spill() as spill:
        ...     spill.put("x", Tiles(np.array([[1], [0]]), [np.ones(1), np.zeros(2)]))
        ...     spill.read("x", type_, ((0, 2),), Buffer()).blocks[0].array.tolist()
        [0.0, 0.0, 1.0]
    """

    def __init__(self) -> None:
        self._file: Any = None
        self._end = 0
        self._places: dict[str, dict[TileKey, tuple[int, tuple[int, ...], np.dtype[Any]]]] = {}

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def n_bytes(self) -> int:
        """Bytes written."""
        return self._end

    def put(self, digest: str, tiles: Tiles) -> None:
        """Writes tiles of a relation.

        Raises:
            CatalogError: the disk is full, or not to be written to.
        """
        places = self._places.setdefault(digest, {})
        try:
            self._file = self._file or tempfile.TemporaryFile(prefix="tra-", buffering=0)  # noqa: SIM115
            for key, tile in tiles:
                places[key] = self._end, tile.shape, tile.dtype
                for part in _runs(np.asarray(tile, order="C")):
                    self._write(part)
        except OSError as error:
            raise CatalogError(
                f"cannot write what does not fit into memory to {tempfile.gettempdir()}: "
                f"{(error.strerror or str(error)).lower()}; TMPDIR names another folder"
            ) from error

    def _write(self, part: memoryview) -> None:
        done = 0
        while done < len(part):
            written = os.pwrite(self._file.fileno(), part[done:], self._end)
            done, self._end = done + written, self._end + written

    def read(self, digest: str, type_: RelType, box: Ranges, buffer: Buffer) -> Tiles:
        """The tiles in a box of keys, side by side in a buffer where they can lie so."""
        places = self._places.get(digest, {})
        lying = lying_in(type_, box)
        if lying is not None:
            held, cuts, window = lying
            block = Block(held, buffer.array(tuple(w.stop - w.start for w in window), type_.dtype), cuts)
            for key, tile in zip(map(tuple, block.keys().tolist()), block.tiles(), strict=True):
                self._fill(tile, places[key][0])
            return Tiles.of([block])
        inside = [key for key in sorted(places) if _is_in(key, box)]
        made = [np.empty(shape, dtype) for _, shape, dtype in (places[key] for key in inside)]
        for key, tile in zip(inside, made, strict=True):
            self._fill(tile, places[key][0])
        return Tiles(np.array(inside, dtype=np.int64).reshape(len(inside), len(box)), made, is_sorted=True)

    def each(self, digest: str, type_: RelType) -> Iterator[tuple[TileKey, Tile]]:
        """All tiles of a relation, one by one, each in memory of its own."""
        for key, (_, shape, dtype) in sorted(self._places.get(digest, {}).items()):
            tile: Tile = np.empty(shape, dtype)
            self._fill(tile, self._places[digest][key][0])
            yield key, tile

    def _fill(self, tile: Tile, place: int) -> None:
        parts = list(_runs(tile))
        for first in range(0, len(parts), _AT_ONCE):
            wanted = sum(map(len, parts[first : first + _AT_ONCE]))
            found = os.preadv(self._file.fileno(), parts[first : first + _AT_ONCE], place)
            if found != wanted:
                raise CatalogError(f"cannot read back what was put into {tempfile.gettempdir()}")
            place += wanted


def _is_in(key: TileKey, box: Ranges) -> bool:
    return all(low <= k < high for k, (low, high) in zip(key, box, strict=True))


def _runs(array: Tile) -> Iterator[memoryview]:
    """The memory of an array as runs, in the order of its elements."""
    if not array.size:
        return
    if array.flags.c_contiguous:
        flat: Any = array.reshape(-1).view(np.uint8)
        yield memoryview(flat)
        return
    for part in array:
        yield from _runs(part)
