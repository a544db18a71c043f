"""A zarr array that says which chunk it is that cannot be read: zarr says what went wrong, but not where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any


class ZarrChunks:
    """An array in chunks, read by windows.

    Args:
        array: the array as zarr opened it.

    Attributes:
        attrs: what else is written of it.
        metadata: how zarr describes it.
        chunks: the shape of what can be read alone.
    """

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.attrs, self.metadata, self.chunks = array.attrs, array.metadata, array.chunks
        self._array = array
        self._files: tuple[int, ...] = getattr(array, "shards", None) or array.chunks

    def __getitem__(self, window: tuple[slice, ...] | slice) -> Any:
        """The elements in a window.

        Raises:
            ValueError: a chunk is damaged; names it.
        """
        try:
            return self._array[window]
        except OSError:
            raise  # it names its file
        except Exception as error:  # codecs have errors of their own
            self._blame(window if isinstance(window, tuple) else (window,))
            raise error

    def _blame(self, window: Sequence[slice]) -> None:
        """Reads the chunks of a window one by one, up to the one that cannot be read."""
        bounds = [along.indices(n)[:2] for along, n in zip(window, self.shape, strict=False)]
        bounds += [(0, n) for n in self.shape[len(bounds) :]]
        cuts = [(low, high, step) for (low, high), step in zip(bounds, self._files, strict=True)]
        for place in product(*(range(low // step, -(-high // step)) for low, high, step in cuts)):
            chunk = tuple(slice(k * step, (k + 1) * step) for k, step in zip(place, self._files, strict=True))
            try:
                self._array[chunk]
            except Exception as error:
                name = self.metadata.encode_chunk_key(place)
                raise ValueError(f"its chunk {name} is cut or damaged ({error})") from error
