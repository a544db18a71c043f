"""What to write for joins, aggregations, filters, transforms and changes of keys: SELECT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.kernel import Kernel, bind_literal, kernel
from tra.algebra.key_function import Opaque, Var
from tra.algebra.nodes import Aggregate, Expr, Filter, Join, ReKey, Transform
from tra.algebra.operators import joined_names
from tra.errors import QueryError, TraError
from tra.sql import syntax as s
from tra.sql.generated_syntax import literal
from tra.sql.kernel_form import aggregation_name
from tra.sql.key_form import key_syntax
from tra.sql.operator_syntax import key_items, untraced

_MOST_CALLS = 3  # around each other, within an aggregation and around it

Columns: TypeAlias = dict[str, s.KeyRef]  # how each key of the joined tables is referred to


@dataclass(frozen=True)
class Layers:
    """The operators of one SELECT, from the outside in; what is not there is None or empty."""

    outer: tuple[Transform, ...]
    keys: Aggregate | ReKey | None
    where: Filter | None
    inner: tuple[Transform, ...]
    join: Join | None
    operands: tuple[Expr, ...]


def is_identity(node: ReKey) -> bool:
    """Claims that a ReKey changes nothing, which SELECT would leave out.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0]], keys=("i", "j"))
        >>> is_identity(A.rekey(lambda i, j: (i, j), keys=("i", "j")).expr)
        True
        >>> is_identity(A.rekey(lambda i, j: (j, i), keys=("j", "i")).expr)
        False
    """
    names = node.child.type.names
    return node.keys == names and node.function == tuple(map(Var, names))


def layers(root: Expr, uses: Counter[str]) -> Layers:
    """The operators from `root` down that one SELECT says, none of them used elsewhere too.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0]], keys=("i", "j"))
        >>> root = A.aggregate(by=("i",), kernel="add").transform("relu").expr
        >>> found = layers(root, Counter(child.digest for child in root.children))
        >>> [by.kernel.name for by in found.outer], found.keys.by, found.join
        (['relu'], ('i',), None)
    """
    descent = _Descent(root, uses)
    outer = descent.transforms()
    keys = descent.take(Aggregate, ReKey)
    where = descent.take(Filter)
    inner = descent.transforms() if isinstance(keys, Aggregate) else ()
    join = descent.take(Join)
    operands = (descent.node,) if join is None else join.children
    return Layers(outer, keys, where, inner, join, operands)


class _Descent:
    """A walk down a chain of operators of one operand."""

    def __init__(self, root: Expr, uses: Counter[str]) -> None:
        self.node = root
        self._root = root
        self._uses = uses

    def take(self, *kinds: type) -> Any:
        """The node here and a step down, if it is of one of the kinds and used once; else None."""
        node = self.node
        if not isinstance(node, kinds) or not (node is self._root or self._uses[node.digest] == 1):
            return None
        if isinstance(node, ReKey) and is_identity(node):
            return None
        self.node = node.children[0]
        return node

    def transforms(self) -> tuple[Transform, ...]:
        """The transforms here, outermost first."""
        found: list[Transform] = []
        while len(found) < _MOST_CALLS and (node := self.take(Transform)):
            found.append(node)
        return tuple(found)


# --- the query -------------------------------------------------------------------------------------


def select_syntax(parts: Layers, names: Sequence[str]) -> s.Select:
    """The SELECT of some operators over tables of these names.

    Raises:
        QueryError: a function of keys could not be traced, or a kernel is not registered.

    Example:
        >>> import tra
        >>> from tra.sql.query_text import query_lines
        >>> A = tra.from_array([[1.0, 2.0]], keys=("i", "j"))
        >>> parts = layers(A.aggregate(by=("i",), kernel="max").expr, Counter())
        >>> query_lines(select_syntax(parts, ["A"]), room=80)
        ['SELECT A.i, MAX(A.tile) AS tile FROM A GROUP BY A.i']
    """
    tables = _tables(names)
    columns = _columns(parts, tables)
    tile = _tile(parts, tables)
    reference = columns.__getitem__
    if isinstance(parts.keys, ReKey):
        keys = key_items(parts.keys, reference)
    else:
        by = parts.keys.by if parts.keys else tuple(columns)
        keys = tuple(_key_item(name, columns[name]) for name in by)
    group_by = tuple(map(reference, parts.keys.by)) if isinstance(parts.keys, Aggregate) else ()
    return s.Select(keys, tile, tables[0], _joins(parts, tables), _where(parts, reference), group_by)


def _key_item(name: str, written: s.KeyRef) -> s.KeyItem:
    return s.KeyItem(written, None if written.key.text == name else s.Name(name))


def _tables(names: Sequence[str]) -> list[s.TableRef]:
    """The tables; one that is joined with itself needs two names."""
    aliases = [None] * len(names) if len(set(names)) == len(names) else [s.Name("a"), s.Name("b")]
    return [s.TableRef(s.Table(s.Name(name)), alias) for name, alias in zip(names, aliases, strict=True)]


def _table_name(table: s.TableRef) -> s.Name:
    assert isinstance(table.query, s.Table)
    return table.alias or table.query.name


def _columns(parts: Layers, tables: Sequence[s.TableRef]) -> Columns:
    """How each key is referred to, in order."""
    left = parts.operands[0]
    columns = {name: s.KeyRef(_table_name(tables[0]), s.Name(name)) for name in left.type.names}
    if parts.join is not None:
        right = parts.join.right.type
        for name, joined in joined_names(left.type, right, parts.join.on).items():
            columns.setdefault(joined, s.KeyRef(_table_name(tables[1]), s.Name(name)))
    return {name: columns[name] for name in (parts.join or left).type.names}


def _joins(parts: Layers, tables: Sequence[s.TableRef]) -> tuple[s.Join, ...]:
    if parts.join is None:
        return ()
    one, other = map(_table_name, tables)
    on = tuple(
        s.Equality(s.KeyRef(one, s.Name(left)), s.KeyRef(other, s.Name(right)))
        for left, right in parts.join.on
    )
    return (s.Join(tables[1], on, parts.join.truncate),)


def _where(parts: Layers, reference: Callable[[str], s.KeyRef]) -> s.KeyExpr | None:
    if parts.where is None:
        return None
    if isinstance(parts.where.predicate, Opaque):
        raise untraced(f"a filter of {parts.where.child.type}")
    return key_syntax(parts.where.predicate, reference)


# --- tiles -----------------------------------------------------------------------------------------


def _tile(parts: Layers, tables: Sequence[s.TableRef]) -> s.TileRef | s.TileCall:
    tiles: list[s.TileExpr] = [s.TileRef(_table_name(table)) for table in tables]
    tile = tiles[0] if parts.join is None else call(parts.join.kernel, tiles)
    for transform in reversed(parts.inner):
        tile = call(transform.kernel, [tile])
    if isinstance(parts.keys, Aggregate):
        _check_rebuilt(parts.keys.kernel)
        tile = s.TileCall(aggregation_name(parts.keys.kernel), (tile,))
    for transform in reversed(parts.outer):
        tile = call(transform.kernel, [tile])
    assert not isinstance(tile, s.Literal)
    return tile


def call(by: Kernel, tiles: Sequence[s.TileExpr]) -> s.TileCall:
    """The call of a kernel, its constants in their places.

    Example:
        >>> from tra.sql.expression_text import tile_text
        >>> tile_text(call(bind_literal(kernel("sub"), 0, 1.0), [s.TileRef(s.Name("A"))]))
        'SUB(1.0, A.tile)'

    Raises:
        QueryError: the kernel is not registered, or a constant cannot be written.
    """
    _check_rebuilt(by)
    literals = dict(by.literals)
    rest = iter(tiles)
    places = range(by.arity + len(literals))
    arguments = tuple(literal(literals[place]) if place in literals else next(rest) for place in places)
    options = tuple(s.Option(s.Name(name), literal(_plain(value))) for name, value in by.params)
    return s.TileCall(s.Name(by.name.lower() if by.name.isascii() else by.name), arguments, options)


def _plain(value: Any) -> Any:
    """A parameter without NumPy's type of number, which changes no dtype."""
    return value.item() if isinstance(value, np.generic) else value


def _check_rebuilt(by: Kernel) -> None:
    """Checks that a kernel follows from its name, parameters and constants.

    Raises:
        QueryError: no kernel of this name is registered, or another.
    """
    try:
        again = kernel(by.name, **dict(by.params))
        for position, value in by.literals:
            again = bind_literal(again, position, value)
        is_same = again == by
    except TraError:
        is_same = False
    if not is_same:
        raise QueryError(f"{by} has no text: it is not the kernel that is registered as {by.name!r}")
