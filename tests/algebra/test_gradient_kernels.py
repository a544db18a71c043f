"""Every kernel: its gradient is what differences and torch say; or nothing flows, or there is none."""

import numpy as np
import pytest

import tra
from tra.algebra.gradient import gradients
from tra.algebra.kernel import bind_literal, kernel, kernel_names
from tra.algebra.operators import transform
from tra.algebra.relation import Relation
from tra.errors import KernelError

from .gradient_harness import check_gradients, sources_of, tiles_of, total, value, weighted

PARAMETERS = {
    "scale": {"by": 2.5}, "cast": {"dtype": "float64"}, "clip": {"low": -0.6, "high": 0.8},
    "one_hot": {"size": 4}, "class_check": {"size": 99}, "einsum": {"spec": "ab,cb->ac"},
    "transpose": {"axes": (2, 0, 1)}, "expand_dims": {"axis": -2}, "squeeze": {"axis": -2},
    "embed": {"spec": "ab->aab"},
}  # fmt: skip
POSITIVE = {"class_check", "sqrt", "log", "log1p", "pow", "div", "mod"}
ALONG = {"axis": -1}
MORE_PARAMETERS: list = [
    *((name, {"axis": axis}) for axis in (-1, -2) for name in (
        "reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "softmax", "log_softmax", "logsumexp")),
    *(("expand_dims", {"axis": axis}) for axis in (-1, -3)),
    *(("einsum", {"spec": spec}) for spec in (
        "ab->b", "aa->a", "aa->", "ab->ba", "ab,ab->", "ab,ab->ba", "aab,bc->ac", "a,->a", "abc,dc->abd",
        "ab,a->b", "aa,ab->b", "ab,c->c", "abb,a->b")),
    *(("embed", {"spec": spec}) for spec in ("a->aa", "ab->abab", "a->aaa")),
]  # fmt: skip
#: what does not vary continuously with its operands: integers, truth values, steps
NOTHING_FLOWS = {
    "step", "floor", "ceil", "logical_not", "is_nan", "one_hot", "class_check", "floor_div", "logical_and",
    "logical_or", "logical_xor", "eq", "ne", "lt", "le", "gt", "ge", "reduce_any", "reduce_all", "sign",
}  # fmt: skip
STOPS = {"stop_gradient"}
#: they take or give pairs of a value and an index, and are tried between those that make pairs and undo them
PAIRS = {
    "pair": lambda x, y: x.join(y, on="n", kernel="pair").transform("value_of"),
    "second_of": lambda x, y: x.join(y, on="n", kernel="pair").transform("second_of"),
    "value_of": lambda x, y: x.join(y, on="n", kernel="pair").transform("value_of").transform("square"),
    "index_of": lambda x, y: x.join(_places(y), on="n", kernel="pair").transform("index_of"),
    "choose": lambda x, y: (x > y).join(x.join(y, on="n", kernel="pair"), on="n", kernel="choose"),
    "where": lambda x, y: tra.where(x > y, x * y, y),
    "reduce_arg_min": lambda x, y: _least(x, "reduce_arg_min") * y.transform("reduce_sum", axis=-1),
    "reduce_arg_max": lambda x, y: _least(x, "reduce_arg_max") * y.transform("reduce_sum", axis=-1),
}
WITHOUT = {
    "arg_min": "a fold of pairs, whose aggregation has one; as a join kernel nothing makes it",
    "arg_max": "a fold of pairs, whose aggregation has one; as a join kernel nothing makes it",
}
BUILT_IN = [name for name in kernel_names() if not kernel(name, **PARAMETERS.get(name, {})).user]
SMOOTH = [name for name in BUILT_IN if name not in {*PAIRS, *WITHOUT, *STOPS}]


def _places(y):
    return tra.from_array(np.broadcast_to(np.arange(y.shape[-1]), y.shape).copy(), keys="n", tile=2)


def _least(x, reduction):
    pairs = x.join(_places(x), on="n", kernel="pair")
    return pairs.transform(reduction, axis=-1).transform("value_of")


def arrays_for(made, positive, seed=0):
    """Numbers for each operand: three along the key, two in each tile, and the kernel's own axes."""
    random = np.random.default_rng(seed)
    sizes = {d: 3 + n for n, d in enumerate(dict.fromkeys(d for core in made.signature.inputs for d in core))}
    found = []
    for core in made.signature.inputs:
        shape = (3, *(int(d) if d.isdigit() else sizes[d] for d in core))
        shape = (*shape, 4) if not any(made.signature.inputs) else shape
        found.append(random.random(shape) + 0.5 if positive else random.standard_normal(shape))
    return found


def applied(made, operands):
    """The kernel on relations cut along their first axis; the last tile is ragged."""
    given = [tra.from_array(array, keys="n", tile=2, name=f"x{n}") for n, array in enumerate(operands)]
    if len(given) == 1:
        return given[0].transform(made)
    return given[0].join(given[1], on="n", kernel=made)


#: every kernel with one set of parameters, and some with more
CASES = [*((name, PARAMETERS.get(name, {})) for name in SMOOTH), *MORE_PARAMETERS]


def ids(given):
    return str(given) if isinstance(given, str) else ",".join(map(str, given.values()))


def test_every_kernel_is_tried():
    assert {*SMOOTH, *PAIRS, *STOPS, *WITHOUT} == set(BUILT_IN)


@pytest.mark.parametrize(("name", "params"), CASES, ids=ids)
def test_central_differences(name, params):
    made = kernel(name, **params)
    relation = applied(made, arrays_for(made, name in POSITIVE))
    loss = weighted(relation.expr)
    found = check_gradients(loss, tiles_of(relation))
    check_gradients(total(relation.expr), tiles_of(relation))  # an adjoint that is one number
    if name in NOTHING_FLOWS:
        for expr in found:
            assert not any(tile.any() for tile in value(expr, tiles_of(relation)).values())


@pytest.mark.parametrize("name", [n for n in SMOOTH if kernel(n, **PARAMETERS.get(n, {})).arity == 2])
def test_one_operand_in_two_places(name):
    made = kernel(name, **PARAMETERS.get(name, {}))
    x = tra.from_array(np.random.default_rng(1).random((3, 2, 2)) + 0.5, keys="n", tile=2)
    joined = x.join(x, on="n", kernel=made)
    tiles = tiles_of(joined)
    for id_ in tiles:  # x/x, max(x, x): constant, or the same on both sides
        check_gradients(weighted(joined.expr), {id_: tiles[id_]})


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize(
    "name", [n for n in SMOOTH if str(kernel(n, **PARAMETERS.get(n, {})).signature) == "(),()->()"]
)
def test_a_constant_in_place_of_an_operand(name, position):
    divides = position == 1 and name in ("div", "floor_div", "mod")
    for constant in (0.7, 1, 2) if divides else (0.7, 0, 1, 2):
        made = bind_literal(kernel(name), position, constant)
        relation = applied(made, arrays_for(made, name in POSITIVE))
        with np.errstate(all="ignore"):
            check_gradients(weighted(relation.expr), tiles_of(relation))


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name):
    x, y = (np.random.default_rng(seed).standard_normal((3, 4)) for seed in (0, 1))
    made = PAIRS[name](*(tra.from_array(array, keys="n", tile=2) for array in (x, y)))
    check_gradients(weighted(made.expr), tiles_of(made))
    if made.dtype.kind == "f":
        check_gradients(total(made.expr), tiles_of(made))


@pytest.mark.parametrize("name", STOPS)
def test_what_stops_gradients(name):
    x = tra.from_array(np.arange(3.0), tile=2)
    assert tra.grad((x * x.transform(name)).sum(), x)[0].compute().tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("name", WITHOUT)
def test_kernels_without_a_gradient(name):
    x = tra.from_array(np.arange(3.0), keys="n", tile=2, name="x")
    pairs = x.join(_places(x), on="n", kernel="pair")
    loss = pairs.join(pairs, on="n", kernel=name).transform("value_of").sum()
    with pytest.raises(KernelError, match=rf"{name} has no gradient\n  it lies on the way x → pair → {name}"):
        tra.grad(loss, x)


def _torch_functions(torch):
    same = [
        "abs", "square", "sqrt", "exp", "log", "log1p", "expm1", "sin", "cos", "tanh", "sigmoid", "relu",
        "sign", "floor", "ceil", "matmul", "add", "sub", "mul", "div", "pow", "logaddexp",
    ]  # fmt: skip
    return {
        **{name: getattr(torch, name) for name in same},
        "neg": torch.neg, "max": torch.maximum, "min": torch.minimum, "mod": torch.remainder,
        "left": lambda x, y: x, "right": lambda x, y: y, "identity": lambda x: x, "conj": lambda x: x,
        "real": lambda x: x, "cast": lambda x, dtype: x, "scale": lambda x, by: x * by,
        "clip": lambda x, low, high: torch.clamp(x, low, high),
        "outer": lambda x, y: torch.einsum("zi,zj->zij", x, y),
        "einsum": lambda *x, spec: torch.einsum("z" + spec.replace(",", ",z").replace("->", "->z"), *x),
        "transpose": lambda x, axes: x.permute(0, *(1 + a for a in axes)),
        "diag": lambda x: torch.diagonal(x, dim1=-2, dim2=-1),
        "expand_dims": lambda x, axis: x.unsqueeze(axis), "squeeze": lambda x, axis: x.squeeze(axis),
        "reduce_sum": lambda x, axis=-1: x.sum(axis), "reduce_prod": lambda x, axis=-1: x.prod(axis),
        "reduce_max": lambda x, axis=-1: x.amax(axis), "reduce_min": lambda x, axis=-1: x.amin(axis),
        "softmax": lambda x, axis=-1: torch.softmax(x, axis),
        "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
        "logsumexp": lambda x, axis=-1: torch.logsumexp(x, axis),
    }  # fmt: skip


UNKNOWN_TO_TORCH = NOTHING_FLOWS - {"sign", "floor", "ceil"} | {"imag", "embed"}


@pytest.mark.parametrize(("name", "params"), [c for c in CASES if c[0] not in UNKNOWN_TO_TORCH], ids=ids)
def test_torch(name, params):
    torch = pytest.importorskip("torch")
    made = kernel(name, **params)
    arrays = arrays_for(made, name in POSITIVE)
    if name in ("reduce_prod", "reduce_max", "reduce_min", "max", "min", "clip", "abs", "relu"):
        arrays = [np.round(array) for array in arrays]  # zeros and ties
    relation = applied(made, arrays)
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = _torch_functions(torch)[name](*leaves, **params)
    weights = np.random.default_rng(5).standard_normal(out.shape)
    loss = relation.join(tra.from_array(weights, keys="n", tile=2), on="n", kernel="mul")
    expected = torch.autograd.grad((out * torch.tensor(weights)).sum(), leaves, materialize_grads=True)
    wrt = {expr.name: expr for expr in sources_of(relation.expr)}
    found = gradients(total(loss.expr), [wrt[f"x{n}"] for n in range(len(leaves))])
    for expr, theirs in zip(found, expected, strict=True):
        ours = Relation(expr, loss.sources).compute()
        np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-9, atol=1e-12)


def test_float32_stays():
    for name in SMOOTH:
        made = kernel(name, **PARAMETERS.get(name, {}))
        arrays = [array.astype("f4") for array in arrays_for(made, name in POSITIVE)]
        relation = applied(made, arrays)
        loss = weighted(relation.expr)
        for expr in gradients(loss, sources_of(relation.expr)):
            assert expr.type.dtype == np.float32, name
            assert all(tile.dtype == np.float32 for tile in value(expr, tiles_of(relation)).values())
    assert transform(tra.from_array(np.ones(2, "f4")).expr, "exp").type.dtype == np.float32
