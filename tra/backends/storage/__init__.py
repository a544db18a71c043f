"""Relations at rest: a file becomes a source of a query, and results become files."""

from typing import TYPE_CHECKING, Any

from tra.backends.storage.location import SUFFIXES, leaves_tiles
from tra.backends.storage.opening import open_source
from tra.backends.storage.overwriting import target
from tra.backends.storage.saving import save, tile_writer

if TYPE_CHECKING:
    from tra.backends.storage.relation_writer import RelationWriter

__all__ = ["SUFFIXES", "RelationWriter", "leaves_tiles", "open_source", "save", "target", "tile_writer"]


def __getattr__(name: str) -> Any:
    """The writer of relations is loaded when it is used, and PyArrow with it."""
    if name != "RelationWriter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tra.backends.storage.relation_writer import RelationWriter

    return RelationWriter
