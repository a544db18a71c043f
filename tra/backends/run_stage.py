"""One task: a stage at one site, from what it takes to what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from tra.algebra.generate import generate_tile
from tra.algebra.operators import joined_names
from tra.backends import local_operators as local
from tra.backends.read_tiles import keys_within
from tra.backends.repartition import Fragments, assemble, fragments
from tra.backends.threads import THREADS, parallel
from tra.backends.tiles import Tiles, union
from tra.optimizer.boxes import Ranges, box_of
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalConcat,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    LocalStack,
    LocalTile,
    Make,
    Plan,
    Repartition,
    Scan,
    Shuffle,
    is_exchange,
)
from tra.optimizer.stages import Output, Stage

Piece: TypeAlias = Tiles | Fragments
Received: TypeAlias = Mapping[tuple[str, int], Sequence[Piece]]
Reader: TypeAlias = Callable[[Scan, Ranges], Tiles]


def run_stage(
    stage: Stage, site: int, made: dict[str, Tiles], received: Received, scan: Reader, threads: int
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

    Example:
        >>> import numpy as np
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import cut_stages
        >>> file = Tiles(np.array([[0, 0], [1, 1]]), [np.zeros((2, 2)), np.ones((2, 2))])
        >>> stage, = cut_stages((scan(),))
        >>> lower, = run_stage(stage, 1, {}, {}, lambda node, box: file.within(box), threads=1)
        >>> lower.keys.tolist()
        [[1, 1]]
    """
    token = THREADS.set(threads)
    try:
        for node in stage.nodes:
            if is_exchange(node):
                made[node.digest] = _arrived(node, site, received)
            else:
                made[node.digest] = _run(node, site, [made[c.digest] for c in node.children], scan)
    finally:
        THREADS.reset(token)
    return tuple(made[digest] for digest in stage.outputs)


def _arrived(node: Plan, site: int, received: Received) -> Tiles:
    if isinstance(node, Repartition):
        pieces = [piece for o in range(len(node.operands)) for piece in received[node.digest, o]]
        return assemble(node, cast(list[Fragments], pieces), site)
    return union(cast(list[Tiles], received[node.digest, 0]), len(node.type.keys))


def _run(node: Plan, site: int, inputs: Sequence[Tiles], scan: Reader) -> Tiles:
    match node:
        case Scan():
            return scan(node, box_of(node.type, node.placement, site))
        case Make(type=type_, maker=maker):
            keys = keys_within(type_, box_of(type_, node.placement, site))
            tiles = parallel(lambda key: generate_tile(type_, maker, tuple(key)), keys.tolist())
            return Tiles(keys, tiles, is_sorted=True)
        case LocalJoin(left=left, right=right, on=on, kernel=kernel):
            return local.join_local(inputs[0], inputs[1], left.type, right.type, on, kernel)
        case LocalContract():
            return _contract(node, inputs)
        case LocalAggregate(child=child, by=by, kernel=kernel):
            return local.aggregate_local(inputs[0], child.type, by, kernel)
        case LocalFilter(child=child, predicate=predicate):
            return local.filter_local(inputs[0], child.type, predicate)
        case LocalMap(child=child, function=function, kernels=kernels, type=type_):
            return local.map_local(inputs[0], child.type, function, kernels, len(type_.keys))
        case LocalTile(type=type_, axis=axis, size=size):
            return local.tile_local(inputs[0], type_, axis, size)
        case LocalConcat(child=child, key=key, axis=axis, type=type_):
            return local.concat_local(inputs[0], child.type, key, axis, type_)
        case LocalStack():
            return local.stack_local(inputs)
        case Broadcast() | Shuffle() | Repartition():
            raise AssertionError(f"{node!r} moves tiles; it does not make any")


def _contract(node: LocalContract, inputs: Sequence[Tiles]) -> Tiles:
    left, right = node.left.type, node.right.type
    names = joined_names(left, right, node.on)
    theirs = {name for _, name in node.on}
    joined = (*left.names, *(names[n] for n in right.names if n not in theirs))
    return local.contract_local(
        inputs[0], inputs[1], left, right, joined, node.on, node.kernel, node.by, node.fold
    )


def take(nodes: Mapping[str, Plan], output: Output, tiles: Tiles) -> Piece:
    """What a task takes of a site's tiles: all, those in a box of keys, or fragments for a repartition.

    Nothing is copied: what crosses between processes is brought into memory of its own by `Tiles.owned` and
    `Fragments.owned`.

    Example:
        >>> import numpy as np
        >>> tiles = Tiles(np.array([[0], [1]]), [np.zeros(1), np.ones(1)])
        >>> take({}, Output(stage=0, site=0, digest="A", box=((1, 2),)), tiles).keys.tolist()
        [[1]]
    """
    if output.repartition is not None:
        digest, operand, target = output.repartition
        node = nodes[digest]
        assert isinstance(node, Repartition)
        return fragments(node, operand, tiles, target)
    return tiles if output.box is None else tiles.within(output.box)
