"""The session in force, seen from the ground floor: relations ask it to run, and know nothing of backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tra.algebra.types import Tile, TileKey
from tra.errors import PlanError

if TYPE_CHECKING:
    from tra.algebra.relation import Relation


class Engine(Protocol):
    """What a relation asks of a session."""

    def compute(self, *relations: Relation) -> tuple[Tile, ...]:
        """Whole tensors as arrays."""
        ...

    def tiles(self, relation: Relation) -> dict[TileKey, Tile]:
        """Tiles by key."""
        ...

    def persist(self, *relations: Relation) -> tuple[Relation, ...]:
        """The same relations, stored on the backend."""
        ...

    def explain(self, relation: Relation, analyze: bool = False) -> Any:
        """The plan and its price."""
        ...

    def save(self, relation: Relation, path: Any, append: bool = False) -> None:
        """Writes a relation to a file."""
        ...

    def to_dask(self, relation: Relation) -> Any:
        """A dask.array whose graph is the plan."""
        ...

    def to_text(self, relation: Relation) -> str:
        """The query text of a relation."""
        ...


_open: list[Engine] = []
_default: list[Callable[[], object]] = []


def set_default(factory: Callable[[], object]) -> None:
    """Says how a session is made when none is open; making it pushes it.

    Example:
        ``tra.backends.connect`` calls this once, so that a query runs before anyone has called `tra.connect`.

        >>> import tra
        >>> tra.from_array([1.0, 2.0]).sum().compute()
        array(3.)
    """
    _default[:] = [factory]


def push(engine: Engine) -> None:
    """Makes a session the one in force.

    Example:
        >>> from tra.testing import ReferenceEngine
        >>> engine = ReferenceEngine()
        >>> push(engine)
        >>> current() is engine
        True
        >>> remove(engine)
    """
    _open.append(engine)


def remove(engine: Engine) -> None:
    """Takes a session out; the newest of the rest is in force again.

    Example:
        >>> from tra.testing import ReferenceEngine
        >>> outer, inner = ReferenceEngine(), ReferenceEngine()
        >>> push(outer), push(inner), remove(inner)
        (None, None, None)
        >>> current() is outer
        True
        >>> remove(outer)
    """
    _open[:] = [e for e in _open if e is not engine]


def current() -> Engine:
    """The newest open session; a local one is opened when there is none.

    Example:
        >>> import tra
        >>> with tra.connect("local", threads=1) as session:
        ...     current() is session
        True

    Raises:
        PlanError: no session is open, and nobody said how to open one.
    """
    if not _open and _default:
        _default[0]()
    if not _open:
        raise PlanError("no session is open; tra.connect() opens one")
    return _open[-1]
