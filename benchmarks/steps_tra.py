"""A training of tra that goes on by a few steps when it is asked to, so that others can take turns."""

from __future__ import annotations

from queue import Queue
from threading import Thread
from typing import Any

import numpy as np

import tra
from benchmarks.steps_network import Network
from tra.backends.session import Session

FOREVER = 10**9  # epochs


def loss(parameters: dict[str, Any], x: Any, y: Any) -> Any:
    """Half the sum of squares."""
    predicted = tra.relu(x @ parameters["W1"]) @ parameters["W2"]
    return tra.square(predicted - y).sum() * 0.5


class Steps:
    """`session.train` over all examples, on a thread of its own that waits between calls.

    The first step also plans and stores the data.
    """

    def __init__(self, session: Session, network: Network) -> None:
        self.session, self.network = session, network
        self.trained: Any = None
        self._wanted: Queue[int] = Queue()
        self._done: Queue[BaseException | None] = Queue()
        self._left = 0
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def step(self, steps: int) -> None:
        """Does some steps."""
        self._wanted.put(steps)
        self._check()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends the training; the weights that it leaves."""
        self.step(0)
        self._thread.join()
        first, second = self.session.compute(self.trained.parameters["W1"], self.trained.parameters["W2"])
        return first, second

    def predicted_bytes(self) -> int:
        """What the plan says a step moves."""
        x, y, first, second = self.network.arrays()
        found = self.session.explain_train(
            loss, {"W1": first, "W2": second}, tra.SGD(self.network.rate), data=[x, y]
        )
        return int(found.to_dict()["bytes_moved"]["predicted"])

    def _run(self) -> None:
        self._left = self._wanted.get()
        try:
            x, y, first, second = self.network.arrays()
            self.trained = self.session.train(
                loss, {"W1": first, "W2": second}, tra.SGD(self.network.rate), data=[x, y],
                epochs=FOREVER, stop=self._pause, progress=False,
            )  # fmt: skip
            self._done.put(None)
        except BaseException as error:
            self._done.put(error)

    def _pause(self, _: Any) -> bool:
        """After a step: waits for more to do once all that was asked for is done; true ends the training."""
        self._left -= 1
        if self._left == 0:
            self._done.put(None)
            self._left = self._wanted.get()
            return self._left == 0
        return False

    def _check(self) -> None:
        error = self._done.get()
        if error is not None:
            raise error
