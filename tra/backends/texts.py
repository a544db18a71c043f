"""What a session does with query text: it runs it, and writes relations as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tra.algebra.entry_point import entry_point
from tra.algebra.relation import Relation
from tra.errors import PlanError, TraError


@entry_point
class Texts:
    """The part of a session that knows of query text, which stands above the backends."""

    #: set by the face: query text in and out, which stands above the backends
    text_runner: ClassVar[Callable[..., Any] | None] = None
    text_printer: ClassVar[Callable[[Relation], str] | None] = None

    def sql(self, text: str, /, **relations: Any) -> Any:
        """Runs query text in this session; see `tra.sql`, and `tra.sql.runner` for its options.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1) as session:
            ...     session.sql("LET y[i] = 2 * x[i];", x=[1.0, 2.0]).relation.compute()
            array([2., 4.])
        """
        runner = type(self).text_runner
        if runner is None:
            raise PlanError("query text needs the package tra.sql")
        return runner(self, text, **relations)

    def to_text(self, relation: Relation) -> str:
        """The query text of a relation; see `Relation.to_text`.

        Example:
            >>> import tra
            >>> with tra.connect("local", threads=1) as session:
            ...     print(session.to_text(-tra.from_array([1.0, 2.0], name="x")).splitlines()[-1])
            SELECT x.i, NEG(x.tile) AS tile FROM x;
        """
        printer = type(self).text_printer
        if printer is None:
            raise PlanError("query text needs the package tra.sql")
        return printer(relation)

    def _text(self, relation: Relation) -> str | None:
        """The query text, or None where there is none."""
        try:
            return self.to_text(relation)
        except TraError:
            return None
