"""The type of a relation as JSON, sealed with a checksum: what manifests and file metadata hold."""

from __future__ import annotations

import json
import zlib
from math import prod
from typing import Any

import numpy as np

from tra.algebra.types import LARGEST, AtMost, Axis, Box, Key, Live, RelType, as_link

FORMAT = "tra relation"
VERSION = 1


def type_to_json(type_: RelType) -> dict[str, Any]:
    """The type as plain data; live keys that no range says are left to the key columns (``"listed"``).

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> type_to_json(tensor_type((10,), "f4", keys=("i",), tile=4))
        {'keys': [{'name': 'i', 'domain': 3}], 'axes': [{'size': 4, 'link': {'i': 1}, 'extent': 10}],
         'dtype': '<f4', 'live': [[0, 3]]}
    """
    return {
        "keys": [{"name": key.name, "domain": key.domain} for key in type_.keys],
        "axes": [{"size": a.size, "link": dict(a.link), "extent": a.extent} for a in type_.axes],
        "dtype": np.lib.format.dtype_to_descr(type_.dtype),
        "live": [list(r) for r in type_.live.ranges] if isinstance(type_.live, Box) else "listed",
    }


def type_from_json(data: dict[str, Any]) -> RelType:
    """The type back; a listed live set comes back as `AtMost`, for the reader to fill in.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> type_ = tensor_type((10,), "f4", keys=("i",), tile=4)
        >>> type_from_json(type_to_json(type_)) == type_
        True
        >>> type_from_json({**type_to_json(type_), "live": "listed"}).live
        AtMost(ranges=((0, 3),))

    Raises:
        ValueError: it says what cannot be.
    """
    keys = tuple(Key(_name(key["name"]), whole_number(key["domain"], "a domain")) for key in data["keys"])
    axes = tuple(_axis(axis) for axis in data["axes"])
    type_ = RelType(keys, axes, np.lib.format.descr_to_dtype(data["dtype"]), _live(data["live"], keys))
    _check_type(type_)
    return type_


def _live(data: Any, keys: tuple[Key, ...]) -> Live:
    if data == "listed":
        return AtMost(tuple((0, key.domain) for key in keys))
    found = tuple((whole_number(low, "a key"), whole_number(high, "a key")) for low, high in data)
    if len(found) != len(keys) or any(
        not low <= high <= key.domain for (low, high), key in zip(found, keys, strict=True)
    ):
        raise ValueError(f"its live keys {found} do not fit the domains {[key.domain for key in keys]}")
    return Box(found)


def _axis(data: Any) -> Axis:
    link = {_name(name): whole_number(coef, "a coefficient", 1) for name, coef in dict(data["link"]).items()}
    size, extent = whole_number(data["size"], "a size"), whole_number(data["extent"], "an extent")
    if not link and size != extent:
        raise ValueError(f"an axis that no key cuts has tiles of {size} and extent {extent}")
    return Axis(size, as_link(link), extent)


def _check_type(type_: RelType) -> None:
    """Checks that names are known and distinct, and that places and sizes are numbers of 64 bits."""
    domains = {key.name: key.domain for key in type_.keys}
    if len(domains) < len(type_.keys):
        raise ValueError(f"two of its keys have one name: {', '.join(type_.names)}")
    for axis in type_.axes:
        unknown = next((name for name, _ in axis.link if name not in domains), None)
        if unknown is not None:
            raise ValueError(f"an axis is linked to {unknown!r}, and its keys are {', '.join(domains)}")
        reach = axis.size * (1 + sum(coef * domains[name] for name, coef in axis.link))
        whole_number(reach, "the reach of an axis")
    whole_number(prod(type_.tile_shape) * type_.dtype.itemsize, "the size of a tile")


def whole_number(value: Any, what: str, least: int = 0) -> int:
    """A number of a file, which may say anything.

    Example:
        >>> whole_number(True, "a domain")
        Traceback (most recent call last):
        ValueError: a domain is a whole number from 0 to 4611686018427387903; got True

    Raises:
        ValueError: it is none, or out of range.
    """
    if type(value) is not int or not least <= value <= LARGEST:
        text = repr(value)
        shown = text if len(text) < 40 else f"{text[:36]}…"
        raise ValueError(f"{what} is a whole number from {least} to {LARGEST}; got {shown}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"a key has a name; got {type(value).__name__}")
    return value


def seal(data: dict[str, Any], version: int = VERSION) -> str:
    """The data as JSON with its format, version and checksum.

    Example:
        >>> seal({"rows": 3})
        '{"format": "tra relation", "version": 1, "rows": 3, "crc32": ...}'
    """
    data = {"format": FORMAT, "version": version, **data}
    return json.dumps({**data, "crc32": _checksum(data)})


def unseal(text: str | bytes, version: int = VERSION) -> dict[str, Any]:
    """The data of a sealed text.

    Example:
        >>> unseal(seal({"rows": 3}))["rows"]
        3

    Raises:
        ValueError: it is not such a text, was changed, or is of another version.
    """
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it was not written by this engine")
    if data.get("version") != version:
        raise ValueError(f"it is of format version {str(data.get('version'))[:20]}, known is {version}")
    if data.pop("crc32", None) != _checksum(data):
        raise ValueError("its description is damaged (the checksum differs)")
    return data


def _checksum(data: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())
