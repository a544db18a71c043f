"""PyTorch's DistributedDataParallel with gloo on the hosts of a Dask cluster: a replica in every worker.

Each replica has its part of the examples and all weights; gradients are added up over the network, which is
data-parallel training as PyTorch does it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import cloudpickle
import numpy as np
import psutil
from distributed import Client, Future

from benchmarks.steps_network import Network
from benchmarks.steps_torch import Autograd

# Workers elsewhere have tra, but not its benchmarks.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
cloudpickle.register_pickle_by_value(sys.modules[Autograd.__module__])


class Replicas:
    """All replicas, from where the client is; each is the result of a task, and stays where it was made."""

    def __init__(self, client: Client, network: Network) -> None:
        self.client = client
        self.workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        host = urlsplit(self.workers[0]).hostname
        port = client.submit(free_port, host, workers=self.workers[:1], pure=False).result()
        meet = f"tcp://{host}:{port}"
        self.replicas = [
            client.submit(Replica, rank, len(self.workers), meet, network, workers=[worker], pure=False)
            for rank, worker in enumerate(self.workers)
        ]
        raise_failures(self.replicas)

    def step(self, steps: int) -> None:
        """Does some steps on all of them."""
        self._call(Replica.step, steps)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """The weights, which all have."""
        first, second = self._call(Replica.weights)[0].result()
        return first, second

    def close(self) -> None:
        """Ends the group."""
        self._call(Replica.close)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> list[Future[Any]]:
        """Calls a function of all replicas at once, each on its worker."""
        pinned = zip(self.replicas, self.workers, strict=True)
        called = [
            self.client.submit(function, replica, *arguments, workers=[worker], pure=False)
            for replica, worker in pinned
        ]
        raise_failures(called)
        return called


class Replica(Autograd):
    """One process of the group: inside a Dask worker, with one thread.

    Gradients are views of buckets, the graph is said to stay the same, and the update is fused. DDP takes the
    mean of gradients over replicas, so that the loss is multiplied by their number.
    """

    def __init__(self, rank: int, n_ranks: int, meet: str, network: Network) -> None:
        import torch
        from torch.nn.parallel import DistributedDataParallel

        torch.set_num_threads(1)
        os.environ["GLOO_SOCKET_IFNAME"] = interface_towards(urlsplit(meet).hostname or "")
        torch.distributed.init_process_group("gloo", init_method=meet, rank=rank, world_size=n_ranks)
        super().__init__(network, fused=True)
        mine = slice(network.rows * rank // n_ranks, network.rows * (rank + 1) // n_ranks)
        self.x, self.y = self.x[mine].clone(), self.y[mine].clone()
        self.n_ranks = n_ranks
        self.replica = DistributedDataParallel(self.layers, gradient_as_bucket_view=True, static_graph=True)

    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.distance(self.replica(self.x), self.y) * 0.5
            (loss * self.n_ranks).backward()
            self.optimizer.step()
            loss.item()

    def close(self) -> None:
        """Leaves the group."""
        import torch

        torch.distributed.destroy_process_group()


def raise_failures(futures: Sequence[Future[Any]]) -> None:
    """Waits for all, and raises what the first that failed has raised."""
    failures = [future.exception() for future in futures]
    for failure in filter(None, failures):
        raise failure


def free_port(host: str) -> int:
    """A port that nobody listens to."""
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def interface_towards(host: str) -> str:
    """The name of the network interface by which a host is reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        mine = probe.getsockname()[0]
    named: dict[str, Any] = psutil.net_if_addrs()
    return next(name for name, found in named.items() if any(address.address == mine for address in found))
