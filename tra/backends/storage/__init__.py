"""Relations at rest: a file becomes a source of a query, and results become files."""

from tra.backends.storage.location import SUFFIXES
from tra.backends.storage.opening import open_source
from tra.backends.storage.relation_writer import RelationWriter
from tra.backends.storage.saving import save, tile_writer

__all__ = ["SUFFIXES", "RelationWriter", "open_source", "save", "tile_writer"]
