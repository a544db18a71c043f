"""What running query text gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from tra.algebra.relation import Relation
from tra.backends.hints import Hint


@dataclass
class Result:
    """The relations that a text names, and what it showed.

    Attributes:
        relation: the relation of the last LET, view, query, SHOW or EXPLAIN; None where there is none.
        relations: every relation that has a name at the end, by name.
        outputs: the texts of SHOW, EXPLAIN and TRAIN, in order.
        hints: those in force at the end of the text, for `Session.hinted`.

    Example:
        >>> import tra
        >>> sorted(tra.sql("LET y[i] = 2 * x[i];", x=[1.0, 2.0]).relations)
        ['x', 'y']
    """

    relation: Relation | None
    relations: dict[str, Relation]
    outputs: list[str]
    hints: list[Hint] = field(default_factory=list)

    def __str__(self) -> str:
        if self.outputs:
            return "\n".join(self.outputs)
        return "" if self.relation is None else str(self.relation)

    def __repr__(self) -> str:
        return f"Result({self.relation!r}, {len(self.relations)} names, {len(self.outputs)} outputs)"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
