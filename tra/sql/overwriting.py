"""A text that saves over what it loads, whose tiles are read while it runs: found before anything runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tra.backends.storage.location import locate
from tra.backends.storage.overwriting import overlap
from tra.errors import CatalogError
from tra.sql import syntax as s
from tra.sql.problems import Problem


def place_of(path: str, base: Path | None) -> Path | None:
    """Where a file lies, however its path is spelled; None for a path of no known format.

    Example:
        >>> place_of("a/../b.npz:X", Path("/")), place_of("b.txt", None)
        (PosixPath('/b.npz'), None)
    """
    try:
        return Path(os.path.realpath(locate(path, base).path))
    except CatalogError:
        return None


def check_saves(statements: Sequence[s.Statement], base: Path | None) -> None:
    """Makes sure that no SAVE or checkpoint writes over a file that a LOAD before it reads.

    A LOAD after it is another matter: it reads what was saved.

    Raises:
        Problem: at the path of the SAVE or the checkpoint.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> try:
        ...     check_saves(parse_text("LOAD A FROM 'A.npy'; SAVE A TO './A.npy'"), None)
        ... except Problem as problem:
        ...     print(problem.message)
        this text loads A from the same place
    """
    loaded: list[tuple[Path, str]] = []
    for statement in statements:
        match statement:
            case s.Load(s.Name(name), path=path):
                place = place_of(path.value, base)
                loaded += [] if place is None else [(place, name)]
            case s.Save(path=path) | s.Train(checkpoint=s.Checkpoint(folder=path)):
                is_folder = isinstance(statement, s.Train)
                place = _folder(path.value, base) if is_folder else place_of(path.value, base)
                if place is not None:
                    _check_written(path, place, loaded)


def _folder(path: str, base: Path | None) -> Path:
    """Where a folder lies; unlike `Path.resolve` this takes links that lead in a circle."""
    return Path(os.path.realpath((base or Path()) / path))


def _check_written(path: s.Text, place: Path, loaded: Sequence[tuple[Path, str]]) -> None:
    """Checks that nothing is loaded from a place that is written to."""
    name = next((name for there, name in loaded if overlap(there, place)), None)
    if name is not None:
        raise Problem(
            path.span,
            f"this text loads {name} from the same place",
            "its tiles are read while the text runs: write to another path",
        )
