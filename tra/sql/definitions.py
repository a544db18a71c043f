"""What the names of a text stand for, kept so that all of it can be bound again over other relations.

A training puts batches and new parameters in the place of relations that a loss is made of; what is defined
from these follows by binding its statements again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tra.algebra.relation import Relation
from tra.sql import syntax as s
from tra.sql.binder import define
from tra.sql.scope import Scope, unknown

Derived: TypeAlias = s.Let | s.View
T = TypeVar("T")


@dataclass
class Entry:
    """A name and what it was given: a relation or number of its own, or a statement over other names.

    Attributes:
        name: the name.
        value: what was loaded, initialized or given from Python, and since then perhaps trained; or None.
        statement: the LET or view; or None.
    """

    name: str
    value: Any = None
    statement: Derived | None = None


class Definitions:
    """All definitions of a text, in order; a place among them stands for one of several of the same name.

    Attributes:
        scope: the names as they are now.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> definitions = Definitions({"x": [1.0, 2.0]})
        >>> for statement in parse_text("LET y[i] = 2 * x[i]; LET x = 5"):
        ...     definitions.define(statement)
        >>> definitions.scope.numbers, sorted(definitions.needed([1]))
        ({'x': 5}, [0, 1])
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.scope = Scope(given)
        self._entries = [self._own(name) for name in given]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, place: int) -> Entry:
        return self._entries[place]

    def define(self, statement: s.Load | s.Initialize | Derived, base: Path | None = None) -> None:
        """Binds a statement that gives a name; see `tra.sql.binder.define`."""
        define(statement, self.scope, base)
        name = statement.name.text
        if isinstance(statement, s.Let | s.View):
            self._entries.append(Entry(name, None, statement))
        else:
            self._entries.append(self._own(name))

    def _own(self, name: str) -> Entry:
        value = self.scope.numbers[name] if name in self.scope.numbers else self.scope.relations[name]
        return Entry(name, value)

    def place(self, name: s.Name, before: int | None = None) -> int:
        """Where a name was last defined.

        Raises:
            Problem: it was not.
        """
        for place in reversed(range(len(self) if before is None else before)):
            if self._entries[place].name == name.text:
                return place
        raise unknown("relation", name, self.scope.relations)

    def uses(self, place: int) -> Iterator[tuple[int, s.Node]]:
        """The definitions that a definition uses, with the node of its text that names each."""
        statement = self._entries[place].statement
        for name, node in _named(statement) if statement is not None else ():
            yield self.place(name, place), node

    def needed(self, places: list[int]) -> set[int]:
        """These definitions, and those they are made of."""
        found: set[int] = set()
        waiting = list(places)
        while waiting:
            place = waiting.pop()
            if place not in found:
                found.add(place)
                waiting += [used for used, _ in self.uses(place)]
        return found

    def bound(self, place: int, replaced: Mapping[int, Relation]) -> Relation:
        """One definition, bound again with other relations in some places.

        Raises:
            Problem: it does not fit those.
        """
        scope = self._replayed(sorted(self.needed([place])), replaced)
        return scope.relations[self._entries[place].name]

    def scope_at(self, n_entries: int) -> Scope:
        """The names as they were after so many definitions, bound to what they are made of now."""
        return self._replayed(range(n_entries), {})

    def replace(self, values: Mapping[int, Relation]) -> None:
        """Gives relations new values, and binds again what is made of them."""
        for place, value in values.items():
            self._entries[place].value = value
        self.scope = self.scope_at(len(self))

    def _replayed(self, places: Any, replaced: Mapping[int, Relation]) -> Scope:
        scope = Scope({})
        for place in places:
            entry = self._entries[place]
            if entry.statement is not None:
                define(entry.statement, scope)
            else:
                scope.give(entry.name, replaced.get(place, entry.value))
        return scope


def later(definitions: Definitions, made: Callable[[Scope], T]) -> Callable[[], T]:
    """What is bound now, and is bound again when it is asked for after relations have new values.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> definitions = Definitions({"x": [1.0, 2.0]})
        >>> asked = later(definitions, lambda scope: scope.relations["x"])
        >>> definitions.define(parse_text("LET x = 5")[0])
        >>> definitions.replace({})
        >>> asked()
        x[i:1] of 2 float64
    """
    scope, n_entries = definitions.scope, len(definitions)
    value = made(scope)

    def asked() -> T:
        return value if definitions.scope is scope else made(definitions.scope_at(n_entries))

    return asked


def _named(node: s.Node) -> Iterator[tuple[s.Name, s.Node]]:
    """The names of relations in a statement, each with the node that it stands in."""
    waiting: list[s.Node] = [node]
    while waiting:
        part = waiting.pop()
        match part:
            case s.Tensor(name=name) | s.Table(name=name):
                yield name, part
            case s.Gradient(loss=loss, wrt=wrt):
                yield loss, part
                yield wrt, part
            case _:
                waiting += _children(part)


def _children(node: s.Node) -> Iterator[s.Node]:
    for slot in type(node).__slots__:
        value = getattr(node, slot)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, s.Node):
                yield child
