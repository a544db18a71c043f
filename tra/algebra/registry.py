"""The registry of kernels: definitions by name, each making a kernel from its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from tra.errors import KernelError, near_name

if TYPE_CHECKING:
    from tra.algebra.kernel import Kernel

Definition: TypeAlias = "Callable[..., Kernel]"
_REGISTRY: dict[str, Definition] = {}


def register(name: str, definition: Definition) -> None:
    """Adds a kernel definition; a later one of the same name replaces it.

    Example:
        >>> register("ReLU too", lambda: kernel("relu"))
        >>> str(kernel("relu TOO"))
        'relu'
        >>> del _REGISTRY["relu too"]
    """
    _REGISTRY[name.lower()] = definition


def is_registered(name: str) -> bool:
    """Claims that a kernel of this name (in any case) exists.

    Example:
        >>> is_registered("MatMul"), is_registered("matmuls")
        (True, False)
    """
    return name.lower() in _REGISTRY


def kernel_names() -> list[str]:
    """All registered names, sorted.

    Example:
        >>> "matmul" in kernel_names()
        True
    """
    return sorted(_REGISTRY)


def kernel(name: str | Kernel, **params: Any) -> Kernel:
    """Looks a kernel up by name, in any case, and binds its parameters; a kernel is returned as it is.

    Example:
        >>> str(kernel("softmax", axis=-1))
        'softmax(axis=-1)'

    Raises:
        KernelError: no kernel has this name, or it does not take these parameters.
    """
    if not isinstance(name, str):
        if params:
            raise KernelError(
                f"{name} is bound already: it takes no further parameters ({', '.join(params)})"
            )
        return name
    if name.lower() not in _REGISTRY:
        raise KernelError(f"unknown kernel {name!r}{near_name(name, _REGISTRY)}")
    try:
        return _REGISTRY[name.lower()](**params)
    except TypeError as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in params.items()) or "none"
        raise KernelError(f"kernel {name!r} does not take these parameters ({shown}): {error}") from None
