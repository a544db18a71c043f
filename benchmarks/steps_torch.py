"""The step in PyTorch on the threads of this process: as a user writes it, and by hand without autograd."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.steps_network import Network


def model(network: Network, weights: tuple[np.ndarray, np.ndarray]) -> Any:
    """The network as a module with weights of its own; those of torch lie the other way round."""
    import torch

    layers = torch.nn.Sequential(
        torch.nn.Linear(network.inputs, network.hidden, bias=False),
        torch.nn.ReLU(),
        torch.nn.Linear(network.hidden, network.outputs, bias=False),
    )
    with torch.no_grad():
        for layer, start in zip((layers[0], layers[2]), weights, strict=True):
            layer.weight.copy_(torch.from_numpy(start.T))
    return layers


class Autograd:
    """A module, its backward pass and `torch.optim.SGD`."""

    def __init__(self, network: Network, **options: Any) -> None:
        import torch

        x, y, *weights = network.arrays()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.layers = model(network, (weights[0], weights[1]))
        self.optimizer = torch.optim.SGD(self.layers.parameters(), lr=network.rate, **options)
        self.distance = torch.nn.MSELoss(reduction="sum")

    def step(self, steps: int) -> None:
        """Does some steps."""
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.distance(self.layers(self.x), self.y) * 0.5
            loss.backward()
            self.optimizer.step()
            loss.item()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights now."""
        first, second = (layer.weight.detach().numpy().T for layer in (self.layers[0], self.layers[2]))
        return first, second


class ByHand:
    """The formulas of the gradients, added to the weights in place by the products that make them."""

    def __init__(self, network: Network) -> None:
        import torch

        self.rate = network.rate
        self.x, self.y, self.first, self.second = map(torch.from_numpy, network.arrays())

    def step(self, steps: int) -> None:
        """Does some steps."""
        import torch

        with torch.no_grad():
            for _ in range(steps):
                before = self.x @ self.first
                hidden = torch.relu(before)
                error = hidden @ self.second - self.y
                back = (error @ self.second.T).mul_(before > 0)
                self.second.addmm_(hidden.T, error, alpha=-self.rate)
                self.first.addmm_(self.x.T, back, alpha=-self.rate)
                (error.square().sum() * 0.5).item()

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights now."""
        return self.first.numpy(), self.second.numpy()
