"""ONNX models give the numbers of ONNX's reference evaluator as queries, and come back bit by bit."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tra
from tra.errors import CatalogError, SchemaError
from tra.workflows.onnx_models import OPERATORS, from_onnx

onnx = pytest.importorskip("onnx")
from onnx import helper, numpy_helper  # noqa: E402 - after the skip
from onnx.reference import ReferenceEvaluator  # noqa: E402


def weights(dtype="float64", **shapes):
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def model(nodes, arrays, dtype="float64", outputs=("y",)):
    """A model from x to y."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x, *results = (helper.make_tensor_value_info(name, kind, ["n", None]) for name in ("x", *outputs))
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    made = [
        helper.make_node(op, names.split(",") if names else [], found.split(","), **given)
        for op, names, found, given in nodes
    ]
    return helper.make_model(helper.make_graph(made, "net", [x], results, tensors))


TWO_LAYERS = [
    ("Gemm", "x,W1,b1", "a", {"transB": 1}),
    ("Relu", "a", "h", {}),
    ("Dropout", "h", "d", {}),
    ("MatMul", "d,W2", "b", {}),
    ("Add", "b,b2", "c", {}),
    ("Softmax", "c", "y", {"axis": -1}),
]
SHAPES = {"W1": (9, 7), "b1": (9,), "W2": (9, 4), "b2": (4,)}
NETWORKS = {
    "two layers": (TWO_LAYERS, SHAPES),
    "gemm": ([("Gemm", "x,W,b", "y", {"alpha": 0.5, "beta": 2.0})], {"W": (7, 5), "b": (5,)}),
    "gemm transposed": (
        [("Transpose", "x", "t", {"perm": [1, 0]}), ("Gemm", "t,W", "y", {"transA": 1})],
        {"W": (7, 5)},
    ),
    "residual": (
        [
            ("LayerNormalization", "x,s,o", "n", {"epsilon": 1e-3}),
            ("MatMul", "n,W", "m", {}),
            ("Tanh", "m", "t", {}),
            ("Add", "x,t", "r", {}),
            ("LayerNormalization", "r,s", "y", {"axis": 1}),
        ],
        {"s": (7,), "o": (7,), "W": (7, 7)},
    ),
    "elementwise": (
        [
            ("Flatten", "x", "f", {}),
            ("Sigmoid", "f", "s", {}),
            ("Mul", "s,w", "m", {}),
            ("Constant", "", "two", {"value": numpy_helper.from_array(np.array(2.0))}),
            ("Pow", "m,two", "p", {}),
            ("Div", "p,two", "q", {}),
            ("Sub", "q,x", "z", {}),
            ("Identity", "z", "i", {}),
            ("LogSoftmax", "i", "y", {}),
        ],
        {"w": (7,)},
    ),
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def network(request):
    nodes, shapes = request.param
    return model(nodes, weights(**shapes))


@pytest.fixture(scope="module", params=[1, 3])
def session(request):
    with tra.connect("local", sites=request.param, threads=1) as opened:
        yield opened


ROWS = np.random.default_rng(2).normal(size=(11, 7))


def output(network, x=ROWS):
    return ReferenceEvaluator(network).run(None, {"x": x})[0]


def close(got, expected):
    # the evaluator rounds to float32 inside of layer norms, as their default `stash_type` says
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_outputs(network, session):
    read = from_onnx(network)
    cut = {
        name: tra.from_array(relation.compute(), tile=(4, 2)[: relation.ndim])
        for name, relation in read.parameters.items()
    }
    for got in (read(ROWS), read(tra.from_array(ROWS, tile=(4, 3)), cut)):
        close(got.compute(), output(network))


def test_float32():
    network = model(TWO_LAYERS, weights("float32", **SHAPES), "float32")
    got = from_onnx(network)(ROWS.astype("float32")).compute()
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, output(network, ROWS.astype("float32")), rtol=1e-4, atol=1e-5)


def test_a_file(tmp_path, network):
    onnx.save(network, tmp_path / "net.onnx")
    read = from_onnx(tmp_path / "net.onnx")
    assert list(read.parameters) == [tensor.name for tensor in network.graph.initializer]
    assert read.to_onnx(read.parameters).graph.node == network.graph.node


def test_round_trip(network):
    read = from_onnx(network)
    assert read.to_onnx() == network
    for tensor in read.to_onnx(read.parameters).graph.initializer:
        own = next(other for other in network.graph.initializer if other.name == tensor.name)
        assert tensor.data_type == own.data_type
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(own))


def test_trained_weights_go_back(network):
    read = from_onnx(network)
    changed = {name: relation * 0.5 + 1 for name, relation in read.parameters.items()}
    written = read.to_onnx(changed)
    close(output(written), read(ROWS, changed).compute())


def test_scalars_are_no_parameters():
    read = from_onnx(model([("Mul", "x,two", "y", {})], {"two": np.array(2.0)}))
    assert read.parameters == {}
    np.testing.assert_array_equal(read(ROWS).compute(), ROWS * 2)


REFUSED = {
    "operator": (
        [("Conv", "x,W", "y", {})],
        r"node 'y' \(Conv\) is not supported(.|\n)*are: Constant, Gemm",
    ),
    "near": ([("LeakyRelu", "x", "y", {})], r"\(LeakyRelu\) is not supported; did you mean 'Relu'"),
    "outputs": ([("Dropout", "x", "y,mask", {})], "first output only; it has y, mask"),
    "attribute": (
        [("Gemm", "x,W", "y", {"other": 1})],
        "not called so: .* 'other'",
    ),
}


@pytest.mark.parametrize(("nodes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_supported_is_named(nodes, message):
    with pytest.raises(SchemaError, match=message):
        from_onnx(model(nodes, weights(W=(7, 7))))


def test_several_outputs():
    with pytest.raises(SchemaError, match="a model has one output; this one has 2: y, z"):
        from_onnx(model([("Relu", "x", "y", {}), ("Tanh", "x", "z", {})], {}, outputs=("y", "z")))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (("Flatten", "x", "y", {"axis": 0}), r"\(Flatten\): .*axis=0"),
        (("LayerNormalization", "x,w", "y", {"axis": 0}), "over the last axis, here 1; got 0"),
        (("Dropout", "x,ratio,on", "y", {}), "in inference only"),
    ],
)
def test_what_is_not_supported_for_some_rows(node, message):
    read = from_onnx(model([node], {"w": np.ones(7), "ratio": np.array(0.5), "on": np.array(True)}))
    with pytest.raises(SchemaError, match=message):
        read(ROWS)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no model")
    for path in (tmp_path / "net.onnx", tmp_path / "none.onnx"):
        with pytest.raises(CatalogError, match=r"cannot read .*\.onnx"):
            from_onnx(path)


def test_onnx_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CatalogError, match=r"tra-engine\[onnx\]"):
        from_onnx("net.onnx")


def test_operators_are_those_of_onnx():
    assert [name for name in OPERATORS if not onnx.defs.has(name)] == []


def test_the_page_names_every_operator():
    text = (Path(__file__).resolve().parents[2] / "docs" / "torch.md").read_text(encoding="utf-8")
    named = [*re.findall(r"\w+", text.split("## ONNX")[1]), "Add", "Sub", "Mul", "Div", "Pow"]  # arithmetic
    assert [name for name in OPERATORS if name not in named] == []
