"""Kernels: named functions on tiles, with a shape law, flops, a gradient slot and the laws they obey.

There is one registry. An entry is a *definition* that makes a `Kernel` from parameters
(``kernel("softmax", axis=-1)``); rules ask a kernel for its laws and never for its name. Two kernels are
equal when their name, parameters and literals are, so that expressions can be compared and printed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.signature import Signature, parse_signature
from tra.algebra.types import Tile
from tra.errors import KernelError, near_name

Params: TypeAlias = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Laws:
    """What a kernel promises; the optimizer uses nothing else.

    Attributes:
        associative: ``f(f(a, b), c) = f(a, f(b, c))``.
        commutative: ``f(a, b) = f(b, a)``.
        identity: the value e with ``f(e, a) = a``, or None.
        idempotent: ``f(a, a) = a``.
        linear: the argument positions in which the kernel is linear, each with the others fixed.
        distributes_over: names of aggregations that the kernel distributes over in every argument.
        monotone: non-decreasing in each argument.
        zero_preserving: all-zero arguments give zeros.
        elementwise: each element of the result depends on the matching elements only.
    """

    associative: bool = False
    commutative: bool = False
    identity: float | None = None
    idempotent: bool = False
    linear: frozenset[int] = frozenset()
    distributes_over: frozenset[str] = frozenset()
    monotone: bool = False
    zero_preserving: bool = False
    elementwise: bool = False


Gradient: TypeAlias = Callable[..., Any]
Flops: TypeAlias = Callable[[Mapping[str, int]], float]


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel with its parameters bound: ``function(*tiles) -> tile``.

    Attributes:
        name: the registered name.
        params: named parameters, sorted by name.
        literals: constants bound to argument positions, as in ``add(tile, 1.0)``.
        signature: the shape law over the remaining operands.
        function: takes one array per operand; loop dimensions broadcast when `batched`.
        laws: what the optimizer may rely on.
        sizes: sizes of core dimensions that only the output has.
        gradient: a builder of the gradient as an expression, or None.
        flops_per_item: floating-point operations for one set of core dimensions, from their sizes.
        batched: the function accepts any number of leading loop dimensions.
        output_dtype: fixes the dtype of the result; None asks the function itself.
    """

    name: str
    params: Params
    signature: Signature
    function: Callable[..., Tile] = field(repr=False)
    laws: Laws = Laws()
    literals: tuple[tuple[int, Any], ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    gradient: Gradient | None = field(default=None, repr=False)
    flops_per_item: Flops | None = field(default=None, repr=False)
    batched: bool = True
    output_dtype: np.dtype[Any] | None = None
    user: str = ""

    @property
    def arity(self) -> int:
        """The number of operands."""
        return len(self.signature.inputs)

    @property
    def identity_key(self) -> tuple[Any, ...]:
        """What makes two kernels the same."""
        return (self.name, self.user, repr(self.params), repr(self.literals))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self.identity_key == other.identity_key

    def __hash__(self) -> int:
        return hash(self.identity_key)

    def __call__(self, *tiles: Tile) -> Tile:
        """Applies the kernel to one tile per operand."""
        return self.function(*tiles)

    def __str__(self) -> str:
        literals = dict(self.literals)
        n = self.arity + len(literals)
        args = [repr(literals[p]) if p in literals else "·" for p in range(n)] if literals else []
        args += [f"{name}={value!r}" for name, value in self.params]
        return f"{self.name}({', '.join(args)})" if args else self.name

    def __reduce__(self) -> tuple[Any, ...]:
        if self.user:
            return (_restore, (tuple(getattr(self, f) for f in self.__dataclass_fields__),))
        return (_rebuild, (self.name, self.params, self.literals))


def _restore(values: tuple[Any, ...]) -> Kernel:
    return Kernel(*values)


def _rebuild(name: str, params: Params, literals: tuple[tuple[int, Any], ...]) -> Kernel:
    bound = kernel(name, **dict(params))
    for position, value in literals:
        bound = bind_literal(bound, position, value)
    return bound


Definition: TypeAlias = Callable[..., Kernel]
_REGISTRY: dict[str, Definition] = {}
_user_versions = itertools.count(1)


def register(name: str, definition: Definition) -> None:
    """Adds a kernel definition; a later one of the same name replaces it."""
    _REGISTRY[name.lower()] = definition


def is_registered(name: str) -> bool:
    """Claims that a kernel of this name (in any case) exists."""
    return name.lower() in _REGISTRY


def kernel_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_REGISTRY)


def kernel(name: str | Kernel, **params: Any) -> Kernel:
    """Looks a kernel up by name, in any case, and binds its parameters.

    Example:
        >>> str(kernel("softmax", axis=-1))
        'softmax(axis=-1)'

    Raises:
        KernelError: no kernel has this name, or it does not take these parameters.
    """
    if isinstance(name, Kernel):
        return name
    if name.lower() not in _REGISTRY:
        raise KernelError(f"unknown kernel {name!r}{near_name(name, _REGISTRY)}")
    try:
        return _REGISTRY[name.lower()](**params)
    except TypeError as error:
        raise KernelError(f"kernel {name!r} does not take these parameters ({params}): {error}") from None


def bind_literal(kernel_: Kernel, position: int, value: Any) -> Kernel:
    """The kernel with a constant in place of one operand, as in ``mul(tile, 2.0)``.

    NumPy's casting holds: a Python scalar is weak. The result is linear where ``f`` is linear in the one
    operand left and zero stays zero.

    Example:
        >>> str(bind_literal(kernel("mul"), 1, 2.0))
        'mul(·, 2.0)'

    Raises:
        KernelError: the operand has core dimensions, or there is no such operand.
    """
    taken = dict(kernel_.literals)
    n = kernel_.arity + len(taken)
    left = [p for p in range(n) if p not in taken]
    if position not in left or len(left) == 1 or kernel_.signature.inputs[left.index(position)]:
        raise KernelError(f"{kernel_} takes no constant as argument {position + 1}")
    slot = left.index(position)
    inner = kernel_.function

    def function(*tiles: Tile) -> Tile:
        return inner(*tiles[:slot], value, *tiles[slot:])

    rest = tuple(dims for p, dims in enumerate(kernel_.signature.inputs) if p != slot)
    return replace(
        kernel_,
        literals=tuple(sorted({**taken, position: value}.items())),
        signature=Signature(rest, kernel_.signature.output),
        function=function,
        laws=_literal_laws(kernel_, slot, value),
    )


def _literal_laws(kernel_: Kernel, slot: int, value: Any) -> Laws:
    linear = frozenset(p - (p > slot) for p in kernel_.laws.linear if p != slot)
    single = kernel_.arity == 2
    preserving = single and (bool(linear) or (kernel_.laws.zero_preserving and value == 0))
    return Laws(linear=linear, zero_preserving=preserving, elementwise=kernel_.laws.elementwise)


def make_kernel(
    name: str,
    signature: str,
    function: Callable[..., Tile],
    *,
    params: Mapping[str, Any] | None = None,
    laws: Laws | None = None,
    sizes: Mapping[str, int] | None = None,
    flops: Flops | None = None,
    gradient: Gradient | None = None,
    batched: bool = True,
    output_dtype: Any = None,
    user: str = "",
) -> Kernel:
    """A kernel from its parts; see `Kernel` for their meaning."""
    return Kernel(
        name=name,
        params=tuple(sorted((params or {}).items())),
        signature=parse_signature(signature),
        function=function,
        laws=laws or Laws(),
        sizes=tuple(sorted((sizes or {}).items())),
        gradient=gradient,
        flops_per_item=flops,
        batched=batched,
        output_dtype=None if output_dtype is None else np.dtype(output_dtype),
        user=user,
    )


def user_kernel(
    signature: str,
    *,
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    flops: Flops | None = None,
    gradient: Gradient | None = None,
    batched: bool = False,
    output_dtype: Any = None,
    **laws: Any,
) -> Callable[[Callable[..., Tile]], Kernel]:
    """Registers a function on tiles as a kernel (``tra.kernel``).

    Args:
        signature: the shape law in NumPy's gufunc notation; core dimensions bind the trailing tile axes.
        name: the name in plans and query text; the function's own by default.
        sizes: sizes of core dimensions that only the output has.
        flops: operations for one set of core dimensions, as a function of a dict of their sizes.
        gradient: a builder ``(inputs, out, z̄) -> gradients`` of relations, one per input.
        batched: the function accepts leading loop dimensions, so that many tiles go in one call.
        output_dtype: the result's dtype; found by calling the function on tiny tiles when left out.
        **laws: the fields of `tra.algebra.kernel.Laws` that hold; `tra.testing.check_kernel` tests them.

    Returns:
        A decorator; the decorated name is the `Kernel`, usable wherever a kernel name is.

    Example:
        >>> @user_kernel("(),()->()", associative=True, commutative=True)
        ... def hypotenuse(a, b):
        ...     return np.sqrt(a * a + b * b)
        >>> hypotenuse.laws.associative
        True

    Raises:
        KernelError: the signature cannot be read, or a law is unknown.
    """
    try:
        promised = Laws(**{k: frozenset(v) if k in ("linear", "distributes_over") else v for k, v in laws.items()})
    except TypeError:
        unknown = [law for law in laws if law not in Laws.__dataclass_fields__]
        raise KernelError(
            f"unknown law {unknown[0]!r}{near_name(unknown[0], Laws.__dataclass_fields__)}; "
            f"laws are {', '.join(Laws.__dataclass_fields__)}"
        ) from None

    def decorate(function: Callable[..., Tile]) -> Kernel:
        named = name or function.__name__
        made = make_kernel(
            named, signature, function, laws=promised, sizes=sizes, flops=flops, gradient=gradient,
            batched=batched, output_dtype=output_dtype, user=f"{named}#{next(_user_versions)}",
        )  # fmt: skip
        register(named, lambda: made)
        return made

    return decorate


def flops_of(kernel_: Kernel, dims: Mapping[str, int], n_items: float) -> float:
    """Floating-point operations of one call: `n_items` loop positions, core dimensions `dims`.

    Example:
        >>> flops_of(kernel("matmul"), {"m": 2, "n": 3, "p": 4}, 1)
        48.0
    """
    if kernel_.flops_per_item is not None:
        return float(kernel_.flops_per_item(dims)) * n_items
    size = 1
    for dim in {d for dims_ in (*kernel_.signature.inputs, kernel_.signature.output) for d in dims_}:
        size *= int(dim) if dim.isdigit() else dims.get(dim, 1)
    return float(size) * n_items


def result_dtype(kernel_: Kernel, dtypes: tuple[np.dtype[Any], ...]) -> np.dtype[Any]:
    """The dtype of the kernel's result, found by calling it on tiles of length one.

    Raises:
        KernelError: the kernel does not take these dtypes.
    """
    if kernel_.output_dtype is not None:
        return kernel_.output_dtype
    key = (kernel_, dtypes)
    if key not in _DTYPES:
        _DTYPES[key] = _probe(kernel_, dtypes)
    return _DTYPES[key]


_DTYPES: dict[Any, np.dtype[Any]] = {}


def _probe(kernel_: Kernel, dtypes: tuple[np.dtype[Any], ...]) -> np.dtype[Any]:
    tiles = [
        np.ones(tuple(int(d) if d.isdigit() else 1 for d in dims), dtype)
        for dims, dtype in zip(kernel_.signature.inputs, dtypes, strict=True)
    ]
    try:
        with np.errstate(all="ignore"):
            return np.asarray(kernel_.function(*tiles)).dtype
    except Exception as error:
        names = " and ".join(str(d) for d in dtypes)
        raise KernelError(f"kernel {kernel_} does not take tiles of {names}: {error}") from None
