"""Testing the gradient that a user gives a kernel: it is held to central differences of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from tra.algebra.gradient import gradients
from tra.algebra.nodes import Expr, Source
from tra.algebra.operators import aggregate, join, transform
from tra.algebra.reference import evaluate
from tra.algebra.sources import tiles_source
from tra.algebra.trial import Trial
from tra.algebra.types import Tile
from tra.errors import KernelError

_STEP = 1e-5
_CLOSE = 1e-4


def check_gradient(trial: Trial) -> None:
    """Holds the gradient to central differences on random tiles, where the kernel is smooth.

    Args:
        trial: the kernel, with a gradient, and what it is tried on; tried on 64-bit floats only.

    Example:
        >>> from tra.algebra.kernel import user_kernel
        >>> cube = user_kernel("()->()", name="cube", gradient=lambda x, out, z: (z * 2 * x[0],))
        >>> check_gradient(Trial(cube(lambda x: x**3), (np.dtype("f8"),), np.random.default_rng(0)))
        Traceback (most recent call last):
        AssertionError: kernel cube is not as it claims on float64: its gradient, for operand 1...

    Raises:
        AssertionError: they differ, or the gradient cannot be built; shows the tiles.
    """
    if any(dtype != np.float64 for dtype in trial.dtypes):
        return
    tiles = [trial.random.standard_normal(tile.shape) for tile in trial.sample()]
    weights = trial.random.standard_normal(trial.kernel(*tiles).shape)
    try:
        found = _built(trial, tiles, weights)
    except KernelError as error:
        trial.fail("its gradient", tiles, str(error), "a gradient")
    for place, given in enumerate(found):
        fine, coarse = (_differences(trial, tiles, weights, place, n * _STEP) for n in (1, 3))
        smooth = np.isfinite(fine) & (np.abs(fine - coarse) <= _CLOSE * np.maximum(1, np.abs(fine)))
        given, fine = np.where(smooth, given, 0.0), np.where(smooth, fine, 0.0)
        if not np.allclose(given, fine, rtol=_CLOSE, atol=_CLOSE):
            trial.fail(f"its gradient, for operand {place + 1}, by central differences", tiles, given, fine)


def _built(trial: Trial, tiles: Sequence[Tile], weights: Tile) -> list[Tile]:
    """What the gradient gives for each operand, of the sum of the result times weights."""
    pairs = [tiles_source({(): tile}, (), None, None, None) for tile in (*tiles, weights)]
    *operands, last = (source for source, _ in pairs)
    loss = _total(join(_applied(trial, operands), last, [], "mul"))
    sources = {source.id: data for source, data in pairs}
    return [evaluate(expr, sources)[()] for expr in gradients(loss, operands)]


def _applied(trial: Trial, operands: Sequence[Source]) -> Expr:
    if len(operands) == 1:
        return transform(operands[0], trial.kernel)
    return join(operands[0], operands[1], [], trial.kernel)


def _total(expr: Expr) -> Expr:
    summed = reduce(lambda e, _: transform(e, "reduce_sum", axis=-1), expr.type.axes, expr)
    return aggregate(summed, [], "add")


def _differences(trial: Trial, tiles: Sequence[Tile], weights: Tile, place: int, step: float) -> Tile:
    """The central difference along each element of one operand."""
    found = np.empty(tiles[place].shape)
    for at in np.ndindex(found.shape):
        ends = []
        for sign in (step, -step):
            moved = np.array(tiles[place])
            moved[at] += sign
            ends.append(np.sum(weights * trial.kernel(*tiles[:place], moved, *tiles[place + 1 :])))
        found[at] = (ends[0] - ends[1]) / (2 * step)
    return found
