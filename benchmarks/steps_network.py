"""The training step that systems are compared by: a network of two layers, its data, and NumPy's answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import cloudpickle
import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
ROUND_FLOPS, MOST_STEPS = 3.5e11, 5  # of a round, so that it lasts about a second or more
# Of the change of all weights. In float32 an activation near 0 may have the other sign, which is 2e-3 in the
# smallest network after its last step, for everybody; a step more or less is above 1e-2.
TOLERANCE = 5e-3

# Workers elsewhere have tra, but not its benchmarks.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class Network:
    """Half the sum of squares of ReLU(X·W1)·W2 − Y, in float32 and without biases.

    Attributes:
        rows: of X and Y, the examples.
        inputs: columns of X.
        hidden: columns of W1.
        outputs: columns of W2 and Y.

    Example:
        >>> Network(2, 3, 4, 5).flops
        336.0
    """

    rows: int
    inputs: int
    hidden: int
    outputs: int

    def __str__(self) -> str:
        return f"X {self.rows}×{self.inputs}, W1 {self.inputs}×{self.hidden}, W2 {self.hidden}×{self.outputs}"

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """All of it as numbers."""
        return self.rows, self.inputs, self.hidden, self.outputs

    @property
    def flops(self) -> float:
        """Operations of the five products of a step."""
        return 2.0 * self.rows * self.hidden * (2 * self.inputs + 3 * self.outputs)

    @property
    def rate(self) -> float:
        """A learning rate at which the loss falls."""
        return 1.0 / (self.rows * self.hidden)

    @property
    def steps(self) -> int:
        """Steps of a round."""
        return min(ceil(ROUND_FLOPS / self.flops), MOST_STEPS)

    def arrays(self) -> Arrays:
        """X, Y, W1 and W2 at the start, always the same."""
        rng = np.random.default_rng(0)
        shapes = (
            (self.rows, self.inputs),
            (self.rows, self.outputs),
            (self.inputs, self.hidden),
            (self.hidden, self.outputs),
        )
        x, y, first, second = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        first /= np.float32(self.inputs**0.5)
        second /= np.float32(self.hidden**0.5)
        return x, y, first, second


def check_weights(network: Network, steps: int, found: Mapping[str, tuple[Any, Any]]) -> None:
    """Makes sure that weights have changed as they do in float64.

    Args:
        network: the network.
        steps: how many were done.
        found: W1 and W2 after these, by who did them.

    Raises:
        ArithmeticError: somebody's are others.
    """
    start = network.arrays()[2:]
    expected = _reference(network, steps)
    for who, weights in found.items():
        for name, mine, before, after in zip(("W1", "W2"), weights, start, expected, strict=True):
            error = float(np.linalg.norm(mine - after) / np.linalg.norm(after - before))
            if not error <= TOLERANCE:
                raise ArithmeticError(
                    f"{name} of {who} is off by {error:.3g} of its change; at most {TOLERANCE:g} is rounding"
                )


def _reference(network: Network, steps: int) -> tuple[np.ndarray, np.ndarray]:
    x, y, first, second = (array.astype(np.float64) for array in network.arrays())
    for _ in range(steps):
        before = x @ first
        hidden = np.maximum(before, 0)
        error = hidden @ second - y
        back = (error @ second.T) * (before > 0)
        second -= network.rate * (hidden.T @ error)
        first -= network.rate * (x.T @ back)
    return first, second
