"""Why bars are missed, and what would close them: for the head of the page.

A reason belongs to all figures whose names begin with its key; the longest key counts.
"""

from __future__ import annotations

from collections.abc import Mapping

_MACHINE = (
    "two processes of numpy that send nothing take 0.88 (general), 0.80 (common) and 1.16 "
    "(two) of dask.array's best time in the same rounds, so that dask.array at its best chunk "
    "size leaves hardly more than the bar on two cores that share one memory. tra is idle for "
    "2 to 9 % of a run and hides nearly all it receives (columns of computing, receiving, "
    "idle). Workers on machines of their own would leave more room"
)
REASONS: dict[str, str] = {
    "threads: time, tra / dask.array": (
        "dask.array is as fast as numpy there (its one chunk is numpy's product), and tra's "
        "panels of 750×750 read both operands twice; a long sum that threads share was 1.00 of "
        "numpy's time where panels were 1.03, and is what tra does since"
    ),
    "threads: time": (
        "within the noise of this machine, where one call of numpy beside another differs by "
        "as much from round to round; the product is BLAS's own, on panels that two threads "
        "share"
    ),
    "cluster: time, tra / dask.array at its best": _MACHINE,
    "cluster: time, tra / dask.array at chunks of 1000": (
        "dask.array with chunks of 1000 reaches 0.68 (general), 0.61 (common) and 0.89 (two) "
        "of the machine here, so that the bar lies beyond what BLAS does on these cores"
    ),
    "cluster: GFLOP/s": (
        "while a worker receives half of an operand, its neighbour copies it out of the same "
        "memory, and waits for the first piece: 2.38 s of computing and 9 % idle beside 2.36 s "
        "of numpy apart; hosts with memory of their own do not share it"
    ),
    "cluster, .npy": (
        "tra sends nothing there, is idle for 2 % and spends the rest on products and on reading: "
        "both workers read all of one operand, from pages that they share. Cutting both along the "
        "inner dimension would halve that, and send the result instead"
    ),
    "cluster, .zarr": (
        "the plan that ran had both workers decode all of one operand (960 chunks of common, "
        "where 576 would do), since the price of decoding was unknown to it; it is part of the "
        "price since"
    ),
    "4 hosts": (
        "four hosts share two cores, so that a product is bound by computing (column of "
        "seconds computing) and links are idle most of the time; of common, whose result is "
        "one tile, all four hosts get a copy (48 MB, 12 would do). Hosts with cores of their own "
        "would show the links, and a result that is scattered by rows would send a quarter"
    ),
    "time of a step, tra / torch": (
        "the same products by hand in torch take 1.02 of tra's time in the same rounds: "
        "torch's fused addition of a product to the weights spares one pass over 240 MB, which "
        "BLAS through numpy cannot do"
    ),
    "time of a step on hosts": (
        "two hosts share the two cores that DDP has too: tra sends 0.03 of its bytes, and is "
        "bound by its products, 0.38 of DDP's time with nothing else; the rest is the start of "
        "a step's tasks"
    ),
    "nearest neighbours: time, tra / dask.array multiplied out": (
        "the bar is for the query as it is written, where dask.array takes a hundred times as long; "
        "multiplied out by hand it runs the same products that tra finds"
    ),
}


def reason(figure: str, reasons: Mapping[str, str] = REASONS) -> str:
    """Why a figure misses its bar, or nothing where nobody has written it.

    Example:
        >>> reason("time, general", {"time": "because", "time, general": "since", "bytes": "as"})
        'since'
    """
    return reasons[max(found, key=len)] if (found := [k for k in reasons if figure.startswith(k)]) else ""
