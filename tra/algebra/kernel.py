"""Kernels: named functions on tiles, with a shape law, flops, a gradient slot and the laws they obey.

There is one registry. An entry is a *definition* that makes a `Kernel` from parameters
(``kernel("softmax", axis=-1)``); rules ask a kernel for its laws and never for its name. Two kernels are
equal when their name, parameters and literals are, so that expressions can be compared and printed.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from tra.algebra.laws import Laws, read_laws
from tra.algebra.literals import bind_literal
from tra.algebra.loops import looped
from tra.algebra.registry import is_registered, kernel, kernel_names, register
from tra.algebra.signature import Signature, parse_signature
from tra.algebra.types import dtype_name
from tra.errors import KernelError, SchemaError, TraError

Params: TypeAlias = tuple[tuple[str, Any], ...]
TileFunction: TypeAlias = Callable[..., Any]  # arrays to an array, or to a scalar for tiles of rank 0
Gradient: TypeAlias = Callable[..., Any]
Flops: TypeAlias = Callable[[Mapping[str, int]], float]
Fault: TypeAlias = Callable[..., "str | None"]  # tiles to what is wrong with them
_user_versions = itertools.count(1)
_USER_NAMES: set[str] = set()


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
        fault: says of tiles what in them makes the result no number, or None; asked when a loss is none.
    """

    name: str
    params: Params
    signature: Signature
    function: TileFunction = field(repr=False)
    laws: Laws = field(default_factory=Laws)
    literals: tuple[tuple[int, Any], ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    gradient: Gradient | None = field(default=None, repr=False)
    flops_per_item: Flops | None = field(default=None, repr=False)
    batched: bool = True
    output_dtype: np.dtype[Any] | None = None
    user: str = ""
    fault: Fault | None = field(default=None, repr=False)

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

    def __call__(self, *tiles: Any) -> Any:
        """Applies the kernel to one tile per operand; with a relation among them the result is a relation.

        Raises:
            SchemaError: the kernel refuses the values or shapes (a maximum of nothing, for instance).
            KernelError: the kernel refuses the types.
        """
        relation = next((tile for tile in tiles if hasattr(tile, "_applied_by")), None)
        if relation is not None:
            return relation._applied_by(self, tiles)
        try:
            return np.asarray(self.function(*tiles))
        except TraError:
            raise
        except (ValueError, IndexError) as error:
            raise SchemaError(f"kernel {self} failed: {error}") from error
        except TypeError as error:
            raise KernelError(f"kernel {self} failed: {error}") from error

    def __str__(self) -> str:
        literals = dict(self.literals)
        n = self.arity + len(literals)
        args = [repr(literals[p]) if p in literals else "·" for p in range(n)] if literals else []
        args += [f"{name}={value!r}" for name, value in self.params]
        return f"{self.name}({', '.join(args)})" if args else self.name

    def __reduce__(self) -> tuple[Any, ...]:
        if self.user:
            return (Kernel, tuple(getattr(self, f) for f in self.__dataclass_fields__))
        return (_rebuild, (self.name, self.params, self.literals))


def _rebuild(name: str, params: Params, literals: tuple[tuple[int, Any], ...]) -> Kernel:
    bound = kernel(name, **dict(params))
    for position, value in literals:
        bound = bind_literal(bound, position, value)
    return bound


def make_kernel(
    name: str,
    signature: str,
    function: TileFunction,
    *,
    params: Mapping[str, Any] | None = None,
    laws: Laws | None = None,
    sizes: Mapping[str, int] | None = None,
    flops: Flops | None = None,
    gradient: Gradient | None = None,
    batched: bool = True,
    output_dtype: Any = None,
    user: str = "",
    fault: Fault | None = None,
) -> Kernel:
    """A kernel from its parts, not registered; see `Kernel` for their meaning.

    Example:
        >>> str(make_kernel("half", "()->()", lambda x: x / 2).signature)
        '()->()'

    Raises:
        KernelError: the signature cannot be read.
    """
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
        fault=fault,
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
) -> Callable[[TileFunction], Kernel]:
    """Registers a function on tiles as a kernel (``tra.kernel``).

    Args:
        signature: the shape law in NumPy's gufunc notation; core dimensions bind the trailing tile axes.
        name: the name in plans and query text; the function's own by default.
        sizes: sizes of core dimensions that only the output has.
        flops: operations for one set of core dimensions, as a function of a dict of their sizes.
        gradient: a builder ``(inputs, out, z̄) -> gradients`` of relations, one per input.
        batched: the function accepts leading loop dimensions, so that many tiles go in one call; otherwise it
            is called once per position of a tile's loop dimensions (once per tile without core dimensions).
        output_dtype: the result's dtype; found by calling the function on tiny tiles when left out.
        **laws: the fields of `tra.algebra.kernel.Laws` that hold; `tra.testing.check_kernel` tests them. A
            contraction is linear in every operand and keeps zeros, so that this need not be said.

    Returns:
        A decorator; the decorated name is the `Kernel`, usable wherever a kernel name is.

    Example:
        >>> @user_kernel("(),()->()", associative=True, commutative=True)
        ... def hypotenuse(a, b):
        ...     return np.sqrt(a * a + b * b)
        >>> hypotenuse.laws.associative
        True

    Raises:
        KernelError: the signature cannot be read, a law is unknown or claimed of what it cannot hold for, or
            the name is that of a kernel that comes with the engine.
    """
    if callable(signature):  # used bare, without a signature
        advice = 'write @tra.kernel("()->()") for one that acts on elements'
        raise KernelError(f"a kernel needs its shape law: {advice}")
    if not isinstance(signature, str):
        raise KernelError(f"a shape law is text like '(m,n),(n,p)->(m,p)'; got {signature!r}")
    if name is not None and (not isinstance(name, str) or not name):
        raise KernelError(f"the name of a kernel is text; got name={name!r}")
    law = parse_signature(signature)
    promised = read_laws(laws, law)

    def decorate(function: TileFunction) -> Kernel:
        if not callable(function):
            raise KernelError(f"a kernel is made of a function of tiles; got {function!r}")
        named = name or getattr(function, "__name__", None)
        if named is None:
            raise KernelError(f"{function!r} has no name; give the kernel one with name=")
        if is_registered(named) and named.lower() not in _USER_NAMES:
            raise KernelError(f"the kernel {named!r} comes with the engine; give yours another name=")
        loops = function if batched or not any(law.inputs) else looped(function, law)
        made = make_kernel(
            named, signature, loops, laws=promised, sizes=sizes, flops=flops, gradient=gradient,
            batched=batched, output_dtype=output_dtype, user=f"{named}#{next(_user_versions)}",
        )  # fmt: skip
        _USER_NAMES.add(named.lower())
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

    Example:
        >>> result_dtype(kernel("div"), (np.dtype("i8"), np.dtype("i8")))
        dtype('float64')

    Raises:
        KernelError: the kernel does not take these dtypes; what a user's function raised is its cause.
    """
    return kernel_.output_dtype if kernel_.output_dtype is not None else _probe(kernel_, dtypes)


@lru_cache(maxsize=1024)  # a kernel with a constant is one of its own
def _probe(kernel_: Kernel, dtypes: tuple[np.dtype[Any], ...]) -> np.dtype[Any]:
    tiles = [
        np.ones(tuple(int(d) if d.isdigit() else 1 for d in dims), dtype)
        for dims, dtype in zip(kernel_.signature.inputs, dtypes, strict=True)
    ]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            return np.asarray(kernel_.function(*tiles)).dtype
    except Exception as error:
        names = " and ".join(dtype_name(d) for d in dtypes)
        if kernel_.user:
            trial = "a trial tile" if len(dtypes) == 1 else "trial tiles"
            problem = f"{type(error).__name__}: {error}"
            raise KernelError(f"kernel {kernel_} failed on {trial} of {names}: {problem}") from error
        raise KernelError(f"kernel {kernel_} does not take tiles of {names}: {error}") from None


__all__ = [
    "Flops", "Gradient", "Kernel", "Laws", "Params", "TileFunction", "bind_literal", "flops_of",
    "is_registered", "kernel", "kernel_names", "make_kernel", "register", "result_dtype", "user_kernel",
]  # fmt: skip
