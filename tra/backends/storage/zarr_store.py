"""The files of a zarr array in a folder, as zarr asks for them: no link is followed, no pipe waited for."""

from __future__ import annotations

from typing import Any

from zarr.storage import LocalStore

from tra.backends.storage.regular_files import check_inside


class FolderStore(LocalStore):
    """A folder whose chunks are read; a name is checked before what has it is opened."""

    async def get(self, key: str, *arguments: Any, **options: Any) -> Any:
        """What a name holds, or None."""
        check_inside(self.root, key)
        return await super().get(key, *arguments, **options)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
        """Ranges of what names hold."""
        asked = list(key_ranges)
        for key, _ in asked:
            check_inside(self.root, key)
        return await super().get_partial_values(prototype, asked)

    def get_sync(self, key: str, **options: Any) -> Any:
        """What a name holds, or None; of zarr versions that read without an event loop."""
        check_inside(self.root, key)
        return super().get_sync(key, **options)
