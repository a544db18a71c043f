"""Training steps on the workers of a cluster: tra and DistributedDataParallel in turns, and their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed import Client

import tra
from benchmarks.clusters import received_by_links
from benchmarks.ddp import Replicas
from benchmarks.pairs import interleaved
from benchmarks.steps_network import Network, check_weights
from benchmarks.steps_tra import Steps

TRA, DDP = "tra", "torch DDP, gloo"


def measure(client: Client, sizes: Sequence[int], rounds: int) -> dict[str, Any]:
    """Seconds of a step in every round, and bytes that all hosts together receive in one.

    Args:
        client: of a cluster with a worker on each host.
        sizes: of the network.
        rounds: how often each system has its turn, after one that warms up.

    Returns:
        Seconds by system, bytes by system as the links count them, and those that tra's plan says.

    Raises:
        ArithmeticError: the systems do not compute the same.
    """
    network = Network(*sizes)
    with tra.connect("dask", scheduler=client, progress=False) as session:
        systems = {TRA: Steps(session, network), DDP: Replicas(client, network)}
        steps = network.steps
        times = interleaved({who: _runner(system, steps) for who, system in systems.items()}, rounds)
        links = {
            who: received_by_links(client, _runner(system, steps)) / steps for who, system in systems.items()
        }
        predicted = systems[TRA].predicted_bytes()
        check_weights(network, steps * (rounds + 2), {who: s.weights() for who, s in systems.items()})
        systems[DDP].close()
    seconds = {who: [s / steps for s in found] for who, found in times.items()}
    return {"seconds": seconds, "links": links, "predicted": predicted}


def _runner(system: Any, steps: int) -> Any:
    return lambda: system.step(steps)
