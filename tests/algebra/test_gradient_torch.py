"""Gradients of functions of whole tensors, first and second order, are those of torch on dense twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tra
from tests.long import examples

torch = pytest.importorskip("torch")
RANDOM = np.random.default_rng(11)
R = RANDOM.standard_normal


def both(function, twin, arrays, tile=2):
    """The relations, their twins, and a loss of each: the result times fixed weights."""
    ours = [tra.from_array(array, tile=tile, name=f"x{n}") for n, array in enumerate(arrays)]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    out, expected = function(*ours), twin(*theirs)
    assert tuple(expected.shape) == out.shape
    weights = np.random.default_rng(5).standard_normal(out.shape)
    return ours, theirs, (out * weights).sum(), (expected * torch.tensor(weights)).sum()


def same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        theirs = theirs.detach().resolve_conj().numpy(force=True)
        np.testing.assert_allclose(ours.compute(), theirs, rtol=1e-8, atol=1e-9)


def check(function, twin, *arrays, tile=2):
    ours, theirs, loss, expected = both(function, twin, arrays, tile)
    same(tra.grad(loss, ours), torch.autograd.grad(expected, theirs, materialize_grads=True))


FUNCTIONS = {
    "rows": (lambda a, b: a + b, [(5, 3), (3,)]),
    "columns and rows": (lambda a, b: a * b, [(5, 1), (1, 3)]),
    "more axes": (lambda a, b: a / (2 + b * b), [(4, 5, 1), (5, 3)]),
    "a number": (lambda a, b: a - b, [(5, 3), ()]),
    "numbers": (lambda a: 2 / (3 + a * a) - 1.5 * a + a / 4 - (1 - a), [(5, 3)]),
    **{f"power {n}": (lambda a, n=n: (a * a + 0.5) ** n, [(5, 3)]) for n in (0, 1, 2, 3, -1, 0.5)},
    "matmul": (lambda a, b: a @ b, [(5, 3), (3, 4)]),
    "matrix and vector": (lambda a, b: a @ b, [(5, 3), (3,)]),
    "batches": (lambda a, b: a @ b, [(2, 5, 3), (2, 3, 4)]),
    "one matrix for all": (lambda a, b: a @ b, [(2, 5, 3), (3, 4)]),
    "transpose": (lambda a: a.T @ a, [(5, 3)]),
    "repeated use": (lambda a: (a.sum() ** 2) * a + a * a, [(5, 3)]),
    "slices": (lambda a: a[1:4] * a[:3] + a[2:, ...], [(5, 3)]),
    "one row": (lambda a: a[1] * a, [(5, 3)]),
    "norm": (lambda a: a / (a * a).sum(1)[:, None] ** 0.5, [(5, 3)]),
}


@pytest.mark.parametrize("tile", [2, 8])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_written_the_same(name, tile):
    function, shapes = FUNCTIONS[name]
    check(function, function, *(R(shape) for shape in shapes), tile=tile)


REDUCTIONS = ["softmax", "log_softmax", "logsumexp", "sum", "mean", "var", "amax", "amin", "prod"]


@pytest.mark.parametrize("tile", [2, 8])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name, axis, tile):
    ours = {"amax": "max", "amin": "min"}.get(name, name)
    more = {"correction": 0} if name == "var" else {}

    def function(a):
        return getattr(a, ours)(axis=axis) if hasattr(a, ours) else getattr(tra, ours)(a, axis=axis)

    array = np.round(R((7, 5)))  # zeros and ties
    check(function, lambda a: getattr(torch, name)(a, axis, **more), array, tile=tile)


SPECS = [
    "ij,jk->ik", "ij,kj->ik", "ij->ji", "ij->i", "ij->", "ii->i", "ii->", "ij,ij->", "ij,ij->ij", "i,j->ij",
    "ijk,kl->ijl", "ij,jk,kl->il", "ij,i->j", "ii,ij->j", "ij,jk,ik->", "i,i,i->i", "ij,kl,jk->il",
    "...i,i->...",
]  # fmt: skip


@pytest.mark.parametrize("tile", [2, 8])
@pytest.mark.parametrize("spec", SPECS)
def test_einsum(spec, tile):
    sizes = {"i": 5, "j": 3, "k": 4, "l": 2}
    shapes = [[sizes[c] for c in o.replace("...", "j")] for o in spec.split("->")[0].split(",")]
    if "..." in spec:
        shapes = [(3, 5), (5,)]
    check(lambda *a: tra.einsum(spec, *a), lambda *a: torch.einsum(spec, *a), *map(R, shapes), tile=tile)


def test_more_functions():
    check(
        lambda a, b: tra.concatenate([a, b, a], axis=0),
        lambda a, b: torch.cat([a, b, a]),
        R((5, 3)),
        R((2, 3)),
    )
    check(lambda a: a[::-2, 1:], lambda a: torch.flip(a, (0,))[::2, 1:], R((6, 3)))
    check(
        lambda a, b: tra.where(a > b, a * 2, b),
        lambda a, b: torch.where(a > b, a * 2, b),
        R((5, 3)),
        R((5, 3)),
    )
    check(lambda a: tra.where(a > 0, a, 0.0), lambda a: torch.where(a > 0, a, 0.0), R((5, 3)))
    check(lambda a: a % 0.7, lambda a: torch.remainder(a, 0.7), R((5, 3)))
    check(lambda a: a.retile(3, 2) * a, lambda a: a * a, R((5, 3)))


def test_ties_share_evenly():
    ties = np.array([[1.0, 3.0, 3.0], [3.0, 0.0, 3.0]])
    check(lambda a: a.max(), torch.amax, ties)
    check(lambda a: a.max(axis=1), lambda a: torch.amax(a, 1), ties)
    check(lambda a, b: tra.maximum(a, b), torch.maximum, ties, np.full((2, 3), 3.0))
    check(lambda a, b: tra.minimum(a, b), torch.minimum, ties, np.full((2, 3), 3.0))
    assert tra.grad(tra.from_array(ties, tile=2).max(), tra.from_array(ties, tile=2))[0].shape == (2, 3)
    x = tra.from_array(ties, tile=2)
    assert tra.grad(x.max(), x)[0].compute().tolist() == [[0, 0.25, 0.25], [0.25, 0, 0.25]]


COMPLEX = {
    "product": (lambda a, b: a * b, lambda a, b: a * b),
    "quotient": (lambda a, b: a / b, lambda a, b: a / b),
    "matmul": (lambda a, b: a @ b.T, lambda a, b: a @ b.T),
    "einsum": (lambda a, b: tra.einsum("ij,kj->ik", a, b), lambda a, b: torch.einsum("ij,kj->ik", a, b)),
    "conj": (lambda a, b: tra.conj(a) * b, lambda a, b: torch.conj(a) * b),
    "exp": (lambda a, b: tra.exp(a) * tra.sin(b), lambda a, b: torch.exp(a) * torch.sin(b)),
    "real": (lambda a, b: tra.real(a) * b, lambda a, b: torch.real(a) * b),
    "imag": (lambda a, b: tra.imag(a) * b, lambda a, b: torch.imag(a) * b),
    "sign": (lambda a, b: tra.sign(a) * b, lambda a, b: torch.sgn(a) * b),
    "abs": (lambda a, b: tra.abs(a) * b, lambda a, b: torch.abs(a) * b),
    "roots and logs": (lambda a, b: tra.sqrt(a) + tra.log(b), lambda a, b: torch.sqrt(a) + torch.log(b)),
    "power": (lambda a, b: a**3 + b**-1, lambda a, b: a**3 + b**-1),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name):
    """∂/∂Re + i·∂/∂Im, as torch has it."""
    function, twin = COMPLEX[name]
    arrays = [R((3, 4)) + 1j * R((3, 4)) for _ in range(2)]
    ours = [tra.from_array(array, tile=2) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    size = tra.abs(function(*ours)) ** 2
    slopes = tra.grad((size * size).sum(), ours)
    expected = torch.autograd.grad((twin(*theirs).abs() ** 4).sum(), theirs, create_graph=True)
    assert all(slope.dtype == np.complex128 for slope in slopes)
    same(slopes, expected)
    again = tra.grad(
        sum((tra.real(s * tra.conj(s)).sum() for s in slopes[1:]), tra.real(slopes[0]).sum()), ours
    )
    total = sum(((s * s.conj()).real.sum() for s in expected[1:]), expected[0].real.sum())
    same(again, torch.autograd.grad(total, theirs, materialize_grads=True))


def test_a_real_operand_of_a_complex_product():
    a, b = R((3, 4)), R((3, 4)) + 1j * R((3, 4))
    ours, theirs = tra.from_array(a, tile=2), torch.tensor(a, requires_grad=True)
    (slope,) = tra.grad((tra.abs(ours * b) ** 2).sum(), ours)
    assert slope.dtype == np.float64
    same([slope], torch.autograd.grad(((theirs * torch.tensor(b)).abs() ** 2).sum(), theirs))


SECOND_ORDER = {
    "cube": (lambda x: x**3, lambda x: x**3),
    "exp of a square": (lambda x: tra.exp(-(x * x)), lambda x: torch.exp(-(x * x))),
    "tanh of a product": (lambda x: tra.tanh(x @ x.T), lambda x: torch.tanh(x @ x.T)),
    "sigmoid": (tra.sigmoid, torch.sigmoid),
    "softmax": (lambda x: tra.softmax(x, axis=-1), lambda x: torch.softmax(x, -1)),
    "log_softmax": (lambda x: tra.log_softmax(x, axis=0), lambda x: torch.log_softmax(x, 0)),
    "logsumexp": (lambda x: tra.logsumexp(x, axis=1), lambda x: torch.logsumexp(x, 1)),
    "variance": (lambda x: x.var(axis=0), lambda x: torch.var(x, 0, correction=0)),
    "product with zeros": (lambda x: tra.relu(x).prod(axis=1), lambda x: torch.relu(x).prod(1)),
    "largest quotient": (lambda x: (x / (1 + x * x)).max(axis=0), lambda x: (x / (1 + x * x)).amax(0)),
    "einsum": (lambda x: tra.einsum("ij,ik,jk->i", x, x, x[:3] * 2), lambda x: torch.einsum(
        "ij,ik,jk->i", x, x, x[:3] * 2)),
    "total": (lambda x: x.sum() ** 2 * x, lambda x: x.sum() ** 2 * x),
}  # fmt: skip


@pytest.mark.parametrize("tile", [2, 8])
@pytest.mark.parametrize("name", SECOND_ORDER)
def test_second_order(name, tile):
    (x,), (leaf,), loss, expected = both(*SECOND_ORDER[name], [R((5, 3))], tile)
    (slope,), (theirs,) = tra.grad(loss, x), torch.autograd.grad(expected, leaf, create_graph=True)
    weights = np.random.default_rng(9).standard_normal((5, 3))  # a Hessian times a vector
    same(
        tra.grad((slope * weights).sum(), x),
        torch.autograd.grad((theirs * torch.tensor(weights)).sum(), leaf, retain_graph=True),
    )
    same(tra.grad((slope * slope).sum(), x), torch.autograd.grad((theirs * theirs).sum(), leaf))


def test_a_product_with_zeros_has_a_second_order():
    for row in ([0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]):
        array = np.array([row])
        for tile in (1, 8):
            (x,), (leaf,), loss, expected = both(
                lambda a: a.prod(axis=1), lambda a: a[:, 0] * a[:, 1] * a[:, 2], [array], tile
            )
            (slope,), (theirs,) = tra.grad(loss, x), torch.autograd.grad(expected, leaf, create_graph=True)
            for weights in np.eye(3):
                ours = tra.grad((slope * weights).sum(), x)
                same(
                    ours, torch.autograd.grad((theirs * torch.tensor(weights)).sum(), leaf, retain_graph=True)
                )


STEPS = {
    "tanh": (lambda a: tra.tanh(a), lambda a: torch.tanh(a)),
    "square": (lambda a: a * a, lambda a: a * a),
    "gram": (lambda a: a @ a.T, lambda a: a @ a.T),
    "transpose": (lambda a: a.T, lambda a: a.T),
    "softmax": (lambda a: tra.softmax(a, axis=-1), lambda a: torch.softmax(a, -1)),
    "centre": (lambda a: a - a.mean(axis=0), lambda a: a - a.mean(0)),
    "rows": (lambda a: a * a.sum(axis=1, keepdims=True), lambda a: a * a.sum(1, keepdim=True)),
    "largest": (lambda a: a - a.max(axis=1, keepdims=True), lambda a: a - a.amax(1, keepdim=True)),
    "drop": (lambda a: a[1:] if a.shape[0] > 1 else a, lambda a: a[1:] if a.shape[0] > 1 else a),
    "every second": (lambda a: a[::2], lambda a: a[::2]),
    "twice": (lambda a: tra.concatenate([a, tra.sin(a)]), lambda a: torch.cat([a, torch.sin(a)])),
    "divide": (lambda a: a / (1 + (a * a).sum()), lambda a: a / (1 + (a * a).sum())),
    "retile": (lambda a: a.retile(3, 2), lambda a: a),
    "where": (lambda a: tra.where(a > 0.1, a, 0.5 * a), lambda a: torch.where(a > 0.1, a, 0.5 * a)),
    "sharp": (lambda a: tra.maximum(a, 0.1 * a.T.T), lambda a: torch.maximum(a, 0.1 * a)),
}


@examples(60)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=5),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 2**32 - 1),
)
def test_random_compositions(names, shape, tile, seed):
    """Dense twins of any shape, cut anyhow."""
    array = np.random.default_rng(seed).standard_normal(shape)
    ours = [tra.from_array(array, tile=tile, name="x")]
    theirs = [torch.tensor(array, requires_grad=True)]
    out, expected = ours[0], theirs[0]
    for name in names:
        out, expected = STEPS[name][0](out), STEPS[name][1](expected)
    weights = np.random.default_rng(5).standard_normal(out.shape)
    slope = tra.grad((out * weights).sum(), ours)
    wanted = torch.autograd.grad((expected * torch.tensor(weights)).sum(), theirs)
    same(slope, wanted)
