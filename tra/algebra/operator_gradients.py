"""What each operator hands back: from the adjoint of its result to the adjoints of its operands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from tra.algebra.adjoint import expand, fill, lift, lost_its_keys, reduced
from tra.algebra.inverse_rekey import is_permutation, undo_rekey
from tra.algebra.join_type import joined_names, truncated
from tra.algebra.kernel import Kernel, kernel
from tra.algebra.kernels.gradients import builder_of, product_slope, takes_whole_axes
from tra.algebra.key_function import Const, Op, Var
from tra.algebra.live import is_dense
from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Retile,
    Source,
    Stack,
    Tile,
    Transform,
)
from tra.algebra.operators import aggregate, concat, filter_keys, rekey
from tra.algebra.tilewise import Tilewise, Value, is_number, value_of
from tra.algebra.types import RelType
from tra.algebra.undo_concat import undo_concat
from tra.algebra.undo_retile import uncropped, undo_retile
from tra.algebra.whole_tensor import reorder
from tra.errors import KernelError, TraError

Handed: Any = tuple[Expr, Value]


def hand_back(node: Expr, z: Value, stops: frozenset[str] = frozenset()) -> Iterator[tuple[Expr, Value]]:
    """The operands of a node that take part, each with its adjoint.

    Args:
        node: the operator.
        z: the adjoint of its result.
        stops: digests of expressions that are asked for; the gradient does not pass them by.

    Example:
        >>> import tra
        >>> from tra.algebra.operators import transform
        >>> A = tra.from_array([1.0, 2.0, 3.0], tile=2).expr
        >>> [(operand is A, value) for operand, value in hand_back(transform(A, "neg"), 1.0)]
        [(True, -1.0)]

    Raises:
        KernelError: a kernel has no gradient.
    """
    match node:
        case Source() | Generated():
            return
        case Aggregate():
            yield from _aggregate(node, z, stops)
        case Join():
            yield from _join(node, z)
        case Transform():
            yield from _transform(node, z, stops)
        case Filter():
            yield node.child, lift(z, node.type)
        case Stack():
            yield from _stack(node, z)
        case Retile():
            yield from undo_retile(node, z)
        case ReKey() | Tile() | Concat():
            yield node.child, z if is_number(z) else _moved(node, z)
        case _:
            assert_never(node)


def _moved(node: ReKey | Tile | Concat, z: Expr) -> Expr:
    """The adjoint under an operator that only moves elements: moved back."""
    match node:
        case ReKey():
            lazy = is_permutation(node) and z.type.axes == node.type.axes
            return undo_rekey(node, z if lazy else lift(z, node.type))
        case Tile():
            pieces = fill(lift(z, node.type), node.type)
            return concat(pieces, node.key, node.axis)
        case Concat():
            return undo_concat(node, lift(z, node.type))


def _stack(node: Stack, z: Value) -> Iterator[tuple[Expr, Value]]:
    lazy = is_number(z) or node.key not in z.type.names
    whole = z if lazy else lift(z, node.type)
    for number, operand in enumerate(node.operands):
        if lazy:
            yield operand, z
            continue
        part = filter_keys(whole, Op("==", Var(node.key), Const(number)))
        rest = node.type.names[1:]
        yield operand, rekey(part, tuple(Var(name) for name in rest), rest)


# -- kernels on tiles ---------------------------------------------------------------------------------


def _builder(by: Kernel) -> Any:
    found = builder_of(by)
    if found is None:
        raise KernelError(f"kernel {by} has no gradient")
    return found


def _arguments(by: Kernel, operands: Sequence[Expr]) -> list[Any]:
    """The kernel's arguments: its constants where they stand, and the operands."""
    literals, rest = dict(by.literals), iter(operands)
    n = by.arity + len(literals)
    return [literals[p] if p in literals else Tilewise(next(rest)) for p in range(n)]


def _slopes(by: Kernel, operands: Sequence[Expr], out: Expr, z: Value) -> list[Value | None]:
    """What the kernel's gradient gives for each operand; None where nothing flows.

    Raises:
        KernelError: the kernel has no gradient, or what a user wrote for one is none.
    """
    builder, arguments = _builder(by), _arguments(by, operands)
    try:
        found = builder(arguments, Tilewise(out), Tilewise(z))
        if not isinstance(found, Sequence) or len(found) != len(arguments):
            shown = f"{len(found)} results" if isinstance(found, Sequence) else f"a {type(found).__name__}"
            raise KernelError(
                f"it gives {shown} for {len(arguments)} operands; it gives a tuple, one for each"
            )
        values = [None if g is None else value_of(g) for g in found]
    except Exception as error:
        problem = str(error) if isinstance(error, TraError) else f"{type(error).__name__}: {error}"
        raise KernelError(f"the gradient of {by} failed: {problem}") from error
    taken = dict(by.literals)
    return [value for p, value in enumerate(values) if p not in taken]


def _fitting(by: Kernel, value: Value, operand: RelType) -> Value:
    """The adjoint of an operand, if it has tiles like it or ones that broadcast to them.

    Raises:
        KernelError: it has not; a user's gradient is wrong.
    """
    if by.user and not is_number(value):
        own, found = operand.axes, value.type.axes
        pairs = zip(reversed(found), reversed(own), strict=False)
        if len(found) > len(own) or any(f.extent not in (1, o.extent, o.size) for f, o in pairs):
            raise KernelError(f"the gradient of {by} gives {value.type} for an operand {operand}")
    return value


def _transform(node: Transform, z: Value, stops: frozenset[str]) -> Iterator[tuple[Expr, Value]]:
    if node.kernel.name in _EXTREMES and node.digest not in stops:
        yield from _extreme(node, z, _EXTREMES[node.kernel.name], stops)
        return
    if takes_whole_axes(node.kernel) or lost_its_keys(z, node.type, [node.child.type]):
        z = expand(z, node.type)
    (value,) = _slopes(node.kernel, [node.child], node, z)
    if value is not None:
        yield node.child, _fitting(node.kernel, value, node.child.type)


def _join(node: Join, z: Value) -> Iterator[tuple[Expr, Value]]:
    names = joined_names(node.left.type, node.right.type, node.on)
    right = reorder(node.right, node.right.type.names, names)
    operands, back = (node.left, right), {new: old for old, new in names.items()}
    parts = truncated(node.left.type, right.type, tuple((mine, mine) for mine, _ in node.on))
    for place, (operand, part) in enumerate(zip(operands, parts, strict=True)):
        found = _slopes(node.kernel, operands, node, _fitted(node, operand.type, z))[place]
        if found is None:
            continue
        if not is_number(found):
            found = _fitting(node.kernel, reduced(found, part), part)
        if part != operand.type:
            found = uncropped(found, part, operand.type)
        if not is_number(found) and place == 1:
            found = reorder(found, found.type.names, {n: back[n] for n in found.type.names})
        yield (node.left, node.right)[place], found


def _fitted(node: Join, operand: RelType, z: Value) -> Value:
    """The adjoint of a join as far as the gradient of an operand needs it.

    A bilinear kernel multiplies by the other operand, which has whatever the operand lacks. Others may need
    the adjoint once for each key and element that an element of the operand is paired with.
    """
    operands = [node.left.type, node.right.type]
    if takes_whole_axes(node.kernel) or lost_its_keys(z, node.type, operands):
        z = expand(z, node.type)
    if len(node.kernel.laws.linear) == 2:
        return z
    covers = set(operand.names) == set(node.type.names) and operand.axes == node.type.axes
    return z if covers and is_dense(node.type) else lift(z, node.type)


# -- folds --------------------------------------------------------------------------------------------

FOLDS = ("add", "mul", "max", "min", "logaddexp", "arg_min", "arg_max")
_EXTREMES = {"reduce_max": "max", "reduce_min": "min"}


def _aggregate(node: Aggregate, z: Value, stops: frozenset[str]) -> Iterator[tuple[Expr, Value]]:
    x, out, adjoint = Tilewise(node.child), Tilewise(node), Tilewise(z)
    match node.kernel.name if not node.kernel.user else None:
        case "add":
            yield node.child, z
        case "max" | "min":
            yield from _extreme(node, z, node.kernel.name, stops)
        case "mul":
            slope = product_slope(x, lambda y: _folded(y, node, "add"), lambda y: _folded(y, node, "mul"))
            yield node.child, (adjoint * slope).value
        case "logaddexp":
            share = kernel("where")(kernel("gt")(x, float("-inf")), kernel("exp")(x - out), 0.0)
            yield node.child, (adjoint * share).value
        case "arg_min" | "arg_max":
            place = kernel("index_of")
            mine = kernel("where")(kernel("eq")(place(x), place(out)), kernel("value_of")(adjoint), 0.0)
            yield node.child, kernel("pair")(mine, 0.0).value
        case _:
            legal = f"{', '.join(FOLDS[:-1])} and {FOLDS[-1]}"
            raise KernelError(
                f"an aggregation with {node.kernel} has no gradient; only those with {legal} have"
            )


def _folded(tiles: Tilewise, node: Aggregate, fold: str) -> Tilewise:
    return Tilewise(aggregate(tiles.value, node.by, fold))


def _extreme(
    node: Aggregate | Transform, z: Value, fold: str, stops: frozenset[str]
) -> Iterator[tuple[Expr, Value]]:
    """A maximum over axes and keys together: all elements that are largest share evenly."""
    below, axes = _below(node, fold, stops)
    shown, share = Tilewise(node), Tilewise(z)
    x = Tilewise(below)
    ties = kernel("cast", dtype=str(x.dtype))(kernel("eq")(x, _spread(shown, axes)))
    count: Any = ties
    for axis in axes:
        count = kernel("reduce_sum", axis=axis)(count)
    if isinstance(node, Aggregate):
        count = _folded(count, node, "add")
    yield below, (ties * _spread(share / count, axes)).value


def _below(node: Expr, fold: str, stops: frozenset[str]) -> tuple[Expr, list[int]]:
    """What a fold and the reductions below it start from, and the axes these reduce, first to last."""
    below = node.child if isinstance(node, Aggregate) else node
    axes: list[int] = []
    while (
        isinstance(below, Transform)
        and _EXTREMES.get(below.kernel.name) == fold
        and not below.kernel.user
        and (below is node or below.digest not in stops)
    ):
        axes.insert(0, dict(below.kernel.params)["axis"])
        below = below.child
    return below, axes


def _spread(tiles: Tilewise, axes: Sequence[int]) -> Any:
    """Axes of length one where the reductions took one away."""
    for axis in reversed(axes):
        tiles = kernel("expand_dims", axis=axis)(tiles)
    return tiles


__all__ = ["FOLDS", "hand_back"]
