"""Arrays of other libraries: as they are where they can be sliced, else through DLPack, never copied."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from tra.errors import SchemaError

_CPU = (1, 3, 11, 13)  # the memory of the host, of DLPack's devices: CPU, pinned for CUDA and ROCm, managed


def adopted(array: Any) -> Any:
    """The array as NumPy has it, or anything that is sliced like one.

    Example:
        >>> adopted([[1.0, 2.0]])
        array([[1., 2.]])

    Raises:
        SchemaError: it is a path, masked or sparse, lies on another device, has a dtype that NumPy has
            not, or rows of several lengths, or extents that are not known.
    """
    if isinstance(array, str | PathLike):
        raise SchemaError(
            f"a tensor is made of numbers; got the text {array!r}\n"
            "  hint: tra.open(path) reads a file, tile by tile"
        )
    if np.ma.is_masked(array):
        raise SchemaError(
            "a tensor has no mask; got a masked array, and some elements are masked\n"
            "  hint: array.filled(value) puts a value there; tra.from_tiles leaves out whole tiles, as holes"
        )
    if _can_be_sliced(array):
        _check_extents(array)
        return array
    if hasattr(array, "__dlpack__"):
        return _by_dlpack(array)
    try:
        return np.asarray(array)
    except ValueError as error:  # nested lists of different lengths
        raise SchemaError(f"an array has rows of one length; {error}") from None


def _can_be_sliced(array: Any) -> bool:
    """Claims that an array has a shape, a dtype of NumPy and, with them, slices."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        return False
    try:
        np.dtype(array.dtype)
    except TypeError:
        return False
    return True


def _check_extents(array: Any) -> None:
    if any(extent != extent for extent in array.shape):  # as dask.array says that it does not know
        raise SchemaError(
            f"a tensor has known extents; got shape {tuple(array.shape)}\n"
            "  hint: array.compute_chunk_sizes() of dask.array finds out"
        )


def _by_dlpack(array: Any) -> Any:
    """A tensor of another library in the same memory, such as one of PyTorch; gradients stay behind."""
    kind = type(array).__name__
    if str(getattr(array, "layout", "torch.strided")) != "torch.strided":
        raise SchemaError(
            f"a tensor of another library is dense; got a {kind} of layout {array.layout}\n"
            "  hint: tensor.to_dense() fills it in; tra.from_coo keeps it sparse, from the columns of its "
            "indices and values"
        )
    if not _is_here(array):
        where = getattr(array, "device", "another device")
        raise SchemaError(f"a tensor lies in the memory of the host; got a {kind} on {where}: copy it there")
    try:
        return np.from_dlpack(array.detach() if hasattr(array, "detach") else array)
    except (BufferError, TypeError, RuntimeError, ValueError) as error:
        raise SchemaError(
            f"NumPy cannot take a {kind} of {getattr(array, 'dtype', 'its dtype')}: {error}\n"
            "  hint: convert it to a dtype of NumPy first, as tensor.float() does"
        ) from None


def _is_here(array: Any) -> bool:
    """Claims that an array lies where NumPy can read it."""
    try:
        return int(array.__dlpack_device__()[0]) in _CPU
    except ValueError:  # as PyTorch says of tensors that lie nowhere
        return False
