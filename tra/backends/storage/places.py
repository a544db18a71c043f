"""Where a relation is written: the names around a path, or an object store; and what is there already."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol
from uuid import uuid4

from tra.backends.storage.durable import sync, sync_folder
from tra.backends.storage.location import Location
from tra.backends.storage.manifest import MANIFEST, Manifest, from_text, to_text
from tra.backends.storage.put_in_place import put_in_place
from tra.backends.storage.regular_files import open_regular
from tra.backends.storage.relation_folder import Joined, publish
from tra.backends.storage.relation_reader import LocalFolder
from tra.backends.storage.remote import RemoteFile, RemoteFolder
from tra.backends.storage.type_text import FORMAT
from tra.backends.storage.unfinished import claim, disclaim, remove, remove_abandoned, writer_tag
from tra.errors import CatalogError


class Place(Protocol):
    """A target of writers.

    Attributes:
        temporary: the local file or folder that is written first.
    """

    temporary: Path

    def exists(self, name: str = "") -> bool:
        """Claims that there is something, or a file of this name in it."""
        ...

    def is_file(self) -> bool:
        """Claims that what is there is a file, and no folder."""
        ...

    def is_relation(self) -> bool:
        """Claims that what is there is a relation of the native format, of any version and in any state."""
        ...

    def open(self, name: str = "") -> IO[bytes]:
        """Opens what is there, or a file in it."""
        ...

    def begin(self) -> None:
        """Makes room for the temporary file."""
        ...

    def put(self) -> None:
        """Puts the finished file or folder there, in the place of what was."""
        ...

    def publish(self, manifest: Manifest, joined: Joined) -> None:
        """Puts the finished parts there, and then their manifest."""
        ...

    def end(self) -> None:
        """Removes the temporary file, whatever became of it."""
        ...


class _Place:
    """What both kinds of places say of what is there."""

    def open(self, name: str = "") -> IO[bytes]:
        raise NotImplementedError

    def is_relation(self) -> bool:
        """Claims that what is there is a relation of the native format, of any version and in any state."""
        try:
            with self.open(MANIFEST) as file:
                data = json.load(file)
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(data, dict) and data.get("format") == FORMAT


class LocalPlace(_Place):
    """A path, and names beside it for what is not finished."""

    def __init__(self, path: str) -> None:
        self._path = Path(os.path.realpath(path))
        self.temporary = self._beside()

    def __str__(self) -> str:
        return str(self._path)

    def _beside(self) -> Path:
        """A new name beside the path, by which the next writer knows what a killed one left."""
        return self._path.with_name(f".{self._path.name}.{writer_tag()}.tmp")

    def exists(self, name: str = "") -> bool:
        """Claims that there is something, or a file of this name in it."""
        return (self._path / name).exists()

    def is_file(self) -> bool:
        """Claims that what is there is a file, and no folder."""
        return self._path.is_file()

    def open(self, name: str = "") -> IO[bytes]:
        """Opens what is there, or a file in it."""
        return os.fdopen(open_regular(self._path / name, follow=True), "rb")

    def begin(self) -> None:
        """Claims a name beside the path, and removes what killed writers left under such names.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        claim(self.temporary)
        if not self._path.parent.is_dir():
            raise FileNotFoundError
        for suffix in (".tmp", ".zip"):
            remove_abandoned(self._path.parent, f".{self._path.name}.", suffix)

    def put(self) -> None:
        """Gives the finished file or folder its name; what had it is gone."""
        if self.temporary.is_dir():
            sync_folder(self.temporary)
        else:
            sync(self.temporary)
        put_in_place(self.temporary, self._path)
        sync(self._path.parent)

    def publish(self, manifest: Manifest, joined: Joined) -> None:
        """Puts parts and manifest there; see `relation_folder`."""
        publish(self.temporary, self._path, manifest, joined)

    def end(self) -> None:
        """Removes what was not finished, or was replaced."""
        gone = self._beside()
        with suppress(OSError):
            self.temporary.rename(gone)  # whoever is late finds nothing to write into
        remove(gone)
        remove(self.temporary)
        disclaim(self.temporary)


class RemotePlace(_Place):
    """A URL: what is written goes to a local folder first. One file, or one manifest, appears whole."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file = RemoteFile(url)
        self.temporary = Path(tempfile.gettempdir()) / f"tra-{writer_tag()}" / "relation.tmp"

    def __str__(self) -> str:
        return self._url

    def exists(self, name: str = "") -> bool:
        """Claims that there is something, or a file of this name in it."""
        return self._file.exists(name)

    def is_file(self) -> bool:
        """Claims that what is there is a file, and no folder."""
        return self._file.is_file()

    def open(self, name: str = "") -> IO[bytes]:
        """Opens what is there, or a file in it."""
        return self._file.open(name)

    def begin(self) -> None:
        """Makes the local folder."""
        self.temporary.parent.mkdir()

    def put(self) -> None:
        """Sends the finished file; of a folder the description last.

        Raises:
            CatalogError: there is a folder already, which cannot be replaced in one step.
        """
        if self.temporary.is_file():
            self._file.send(self.temporary)
            return
        if self.exists():
            raise CatalogError(f"{self} exists, and folders behind URLs are not replaced: remove it first")
        files = [path for path in self.temporary.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path.suffix == ".json"):
            self._file.send(path, path.relative_to(self.temporary).as_posix())

    def publish(self, manifest: Manifest, joined: Joined) -> None:
        """Sends the parts under new names, then the manifest, and removes what the one before listed.

        Raises:
            CatalogError: another writer was here meanwhile.
        """
        before = self._manifest_stamp()
        old = _parts_of(self._file) if before else []
        folder = RemoteFolder(self._file)
        whole, n_kept = (
            joined(folder, LocalFolder(str(self.temporary)), manifest) if before else (manifest, 0)
        )
        tag = uuid4().hex[:12]
        names = [f"part-{tag}-{n}.arrow" for n in range(len(manifest.parts))]
        for part, name in zip(manifest.parts, names, strict=True):
            self._file.send(self.temporary / part.file, name)
        listed = whole.named([part.file for part in whole.parts[:n_kept]] + names)
        if self._manifest_stamp() != before:
            self._file.remove(names)
            raise CatalogError(f"another wrote to {self} meanwhile; save again")
        self._file.write(MANIFEST, to_text(listed).encode())
        self._file.remove(sorted({*old} - {part.file for part in listed.parts}))

    def _manifest_stamp(self) -> str:
        """What changes with the manifest; empty where there is none."""
        return self._file.stamp(MANIFEST) if self._file.exists(MANIFEST) else ""

    def end(self) -> None:
        """Removes what lies here."""
        remove(self.temporary.parent)


def _parts_of(file: RemoteFile) -> list[str]:
    """The parts that the manifest behind a URL lists, as far as it can be read."""
    try:
        return [part.file for part in from_text(file.read(MANIFEST)).parts]
    except ValueError:
        return []


def place_of(location: Location) -> Place:
    """Where a relation is written.

    Example:
        >>> str(place_of(Location("memory://bucket/A.npy", ".npy")))
        'memory://bucket/A.npy'
    """
    return RemotePlace(location.path) if location.is_remote else LocalPlace(location.path)
