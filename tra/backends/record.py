"""What a training is asked beside its recipe, and what comes out of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tra.algebra.relation import Relation
from tra.backends.recipe import _index
from tra.errors import PlanError


@dataclass(frozen=True)
class Record:
    """What one step did.

    Attributes:
        epoch: the epoch, from 1.
        step: how many steps were done, this one included.
        loss: the loss of the batch before the update.
        metrics: the metrics of the batch before the update, by name.
        samples_per_second: the examples of the batch over the time of the step.
    """

    epoch: int
    step: int
    loss: float
    metrics: Mapping[str, float]
    samples_per_second: float


@dataclass(frozen=True)
class Training:
    """What came out of a training.

    Attributes:
        parameters: the trained parameters by name, stored on the backend.
        history: a record for each step that was run; a training that went on from a checkpoint has none of
            the steps before it.
        n_plans: how many plans were kept: one for each shape of a batch. While the first is made, several
            homes of what stays on the sites are tried; the plans of those that were not chosen do not count.
    """

    parameters: Mapping[str, Relation]
    history: tuple[Record, ...]
    n_plans: int

    @property
    def losses(self) -> list[float]:
        """The loss of each step."""
        return [record.loss for record in self.history]

    def __repr__(self) -> str:
        last = f", loss {self.history[-1].loss:.6g}" if self.history else ""
        return f"Training({', '.join(self.parameters)}: {len(self.history)} steps{last})"


@dataclass(frozen=True)
class Wishes:
    """How a training is watched and kept.

    Attributes:
        stop: ends the training after a step of which it is true.
        checkpoint: the folder of checkpoints, or None.
        every: epochs from checkpoint to checkpoint.
        progress: shows a line; by default only in a terminal.
    """

    stop: Callable[[Record], bool] | None = None
    checkpoint: Path | None = None
    every: int = 1
    progress: bool | None = None


def checked_wishes(stop: Any, checkpoint: Any, every: Any, progress: Any) -> Wishes:
    """Wishes whose parts are of their kinds.

    Example:
        >>> checked_wishes(None, None, 2, False)
        Wishes(stop=None, checkpoint=None, every=2, progress=False)

    Raises:
        PlanError: an argument is none of its kind.
    """
    if stop is not None and not callable(stop):
        raise PlanError(f"stop is a function of a record; got {stop!r}")
    n_epochs = _index(every)
    if n_epochs is None or n_epochs < 1:
        raise PlanError(f"every is a number of epochs; got {every!r}")
    if checkpoint is not None and not isinstance(checkpoint, str | os.PathLike):
        raise PlanError(f"checkpoint is a folder; got {checkpoint!r}")
    return Wishes(stop, None if checkpoint is None else Path(checkpoint), n_epochs, progress)
