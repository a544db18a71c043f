"""The gradients of the kernels that come with the engine, as one table.

An entry takes the kernel's parameters and gives a builder ``(inputs, out, z) -> gradients``: from the tiles
of the operands, of the result and of the result's adjoint to the adjoints of the operands, None where nothing
flows. The formulas are made of kernels, so that they have gradients themselves. For complex numbers the
adjoint is ∂/∂Re + i·∂/∂Im, hence the conjugates. Ties of a maximum share evenly.

Kernels that are contractions need no entry: their signature says their gradient (`contraction_gradient`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tra.algebra.kernel import Kernel
from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.kernels.contraction_gradient import Builder, contraction_gradient
from tra.algebra.tilewise import Tilewise, conj, do, is_constant


def _only_where(condition: Any, x: Any) -> Any:
    """X where the condition holds, else 0: what is infinite or undefined elsewhere does not matter."""
    if not isinstance(condition, Tilewise):
        return x if condition else 0.0
    return do("where", condition, x, 0.0)


def _as_number(condition: Tilewise, like: Tilewise) -> Tilewise:
    return do("cast", condition, dtype=str(like.dtype))


# -- functions of one variable ------------------------------------------------------------------------


def _unary(slope: Callable[[Any, Any], Any]) -> Callable[[], Builder]:
    """Z times the conjugate of the slope at x, given x and the result."""
    return lambda: lambda inputs, out, z: (z * conj(slope(inputs[0], out)),)


def _passed(change: Callable[[Any], Any]) -> Callable[..., Builder]:
    return lambda **_: lambda inputs, out, z: (change(z),)


def _nothing(**_: Any) -> Builder:
    return lambda inputs, out, z: [None] * len(inputs)


def _scale(by: Any) -> Builder:
    return lambda inputs, out, z: (do("scale", z, by=conj(by)),)


def _sign(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    """Real signs do not vary; a complex one is a direction, and turns with z across it."""
    (x,) = inputs
    if x.dtype.kind != "c":
        return (None,)
    along = do("real", z * conj(out))
    return (_only_where(do("ne", x, 0.0), (z - out * along) / do("abs", x)),)


def _clip(low: float, high: float) -> Builder:
    def build(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
        (x,) = inputs
        return (z * _as_number(do("logical_and", do("ge", x, low), do("le", x, high)), x),)

    return build


# -- functions of two variables -----------------------------------------------------------------------


def _div(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    y = conj(inputs[1])
    return z / y, -(z * conj(out)) / y


def _pow(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    x, y = inputs
    if not isinstance(y, Tilewise):
        return (z * conj(_power_slope(x, y)), None)
    of_x = _only_where(do("ne", y, 0.0), y * do("pow", x, y - 1))
    of_y = _only_where(do("ne", x, 0.0) if isinstance(x, Tilewise) else x != 0, out * do("log", x))
    return z * conj(of_x), z * conj(of_y)


def _power_slope(x: Tilewise, y: Any) -> Any:
    if y == 0:
        return 0.0
    if y == 1:
        return 1.0
    return x * 2 if y == 2 else do("pow", x, y - 1) * y


def _larger(first: str) -> Callable[[], Builder]:
    """Maximum and minimum: the whole adjoint to the operand that wins, half to each where they tie."""

    def build(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
        x, y = inputs
        wins, ties = (_as_number(do(name, x, y), out) for name in (first, "eq"))
        share = wins + ties * 0.5
        return z * share, z * (1.0 - share)

    return lambda: build


def _logaddexp(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    return tuple(z * _share(x, out) for x in inputs)


def _share(x: Any, out: Tilewise) -> Any:
    """exp(x − out), and 0 where x is −∞ and out may be too."""
    return _only_where(do("gt", x, float("-inf")), do("exp", x - out))


def _where(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    condition = inputs[0]
    return None, do("where", condition, z, 0.0), do("where", condition, 0.0, z)


# -- along an axis ------------------------------------------------------------------------------------


def _along(build: Callable[..., Any]) -> Callable[..., Builder]:
    return lambda axis=-1: lambda inputs, out, z: (build(inputs[0], out, z, axis),)


def _spread(x: Any, axis: int) -> Any:
    return do("expand_dims", x, axis=axis) if not is_constant(x) else x


def _dropped(x: Any, axis: int) -> Any:
    return x if is_constant(x) else do("squeeze", x, axis=axis)


def _total(x: Tilewise, axis: int) -> Any:
    return do("reduce_sum", x, axis=axis)


def _extreme(x: Any, out: Tilewise, z: Tilewise, axis: int) -> Any:
    ties = _as_number(do("eq", x, _spread(out, axis)), x)
    return ties * _spread(z / _total(ties, axis), axis)


def _product(x: Any, out: Tilewise, z: Tilewise, axis: int) -> Any:
    return _spread(z, axis) * product_slope(
        x, lambda y: _spread(_total(y, axis), axis), lambda y: _spread(do("reduce_prod", y, axis=axis), axis)
    )


def product_slope(x: Any, total: Callable[[Any], Any], product: Callable[[Any], Any]) -> Any:
    """The product of all other factors, for each: right too where one or more of them are 0.

    Where one of the others is 0 the slope is 0 times the rest, and grows with that factor: it is kept in the
    formula, so that the gradient of the gradient is right there as well.

    Args:
        x: the factors.
        total: their sum, spread back over them.
        product: their product, spread back over them.
    """
    is_zero = do("eq", x, 0.0)
    mine, zero = _as_number(is_zero, x), do("where", is_zero, x, 0.0)
    without = do("where", is_zero, 1.0, x)
    others = total(mine) - mine  # how many of the others are zero
    none, one = (_as_number(do("eq", others, n), x) for n in (0.0, 1.0))
    return product(without) / without * (none + one * (total(zero) - zero))


def _softmax(x: Any, out: Tilewise, z: Tilewise, axis: int) -> Any:
    weighted = z * out
    return weighted - out * _spread(_total(weighted, axis), axis)


def _log_softmax(x: Any, out: Tilewise, z: Tilewise, axis: int) -> Any:
    return z - do("exp", out) * _spread(_total(z, axis), axis)


def _logsumexp(x: Any, out: Tilewise, z: Tilewise, axis: int) -> Any:
    return _spread(z, axis) * _share(x, _spread(out, axis))


# -- pairs of value and index -------------------------------------------------------------------------


def _choose(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    _, of_value, of_index = _where((inputs[0], None, None), out, z)
    return None, do("pair", of_value, of_index)


def _pair(inputs: Sequence[Any], out: Tilewise, z: Tilewise) -> Sequence[Any]:
    return do("value_of", z), do("second_of", z)


def _arg(x: Any, out: Tilewise, z: Tilewise, axis: int) -> Any:
    """The whole adjoint to the pair that was found; its index says which that is."""
    found = do("eq", do("index_of", x), _spread(do("index_of", out), axis))
    return do("pair", do("where", found, _spread(do("value_of", z), axis), 0.0), 0.0)


TABLE: dict[str, Callable[..., Builder]] = {
    "neg": _passed(lambda z: -z),
    "conj": _passed(conj),
    "real": _passed(lambda z: z),
    "imag": _passed(lambda z: z * 1j),
    "abs": _unary(lambda x, out: conj(do("sign", x))),
    "square": _unary(lambda x, out: x * 2),
    "sqrt": _unary(lambda x, out: 0.5 / out),
    "exp": _unary(lambda x, out: out),
    "log": _unary(lambda x, out: 1 / x),
    "log1p": _unary(lambda x, out: 1 / (x + 1)),
    "expm1": _unary(lambda x, out: out + 1),
    "sin": _unary(lambda x, out: do("cos", x)),
    "cos": _unary(lambda x, out: -do("sin", x)),
    "tanh": _unary(lambda x, out: 1 - do("square", out)),
    "sigmoid": _unary(lambda x, out: out * (1 - out)),
    "relu": _unary(lambda x, out: do("step", x)),
    "scale": _scale,
    "clip": _clip,
    "cast": _passed(lambda z: z),
    "stop_gradient": _nothing,
    "sign": lambda: _sign,
    **dict.fromkeys(("step", "floor", "ceil", "logical_not", "is_nan", "one_hot", "class_check"), _nothing),
    "add": lambda: lambda inputs, out, z: (z, z),
    "sub": lambda: lambda inputs, out, z: (z, -z),
    "mul": lambda: lambda inputs, out, z: (z * conj(inputs[1]), z * conj(inputs[0])),
    "div": lambda: _div,
    "mod": lambda: lambda inputs, out, z: (z, -(z * do("floor_div", *inputs))),
    "pow": lambda: _pow,
    "max": _larger("gt"),
    "min": _larger("lt"),
    "logaddexp": lambda: _logaddexp,
    "left": lambda: lambda inputs, out, z: (z, None),
    "right": lambda: lambda inputs, out, z: (None, z),
    "where": lambda: _where,
    **dict.fromkeys(("floor_div", "logical_and", "logical_or", "logical_xor", "index_of"), _nothing),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), _nothing),
    "reduce_prod": _along(_product),
    "reduce_max": _along(_extreme),
    "reduce_min": _along(_extreme),
    "reduce_any": _nothing,
    "reduce_all": _nothing,
    "softmax": _along(_softmax),
    "log_softmax": _along(_log_softmax),
    "logsumexp": _along(_logsumexp),
    "expand_dims": lambda axis=-1: lambda inputs, out, z: (_dropped(z, axis),),
    "squeeze": lambda axis=-1: lambda inputs, out, z: (_spread(z, axis),),
    "embed": lambda spec: lambda inputs, out, z: (einsum_kernel("->".join(spec.split("->")[::-1]))(z),),
    "reduce_arg_min": _along(_arg),
    "reduce_arg_max": _along(_arg),
    "choose": lambda: _choose,
    "pair": lambda: _pair,
    "value_of": _passed(lambda z: do("pair", z, 0.0)),
    "second_of": _passed(lambda z: do("pair", 0.0, z)),
}
#: entries whose formula is wrong for an adjoint that is the same along an axis and kept in one element of it
TAKES_WHOLE_AXES = frozenset(["log_softmax", "embed", "value_of", "second_of"])


def builder_of(by: Kernel) -> Builder | None:
    """The builder of a kernel's gradient: its own, that of the table, or what its contraction says.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> builder_of(kernel("exp")) is None, builder_of(kernel("arg_min")) is None
        (False, True)
    """
    if by.gradient is not None:
        return by.gradient
    if not by.user and by.name in TABLE:
        return TABLE[by.name](**dict(by.params))
    return contraction_gradient(by) if by.laws.contraction else None


def takes_whole_axes(by: Kernel) -> bool:
    """Claims that the formula needs the adjoint at the full length of every axis.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> [takes_whole_axes(kernel(name)) for name in ("matmul", "mul", "reduce_sum")]
        [True, False, False]
    """
    dims = by.signature.inputs
    if by.gradient is not None or by.user:
        return any(dims) or bool(by.signature.output)
    repeats = any(len(set(own)) < len(own) for own in dims)
    is_product = by.laws.contraction and len(dims) > 1 and any(dims)
    return is_product or repeats or by.name in TAKES_WHOLE_AXES
