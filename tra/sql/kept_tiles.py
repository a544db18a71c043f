"""Relations whose tiles must stay as they are, since a query of the text speaks of them."""

from __future__ import annotations

from dataclasses import replace

from tra.algebra.key_function import Var
from tra.algebra.nodes import Generated, Source
from tra.algebra.operators import rekey
from tra.algebra.relation import Relation
from tra.algebra.sources import ArraySource, TileSource
from tra.backends.storage.sources import ArrayFile
from tra.sql import syntax as s
from tra.sql.definitions import Definitions


def speaks_of_tiles(definitions: Definitions, places: list[int]) -> bool:
    """Claims that definitions are made by a query on keys and tiles, and not by the index form alone.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> definitions = Definitions({"x": [1.0, 2.0]})
        >>> definitions.define(parse_text("CREATE VIEW y AS SELECT x.i, EXP(x.tile) FROM x")[0])
        >>> [speaks_of_tiles(definitions, [place]) for place in (0, 1)]
        [False, True]
    """
    statements = [definitions[place].statement for place in definitions.needed(places)]
    return any(
        isinstance(statement, s.View) and isinstance(statement.query, _OF_TILES) for statement in statements
    )


_OF_TILES = (s.Select, s.Tile, s.Concat, s.Stack, s.ReKey, s.Retile)


def kept(relation: Relation) -> Relation:
    """The same relation, no longer open to be cut otherwise.

    Example:
        >>> import tra
        >>> x = tra.from_array([1.0, 2.0])
        >>> [source.is_open for source in (*x.sources.values(), *kept(x).sources.values())]
        [True, False]
    """
    match relation.expr:
        case Source(id=id_) if relation.sources[id_].is_open:
            return Relation(relation.expr, {id_: _closed(relation.sources[id_])})
        case Generated(type=type_):
            same = tuple(Var(name) for name in type_.names)
            return Relation(rekey(relation.expr, same, type_.names), relation.sources)
        case _:
            return relation


def _closed(source: TileSource) -> TileSource:
    match source:
        case ArraySource(array=array, type=type_):
            return ArraySource(array, type_)
        case ArrayFile():
            return replace(source, is_open=False)
        case _:
            return source
