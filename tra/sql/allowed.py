"""Which files a query text may name: those below the folders and URLs that it was allowed, and no others.

A text may come from a stranger; whoever runs it says what it may read and write. Without a word that is the
folder that relative paths start from. Links are followed before the place is compared, so that a link cannot
lead out of what is allowed; it is compared before anything is opened or looked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from tra.backends.storage.location import Location, locate
from tra.errors import CatalogError
from tra.sql import syntax as s
from tra.sql.problems import Problem

Folders: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Set[str | os.PathLike[str]]"


@dataclass(frozen=True)
class Allowed:
    """Places that a text may name files in.

    Attributes:
        folders: folders, without links.
        urls: how URLs begin; each ends with a slash.
    """

    folders: tuple[Path, ...]
    urls: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([*map(str, self.folders), *self.urls]) or "none"

    def has_file(self, path: str) -> bool:
        """Claims that a path, links followed, lies in one of the folders.

        Example:
            >>> srv = Allowed((Path("/srv/q"),))
            >>> srv.has_file("/srv/q/a/A.npy"), srv.has_file("/srv/q/../A.npy"), srv.has_file("/srv/qq/A.npy")
            (True, False, False)
        """
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder) for folder in self.folders)

    def has_url(self, url: str) -> bool:
        """Claims that a URL begins as one that is allowed, and does not lead up or through another.

        Example:
            >>> bucket = Allowed((), ("s3://bucket/in/",))
            >>> [bucket.has_url(f"s3://bucket/{rest}") for rest in ("in/A.tra", "out/A.tra", "in/../A.tra")]
            [True, False, False]
        """
        leads_up = ".." in unquote(unquote(url)).replace("\\", "/").split("/")
        return not leads_up and "::" not in url and any(url.startswith(begin) for begin in self.urls)


def allowed_places(allow: Folders | None, base: str | os.PathLike[str] | None) -> Allowed:
    """What a text may name.

    Args:
        allow: folders, and URLs with or without a folder; `base` alone for None.
        base: the folder that relative paths of the text start from; the working directory for None.

    Example:
        >>> allowed_places(["/", "s3://bucket"], None)
        Allowed(folders=(PosixPath('/'),), urls=('s3://bucket/',))

    Raises:
        CatalogError: it names no folder, or one that is not there.
    """
    if allow is None:
        return Allowed((Path(os.path.realpath(base or ".")),))
    texts = [_text(each, allow).removeprefix("file://") for each in _several(allow)]
    folders = tuple(_folder(text) for text in texts if "://" not in text)
    urls = [text if text.endswith("/") else f"{text}/" for text in texts if "://" in text]
    return Allowed(folders, tuple(urls))


def _several(allow: Any) -> list[Any]:
    """Folders one by one; a set has no order, and is given one."""
    if isinstance(allow, Set):
        return sorted(allow, key=str)
    return list(allow) if isinstance(allow, list | tuple) else [allow]


def _text(each: Any, allow: Any) -> str:
    text = os.fspath(each) if isinstance(each, str | os.PathLike) else None
    if not isinstance(text, str):
        within = "" if each is allow else f" in {allow!r}"
        raise CatalogError(f"allow takes a folder, or several in a list; got {each!r}{within}")
    return text


def _folder(text: str) -> Path:
    """A folder without links."""
    real = Path() if "\0" in text else Path(os.path.realpath(text))
    if not text or "\0" in text or not real.exists():
        raise CatalogError(f"allow: there is no folder {text!r}")
    if not real.is_dir():
        raise CatalogError(
            f"allow takes a folder; got {text!r}, which is a file\n  hint: allow={str(real.parent)!r}"
        )
    return real


def check_files(statements: Iterable[s.Statement], allowed: Allowed, base: Path | None) -> None:
    """Makes sure that a text names only files that it may name.

    Raises:
        Problem: at the path of the first that it may not.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> try:
        ...     check_files(parse_text("LOAD A FROM '/etc/A.npy'"), Allowed((Path("/srv"),)), None)
        ... except Problem as problem:
        ...     print(problem.message)
        /etc/A.npy lies outside of what this text may name
          allowed: /srv
    """
    for statement in statements:
        for path, is_folder in _files(statement):
            _check(path, _place(path.value, is_folder, base), allowed)


def _files(statement: s.Statement) -> Iterator[tuple[s.Text, bool]]:
    """The paths in a statement, each with the claim that it is a folder of checkpoints."""
    match statement:
        case s.Load(path=path) | s.Save(path=path):
            yield path, False
        case s.Train(checkpoint=s.Checkpoint(folder=path)):
            yield path, True
        case s.Explain(query=s.Train() as train):
            yield from _files(train)
        case _:
            pass


def _place(written: str, is_folder: bool, base: Path | None) -> Location | None:
    """Where a path leads; None for one of no known format, which is refused where it is opened."""
    if is_folder:
        # As it is opened: after a link `..` leads elsewhere, and a URL is a folder of that name.
        return Location(str((base or Path()) / written), "")
    try:
        return locate(written, base)
    except CatalogError:
        return None


def _check(path: s.Text, place: Location | None, allowed: Allowed) -> None:
    if place is None:
        return
    if place.is_remote and place.suffix:
        if not allowed.has_url(place.path):
            raise _refused(path, place.path, place.path.rpartition("/")[0], allowed)
        return
    if "\0" in place.path:
        raise Problem(path.span, "a path has no character of number zero")
    if not allowed.has_file(place.path):
        real = os.path.realpath(place.path)
        leads = "" if real == place.path else f", which is {real},"
        raise _refused(path, f"{place.path}{leads}", str(Path(real).parent), allowed)


def _refused(path: s.Text, what: str, folder: str, allowed: Allowed) -> Problem:
    return Problem(
        path.span,
        f"{what} lies outside of what this text may name\n  allowed: {allowed}",
        f"whoever runs it allows more: tra run --allow {folder}, or allow={folder!r} in Python",
    )
