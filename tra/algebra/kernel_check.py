"""Testing what a kernel claims: its shape law, its laws, its gradient, and that batches change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tra.algebra.gradient_check import check_gradient
from tra.algebra.kernel import Kernel, kernel, result_dtype
from tra.algebra.trial import Trial, agree, random_tile
from tra.algebra.types import Tile


def check_kernel(
    kernel_: str | Kernel,
    dtype: Any = "float64",
    examples: int = 50,
    *,
    seed: int = 0,
    **params: Any,
) -> None:
    """Tests every law a kernel claims, its shape law, its batches and its gradient, on random tiles.

    A gradient of your own is held to central differences, on 64-bit floats, where the kernel is smooth.

    Args:
        kernel_: a kernel, or the name of one.
        dtype: the dtype of the operands, or a tuple with one per operand.
        examples: random tiles for each claim.
        seed: where the random tiles begin.
        **params: parameters of the kernel, when a name is given.

    Example:
        >>> from tra.algebra.kernel import user_kernel
        >>> check_kernel("add")
        >>> @user_kernel("(),()->()", name="mean of two", associative=True, commutative=True)
        ... def middle(a, b):
        ...     return (a + b) / 2
        >>> check_kernel(middle)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        AssertionError: kernel mean of two is not as it claims on float64 and float64: associative, ...

    Raises:
        AssertionError: a claim does not hold; names it and shows a counterexample.
        KernelError: there is no such kernel, or it does not take these dtypes.
    """
    under_test = kernel(kernel_, **params)
    given = dtype if isinstance(dtype, tuple) else (dtype,) * under_test.arity
    trial = Trial(under_test, tuple(np.dtype(d) for d in given), np.random.default_rng(seed))
    result_dtype(under_test, trial.dtypes)
    with np.errstate(all="ignore"):
        for check in _checks(under_test):
            for _ in range(examples):
                check(trial)


def _checks(kernel_: Kernel) -> Iterator[Callable[[Trial], None]]:
    laws = kernel_.laws
    yield _check_shape
    yield _check_batches
    if laws.associative:
        yield _check_associative
    if laws.commutative:
        yield _check_commutative
    if laws.identity is not None:
        yield _check_identity
    if laws.idempotent:
        yield _check_idempotent
    if laws.monotone:
        yield _check_monotone
    if laws.zero_preserving:
        yield _check_zero
    if laws.elementwise:
        yield _check_elementwise
    if laws.contraction:
        yield _check_contraction
    if laws.coefficients:
        yield _check_coefficients
    if laws.reshapes:
        yield _check_reshapes
    for position in sorted(laws.linear):
        yield partial(_check_linear, position=position)
    for name in sorted(laws.distributes_over):
        yield partial(_check_distributes, name=name)
    if kernel_.gradient is not None and kernel_.arity <= 2:
        yield check_gradient


def _check_shape(trial: Trial) -> None:
    lengths, loops = trial.lengths(), trial.loops()
    tiles = trial.tiles(lengths, loops)
    lengths |= dict(trial.kernel.sizes)
    expected = loops + tuple(int(d) if d.isdigit() else lengths[d] for d in trial.kernel.signature.output)
    result = trial.kernel(*tiles)
    claim = f"its shape law {trial.kernel.signature}"
    if result.shape != expected:
        trial.fail(claim, tiles, f"shape {result.shape}", f"shape {expected}")
    dtype = result_dtype(trial.kernel, trial.dtypes)
    if result.dtype != dtype:
        trial.fail("one dtype for all tiles", tiles, f"dtype {result.dtype}", f"dtype {dtype}")


def _check_batches(trial: Trial) -> None:
    if not trial.kernel.batched:
        return
    lengths, loops = trial.lengths(), trial.loops()
    items = [trial.tiles(lengths, loops) for _ in range(3)]
    stacked = [np.stack(tiles) for tiles in zip(*items, strict=True)]
    one_by_one = np.stack([trial.kernel(*tiles) for tiles in items])
    trial.expect(
        "batched, stacked tiles give what single ones do", stacked, trial.kernel(*stacked), one_by_one
    )


def _fold_operands(trial: Trial, n: int) -> list[Tile]:
    """Tiles of the one dtype that a fold keeps."""
    dtype = result_dtype(trial.kernel, trial.dtypes)
    lengths, loops = trial.lengths(), trial.loops()
    if len(set(trial.kernel.signature.inputs)) > 1:
        trial.fail("a fold takes operands of one shape", [], str(trial.kernel.signature), "(),()->()")
    shape = loops + tuple(lengths[d] for d in trial.kernel.signature.inputs[0])
    return [random_tile(trial.random, shape, dtype) for _ in range(n)]


def _check_associative(trial: Trial) -> None:
    a, b, c = _fold_operands(trial, 3)
    f = trial.kernel
    trial.expect("associative, f(f(a, b), c) = f(a, f(b, c))", [a, b, c], f(f(a, b), c), f(a, f(b, c)))


def _check_commutative(trial: Trial) -> None:
    if len(set(trial.dtypes)) > 1:
        return
    a, b = trial.sample()
    trial.expect("commutative, f(a, b) = f(b, a)", [a, b], trial.kernel(a, b), trial.kernel(b, a))


def _check_identity(trial: Trial) -> None:
    (a,) = _fold_operands(trial, 1)
    e = np.full_like(a, trial.kernel.laws.identity)
    trial.expect(f"identity, f({trial.kernel.laws.identity}, a) = a", [a], trial.kernel(e, a), a)
    trial.expect(f"identity, f(a, {trial.kernel.laws.identity}) = a", [a], trial.kernel(a, e), a)


def _check_idempotent(trial: Trial) -> None:
    (a,) = _fold_operands(trial, 1)
    trial.expect("idempotent, f(a, a) = a", [a], trial.kernel(a, a), a)


def _check_monotone(trial: Trial) -> None:
    tiles = trial.sample()
    for position, tile in enumerate(tiles):
        if tile.dtype.kind == "c" or tile.dtype.names is not None:
            continue
        other = random_tile(trial.random, tile.shape, tile.dtype)
        lower, upper = (
            trial.kernel(*tiles[:position], end, *tiles[position + 1 :])
            for end in (np.minimum(tile, other), np.maximum(tile, other))
        )
        if np.any(lower > upper):
            trial.fail(
                f"monotone in operand {position + 1}, a ≤ b gives f(a) ≤ f(b)", [*tiles, other], lower, upper
            )


def _check_zero(trial: Trial) -> None:
    tiles = [np.zeros_like(tile) for tile in trial.sample()]
    result = trial.kernel(*tiles)
    trial.expect("zero_preserving, zeros give zeros", tiles, result, np.zeros_like(result))
    if not all(np.all(np.isfinite(part)) for part in _fields(result)):
        trial.fail("zero_preserving, zeros give zeros", tiles, result, np.zeros_like(result))


def _fields(tile: Tile) -> list[Tile]:
    return [tile] if tile.dtype.names is None else [tile[name] for name in tile.dtype.names]


def _check_elementwise(trial: Trial) -> None:
    if any(trial.kernel.signature.inputs) or trial.kernel.signature.output:
        trial.fail("elementwise", [], f"core dimensions {trial.kernel.signature}", "none")
    shape = (2, 3)
    tiles = trial.tiles({}, shape)
    result = trial.kernel(*tiles)
    place = tuple(int(trial.random.integers(n)) for n in shape)
    alone = trial.kernel(*(np.array(tile[place]) for tile in tiles))
    trial.expect(
        f"elementwise, element {place} depends on the elements there alone", tiles, result[place], alone
    )


def _check_contraction(trial: Trial) -> None:
    tiles = trial.sample()
    if {tile.dtype for tile in tiles} != {result_dtype(trial.kernel, trial.dtypes)}:
        return  # the promise is for tiles of one dtype that the result keeps
    signature = trial.kernel.signature
    names = {
        d: chr(97 + n) for n, d in enumerate(dict.fromkeys(d for core in signature.inputs for d in core))
    }
    inputs = ",".join("..." + "".join(names[d] for d in core) for core in signature.inputs)
    spec = f"{inputs}->...{''.join(names.get(d, '?') for d in signature.output)}"
    if "?" in spec or trial.kernel.literals:
        trial.fail("contraction", tiles, f"the signature {signature}", "one that an einsum can have")
    expected = np.einsum(spec, *tiles)
    trial.expect(f"contraction, einsum {spec}", tiles, trial.kernel(*tiles), expected)


def _check_coefficients(trial: Trial) -> None:
    tiles = trial.sample()
    coefficients = trial.kernel.laws.coefficients
    if any(tile.dtype.kind in "bu" for tile in tiles):
        return  # truth values add up by "or"; unsigned numbers have no negative ones
    terms = [
        c * tile.astype(np.result_type(tile, float)) for c, tile in zip(coefficients, tiles, strict=True)
    ]
    result = trial.kernel(*tiles)
    expected = sum(terms[1:], terms[0]).astype(result.dtype)
    trial.expect(f"coefficients, f is the combination {coefficients}", tiles, result, expected)


def _check_reshapes(trial: Trial) -> None:
    tiles = trial.sample()
    if len(tiles) != 1:
        trial.fail("reshapes", tiles, f"{len(tiles)} operands", "one")
    result = trial.kernel(*tiles)
    trial.expect("reshapes, the same elements in the same order", tiles, result.ravel(), tiles[0].ravel())


def _sum(x: Tile, y: Tile) -> NDArray[Any]:
    """``2x + y`` in the dtype of x; ``x or y`` for truth values."""
    total: NDArray[Any] = x | y if x.dtype.kind == "b" else (x + x + y).astype(x.dtype)
    return total


def _check_linear(trial: Trial, position: int) -> None:
    if trial.dtypes[position].kind == "b" != result_dtype(trial.kernel, trial.dtypes).kind:
        return  # truth values add up by "or", numbers do not
    tiles = trial.sample()
    x, y = tiles[position], random_tile(trial.random, tiles[position].shape, tiles[position].dtype)
    of_sum, of_x, of_y = (
        trial.kernel(*tiles[:position], value, *tiles[position + 1 :]) for value in (_sum(x, y), x, y)
    )
    claim = f"linear in operand {position + 1}, f(2x + y) = 2f(x) + f(y)"
    trial.expect(claim, [*tiles, y], of_sum, _sum(of_x, of_y))


def _check_distributes(trial: Trial, name: str) -> None:
    fold, tiles = kernel(name), trial.sample()
    for position, x in enumerate(tiles):
        y = random_tile(trial.random, x.shape, x.dtype)
        of_fold, of_x, of_y = (
            trial.kernel(*tiles[:position], value, *tiles[position + 1 :]) for value in (fold(x, y), x, y)
        )
        claim = f"distributes over {name} in operand {position + 1}, f(g(x, y)) = g(f(x), f(y))"
        trial.expect(claim, [*tiles, y], of_fold, fold(of_x, of_y))


__all__ = ["Trial", "agree", "check_kernel", "random_tile"]
