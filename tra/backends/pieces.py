"""Pieces of an array that fit into a core's cache, along one axis."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from tra.algebra.types import Tile
from tra.backends.threads import THREADS, parallel

Piece: TypeAlias = tuple[slice, ...]
PIECE = 1 << 18  # bytes of a piece: a few of them fit into a core's cache


def pieces(array: Tile, most: int | None = None) -> list[Piece]:
    """An array cut along its first axis that is long enough, else along its longest.

    Args:
        array: what is cut.
        most: how many pieces there are at most, however large; None for any number.

    Example:
        >>> pieces(np.empty((2, 3))), len(pieces(np.empty((1 << 10, 1 << 10))))
        ([()], 32)
    """
    n_pieces = -(-array.nbytes // PIECE)
    n_pieces = n_pieces if most is None else min(n_pieces, most)
    if n_pieces < 2:
        return [()]
    axis = next((a for a, n in enumerate(array.shape) if n >= n_pieces), int(np.argmax(array.shape)))
    step = -(-array.shape[axis] // n_pieces)
    starts = range(0, array.shape[axis], step)
    return [(slice(None),) * axis + (slice(start, start + step),) for start in starts]


def each_piece(function: Callable[[Piece], None], result: Tile, in_one_pass: bool = False) -> None:
    """Calls a function on the pieces of a result; each thread takes neighbours, one after the other.

    Args:
        function: writes one piece.
        result: what is written.
        in_one_pass: elements are looked at once, so that nothing is gained from small pieces.

    Example:
        >>> result = np.empty(3)
        >>> each_piece(lambda piece: part(result, piece).fill(1.0), result)
        >>> result.tolist()
        [1.0, 1.0, 1.0]
    """
    threads = THREADS.get()
    found = pieces(result, threads if in_one_pass else None)
    n_runs = min(threads, len(found))
    edges = [n * len(found) // n_runs for n in range(n_runs + 1)]
    runs = [found[low:high] for low, high in pairwise(edges)]

    def do(run: list[Piece]) -> None:
        for piece in run:
            function(piece)

    parallel(do, runs)


def part(array: Tile, piece: Piece) -> Tile:
    """A piece of an array, as an array even where it has no axes.

    Example:
        >>> part(np.array(1.0), ()).ndim, part(np.ones(3), (slice(1, 3),)).shape
        (0, (2,))
    """
    return array[piece] if piece else array


def piece_of(operand: Tile, piece: Piece, rank: int) -> Tile:
    """The part of an operand that meets a piece of a result of `rank` axes when the two are broadcast.

    Example:
        >>> column, row = np.ones((4, 1)), np.ones(6)
        >>> [piece_of(operand, (slice(0, 2),), 2).shape for operand in (column, row)]
        [(2, 1), (6,)]
    """
    axis = len(piece) - 1 - rank + operand.ndim
    if not piece or axis < 0 or operand.shape[axis] == 1:
        return operand
    return operand[(slice(None),) * axis + piece[-1:]]
