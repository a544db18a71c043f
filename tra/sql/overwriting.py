"""A text that saves over what it loads, whose tiles are read while it runs: found before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tra.backends.storage.location import locate
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
        return Path(locate(path, base).path).resolve()
    except CatalogError:
        return None


def overlap(one: Path, other: Path) -> bool:
    """Claims that two places are one file, or that one is within the other.

    Example:
        >>> overlap(Path("/a.tra"), Path("/a.tra/part.tra")), overlap(Path("/a.npy"), Path("/b.npy"))
        (True, False)
    """
    if one.is_relative_to(other) or other.is_relative_to(one):
        return True
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there yet
        return False


def check_saves(statements: Sequence[s.Statement], base: Path | None) -> None:
    """Makes sure that no SAVE writes over a file that a LOAD before it reads.

    A LOAD after it is another matter: it reads what was saved.

    Raises:
        Problem: at the path of the SAVE.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> try:
        ...     check_saves(parse_text("LOAD A FROM 'A.npy'; SAVE A TO './A.npy'"), None)
        ... except Problem as problem:
        ...     print(problem.message)
        this text loads A from the same file
    """
    loaded: list[tuple[Path, str]] = []
    for statement in statements:
        if not isinstance(statement, s.Load | s.Save):
            continue
        place = place_of(statement.path.value, base)
        if place is None:
            continue
        if isinstance(statement, s.Load):
            loaded.append((place, statement.name.text))
            continue
        name = next((name for there, name in loaded if overlap(there, place)), None)
        if name is not None:
            raise Problem(
                statement.path.span,
                f"this text loads {name} from the same file",
                "its tiles are read while the text runs: save to another path",
            )
