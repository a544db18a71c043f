"""The session in force, seen from the ground floor: relations ask it to run, and know nothing of backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Engine(Protocol):
    """What a relation asks of a session."""

    def compute(self, *relations: Any) -> Any:
        """Whole tensors as arrays."""

    def tiles(self, relation: Any) -> Any:
        """Tiles by key."""

    def persist(self, *relations: Any) -> Any:
        """The same relations, stored on the backend."""

    def explain(self, relation: Any, analyze: bool = False) -> Any:
        """The plan and its price."""

    def save(self, relation: Any, path: Any) -> None:
        """Writes a relation to a file."""

    def to_text(self, relation: Any) -> str:
        """The query text of a relation."""


_open: list[Engine] = []
_default: list[Callable[[], Engine]] = []


def set_default(factory: Callable[[], Engine]) -> None:
    """Says how a session is made when none is open."""
    _default[:] = [factory]


def push(engine: Engine) -> None:
    """Makes a session the one in force."""
    _open.append(engine)


def remove(engine: Engine) -> None:
    """Takes a session out; the newest of the rest is in force again."""
    _open[:] = [e for e in _open if e is not engine]


def current() -> Engine:
    """The newest open session; a local one is opened when there is none."""
    if not _open:
        if not _default:
            raise RuntimeError("no session is open")
        _default[0]()
    return _open[-1]
