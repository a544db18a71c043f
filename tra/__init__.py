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

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tra import errors
from tra.algebra import current as _current
from tra.algebra import kernels as _kernels  # noqa: F401 - registers them
from tra.algebra import losses, schedules
from tra.algebra.entry_point import entry_point
from tra.algebra.functions import kernel_function, maximum, minimum
from tra.algebra.gradient import grad, value_and_grad
from tra.algebra.habits import python_habit, synonym
from tra.algebra.kernel import is_registered, kernel_names
from tra.algebra.kernel import user_kernel as kernel
from tra.algebra.optimizers import SGD, Adam, AdamW
from tra.algebra.relation import Relation, concatenate, einsum, from_array, from_coo, from_tiles, where
from tra.algebra.types import Axis
from tra.backends.connect import connect
from tra.backends.record import Record, Training
from tra.backends.session import Session
from tra.backends.storage import open_source
from tra.errors import near_name
from tra.sql.result import Result

if TYPE_CHECKING:
    from tra import testing as testing
    from tra.workflows.onnx_models import from_onnx as from_onnx
    from tra.workflows.torch_models import from_torch as from_torch

    __version__: str

__all__ = [
    "Adam", "AdamW", "Axis", "Record", "Relation", "Result", "SGD", "Session", "Training",
    "__version__", "concatenate", "connect", "einsum", "errors", "from_array", "from_coo",
    "from_onnx", "from_tiles", "from_torch", "grad", "kernel", "losses", "maximum", "minimum", "open",
    "schedules", "sql", "train", "value_and_grad", "where",
]  # fmt: skip


def _run_text(*arguments: Any, **options: Any) -> Result:
    from tra.sql.runner import run_text  # the parser takes longer to load than a query to write

    return run_text(*arguments, **options)


def _to_text(relation: Relation) -> str:
    from tra.sql.printer import to_text  # it loads the parser, to read again what it prints

    return to_text(relation)


Session.text_runner = staticmethod(_run_text)
Session.text_printer = staticmethod(_to_text)


def sql(text: str, /, **relations: Any) -> Result:
    """Runs query text in the current session.

    Args:
        text: statements, each ended by ``;``; paths in them are relative to the working directory.
        **relations: what the text may name: relations, arrays, numbers. One called ``allow`` is none of
            them: it is the folder or URL below which the text may name files, or several in a list; the
            working directory when it is left out.

    Example:
        >>> import numpy as np
        >>> A = from_array(np.eye(2), keys=("i", "j"), name="A")
        >>> sql("LET b[i] = SUM(A[i, j] * c[j]);", A=A, c=np.array([1.0, 2.0])).relation.compute()
        array([1., 2.])

    Raises:
        QueryError: the text is not a query, or does not fit the relations; shows the place in the text.
        CatalogError: `allow` is no folder.
        TraError: a statement fails when it runs; of the class that says why, and with the place in the text.
    """
    # The parser takes longer to load than a query to write.
    from tra.sql.runner import Options, run_statements

    allow = relations.pop("allow", None)
    session: Any = _current.current()
    return run_statements(session, text, relations, Options(allow=allow))


@entry_point
def train(
    loss: Callable[..., Relation], parameters: Mapping[str, Any], using: Any, **options: Any
) -> Training:
    """Minimises a loss in the current session; each step is one query, planned once.

    Args:
        loss: a function of the parameters by name and the relations of a batch that gives one number.
        parameters: initial values by name.
        using: the optimizer, such as ``tra.Adam(rate=0.01)``.
        **options: ``data``, ``batch``, ``epochs``, ``seed``, ``metrics``, ``stop``, ``checkpoint``, ``every``
            and ``progress``, as `Session.train` says.

    Example:
        >>> x = from_array([1.0, 2.0, 3.0], name="x")
        >>> trained = train(lambda p, x: losses.squared_error(x * p["w"], x * 2.0),
        ...                 {"w": 0.0}, SGD(rate=0.1), data=[x], epochs=50)
        >>> round(float(trained.parameters["w"].compute()), 6)
        2.0

    Raises:
        NotFiniteError: a loss is infinite or no number; names the step and the operator.
        SchemaError: the loss is no single number, or parameters and data do not fit it.
    """
    session: Any = _current.current()
    return session.train(loss, parameters, using, **options)  # type: ignore[no-any-return]


# It stands where the package of its name would: this is how `import tra.sql.parser as p` still finds that.
sql.__name__ = "tra.sql"


@entry_point
def open(
    path: str | os.PathLike[str],
    keys: Sequence[str] | None = None,
    tile: Sequence[int] | int | None = None,
    name: str | None = None,
    check: str = "read",
) -> Relation:
    """A relation at rest; no tile is read before it is needed.

    Args:
        path: ends with .tra, .parquet, .npy, .npz (with ``:member`` where there are several) or .zarr.
        keys: a name per cut axis of an array; for a relation (.tra, .parquet) new names for its keys.
        tile: tile sizes of an array, chosen by the engine when left out; a relation keeps its own.
        name: the name in plans and query text; the member's or the file's when left out.
        check: when the checksums of a `.tra` relation are compared: ``"read"`` when a tile is first read,
            ``"open"`` all of them now, ``"never"``.

    Example:
        >>> import tempfile, numpy as np
        >>> folder = tempfile.TemporaryDirectory()
        >>> np.save(f"{folder.name}/a.npy", np.arange(4.0))
        >>> open(f"{folder.name}/a.npy", tile=3)
        a[i:2] of 3/4 float64
        >>> folder.cleanup()

    Raises:
        CatalogError: the file is not there, of no known format, or damaged.
        SchemaError: `keys` or `tile` do not fit what is stored, or the name is none.
    """
    source, tiles = open_source(path, keys, tile, name, check=check)
    return Relation(source, {source.id: tiles})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # it reads mail, which takes its time

    try:
        return version("tra-engine")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"


_LOADERS: dict[str, Callable[[], Any]] = {
    "testing": lambda: import_module("tra.testing"),
    "from_onnx": lambda: import_module("tra.workflows.onnx_models").from_onnx,
    "from_torch": lambda: import_module("tra.workflows.torch_models").from_torch,
    "__version__": _version,
}


def __getattr__(name: str) -> Callable[..., Relation]:
    """Every kernel is a function: `tra.relu`, `tra.softmax`, `tra.add`; what takes time loads when used."""
    if name in _LOADERS:
        return _LOADERS[name]()  # type: ignore[no-any-return]
    if not name.startswith("_") and is_registered(name):
        return kernel_function(name)
    raise AttributeError(f"module 'tra' has no attribute {name!r}{_meant(name)}")


def _meant(name: str) -> str:
    """What was probably meant by a name that is not here."""
    if name.startswith("_"):
        return ""
    ours = synonym(name)
    if ours in losses.__all__:
        return f"; did you mean tra.losses.{ours}?"
    if hasattr(Relation, ours):
        return f"; it is a method of relations: A.{ours}(…)"
    if ours != name:
        return f"; did you mean {ours!r}?"
    habit = python_habit(name)
    return near_name(name, __dir__()) if habit is None else f"; {habit}"


def __dir__() -> list[str]:
    return sorted({*__all__, "testing", *kernel_names()})
