"""What plans would leave on the sites, without running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tra.backends.backend import Backend, Share, StoredSource
from tra.optimizer.planner import Planned


def priced(seen: Sequence[Planned], n_windows: int) -> Planned:
    """The last plan of a window, with what all plans of so many windows cost."""
    every = [planned.prediction for planned in seen]
    total = replace(
        every[-1],
        bytes_moved=n_windows * sum(one.bytes_moved for one in every),
        paper_bytes=n_windows * sum(one.paper_bytes for one in every),
        flops=n_windows * sum(one.flops for one in every),
        peak_bytes_per_site=max(one.peak_bytes_per_site for one in every),
        most_bytes_per_site=max(one.most_bytes_per_site for one in every),
        tasks=n_windows * sum(one.tasks for one in every),
        seconds=n_windows * sum(one.seconds for one in every),
    )
    return replace(seen[-1], prediction=total)


def foreseen(backend: Backend, planned: Planned) -> StoredSource:
    """What a run would leave, without running."""
    (sizes,) = planned.program.result_bytes
    return _Foreseen(backend, planned.program.roots[0], [Share(None, size) for size in sizes])


class _Foreseen(StoredSource):
    """What a run would leave."""

    def release(self) -> None:
        """There is nothing to forget."""
