"""Habits from NumPy, PyTorch, Dask and SQL: what a name is there, and what to write here.

Python and query text ask the same tables; signs and words of the grammar are in ``tra/sql/habits.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tra.errors import near_name

# Other names of functions, reductions and losses that are here.
_SYNONYMS: Mapping[str, str] = {
    "average": "mean", "avg": "mean", "ceiling": "ceil", "if": "where", "iif": "where", "ln": "log",
    "maximum": "max", "minimum": "min", "power": "pow", "remainder": "mod", "stddev": "std", "total": "sum",
    "variance": "var", "multiply": "mul", "subtract": "sub", "divide": "div", "negative": "neg",
    **dict.fromkeys(("absolute", "fabs"), "abs"),
    **dict.fromkeys(("mse", "mse_loss", "mseloss", "mean_squared_error", "l2_loss"), "squared_error"),
    **dict.fromkeys(
        ("cross_entropy", "crossentropy", "crossentropyloss", "categorical_crossentropy", "nll_loss",
         "sparse_categorical_crossentropy", "softmax_crossentropy"), "softmax_cross_entropy"),
    **dict.fromkeys(
        ("bce", "bce_loss", "bceloss", "bcewithlogitsloss", "binary_cross_entropy", "binary_crossentropy",
         "binary_cross_entropy_with_logits", "log_loss", "logistic_loss", "sigmoid_cross_entropy"),
        "logistic"),
    **dict.fromkeys(("hinge_loss", "svm_loss"), "hinge"),
}  # fmt: skip

# Other names of arguments.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("lr", "learning_rate", "step_size"), ("rate",)),
    **dict.fromkeys(("batch_size", "batchsize", "minibatch"), ("batch",)),
    **dict.fromkeys(("n_epochs", "num_epochs", "iterations", "n_iter", "max_iter"), ("epochs",)),
    **dict.fromkeys(("optimizer", "optimiser", "opt"), ("using",)),
    **dict.fromkeys(("params", "weights", "variables"), ("parameters",)),
    **dict.fromkeys(("dim", "dims"), ("axis", "axes", "keys")),
    "keepdim": ("keepdims",),
    **dict.fromkeys(("chunks", "chunk", "blocks", "blocksize", "tiles", "tile_size"), ("tile",)),
    **dict.fromkeys(("n_workers", "workers", "num_workers", "nodes"), ("sites",)),
    **dict.fromkeys(("n_threads", "num_threads", "nthreads", "threads_per_worker"), ("threads",)),
    **dict.fromkeys(("address", "client", "cluster"), ("scheduler",)),
    **dict.fromkeys(("random_state", "rng"), ("seed",)),
    **dict.fromkeys(("callback", "callbacks", "early_stopping"), ("stop",)),
    **dict.fromkeys(("betas", "b1"), ("beta1",)),
    "b2": ("beta2",),
    **dict.fromkeys(("epsilon", "tol"), ("eps", "tolerance")),
    **dict.fromkeys(("clip_norm", "clipnorm", "max_norm"), ("clip",)),
    "decay": ("weight_decay",),
    "gamma": ("factor",),
    "t_max": ("steps",),
    "verbose": ("progress",),
}


class _Form(NamedTuple):
    """What to write for a function that is written otherwise here; None where there is nothing special."""

    python: str
    text: str | None = None


_MADE = _Form(
    "arrays are made by NumPy and given: tra.from_array(np.{name}(...))", "INITIALIZE W(d: 3) ZEROS"
)
_GIVEN = _Form("write tra.from_array(array)")
_READ = _Form("write tra.open(path)", "write LOAD A FROM 'A.npy'")
_WRITTEN = _Form("write A.save(path)", "write SAVE A TO 'A.npy'")
_PRODUCT = _Form(
    "write A @ B, or tra.einsum('ij,jk->ik', A, B)", "a product is SUM(A[i, k] * B[k, j]), summed over k"
)
_JOINED = _Form("write tra.concatenate([A, B], axis=0)")
_STACKED = _Form("write tra.concatenate([A[None], B[None]])")
_RESHAPED = _Form("axes are neither merged nor split; A[:, None] adds one, A[:, 0] drops one, A.T swaps them")
_NEW_AXIS = _Form("write A[:, None]")
_CUT = _Form("write A.retile(100, 100), with a tile size for each axis", "write RETILE A TO (100, 100)")
_COMPUTED = _Form("write A.compute()", "write SHOW A")
_GRADIENT = _Form("write tra.grad(loss, [W])", "write GRAD(loss, W)")
_CAST = _Form("write A.astype('float32')", "write CAST(A[i], dtype => 'float32')")
_CONNECTED = _Form("write tra.connect('dask', scheduler=address)")
_MAPPED = _Form("write A.transform(kernel), where @tra.kernel makes a kernel of a function")
_GROUPED = _Form("write A.aggregate(by='i', kernel='add')", "write SUM[j](A[i, j]), or GROUP BY")
_FORMS: Mapping[str, _Form] = {
    **dict.fromkeys(("zeros", "ones", "full", "empty", "eye", "identity", "arange", "linspace"), _MADE),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like", "empty_like"), _MADE),
    **dict.fromkeys(("rand", "randn", "randint", "random"), _Form(
        "arrays are made by NumPy and given: tra.from_array(np.random.default_rng(0).normal(size=shape))",
        "INITIALIZE W(d: 3) UNIFORM(-0.1, 0.1) SEED 1")),
    **dict.fromkeys(("array", "asarray", "tensor", "as_tensor", "from_numpy", "constant"), _GIVEN),
    **dict.fromkeys(("load", "loadtxt", "read", "from_zarr", "from_npy", "read_parquet", "from_file"), _READ),
    **dict.fromkeys(("savez", "to_zarr", "to_parquet", "to_npy", "store", "write"), _WRITTEN),
    "save": _WRITTEN,
    **dict.fromkeys(("dot", "mm", "bmm", "mv", "inner", "vdot", "tensordot", "multi_dot", "gemm"), _PRODUCT),
    **dict.fromkeys(("vstack", "hstack", "cat", "concat", "append"), _JOINED),
    "stack": _STACKED,
    **dict.fromkeys(("reshape", "view", "flatten", "ravel", "swapaxes", "moveaxis", "permute"), _RESHAPED),
    **dict.fromkeys(("unsqueeze", "newaxis"), _NEW_AXIS),
    **dict.fromkeys(("rechunk", "chunk", "map_partitions", "repartition", "split"), _CUT),
    **dict.fromkeys(("numpy", "to_numpy", "item", "tolist", "values", "cpu", "collect", "result"), _COMPUTED),
    **dict.fromkeys(("backward", "autograd", "gradient", "gradients", "jacobian"), _GRADIENT),
    **dict.fromkeys(("detach", "no_grad"), _Form("write tra.stop_gradient(A)", "write STOP_GRADIENT(A[i])")),
    **dict.fromkeys(("to", "type", "float", "double", "half", "as_type"), _CAST),
    **dict.fromkeys(("size", "numel"), _Form("write A.shape")),
    "dim": _Form("write A.ndim"),
    **dict.fromkeys(("chunks", "chunksize", "blocks", "numblocks"), _Form("write A.tile_shape, A.frontier")),
    **dict.fromkeys(("client", "localcluster", "cluster", "init"), _CONNECTED),
    **dict.fromkeys(("map", "apply", "map_blocks", "apply_along_axis", "vectorize"), _MAPPED),
    **dict.fromkeys(("groupby", "group_by", "reduceat"), _GROUPED),
    "norm": _Form("write tra.sqrt((A * A).sum())", "write SQRT(SUM(A[i] ^ 2))"),
    **dict.fromkeys(("mae", "l1", "l1_loss", "l1loss", "mean_absolute_error"), _Form(
        "write tra.abs(prediction - target).mean()", "write MEAN(ABS(p[n] - y[n]))")),
    **dict.fromkeys(("fit", "minimize", "optimize"), _Form("write tra.train(loss, parameters, using)")),
    "grad": _Form("write tra.grad(loss, [W])", "a LET has it: LET G[i] = GRAD(loss, W)[i]"),
    "count": _Form(
        "the sum of a condition counts: (A > 0).sum()", "the sum of a condition counts: SUM[i](A[i] > 0)"),
    **dict.fromkeys(("copy", "clone"), _Form("relations do not change and need no copy")),
}  # fmt: skip


def synonym(name: str) -> str:
    """What a name of elsewhere is called here; the name itself where it has no other.

    Example:
        >>> synonym("avg"), synonym("mse"), synonym("relu")
        ('mean', 'squared_error', 'relu')
    """
    return _SYNONYMS.get(name.lower(), name)


def python_habit(name: str) -> str | None:
    """What to write in Python for something of another library, or None.

    Example:
        >>> python_habit("zeros")
        'arrays are made by NumPy and given: tra.from_array(np.zeros(...))'
        >>> python_habit("load"), python_habit("frobnicate")
        ('write tra.open(path)', None)
    """
    form = _FORMS.get(name.lower())
    return None if form is None else form.python.replace("{name}", name)


def text_habit(name: str) -> str | None:
    """What to write in query text for a function of another language, or None.

    Example:
        >>> text_habit("dot"), text_habit("reshape")
        ('a product is SUM(A[i, k] * B[k, j]), summed over k', None)
    """
    form = _FORMS.get(name.lower())
    return None if form is None else form.text


def near_argument(name: str, names: Iterable[str]) -> str:
    """Suggests an argument among `names`: what others call so, or else the closest.

    Example:
        >>> near_argument("lr", ["rate", "clip"]), near_argument("epoch", ["epochs"])
        ("; did you mean 'rate'?", "; did you mean 'epochs'?")
    """
    known = list(names)
    meant = next((other for other in _ARGUMENTS.get(name.lower(), ()) if other in known), None)
    return near_name(name, known) if meant is None else f"; did you mean {meant!r}?"
