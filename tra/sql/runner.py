"""Running query text: its statements one after the other, in a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from tra.algebra.relation import Relation
from tra.backends.session import Session
from tra.errors import TraError
from tra.sql import syntax as s
from tra.sql.binder import bind_query, define
from tra.sql.carets import caret_error
from tra.sql.parser import parse_text
from tra.sql.problems import Problem
from tra.sql.result import Result
from tra.sql.scope import Scope
from tra.sql.values import values_text


@dataclass(frozen=True)
class Options:
    """How text is run.

    Attributes:
        origin: what errors call the text, such as a file name.
        base: the folder that relative paths start from; the working directory for None.
        echo: takes each output as it comes; with it the last statement, if it is a query, is shown too.
        execute: False binds all statements, so that mistakes show, and runs none.
    """

    origin: str = "<query>"
    base: str | os.PathLike[str] | None = None
    echo: Callable[[str], Any] | None = None
    execute: bool = True


def run_text(
    session: Session,
    text: str,
    /,
    *,
    origin: str = "<query>",
    base: str | os.PathLike[str] | None = None,
    echo: Callable[[str], Any] | None = None,
    execute: bool = True,
    **relations: Any,
) -> Result:
    """Runs query text in a session; what `Session.sql` does.

    The options are those of `Options`. A relation that is called as one of them cannot be passed here by
    name; it can in `tra.sql`, which has none of them.

    Raises:
        QueryError: the text is not a query, or does not fit the relations; shows the place in the text.
        TraError: a statement fails when it runs; of the class that says why, and with the place in the text.
    """
    return run_statements(session, text, relations, Options(origin, base, echo, execute))


def run_statements(
    session: Session, text: str, relations: Mapping[str, Any], options: Options | None = None
) -> Result:
    """Runs query text with relations (or arrays, or numbers) by name.

    Example:
        >>> import tra
        >>> with tra.connect("local", threads=1) as session:
        ...     result = run_statements(session, "LET y[i] = 2 * x[i]; SHOW y;", {"x": [1.0, 2.0]})
        >>> print(result)
        y[i:1] of 2 float64
        [2. 4.]
    """
    run = _Run(session, text, relations, options or Options())
    for statement in run.statements:
        run.step(statement)
    return run.result


class _Run:
    """One text on its way: what is defined so far, and what was shown."""

    def __init__(self, session: Session, text: str, relations: Mapping[str, Any], options: Options) -> None:
        self._session = session
        self._text = text
        self._options = options
        self._scope = Scope(relations)
        self._base = None if options.base is None else Path(options.base)
        self.statements = parse_text(text, options.origin)
        self.result = Result(None, self._scope.relations, [])

    def step(self, statement: s.Statement) -> None:
        """Binds a statement, and runs it where it asks for that."""
        try:
            self._step(statement)
        except Problem as problem:
            error = caret_error(self._text, problem.span, problem.message, problem.hint, self._options.origin)
            raise error from problem.__cause__

    def _step(self, statement: s.Statement) -> None:
        match statement:
            case s.Load():
                define(statement, self._scope, self._base)
            case s.Let() | s.View():
                define(statement, self._scope)
                self.result.relation = self._scope.find(statement.name)
            case s.Save(name, path):
                self._save(statement, self._scope.find(name), path.value)
            case s.Show(query):
                self._show(statement, query)
            case s.Explain(query, analyze):
                relation = self._bound(query)
                with self._running(statement) as runs:
                    if runs:
                        self._put(str(self._session.explain(relation, analyze=analyze)))
            case s.Run(query):
                if statement is self.statements[-1] and self._options.echo is not None:
                    self._show(statement, query)
                else:
                    self._bound(query)
            case _:
                assert_never(statement)

    def _bound(self, query: s.Query) -> Relation:
        self.result.relation = bind_query(query, self._scope)
        return self.result.relation

    def _show(self, statement: s.Statement, query: s.Query) -> None:
        relation = self._bound(query)
        name = query.name.text if isinstance(query, s.Table) else ""
        with self._running(statement) as runs:
            if runs:
                self._put(f"{name}{relation.expr.type}\n{values_text(self._session, relation)}")

    def _save(self, statement: s.Save, relation: Relation, path: str) -> None:
        place = path if self._base is None else os.path.join(self._base, path)  # noqa: PTH118 - may name a member
        with self._running(statement) as runs:
            if runs:
                self._session.save(relation, place)

    def _put(self, output: str) -> None:
        self.result.outputs.append(output)
        if self._options.echo is not None:
            self._options.echo(output)

    @contextmanager
    def _running(self, statement: s.Statement) -> Iterator[bool]:
        """Gives errors of a run their place in the text; says whether to run at all."""
        try:
            yield self._options.execute
        except TraError as error:
            located = caret_error(self._text, statement.span, str(error), origin=self._options.origin)
            raise type(error)(str(located)) from error
        except Exception as error:
            located = caret_error(
                self._text, statement.span, "in this statement", origin=self._options.origin
            )
            error.add_note(str(located))
            raise
