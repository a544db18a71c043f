"""The registry of kernels: definitions by name, each making a kernel from its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeAlias

from tra.algebra.habits import synonym
from tra.algebra.types import shown_number
from tra.errors import KernelError, TraError, near_name

if TYPE_CHECKING:
    from tra.algebra.kernel import Kernel

Definition: TypeAlias = "Callable[..., Kernel]"
_FOLDS = {"sum": "add", "prod": "mul"}  # reductions that one kernel makes
_WHOLE = ("mean", "var", "std", "argmax", "argmin")  # reductions that are more than a kernel
_KINDS = {  # what annotations of definitions mean to who writes text
    "int": " (an integer)", "float": " (a number)", "str": " (text)", "bool": " (TRUE or FALSE)",
    "Sequence[int]": " (integers)",
}  # fmt: skip
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
    except TraError:
        raise
    except Exception as error:  # a definition may do anything with what it is given
        raise _refused(name, params) from error


def parameter_names(name: str) -> list[str]:
    """What a kernel takes beside its operands.

    Example:
        >>> parameter_names("clip"), parameter_names("ReLU")
        (['low', 'high'], [])
    """
    return list(signature(_REGISTRY[name.lower()]).parameters)


def _refused(name: str, params: Mapping[str, Any]) -> KernelError:
    """What to raise where a definition fails: which parameter is strange or missing, and which there are.

    Example:
        >>> print(_refused("clip", {"low": 0, "hihg": 1}))
        kernel 'clip' does not take these parameters (low=0, hihg=1): it has no parameter 'hihg', but low (a
        number), high (a number); did you mean 'high'?
    """
    known = signature(_REGISTRY[name.lower()]).parameters
    shown = ", ".join(f"{key}={shown_number(value)}" for key, value in params.items()) or "none"
    takes = ", ".join(f"{each.name}{_KINDS.get(each.annotation, '')}" for each in known.values()) or "none"
    unknown = next((key for key in params if key not in known), None)
    missing = [each.name for each in known.values() if each.default is each.empty and each.name not in params]
    reason = f"it takes {takes}"
    if unknown is not None:
        reason = f"it has no parameter {unknown!r}, but {takes}{near_name(unknown, known)}"
    elif missing:
        reason = f"it needs {' and '.join(missing)}, and takes {takes}"
    return KernelError(f"kernel {name!r} does not take these parameters ({shown}): {reason}")


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
