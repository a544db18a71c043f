"""Running query text in a session: its statements are bound, and then run one after the other.

A mistake in a name, an index or a shape so shows before anything has run. Only what stands from a LOAD on
whose file an earlier SAVE writes is bound when that has run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, assert_never

from tra.algebra.relation import Relation
from tra.backends.hints import Hint, check_key, checked_hint
from tra.backends.session import Session
from tra.backends.storage.location import locate
from tra.backends.storage.overwriting import overlap
from tra.errors import MemoryLimitError, QueryError, TraError
from tra.sql import syntax as s
from tra.sql.allowed import Folders, allowed_places, check_files
from tra.sql.binder import bind_query
from tra.sql.carets import caret_error
from tra.sql.definitions import Definitions, later
from tra.sql.overwriting import check_saves, place_of
from tra.sql.parser import parse_text
from tra.sql.problems import Problem
from tra.sql.result import Result
from tra.sql.scope import Scope, at
from tra.sql.train_form import bind_train
from tra.sql.train_run import explain_training, run_training
from tra.sql.values import values_text


@dataclass(frozen=True)
class Options:
    """How text is run.

    Attributes:
        origin: what errors call the text, such as a file name.
        base: the folder that relative paths start from; the working directory for None.
        echo: takes each output as it comes; with it the last statement, if it is a query, is shown too.
        execute: False binds all statements, so that mistakes show, and runs none.
        allow: the folders, or URLs, below which the text may name files; `base` alone for None.
    """

    origin: str = "<query>"
    base: str | os.PathLike[str] | None = None
    echo: Callable[[str], Any] | None = None
    execute: bool = True
    allow: Folders | None = None


def run_text(
    session: Session,
    text: str,
    /,
    *,
    origin: str = "<query>",
    base: str | os.PathLike[str] | None = None,
    echo: Callable[[str], Any] | None = None,
    execute: bool = True,
    allow: Folders | None = None,
    **relations: Any,
) -> Result:
    """Runs query text in a session; what `Session.sql` does.

    All statements are bound before the first one runs, so that a mistake in a later one shows before an
    earlier one has saved anything; only a LOAD of a file that the text saves waits until it is there.

    The options are those of `Options`. A relation that is called as one of them cannot be passed here by
    name; in `tra.sql`, which has only `allow`, the others can.

    Raises:
        QueryError: the text is not a query, or does not fit the relations; shows the place in the text.
        TraError: a statement fails when it runs; of the class that says why, and with the place in the text.

    Example:
        >>> import tra
        >>> with tra.connect("local", threads=1) as session:
        ...     result = run_text(session, "LET y[i] = 2 * x[i];", x=[1.0, 2.0])
        >>> result.relation
        [i:1] of 2 float64
    """
    return run_statements(session, text, relations, Options(origin, base, echo, execute, allow))


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
    run.all()
    return run.result


_Bound: TypeAlias = tuple[s.Statement, Callable[[], Any]]  # a statement and what it does when it runs


class _Run:
    """One text on its way: what is defined so far, and what was shown."""

    def __init__(self, session: Session, text: str, relations: Mapping[str, Any], options: Options) -> None:
        self._session = session
        self._text = text
        self._options = options
        self._definitions = Definitions(relations)
        self._base = None if options.base is None else Path(options.base)
        self._statements = parse_text(_checked_text(text), options.origin)
        self._waiting: list[_Bound] = []
        self._saved: list[Path] = []
        self._hints: list[Callable[[], Hint]] = []
        self._last: Callable[[], Relation] | None = None
        self._outputs: list[str] = []

    def all(self) -> None:
        """Binds and runs all statements."""
        allowed = allowed_places(self._options.allow, self._base)
        with self._marked():
            check_files(self._statements, allowed, self._base)
            check_saves(self._statements, self._base)
        for statement in self._statements:
            if isinstance(statement, s.Load) and self._will_be_saved(statement.path.value):
                self._run_waiting()
            self._bind(statement)
        self._run_waiting()

    @property
    def result(self) -> Result:
        """What the text made and showed, with the parameters as they are now."""
        last = None if self._last is None else self._last()
        hints = [hint() for hint in self._hints]
        return Result(last, self._definitions.scope.relations, self._outputs, hints)

    def _will_be_saved(self, path: str) -> bool:
        """Claims that a SAVE which has not run yet writes to a path."""
        place = place_of(path, self._base)
        return place is not None and any(overlap(place, saved) for saved in self._saved)

    def _run_waiting(self) -> None:
        """Runs what is bound and has not run yet."""
        waiting, self._waiting, self._saved = self._waiting, [], []
        for statement, action in waiting:
            with self._located(statement):
                action()

    # --- binding ----------------------------------------------------------------------------------

    def _bind(self, statement: s.Statement) -> None:
        with self._marked():
            self._define_or_wait(statement)

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """Shows problems at their place in the text."""
        try:
            yield
        except Problem as problem:
            raise self._caret(problem) from problem.__cause__

    def _caret(self, problem: Problem) -> QueryError:
        return caret_error(self._text, problem.span, problem.message, problem.hint, self._options.origin)

    def _define_or_wait(self, statement: s.Statement) -> None:
        match statement:
            case s.Load():
                self._definitions.define(statement, self._base)
            case s.Initialize():
                self._definitions.define(statement)
            case s.Let(name) | s.View(name):
                self._definitions.define(statement)
                self._bound(s.Table(name))
            case s.Hint():
                self._hints.append(later(self._definitions, lambda scope: self._hint(statement, scope)))
            case s.Train():
                training = bind_train(statement, self._definitions, self._base)
                self._wait(statement, lambda: self._put(run_training(self._session, training)))
            case s.Save(name, path):
                relation = later(self._definitions, lambda scope: scope.find(name))
                with self._located(statement):
                    place = locate(path.value, self._base)
                self._wait(statement, lambda: self._session.save(relation(), place))
                self._saved.append(Path(os.path.realpath(place.path)))
            case s.Show(query):
                self._wait_to_show(statement, query)
            case s.Explain():
                self._wait_to_explain(statement)
            case s.Run(query):
                if statement is self._statements[-1] and self._options.echo is not None:
                    self._wait_to_show(statement, query)
                else:
                    self._bound(query)
            case _:
                assert_never(statement)

    def _hint(self, statement: s.Hint, scope: Scope) -> Hint:
        relation = scope.find(statement.name)
        strategy = None if statement.strategy is None else statement.strategy.value
        keys = statement.split
        split = None if keys is None else tuple(None if key is None else key.text for key in keys)
        n_sites = 1 if self._session is None else self._session.backend.n_sites
        for key in keys or ():
            with at(statement.span if key is None else key.span):
                check_key(relation.expr, None if key is None else key.text, n_sites, relation.sources)
        with at(statement.span if statement.strategy is None else statement.strategy.span):
            return checked_hint(relation.expr, strategy, split, n_sites, relation.sources)

    def _bound(self, query: s.Query) -> Callable[[], Relation]:
        """A query as the result, bound to the values that relations have when it is asked for."""
        relation = later(self._definitions, lambda scope: bind_query(query, scope))
        self._last = relation
        return relation

    def _wait(self, statement: s.Statement, action: Callable[[], Any]) -> None:
        if self._options.execute:
            hints = tuple(self._hints)
            self._waiting.append((statement, lambda: self._under(hints, action)))

    def _under(self, hints: tuple[Callable[[], Hint], ...], action: Callable[[], Any]) -> None:
        with self._session.hinted([hint() for hint in hints]):
            action()

    def _wait_to_show(self, statement: s.Statement, query: s.Query) -> None:
        relation = self._bound(query)
        name = query.name.text if isinstance(query, s.Table) else ""

        def show() -> None:
            found = relation()
            self._put(f"{name}{found.expr.type}\n{values_text(self._session, found)}")

        self._wait(statement, show)

    def _wait_to_explain(self, statement: s.Explain) -> None:
        query, analyze = statement.query, statement.analyze
        if isinstance(query, s.Train):
            if analyze:
                raise Problem(statement.span, "EXPLAIN ANALYZE is for queries", "write EXPLAIN TRAIN ...")
            training = bind_train(query, self._definitions, self._base)
            self._wait(statement, lambda: self._put(explain_training(self._session, training)))
            return
        relation = self._bound(query)
        self._wait(statement, lambda: self._put(str(self._session.explain(relation(), analyze=analyze))))

    # --- running ----------------------------------------------------------------------------------

    def _put(self, output: str) -> None:
        self._outputs.append(output)
        if self._options.echo is not None:
            self._options.echo(output)

    @contextmanager
    def _located(self, statement: s.Statement) -> Iterator[None]:
        """Gives errors of a run their place in the text."""
        try:
            yield
        except Problem as problem:  # of a definition that is bound again
            raise self._caret(problem) from problem.__cause__
        except TraError as error:
            located = caret_error(self._text, statement.span, str(error), origin=self._options.origin)
            placed = type(error)(str(located))
            vars(placed).update(vars(error))
            raise placed from error
        except MemoryError as error:
            located = caret_error(
                self._text, statement.span, f"the memory is not enough: {error}",
                "with memory_limit= a session works in passes, or refuses at once", self._options.origin,
            )  # fmt: skip
            raise MemoryLimitError(str(located)) from error
        except Exception as error:
            located = caret_error(
                self._text, statement.span, "in this statement", origin=self._options.origin
            )
            error.add_note(str(located))
            raise


def _checked_text(text: Any) -> str:
    """Text, and nothing else.

    Raises:
        QueryError: it is of another type, or the path of a query file.
    """
    if not isinstance(text, str):
        raise QueryError(f"query text is a str; got {type(text).__name__}")
    if text.rstrip().endswith(".tra") and len(text.split()) == 1:
        raise QueryError(f"{text.strip()!r} is a path and no query text; `tra run` runs a query file")
    return text
