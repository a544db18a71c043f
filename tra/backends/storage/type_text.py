"""The type of a relation as JSON, sealed with a checksum: what manifests and file metadata hold."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np

from tra.algebra.types import AtMost, Axis, Box, Key, Live, RelType, as_link

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
    """
    keys = tuple(Key(str(key["name"]), int(key["domain"])) for key in data["keys"])
    axes = tuple(Axis(int(a["size"]), as_link(a["link"]), int(a["extent"])) for a in data["axes"])
    live: Live
    if data["live"] == "listed":
        live = AtMost(tuple((0, key.domain) for key in keys))
    else:
        live = Box(tuple((int(low), int(high)) for low, high in data["live"]))
    return RelType(keys, axes, np.lib.format.descr_to_dtype(data["dtype"]), live)


def seal(data: dict[str, Any]) -> str:
    """The data as JSON with its format, version and checksum.

    Example:
        >>> seal({"rows": 3})
        '{"format": "tra relation", "version": 1, "rows": 3, "crc32": ...}'
    """
    data = {"format": FORMAT, "version": VERSION, **data}
    return json.dumps({**data, "crc32": _checksum(data)})


def unseal(text: str | bytes) -> dict[str, Any]:
    """The data of a sealed text.

    Example:
        >>> unseal(seal({"rows": 3}))["rows"]
        3

    Raises:
        ValueError: it is not such a text, was changed, or is of a newer version.
    """
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError("it was not written by this engine")
    if data.get("version") != VERSION:
        raise ValueError(f"it is of format version {data.get('version')}, known is {VERSION}")
    if data.pop("crc32", None) != _checksum(data):
        raise ValueError("its description is damaged (the checksum differs)")
    return data


def _checksum(data: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())
