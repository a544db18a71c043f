"""Functions of elements whose bits depend on the number alone; what has none is refused in planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

from tra.algebra.kernel import Kernel, bind_literal, kernel
from tra.algebra.nodes import Aggregate, Expr, Join, Transform, postorder
from tra.algebra.operators import transform
from tra.errors import PlanError
from tra.optimizer.reproducible.in_order import OF_ZEROS
from tra.optimizer.rules.rewriting import with_children

# Rounded once as IEEE 754 says, or not at all.
AS_THEY_ARE = frozenset((
    "_finite", "neg", "real", "imag", "abs", "sign", "square", "sqrt", "step", "floor", "ceil",
    "logical_not", "is_nan", "identity", "stop_gradient", "add", "sub", "mul", "div", "floor_div",
    "mod", "logical_and", "logical_or", "logical_xor", "eq", "ne", "lt", "le", "gt", "ge", "left",
    "right", "where", "scale", "cast", "one_hot", "class_check", "transpose", "expand_dims", "squeeze",
    "embed", "diag", "pair", "value_of", "index_of", "second_of", "choose", "arg_min", "arg_max",
    "reduce_arg_min", "reduce_arg_max", "reduce_any", "reduce_all", "matmul", "outer", "einsum",
    "reduce_sum",
))  # fmt: skip
FIXED = frozenset(("exp", "log", "log1p", "expm1", "tanh", "sigmoid", "pow", "logaddexp", "cos"))
FOLDS = frozenset(["add", "max", "min", "logical_and", "logical_or", "logical_xor", "arg_min", "arg_max"])
_WHOLE_POWERS = 64


def with_fixed_functions(roots: Sequence[Expr]) -> tuple[Expr, ...]:
    """The query with functions by fixed polynomials in place of NumPy's.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], name="A")
        >>> fixed, = with_fixed_functions([tra.exp(A).expr])
        >>> str(fixed.kernel)
        '_exp'
        >>> with_fixed_functions([tra.sin(A).expr])
        Traceback (most recent call last):
        tra.errors.PlanError: reproducible='exact' has no sin of float64: its bits depend on the machine
          hint: ... exp, expand_dims, expm1, floor, ... log1p, logaddexp, ...

    Raises:
        PlanError: an operator has no fixed form.
    """
    made: dict[str, Expr] = {}
    for node in postorder(*roots):
        made[node.digest] = _fixed(with_children(node, [made[child.digest] for child in node.children]))
    return tuple(made[root.digest] for root in roots)


def _fixed(node: Expr) -> Expr:
    if not isinstance(node, Aggregate | Join | Transform):
        return node
    kinds = {part.type.dtype.kind for part in (node, *node.children)}
    if not kinds & set("fc"):
        return node  # integers and truth values
    by = node.kernel
    known = FOLDS if isinstance(node, Aggregate) else AS_THEY_ARE | OF_ZEROS | FIXED
    if "c" in kinds or by.user or by.name not in known or not _is_known_power(by):
        raise _refused(node, by)
    if by.name in FIXED:
        return replace(node, kernel=_replaced(by))
    return transform(node, "_positive_zero") if by.name in OF_ZEROS and node.type.dtype.kind == "f" else node


def _is_known_power(by: Kernel) -> bool:
    if by.name != "pow":
        return True
    ((place, n),) = by.literals or ((0, None),)
    if isinstance(n, bool) or not isinstance(n, int | float) or not isfinite(n):
        return False
    return n > 0 if place == 0 else n == 0.5 or (n == int(n) and abs(n) <= _WHOLE_POWERS)


def _replaced(by: Kernel) -> Kernel:
    made = kernel(f"_{by.name}", **dict(by.params))
    for place, value in by.literals:
        made = bind_literal(made, place, value)
    return made


def _refused(node: Expr, by: Kernel) -> PlanError:
    what = "folds by " * isinstance(node, Aggregate) + str(by)
    types = [child.type.dtype for child in node.children] + [node.type.dtype]
    of = next((dtype for dtype in types if dtype.kind == "c"), types[0])
    known = ", ".join(sorted({*AS_THEY_ARE, *OF_ZEROS, *FIXED} - {"where", "_finite"}))
    hint = (
        "numbers are real"
        if of.kind == "c"
        else f"functions there are {known}; pow to whole numbers up to 64, or of a positive number"
    )
    return PlanError(
        f"reproducible='exact' has no {what} of {of}: its bits depend on the machine\n  hint: {hint}"
    )
