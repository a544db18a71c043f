"""Training steps beside PyTorch: on the threads of one machine, and on hosts with slow links beside its DDP.

Usage: python benchmarks/steps.py [--quick] [--scheduler ADDR]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any

from distributed import Client

import tra
from benchmarks import netlab
from benchmarks.bars import Bar, record
from benchmarks.page import Settings, paragraph, table
from benchmarks.pairs import Times, fastest, interleaved, ratio, rounds_of
from benchmarks.report import alone
from benchmarks.steps_network import Network, check_weights

THREADS, HOSTS, RATE = 2, 2, "1gbit"
CASES = (
    (Network(1000, 60000, 1000, 1500), Network(200, 12000, 200, 300), 1.0),
    (Network(4096, 4096, 4096, 4096), Network(800, 800, 800, 800), 1.1),
)  # in full, quick, and how long tra may take beside torch
HOSTS_TIME, HOSTS_BYTES = 0.4, 0.1  # what tra may take beside DDP


def section(settings: Settings) -> list[str]:
    """The part of the page."""
    if find_spec("torch") is None:
        return paragraph("Not run: PyTorch is missing.")
    cases = [(quick if settings.quick else full, bar) for full, quick, bar in CASES]
    lines, bars = local(cases, rounds_of(settings.quick))
    more, further = hosts(cases[0][0], settings)
    record(settings, "steps", [*bars, *further])
    return [*paragraph(HEAD), *lines, *more]


# -- one machine ----------------------------------------------------------------------------------


def local(cases: Sequence[tuple[Network, float]], rounds: int) -> tuple[list[str], list[Bar]]:
    """The table of one machine, and its bars."""
    bars, rows = [], []
    for network, limit in cases:
        times = local_times(network, rounds)
        best = fastest(times, "torch")
        bar = Bar(f"time of a step, tra / {best}, {network}", ratio(times, "tra", best), limit)
        bars.append(bar)
        rows += [
            (str(network), who, *_figures(network, seconds), f"{ratio(times, 'tra', who):.2f}")
            for who, seconds in times.items()
        ]
    head = ["step", "who", "seconds", "GFLOP/s", "tra / who"]
    return [f"### {THREADS} threads", "", *table(head, rows), *(bar.line for bar in bars), ""], bars


def local_times(network: Network, rounds: int) -> Times:
    """Seconds of a step of tra and of torch, in turns."""
    import torch

    from benchmarks.steps_torch import Autograd, ByHand
    from benchmarks.steps_tra import Steps

    torch.set_num_threads(THREADS)
    with tra.connect("local", threads=THREADS, progress=False) as session:
        systems = {
            "tra": Steps(session, network),
            "torch": Autograd(network, fused=True),
            "torch by hand": ByHand(network),
        }
        steps = network.steps
        times = interleaved({who: _runner(system, steps) for who, system in systems.items()}, rounds)
        check_weights(network, steps * (rounds + 1), {who: s.weights() for who, s in systems.items()})
    return {who: [s / steps for s in seconds] for who, seconds in times.items()}


def _runner(system: Any, steps: int) -> Any:
    return lambda: system.step(steps)


def _figures(network: Network, seconds: Sequence[float]) -> tuple[str, str]:
    """Seconds of a step and its rate, as cells."""
    middle = median(seconds)
    return f"{middle:.3f}", f"{network.flops / middle / 1e9:.0f}"


# -- hosts with slow links ------------------------------------------------------------------------


def hosts(network: Network, settings: Settings) -> tuple[list[str], list[Bar]]:
    """The table of hosts, and its bars."""
    given = {"sizes": network.sizes, "rounds": rounds_of(settings.quick)}
    if settings.scheduler:
        from benchmarks.steps_hosts import measure

        with Client(settings.scheduler, set_as_default=False) as client:
            found = measure(client, **given)
        where = "the workers of the cluster that was given"
    elif netlab.is_there():
        found = netlab.on_hosts("benchmarks.steps_hosts", "measure", given, HOSTS, RATE)
        where = f"{HOSTS} hosts of one thread, links of {RATE}"
    else:
        return [f"### {HOSTS} hosts", "", *paragraph(netlab.NOT_RUN)], hosts_bars(network, None)
    bars = hosts_bars(network, found)
    head = [f"### {where[0].upper()}{where[1:]}", ""]
    return [*head, *hosts_table(network, found), *(bar.line for bar in bars), ""], bars


def hosts_bars(network: Network, found: Mapping[str, Any] | None) -> list[Bar]:
    """Time and bytes of a step beside those of DDP; bytes are not known where hosts have no links."""
    time = sent = None
    if found is not None:
        mine, ddp = found["seconds"]
        time = ratio(found["seconds"], mine, ddp)
        sent = found["links"][mine] / found["links"][ddp] if found["links"][ddp] else None
    return [
        Bar(f"time of a step on hosts, tra / DDP, {network}", time, HOSTS_TIME),
        Bar(f"bytes of a step on hosts, tra / DDP, {network}", sent, HOSTS_BYTES),
    ]


def hosts_table(network: Network, found: Mapping[str, Any]) -> list[str]:
    """Both systems, their times and what their links carried."""
    times = found["seconds"]
    mine = next(iter(times))
    rows = []
    for who, seconds in times.items():
        links = f"{found['links'][who] / 1e6:.1f}"
        predicted = f"{found['predicted'] / 1e6:.1f}" if who == mine else ""
        rows.append((who, *_figures(network, seconds), f"{ratio(times, mine, who):.2f}", links, predicted))
    head = ["who", "seconds", "GFLOP/s", "tra / who", "MB received", "MB predicted"]
    return [f"{network}", "", *table(head, rows)]


HEAD = (
    "A step of full-batch gradient descent on ReLU(X·W1)·W2 with half the sum of squared errors, float32, "
    "weights kept where they lie. tra is `session.train`; torch is a module, its backward pass and a fused "
    "SGD, and by hand the same formulas without autograd, the products added to the weights in place. "
    "Systems take turns, a few steps each; seconds are those of one step, in the median, and ratios medians "
    "of rounds. After all rounds the changes of all weights are compared with those in float64. On hosts "
    "torch is DistributedDataParallel with gloo, a process on each host with its part of the rows; bytes are "
    "what the hosts' network interfaces received in a step, all together."
)


if __name__ == "__main__":
    alone(__file__)
