"""The index form: ``LET Z[n, h] = SUM(X[n, d] * W[d, h])`` to operators of the algebra.

Every part of the right side becomes a whole tensor whose axes are labelled by indices, or a number. A sum of
a product is one contraction; everything else is what the same words mean in `tra.algebra.arithmetic` and
`tra.algebra.reductions`, so that text and Python give equal expressions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from tra.algebra.counted import counted
from tra.algebra.kernel import kernel, kernel_names
from tra.algebra.key_function import Var
from tra.algebra.labelled import Labelled, labelled, renamed_keys, transposed
from tra.algebra.nodes import Expr, ReKey
from tra.algebra.operators import rekey
from tra.algebra.relation import Relation
from tra.sql import syntax as s
from tra.sql.element_form import Value, apply_to_elements, element_kernel
from tra.sql.gradient_form import bind_gradient
from tra.sql.index_use import IndexUse, factors
from tra.sql.kernel_form import check_function
from tra.sql.number_form import folded
from tra.sql.problems import Problem
from tra.sql.reduction_form import FUNCTIONS, KEEPING, along_index, is_reduction, reduced
from tra.sql.scope import Number, Scope, at

Result: TypeAlias = Relation | Number
_OPERATORS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow",
              "=": "eq", "<>": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}  # fmt: skip
_MAX_INDICES = 52  # the letters of an einsum


def bind_let(let: s.Let, scope: Scope) -> Result:
    """What a LET defines: a relation with a key per cut index, called as the index is, or a number.

    Raises:
        Problem: a name is not known, indices do not fit, or the algebra refuses what is asked.

    Example:
        >>> import numpy as np
        >>> from tra.sql.parser import parse_text
        >>> (let,) = parse_text("LET C[i, k] = SUM(A[i, j] * B[j, k])")
        >>> bind_let(let, Scope({"A": np.ones((2, 3)), "B": np.ones((3, 4))}))
        [i:1, k:1] of 2×4 float64
    """
    match let:
        case s.Let(indices=None, value=s.Tensor(name=name, indices=None)):
            return scope.numbers.get(name.text, scope.find(name))
        case s.Let(indices=None, value=s.Gradient(indices=None) as gradient):
            return bind_gradient(gradient, scope)
    left = _left(let.indices or ())
    value = _IndexForm(let, left, scope).bind(let.value, frozenset())
    if isinstance(value, Labelled):
        _check_right(let, left, value.labels)
        with at(let.span):
            return scope.relation(_named(transposed(value, left), left))
    if left:
        raise Problem(let.value.span, "a number has no indices", f"write LET {let.name.text} = ...")
    return value


def _left(indices: Sequence[s.Name]) -> tuple[str, ...]:
    seen: set[str] = set()
    for index in indices:
        if index.text in seen:
            raise Problem(index.span, f"index {index.text} stands twice on the left")
        seen.add(index.text)
    return tuple(index.text for index in indices)


def _check_right(let: s.Let, left: Sequence[str], right: Sequence[str]) -> None:
    """Checks that both sides have the same indices."""
    for index in let.indices or ():
        if index.text not in right:
            raise Problem(
                index.span,
                f"index {index.text} is on the left, and not on the right",
                f"the right side has {', '.join(right) or 'none'}",
            )
    for label in right:
        if label not in left:
            raise Problem(
                IndexUse(let.value).span_of(label),
                f"index {label} is neither on the left nor reduced",
                f"sum over it with SUM[{label}](...), or write it on the left",
            )


def _named(operand: Labelled, names: Sequence[str]) -> Expr:
    """The relation with its keys called as the indices; what only renames keys is not done twice."""
    named = renamed_keys(operand, names)
    if named is operand.expr:
        return named
    match named:
        case ReKey(child=ReKey(child=child, keys=keys, function=tuple(inner)), function=tuple(outer)) if all(
            isinstance(part, Var) for part in (*inner, *outer)
        ):
            before = dict(zip(keys, inner, strict=True))
            function = tuple(before[part.name] for part in outer if isinstance(part, Var))
            unchanged = child.type.names == named.keys and function == tuple(map(Var, named.keys))
            return child if unchanged else rekey(child, function, named.keys)
        case _:
            return named


class _IndexForm:
    """Binds the right side of one LET, each part after the parts within it."""

    def __init__(self, let: s.Let, left: tuple[str, ...], scope: Scope) -> None:
        self.left = left
        self.scope = scope
        self.use = IndexUse(let.value)
        if len(self.use.all | set(left)) > _MAX_INDICES:
            raise Problem(let.span, f"more than {_MAX_INDICES} indices in one LET")
        self.new = [c for c in left if c not in self.use.all]

    def bind(self, expr: s.Expr, outside: frozenset[str]) -> Value:
        """The value of a part of the right side.

        Args:
            expr: the part.
            outside: the indices used outside of it, which a reduction within it may not bind by itself.
        """
        if isinstance(expr, s.Call):
            self._check_called(expr)
        parts = _parts(expr)
        values = []
        users = Counter(index for part in parts for index in self.use.free(part))
        for part in parts:
            own = self.use.free(part)
            others = (index for index, n_users in users.items() if n_users > (index in own))
            values.append(self.bind(part, outside.union(_named_indices(expr), others)))
        return self._value(expr, values, outside)

    def _value(self, expr: s.Expr, values: list[Value], outside: frozenset[str]) -> Value:
        match expr:
            case s.Literal(value):
                assert isinstance(value, Number)
                return value
            case s.Tensor():
                return self._tensor(expr)
            case s.Gradient(loss, wrt):
                name = f"GRAD({loss.text}, {wrt.text})"
                return _indexed(bind_gradient(expr, self.scope), name, expr)
            case s.Negate():
                return self._operation(expr, "-", values)
            case s.Binary(operator) | s.Compare(operator):
                return self._operation(expr, operator, values)
            case s.Call():
                return self._call(expr, values, outside)

    def _operation(self, expr: s.Negate | s.Binary | s.Compare, operator: str, values: list[Value]) -> Value:
        numbers = [value for value in values if not isinstance(value, Labelled)]
        if len(numbers) == len(values):
            return folded(operator, numbers, expr.span)
        by = kernel("neg" if len(values) == 1 else _OPERATORS[operator])
        with at(expr.span):
            return apply_to_elements(by, values, self.left, expr)

    def _call(self, call: s.Call, values: list[Value], outside: frozenset[str]) -> Value:
        if is_reduction(call):
            return reduced(call, values, self.left, outside)
        if call.function.text in KEEPING:
            return along_index(call, values)
        return apply_to_elements(element_kernel(call, FUNCTIONS), values, self.left, call, self.new)

    def _check_called(self, call: s.Call) -> None:
        """Checks that there is such a function; which a tensor is not."""
        tensor = next((name for name in self.scope.relations if name.lower() == call.function.text), None)
        try:
            check_function(call.function, FUNCTIONS)
        except Problem as problem:
            if tensor is None:
                raise
            hint = f"indices stand in brackets{_example(tensor, self.scope.relations[tensor])}"
            raise Problem(problem.span, f"{tensor} is a tensor and no function", hint) from None

    def _tensor(self, tensor: s.Tensor) -> Value:
        name = tensor.name.text
        if name not in self.scope.relations and name.lower() in {*FUNCTIONS, *kernel_names()}:
            hint = f"such as {name.upper()}(...)"
            raise Problem(tensor.span, f"{name} is a function, and nothing in parentheses follows it", hint)
        relation = self.scope.find(tensor.name)
        if tensor.indices is None and name in self.scope.numbers:
            return self.scope.numbers[name]
        return _indexed(relation, name, tensor)


def _indexed(relation: Relation, name: str, written: s.Tensor | s.Gradient) -> Labelled:
    """A tensor with the indices that are written behind its name."""
    indices = written.indices or ()
    n_axes = len(relation.shape)
    if len(indices) != n_axes:
        given = f"{len(indices)} given" if written.indices else "none given"
        raise Problem(
            written.span,
            f"{name} takes {counted(n_axes, 'index', 'indices')}, {given}",
            f"{name}{relation.expr.type} is a tensor of shape {relation.shape}{_example(name, relation)}",
        )
    for index in indices:
        if index.text.startswith("1:"):
            raise Problem(index.span, "an index cannot begin with 1:")
    with at(written.span):
        return labelled(relation.expr, [index.text for index in indices])


def _example(name: str, relation: Relation) -> str:
    keys = relation.keys
    if not keys or len(keys) != len(relation.shape):
        return "" if relation.shape else f": write {name}"
    return f": write {name}[{', '.join(keys)}]"


def _parts(expr: s.Expr) -> Sequence[s.Expr]:
    """What a part is made of; the factors, where it is the sum of a product."""
    match expr:
        case s.Negate(operand):
            return (operand,)
        case s.Binary(_, left, right) | s.Compare(_, left, right):
            return (left, right)
        case s.Call(function=s.Name("sum"), arguments=(argument,)):
            return factors(argument)
        case s.Call(arguments=arguments):
            return arguments
        case _:
            return ()


def _named_indices(expr: s.Expr) -> frozenset[str]:
    """The indices between the function and its arguments, which are used outside of the arguments."""
    indices = expr.indices if isinstance(expr, s.Call) else None
    return frozenset(index.text for index in indices or ())
