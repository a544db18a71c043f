"""tra: a query engine for tensors.

Write a machine-learning computation as a query, in Python or as text; the engine stores tensors as keyed
relations, plans the query by cost, and runs it on threads or on a Dask cluster.

Example:
    >>> import numpy as np, tra
    >>> A = tra.from_array(np.arange(6.0).reshape(2, 3), name="A")
    >>> tra.relu(A @ A.T - 10).compute()
    array([[ 0.,  4.],
           [ 4., 40.]])
"""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("tra-engine")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

from tra import errors
from tra.algebra import kernels as _kernels
from tra.algebra.relation import concatenate, einsum, from_array, from_tiles, where
from tra.algebra.functions import kernel_function, maximum, minimum
from tra.algebra.kernel import is_registered, kernel_names
from tra.algebra.kernel import user_kernel as kernel
from tra.algebra.relation import Relation
from tra.algebra.types import Axis
from tra.backends.connect import connect
from tra.backends.session import Session

__all__ = [
    "Axis", "Relation", "Session", "__version__", "concatenate", "connect", "einsum", "errors", "from_array", "from_tiles",
    "kernel", "maximum", "minimum", "where",
]  # fmt: skip


def __getattr__(name: str) -> Callable[..., Relation]:
    """Every kernel of one operand is a function: `tra.relu`, `tra.softmax`."""
    if not name.startswith("_") and is_registered(name):
        return kernel_function(name)
    raise AttributeError(f"module 'tra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *kernel_names()})
