"""What names mean while text is bound, and how mistakes found there get their place in the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from tra.algebra.nodes import Constant, Expr, Source
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.sources import TileSource, array_source
from tra.algebra.types import scalar_type
from tra.errors import SchemaError, TraError, near_name
from tra.sql import syntax as s
from tra.sql.lookalikes import plain
from tra.sql.problems import Problem

Number = bool | int | float | complex
_SHOWN = 20  # names that a message lists


@contextmanager
def at(span: s.Span, schema: s.Span | None = None, hint: str | None = None) -> Iterator[None]:
    """Gives errors of the algebra a place in the text: `span`, or `schema` where keys or extents are wrong.

    Raises:
        Problem: with the message of the error, and a hint where one is given.

    Example:
        >>> try:
        ...     with at(s.Span(3, 5)):
        ...         raise SchemaError("extents differ")
        ... except Problem as problem:
        ...     print(problem.span, problem.message)
        Span(start=3, end=5) extents differ
    """
    try:
        yield
    except Problem:
        raise
    except TraError as error:
        where = schema if schema is not None and isinstance(error, SchemaError) else span
        raise Problem(where, str(error), hint) from error


def unknown(what: str, name: s.Name, there: Iterable[str]) -> Problem:
    """The problem that a name is not known, with a near one and what there is.

    Example:
        >>> print(unknown("relation", s.Name("AA"), ["A", "B"]).message)
        no relation AA; did you mean 'A'?
    """
    names = list(there)
    listed = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    hint = f"there is {listed}" if names else f"there is no {what} yet"
    near = near_name(name.text, names) or near_name(plain(name.text), names)
    return Problem(name.span, f"no {what} {name.text}{near}", hint)


class Scope:
    """Relations and numbers by name; a name stands for what it was when it was used.

    A number keeps being one in the index form, so that it is as weak there as it is where it is written out.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.relations: dict[str, Relation] = {}
        self.numbers: dict[str, Number] = {}
        self._sources: dict[str, TileSource] = {}
        self._needed: dict[str, frozenset[str]] = {}
        for name, value in given.items():
            self.give(name, value)

    def give(self, name: str, value: Any) -> None:
        """Names what Python has: a relation, a number, or anything that `numpy.asarray` takes."""
        if isinstance(value, Relation):
            self.define(name, value)
        elif isinstance(value, Number) and not isinstance(value, np.generic):
            self.define_number(name, value)
        else:
            node, data = array_source(value, None, None, name)
            self.define(name, Relation(node, {node.id: data}))

    def define(self, name: str, relation: Relation) -> None:
        """Names a relation; what had the name before keeps it where it was used."""
        self._sources.update(relation.sources)
        self.numbers.pop(name, None)
        self.relations[name] = relation

    def define_number(self, name: str, value: Number) -> None:
        """Names a number; where a relation is asked for, it is one without keys.

        Raises:
            SchemaError: it is an integer that no dtype holds.
        """
        relation = Relation(_constant_scalar(value), {})
        self.define(name, relation)
        self.numbers[name] = value

    def find(self, name: s.Name) -> Relation:
        """The relation of a name.

        Raises:
            Problem: there is none.
        """
        if name.text not in self.relations:
            raise unknown("relation", name, self.relations)
        return self.relations[name.text]

    def relation(self, expr: Expr) -> Relation:
        """An expression over relations of this scope, with the data it needs."""
        return Relation(expr, {id_: self._sources[id_] for id_ in sorted(self._source_ids(expr))})

    def _source_ids(self, root: Expr) -> frozenset[str]:
        """The sources an expression reads; each node is visited once in the life of the scope."""
        waiting = [root]
        while waiting:
            node = waiting[-1]
            missing = [child for child in node.children if child.digest not in self._needed]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            own = frozenset([node.id]) if isinstance(node, Source) else frozenset()
            self._needed[node.digest] = own.union(*(self._needed[child.digest] for child in node.children))
        return self._needed[root.digest]


def _shown(value: Number) -> str:
    """A number, or of one that nobody reads how long it is."""
    n_bits = value.bit_length() if isinstance(value, int) else 0
    return str(value) if n_bits <= 256 else f"an integer of {n_bits} bits"


def _constant_scalar(value: Number) -> Expr:
    """A number as a relation without keys.

    Raises:
        SchemaError: it is an integer that no dtype holds.
    """
    dtype = np.asarray(value).dtype
    if dtype.kind not in "biufc":
        raise SchemaError(
            f"{_shown(value)} is too large for an integer of 64 bits; write it with an exponent, such as 1e30"
        )
    return generated(scalar_type(dtype), Constant(value))
