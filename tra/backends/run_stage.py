"""One task: a stage at one site, from what it takes to what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tra.algebra.generate import generate_tile
from tra.algebra.live import is_listable, live_keys
from tra.algebra.operators import joined_names
from tra.algebra.types import RelType
from tra.backends import local_operators as local
from tra.backends.repartition import Fragments, assemble, fragments
from tra.backends.threads import THREADS, parallel
from tra.backends.tiles import Tiles, union
from tra.errors import PlanError
from tra.optimizer.placement import Ranges, box_of
from tra.optimizer.plan import (
    Broadcast, LocalAggregate, LocalConcat, LocalContract, LocalFilter, LocalJoin, LocalMap, LocalStack, LocalTile,
    Make, Plan, Repartition, Scan, Shuffle,
)  # fmt: skip
from tra.optimizer.stages import Stage

Taken = Mapping[tuple[str, int], Sequence[Any]]


def run_stage(
    stage: Stage, site: int, made: dict[str, Tiles], received: Taken, scan: Callable[[Scan, Ranges], Tiles], threads: int
) -> tuple[Tiles, ...]:
    """Runs the nodes of a stage in order.

    Args:
        stage: the stage.
        site: the site.
        made: results of earlier stages at this site; results of this stage are added.
        received: pieces by exchange and operand, ordered by source site.
        scan: reads a source's tiles in a box of keys.
        threads: threads of this task.

    Returns:
        The stage's outputs, in their order.
    """
    token = THREADS.set(threads)
    try:
        for node in stage.nodes:
            made[node.digest] = _run(node, site, made, received, scan)
    finally:
        THREADS.reset(token)
    return tuple(made[digest] for digest in stage.outputs)


def _run(node: Plan, site: int, made: Mapping[str, Tiles], received: Taken, scan: Callable[[Scan, Ranges], Tiles]) -> Tiles:
    inputs = [made[c.digest] for c in node.children] if not isinstance(node, (Broadcast, Shuffle, Repartition)) else []
    match node:
        case Scan():
            return scan(node, box_of(node.type, node.placement, site))
        case Make(type=type_, maker=maker):
            keys = keys_within(type_, box_of(type_, node.placement, site))
            return Tiles(keys, parallel(lambda k: generate_tile(type_, maker, tuple(k)), keys.tolist()), is_sorted=True)
        case Broadcast(type=type_) | Shuffle(type=type_):
            return union(received[node.digest, 0], len(type_.keys))
        case Repartition(operands=operands):
            return assemble(node, [received[node.digest, o] for o in range(len(operands))], site)
        case LocalJoin(left=left, right=right, on=on, kernel=kernel):
            return local.join_local(inputs[0], inputs[1], left.type, right.type, on, kernel)
        case LocalContract(left=left, right=right, on=on, kernel=kernel, by=by, fold=fold):
            names = joined_names(left.type, right.type, on)
            joined = (*left.type.names, *(names[n] for n in right.type.names if n not in {r for _, r in on}))
            return local.contract_local(inputs[0], inputs[1], left.type, right.type, joined, on, kernel, by, fold)
        case LocalAggregate(child=child, by=by, kernel=kernel):
            return local.aggregate_local(inputs[0], child.type, by, kernel)
        case LocalFilter(child=child, predicate=predicate):
            return local.filter_local(inputs[0], child.type, predicate)
        case LocalMap(child=child, function=function, kernels=kernels):
            return local.map_local(inputs[0], child.type, function, kernels)
        case LocalTile(type=type_, axis=axis, size=size):
            return local.tile_local(inputs[0], type_, axis, size)
        case LocalConcat(child=child, key=key, axis=axis, type=type_):
            return local.concat_local(inputs[0], child.type, key, axis, type_)
        case LocalStack():
            return local.stack_local(inputs)


def keys_within(type_: RelType, box: Ranges) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The live keys of a source in a box.

    Raises:
        PlanError: there are too many keys to list.
    """
    if not is_listable(type_):
        raise PlanError(f"{type_} has too many tiles to list; use larger tiles")
    keys = live_keys(type_)
    inside = np.ones(len(keys), dtype=bool)
    for column, (low, high) in enumerate(box):
        inside &= (keys[:, column] >= low) & (keys[:, column] < high)
    return keys[inside]


def cut_output(node: Plan | None, operand: int, target: int, box: Ranges | None, tiles: Tiles) -> Tiles | Fragments:
    """What one site sends another: tiles in a box of keys, or fragments for a repartition, in memory of their own."""
    if isinstance(node, Repartition):
        found = fragments(node, operand, tiles, target)
        return Fragments((key, place, np.array(piece)) for key, place, piece in found)
    return (tiles if box is None else tiles.within(box)).owned()


def take_own(node: Plan | None, operand: int, target: int, box: Ranges | None, tiles: Tiles) -> Tiles | Fragments:
    """What a site takes from itself: the same as `cut_output`, without a copy."""
    if isinstance(node, Repartition):
        return fragments(node, operand, tiles, target)
    return tiles if box is None else tiles.within(box)
