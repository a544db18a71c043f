"""Arrays of keys, one per row: order, uniqueness, one number per key."""

from __future__ import annotations

from math import prod

import numpy as np

from tra.algebra.types import KeyArray, TileKey
from tra.errors import SchemaError


def codes(keys: KeyArray, domains: tuple[int, ...]) -> KeyArray:
    """Each key as one number, in lexicographic order.

    Example:
        >>> codes(np.array([[0, 2], [1, 0]]), (2, 3))
        array([2, 3])

    Raises:
        SchemaError: the domain has more than 2**62 keys.
    """
    if prod(max(d, 1) for d in domains) >= 1 << 62:
        raise SchemaError(f"a key domain of {'×'.join(map(str, domains))} is too large (2**62 keys at most)")
    total = np.zeros(len(keys), dtype=np.int64)
    for position, domain in enumerate(domains):
        total = total * max(domain, 1) + keys[:, position]
    return total


def sort_keys(keys: KeyArray) -> KeyArray:
    """The same keys in lexicographic order.

    Example:
        >>> sort_keys(np.array([[1, 0], [0, 2]])).tolist()
        [[0, 2], [1, 0]]
    """
    if keys.shape[1] == 0 or len(keys) < 2:
        return keys
    sorted_keys: KeyArray = keys[np.lexsort(keys.T[::-1])]
    return sorted_keys


def unique_keys(keys: KeyArray) -> KeyArray:
    """The distinct keys in lexicographic order.

    Example:
        >>> unique_keys(np.array([[1, 0], [0, 2], [1, 0]])).tolist()
        [[0, 2], [1, 0]]
    """
    if keys.shape[1] == 0:
        return keys[:1]
    keys = sort_keys(keys)
    if len(keys) < 2:
        return keys
    first: KeyArray = keys[np.concatenate([[True], np.any(keys[1:] != keys[:-1], axis=1)])]
    return first


def first_missing(wanted: KeyArray, keys: KeyArray) -> TileKey | None:
    """The first of `wanted` (in lexicographic order) that is not among `keys`, which are some of them.

    Example:
        >>> first_missing(np.array([[0], [1], [2]]), np.array([[0], [2]]))
        (1,)
    """
    if len(wanted) == len(keys):
        return None
    different = np.any(wanted[: len(keys)] != keys, axis=1)
    at = int(np.argmax(different)) if different.any() else len(keys)
    return tuple(wanted[at].tolist())
