"""Modules of PyTorch give PyTorch's numbers as queries, and come back bit by bit."""

import copy
import doctest
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tra
from tests.long import sample
from tra.errors import CatalogError, SchemaError
from tra.workflows.layers import LAYERS

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - after the skip
from torch.nn import functional as F  # noqa: E402

from_torch = tra.from_torch
PAGE = Path(__file__).resolve().parents[2] / "docs" / "torch.md"


class Residual(nn.Module):
    """x + f(x), with a layer norm."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x):
        return x + self.inner(self.norm(x))


class Functional(nn.Module):
    """Parameters and functions without layers."""

    def __init__(self, width):
        super().__init__()
        self.W = nn.Parameter(torch.randn(width, width))
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("shift", torch.randn(width))
        self.first = nn.Linear(width, width, bias=False)

    def forward(self, x, scale=2.0):
        x = torch.flatten(x, 1).view(x.size(0), -1)
        h = F.relu(F.layer_norm(x @ self.W.t(), (self.W.shape[1],))) * scale + self.shift
        h = torch.tanh(F.linear(h, self.W)) - self.first(input=h).sigmoid() / 3
        h = F.dropout(h, 0.5, training=self.training)
        return F.softmax(torch.add(h, x, alpha=0.25) * self.gain, dim=-1)


class Tied(nn.Module):
    """One weight at two places, and one layer that is used twice."""

    def __init__(self, width):
        super().__init__()
        self.encode, self.decode = nn.Linear(width, width), nn.Linear(width, width)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(torch.relu(self.encode(torch.relu(self.encode(x)))))


class InPlace(nn.Module):
    """An operation in place changes its operand under every name."""

    def __init__(self, width):
        super().__init__()
        self.relu, self.first = nn.ReLU(inplace=True), nn.Linear(width, width)

    def forward(self, x):
        h = self.first(x)
        kept = h.contiguous()
        out = self.relu(h).mul(2)
        out.add_(kept)
        return out + kept


NETWORKS = {
    "linear": lambda: nn.Linear(7, 5),
    "no bias": lambda: nn.Sequential(nn.Linear(7, 5, bias=False), nn.Identity()),
    "relu": lambda: nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 4)),
    "tanh": lambda: nn.Sequential(nn.Flatten(), nn.Linear(7, 9), nn.Tanh()),
    "sigmoid": lambda: nn.Sequential(nn.Linear(7, 9), nn.Sigmoid(), nn.Dropout(0.5)),
    "softmax": lambda: nn.Sequential(nn.Linear(7, 9), nn.Softmax(dim=-1)),
    "softmax of columns": lambda: nn.Sequential(nn.Linear(7, 9), nn.Softmax(dim=0)),
    "log softmax": lambda: nn.Sequential(nn.Linear(7, 9), nn.LogSoftmax(dim=1)),
    "layer norm": lambda: nn.Sequential(nn.LayerNorm(7), nn.Linear(7, 4), nn.LayerNorm(4, eps=1e-3)),
    "plain norm": lambda: nn.LayerNorm(7, elementwise_affine=False),
    "residual": lambda: nn.Sequential(nn.Linear(7, 6), Residual(6), Residual(6), nn.Linear(6, 3)),
    "functional": lambda: Functional(7),
    "tied": lambda: Tied(7),
    "in place": lambda: InPlace(7),
}


@pytest.fixture(scope="module", params=[1, 3])
def session(request):
    with tra.connect("local", sites=request.param, threads=1) as opened:
        yield opened


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def network(request):
    """A module whose parameters are all random, in float64."""
    torch.manual_seed(1)
    module = request.param().double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def output(module, x):
    """What PyTorch gives in evaluation."""
    with torch.no_grad():
        return copy.deepcopy(module).eval()(torch.tensor(x)).numpy()


def rows(dtype="float64"):
    return np.random.default_rng(2).normal(size=(11, 7)).astype(dtype)


def ragged(relations):
    """The same tensors, cut into tiles that do not fit."""
    return {
        name: tra.from_array(relation.compute(), tile=(4, 2)[: relation.ndim], name=name)
        for name, relation in relations.items()
    }


def test_outputs(network, session):
    model, x = from_torch(network), rows()
    got = model(x).compute()
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, output(network, x), rtol=1e-12, atol=1e-12)


def test_outputs_of_ragged_tiles(network, session):
    model, x = from_torch(network), rows()
    got = model(tra.from_array(x, tile=(4, 3)), ragged(model.parameters))
    np.testing.assert_allclose(got.compute(), output(network, x), rtol=1e-12, atol=1e-12)


def test_outputs_in_float32(network):
    network, x = network.float(), rows("float32")
    got = from_torch(network, example=x[:3])(x).compute()
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, output(network, x), rtol=1e-4, atol=1e-5)


def test_gradients(network, session):
    model, x = from_torch(network), rows()
    cut, X = ragged(model.parameters), tra.from_array(x, tile=(4, 3))
    out = model(X, cut)
    weights = np.random.default_rng(3).normal(size=out.shape)
    gradients = session.compute(*tra.grad((out * weights).sum(), [X, *cut.values()]))
    twin, given = copy.deepcopy(network).eval(), torch.tensor(x, requires_grad=True)
    (twin(given) * torch.tensor(weights)).sum().backward()
    expected = {"x": given, **dict(twin.named_parameters())}
    for (name, tensor), got in zip(expected.items(), gradients, strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=name)


def test_training_is_that_of_torch(session):
    torch.manual_seed(4)
    module, x = nn.Sequential(nn.Linear(7, 6), Residual(6), nn.Linear(6, 3)).double(), rows()
    labels = np.random.default_rng(5).integers(3, size=11)
    model, optimizer = from_torch(module), torch.optim.Adam(module.parameters(), lr=0.01)
    losses, n = [], sample(100)
    for _ in range(n):
        optimizer.zero_grad()
        loss = F.cross_entropy(module(torch.tensor(x)), torch.tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    def own(parameters, x, labels):
        return tra.losses.softmax_cross_entropy(model(x, parameters), labels)

    training = session.train(own, model.parameters, tra.Adam(rate=0.01), data=(x, labels), epochs=n)
    np.testing.assert_allclose(training.losses, losses, rtol=1e-9)
    back = model.to_torch(training.parameters)
    for trained, parameter in zip(module.parameters(), back.parameters(), strict=True):
        np.testing.assert_allclose(parameter.detach(), trained.detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_round_trip_is_bit_identical(network, dtype):
    network.to(getattr(torch, dtype)).train()
    model = from_torch(network)
    back = model.to_torch(model.weights())
    assert all(map(torch.equal, model.to_torch().parameters(), network.parameters()))
    assert type(back) is type(network) and back.training
    assert [part.training for part in back.modules()] == [part.training for part in network.modules()]
    assert back.state_dict().keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert back.state_dict()[name].dtype == tensor.dtype
        assert torch.equal(back.state_dict()[name], tensor), name
    for own, parameter in zip(network.parameters(), back.parameters(), strict=True):
        assert own.data_ptr() != parameter.data_ptr()


def test_trained_weights_go_back(network, session):
    model, x = from_torch(network), rows()
    changed = {name: relation * 0.5 + 1 for name, relation in model.parameters.items()}
    back = model.to_torch(changed)
    np.testing.assert_allclose(model(x, changed).compute(), output(back, x), rtol=1e-12, atol=1e-12)
    for name, parameter in network.named_parameters():
        np.testing.assert_array_equal(
            back.get_parameter(name).detach().numpy(), parameter.detach().numpy() * 0.5 + 1
        )


def test_weights_keep_their_dtype():
    module = nn.Linear(2, 1)
    back = from_torch(module).to_torch({"weight": np.array([[0.1, 0.2]])})
    assert back.weight.dtype == torch.float32 and back.weight.requires_grad
    np.testing.assert_array_equal(back.weight.detach().numpy(), np.array([[0.1, 0.2]], "float32"))
    assert torch.equal(back.bias, module.bias)


def test_shared_parameters_stay_shared():
    model = from_torch(Tied(3))
    assert list(model.parameters) == ["encode.weight", "encode.bias", "decode.bias"]
    back = model.to_torch({"encode.weight": np.eye(3)})
    assert back.decode.weight is back.encode.weight
    assert torch.equal(back.decode.weight, torch.eye(3))


def test_frozen_parameters_and_buffers_are_not_trained():
    module = Functional(3)
    module.first.requires_grad_(False)
    model = from_torch(module)
    assert list(model.parameters) == ["W", "gain"]
    assert list(model.frozen) == ["first.weight", "shift"]
    back = model.to_torch({"W": np.zeros((3, 3))})
    assert not back.first.weight.requires_grad and torch.equal(back.first.weight, module.first.weight)
    replaced = model(np.ones((1, 3)), {"first.weight": np.zeros((3, 3)), "gain": 0.0})
    np.testing.assert_allclose(replaced.compute(), np.full((1, 3), 1 / 3))


def test_tensors_of_torch_are_operands():
    module, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    model = from_torch(module, example=x)
    assert torch.equal(model.to_torch({"weight": module.weight * 2}).weight, module.weight * 2)
    np.testing.assert_allclose(model(x).compute(), module(x).detach(), rtol=1e-6)


def test_names():
    module = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    names = {"0.weight": "W1", "0.bias": "b1", "1.weight": "W2"}
    model = from_torch(module, names=names)
    assert list(model.parameters) == ["W1", "b1", "W2", "1.bias"]
    assert [repr(relation).split("[")[0] for relation in model.parameters.values()] == list(model.parameters)
    assert torch.equal(model.to_torch({"W2": np.ones((1, 3))})[1].weight, torch.ones(1, 3))


def test_a_model_is_a_copy():
    module = nn.Linear(2, 1)
    model = from_torch(module)
    before = output(module, np.ones((1, 2), "f4"))
    with torch.no_grad():
        module.weight.zero_()
    np.testing.assert_allclose(model(np.ones((1, 2), "f4")).compute(), before, rtol=1e-6)
    assert "_tensor_constant0" not in vars(module)


def test_a_module_that_was_traced_before():
    module = Residual(7).double()
    traced = torch.fx.symbolic_trace(module)
    np.testing.assert_allclose(from_torch(traced)(rows()).compute(), output(module, rows()), rtol=1e-12)


class Constants(nn.Module):
    def forward(self, x):
        return x * torch.tensor(2.0) + torch.tensor([1.0, 2.0])


def test_constants_of_a_trace():
    module = Constants()
    model = from_torch(module, example=[[1.0, 1.0]])
    np.testing.assert_array_equal(model(np.ones((1, 2))).compute(), [[3.0, 4.0]])
    assert not [name for name in vars(model.to_torch()) if "constant" in name]


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Several(nn.Module):
    def forward(self, x):
        return x, x


class Running(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.ReLU(), Sums())

    def forward(self, x):
        return self.block(x)


class Sums(nn.Module):
    def forward(self, x):
        return torch.cumsum(x, 1)


class Drops(nn.Module):
    def forward(self, x):
        return F.dropout(x)


class Rounds(nn.Module):
    def forward(self, x):
        return torch.div(x, 2, rounding_mode="floor")


class Own(nn.Linear):
    """Traced into, as it is not of PyTorch."""

    def forward(self, x):
        return super().forward(x) * 2


class Aliased(nn.Module):
    """Changes a tensor in a way that no trace shows."""

    def forward(self, x):
        kept = x.add(0.0)
        same = kept
        same += 1
        return kept


def with_hook():
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].register_forward_hook(lambda layer, given, out: out * 2)
    return module


REFUSED = {
    "layer": (lambda: nn.Sequential(nn.Flatten(), nn.Conv2d(1, 1, 1)), r"layer '1' \(Conv2d\) of Sequential"),
    "nested": (
        lambda: nn.Sequential(nn.Sequential(nn.ReLU6())),
        r"'0.0' \(ReLU6\).*mean 'ReLU'(.|\n)*LayerNorm",
    ),
    "function": (Running, r"torch.cumsum in layer 'block.1' \(Sums\).*(.|\n)*that are: linear"),
    "branch": (Branch, r"cannot trace Branch: .*control flow(.|\n)*no `if` on a tensor"),
    "inputs": (Two, "Two.forward has another, y"),
    "outputs": (Several, "gives one tensor; Several.forward returns"),
    "options": (Rounds, "torch.div in Rounds is supported, but not called so.*rounding_mode"),
    "hook": (with_hook, "layer '0' .*hooks"),
    "parametrized": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))),
        "ParametrizedLinear",
    ),
    "half": (lambda: nn.Linear(2, 2).bfloat16(), r"cannot read 'weight'.*BFloat16.*module.float\(\)"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_supported_is_named(make, message):
    with pytest.raises(SchemaError, match=message):
        from_torch(make())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Drops(), "torch.dropout in Drops: dropout is the identity in evaluation only"),
        (nn.Sequential(nn.Linear(3, 3)), r"layer '0' \(Linear\): "),
        (nn.Sequential(nn.LayerNorm((1, 2))), r"layer '0' \(LayerNorm\): LayerNorm is over the last axis"),
        (Aliased(), "other numbers for the example"),
    ],
)
def test_an_example_is_tried(module, message):
    with pytest.raises(SchemaError, match=message):
        from_torch(module, example=np.ones((1, 2), "f4"))


def test_layers_of_the_user_are_traced_into():
    module = nn.Sequential(Own(7, 3)).double()
    np.testing.assert_allclose(from_torch(module)(rows()).compute(), output(module, rows()), rtol=1e-12)


def test_parameters_that_do_not_fit():
    model = from_torch(nn.Linear(2, 1))
    with pytest.raises(SchemaError, match=r"no parameter 'wieght'; did you mean 'weight'\?"):
        model(np.ones((1, 2)), {"wieght": np.ones((1, 2))})
    with pytest.raises(SchemaError, match=r"'weight' has shape \(1, 2\); got .*\(2, 1\)"):
        model.to_torch({"weight": np.ones((2, 1))})


def test_names_that_do_not_fit():
    with pytest.raises(SchemaError, match=r"no parameter 'wieght'; did you mean 'weight'"):
        from_torch(nn.Linear(2, 1), names={"wieght": "W"})
    with pytest.raises(SchemaError, match="one name: W, W"):
        from_torch(nn.Linear(2, 1), names={"weight": "W", "bias": "W"})
    with pytest.raises(SchemaError, match="name of a constant of the module, 'shift'"):
        from_torch(Functional(2), names={"W": "shift"})


def test_what_is_no_module():
    with pytest.raises(SchemaError, match=r"takes a torch\.nn\.Module; got int"):
        from_torch(3)


def test_torch_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CatalogError, match=r"tra-engine\[torch\]"):
        from_torch(None)


def test_the_page():
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```\n", text, re.DOTALL)
    assert len(blocks) > 3
    torch.manual_seed(1)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "torch.md", str(PAGE), 0)
    shown = []
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=shown.append)
    assert tried > 10 and not failed, "".join(shown)


def test_the_page_names_every_layer():
    section = PAGE.read_text(encoding="utf-8").split("* Layers:")[1].split("\n* ")[0]
    assert [name for name in LAYERS if not re.search(rf"\b{name}\b", section)] == []
