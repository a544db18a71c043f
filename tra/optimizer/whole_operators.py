"""Operators over operands in other tiles, where that makes the same whole tensor.

Between a kernel that takes less than a whole axis at a time and the fold that joins what it makes of each
tile, a relation holds parts: partial sums, or partial extremes. They are told by keys that cut no axis.
"""

from __future__ import annotations

from collections.abc import Sequence

from tra.algebra.kernel import Kernel
from tra.algebra.key_function import Var
from tra.algebra.nodes import Aggregate, Concat, Expr, Join, ReKey, Tile, Transform
from tra.algebra.operators import aggregate, concat, join, rekey, transform
from tra.algebra.reductions import FOLDS
from tra.algebra.types import Axis
from tra.algebra.whole_kernels import leaves_cuts, loose_keys, pairs_alike

_ARGUMENTS = {f"reduce_{how}": how for how in ("arg_min", "arg_max")}
_FOLD_OF = {**dict(FOLDS.values()), **_ARGUMENTS}  # by the kernel that reduces an axis of one tile


def over(node: Expr, children: Sequence[Expr]) -> Expr | None:
    """The operator over operands in other tiles, or None where its meaning depends on how they are cut.

    Args:
        node: a Join, or an operator of one operand.
        children: the same whole tensors as the node's own operands; parts of the same.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([1.0] * 9, tile=size, name="A") for size in (2, 3))
        >>> str(over(tra.exp(A).expr, [B.expr]).type)
        '[i:3] of 3/9 float64'
        >>> over(A.filter(lambda i: i > 1).expr, [B.expr]) is None
        True

    Raises:
        SchemaError: the tiles of two operands do not meet.
    """
    match node:
        case Aggregate(by=by, kernel=kernel):
            return aggregate(children[0], by, kernel) if _joins_parts(node) else None
        case Join(on=on, kernel=kernel, truncate=False) if _pairs_alike(node):
            return join(children[0], children[1], on, kernel)
        case Transform(kernel=kernel) if _leaves_cuts(node) or _has_whole_axes(node, children[0]):
            return transform(children[0], kernel)
        case Concat(key=key, axis=axis):
            return concat(children[0], key, axis)
        case ReKey(keys=keys, function=tuple(function)) if all(isinstance(part, Var) for part in function):
            return rekey(children[0], function, keys)
        case _:
            return None


def _joins_parts(node: Aggregate) -> bool:
    """Claims that the fold joins what kernels made of each tile, and nothing else."""
    gone = set(node.child.type.names) - set(node.by)
    return _fold_name(node.kernel) == _awaited(node.child) and gone == loose_keys(node.child.type)


def _awaited(node: Expr) -> str:
    """The fold that parts wait for."""
    while isinstance(node, ReKey | Concat | Tile):
        node = node.child
    return (_reduces(node.kernel) if isinstance(node, Transform) else "") or "add"


def _fold_name(kernel: Kernel) -> str:
    return "" if kernel.user else kernel.name


def _reduces(kernel: Kernel) -> str:
    """The fold that goes with a kernel which reduces an axis; empty for others."""
    return "" if kernel.user else _FOLD_OF.get(kernel.name, "")


def _leaves_cuts(node: Transform) -> bool:
    """Claims that the kernel may take other tiles; of parts, that it may come before their fold."""
    kernel, type_ = node.kernel, node.child.type
    reduces = _reduces(kernel)
    if loose_keys(type_):
        linear = kernel.laws.contraction and leaves_cuts(kernel, type_)
        return (reduces or "add") == _awaited(node.child) and (linear or bool(reduces))
    return bool(reduces) or _moves_ones(kernel) or leaves_cuts(kernel, type_)


def whole_axes(node: Expr) -> tuple[Axis, ...]:
    """The axes of an operand that a kernel takes in one piece, and whose one tile must not become several.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 9] * 9, name="A")
        >>> [len(whole_axes(query.expr)) for query in (tra.exp(A), A.transform("softmax"))]
        [0, 1]
    """
    if not isinstance(node, Transform) or _leaves_cuts(node):
        return ()
    return _core(node.kernel, node.child)


def _has_whole_axes(node: Transform, child: Expr) -> bool:
    whole = not any(axis.n_tiles > 1 for one in (node.child, child) for axis in _core(node.kernel, one))
    return whole and not loose_keys(node.child.type)


def _core(kernel: Kernel, child: Expr) -> tuple[Axis, ...]:
    axes = child.type.axes
    return axes[len(axes) - len(kernel.signature.inputs[0]) :]


def _moves_ones(kernel: Kernel) -> bool:
    """Claims that the kernel adds or drops axes of length one, and leaves all others."""
    before, after = (
        [c for c in core if c != "1"] for core in (kernel.signature.inputs[0], kernel.signature.output)
    )
    return kernel.laws.reshapes and before == after


def _pairs_alike(node: Join) -> bool:
    left, right = node.left.type, node.right.type
    return not (loose_keys(left) or loose_keys(right)) and pairs_alike(left, right, node.on, node.kernel)
