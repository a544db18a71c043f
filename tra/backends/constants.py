"""Where the constants of a backend's cost model come from: they are fixed, or measured when first needed.

What is measured is kept as long as the process lives, for all sessions on the same sites. It is what these
did at that moment: while others work on the cluster it can be off by a factor of two, and plans with it. A
session that is opened with ``cost_model="measured"`` measures again; EXPLAIN shows the figures it has.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from tra.optimizer.cost import CostModel

Kind = Literal["seconds", "measured", "fixed", "paper"]


class Constants:
    """The cost model of a backend.

    Attributes:
        origin: where the figures come from, for people.

    Example:
        >>> constants = Constants(CostModel(), lambda: CostModel(latency=1.0))
        >>> constants.choose("measured")
        >>> constants.model.latency, constants.origin
        (1.0, 'measured')
        >>> constants.choose("paper")
        >>> constants.model.paper, constants.origin
        (True, "the paper's count of elements")
    """

    def __init__(
        self, fixed: CostModel, measure: Callable[[], CostModel], forget: Callable[[], None] = lambda: None
    ) -> None:
        self._fixed, self._measure, self._forget = fixed, measure, forget
        self._model: CostModel | None = fixed
        self._lock = threading.Lock()
        self.origin = "fixed"

    def choose(self, kind: Kind, again: bool = False) -> None:
        """Takes fixed figures, the paper's count, or figures that are measured when they are first needed.

        Args:
            kind: which of these.
            again: figures that were measured before do not count.

        Example:
            >>> sites = Constants(CostModel(), lambda: CostModel(latency=1.0), lambda: print("forgotten"))
            >>> sites.choose("measured", again=True)
            forgotten
        """
        match kind:
            case "measured":
                self._model = None
                if again:
                    self._forget()
            case "paper":
                self._model, self.origin = replace(self._fixed, paper=True), "the paper's count of elements"
            case _:
                self._model, self.origin = self._fixed, "fixed"

    @property
    def model(self) -> CostModel:
        """The figures; the first time they are wanted they may be measured."""
        with self._lock:
            if self._model is None:
                self._model = self._measured()
            return self._model

    @model.setter
    def model(self, model: CostModel) -> None:
        self._model, self.origin = model, "given"

    def _measured(self) -> CostModel:
        try:
            found, self.origin = self._measure(), "measured"
        except (TimeoutError, OSError) as error:
            warnings.warn(f"the cluster could not be measured: {error}", stacklevel=3)
            found, self.origin = self._fixed, "fixed, since the cluster could not be measured"
        return found
