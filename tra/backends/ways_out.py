"""What else would do where a query does not fit: errors of limits say so, where planning has shown it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tra.algebra.nodes import Expr, Retile, postorder
from tra.algebra.relation import Relation
from tra.algebra.retiling import full_windows
from tra.backends.backend import Backend
from tra.backends.plans import Plans
from tra.backends.rounds import Rounds
from tra.errors import MemoryLimitError


@contextmanager
def keeping(what: str, plans: Plans, backend: Backend, relations: Sequence[Relation]) -> Iterator[None]:
    """Says that results which do not fit as a whole may be saved, window by window, where they may.

    Args:
        what: the call that keeps all of a result.
        plans: the plans of the session.
        backend: its backend.
        relations: the results.

    Raises:
        MemoryLimitError: the error from within, with the hint.
    """
    try:
        yield
    except MemoryLimitError as error:
        if not all(_goes_in_windows(plans, backend, relation, error) for relation in relations):
            raise
        raise _hinted(
            error,
            f"{what} makes all of a result at once; session.save, iterate and tiles go window by window and "
            "fit: save it, and go on from tra.open of the file",
        ) from None


def rounds(plans: Plans, backend: Backend, relation: Relation, error: MemoryLimitError) -> Rounds:
    """How a query runs that does not fit as one plan.

    Raises:
        MemoryLimitError: no window fits either; where a slice is taken of what can be saved, it says so.
    """
    try:
        return Rounds(*plans.written(relation), backend, error)
    except MemoryLimitError as refused:
        if not any(_goes_in_windows(plans, backend, whole, error) for whole in _sliced(relation)):
            raise
        raise _hinted(
            refused,
            "what the slice is taken of fits window by window: save it, and take the slice of tra.open of "
            "the file",
        ) from None


def _goes_in_windows(plans: Plans, backend: Backend, relation: Relation, error: MemoryLimitError) -> bool:
    try:
        Rounds(*plans.written(relation), backend, error)
    except MemoryLimitError:
        return False
    return True


def _sliced(relation: Relation) -> list[Relation]:
    """What a query takes slices of, and does not merely read."""
    return [
        Relation(whole, relation.sources)
        for node in postorder(relation.expr)
        for whole in _parts_taken(node)
        if whole.children
    ]


def _parts_taken(expr: Expr) -> list[Expr]:
    if not isinstance(expr, Retile):
        return []
    pairs = zip(expr.operands, expr.windows, strict=True)
    return [whole for whole, windows in pairs if windows != full_windows(whole.type)]


def _hinted(error: MemoryLimitError, hint: str) -> MemoryLimitError:
    return MemoryLimitError(f"{error}\n  hint: {hint}", error.would_do)
