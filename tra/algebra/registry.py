"""The registry of kernels: definitions by name, each making a kernel from its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from tra.algebra.habits import synonym
from tra.errors import KernelError, near_name

if TYPE_CHECKING:
    from tra.algebra.kernel import Kernel

Definition: TypeAlias = "Callable[..., Kernel]"
_FOLDS = {"sum": "add", "prod": "mul"}  # reductions that one kernel makes
_WHOLE = ("mean", "var", "std", "argmax", "argmin")  # reductions that are more than a kernel
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
    """All names that users write, sorted; those that begin with _ are of kernels that plans alone have.

    Example:
        >>> "matmul" in kernel_names()
        True
    """
    return sorted(name for name in _REGISTRY if not name.startswith("_"))


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
        raise KernelError(f"unknown kernel {name!r}{_meant(name)}")
    try:
        return _REGISTRY[name.lower()](**params)
    except TypeError as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in params.items()) or "none"
        raise KernelError(f"kernel {name!r} does not take these parameters ({shown}): {error}") from None


def _meant(name: str) -> str:
    """What may be meant by a name that is of no kernel: another name, a near one, or which there are."""
    known = synonym(name).lower()
    known = _FOLDS.get(known, known)
    if known in _REGISTRY:
        return f"; did you mean {known!r}?"
    if known in _WHOLE:
        return f"\n  hint: it is no fold of tiles: A.{known}(axis) takes the {known} of a whole tensor"
    near = near_name(name, _REGISTRY)
    return near or f"\n  hint: kernels are {', '.join(kernel_names())}"
