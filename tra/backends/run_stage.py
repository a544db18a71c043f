"""One task: a stage at one site, from what it takes to what it returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from tra.algebra.generate import generate_tile
from tra.algebra.join_type import keys_joined
from tra.algebra.types import Tile
from tra.backends import local_operators as local
from tra.backends.block import cuts_of, empty_block, spans_one
from tra.backends.block_operators import run_on_blocks
from tra.backends.element_chains import run_chain
from tra.backends.met import met_at
from tra.backends.read_tiles import keys_within
from tra.backends.repartition import Fragments, assemble, fragments
from tra.backends.sparse_products import sparse_product
from tra.backends.steps import Step, steps_of
from tra.backends.threads import FREE, THREADS, parallel
from tra.backends.tiles import Tiles, bounds, union
from tra.optimizer.boxes import Ranges
from tra.optimizer.densities import Met
from tra.optimizer.plan import (
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
    is_exchange,
)
from tra.optimizer.program import Output
from tra.optimizer.stages import Stage

Piece: TypeAlias = Tiles | Fragments
Received: TypeAlias = Mapping[tuple[str, int], Sequence[Piece]]
Reader: TypeAlias = Callable[[Scan, Ranges], Tiles]


@dataclass(frozen=True)
class StageRun:
    """What a stage made at a site.

    Attributes:
        outputs: its outputs, in their order.
        peak: the most bytes of tiles that it held at once, with what it took.
        met: how many tiles and pairs there were, by node, where relations have holes.
    """

    outputs: tuple[Tiles, ...]
    peak: int
    met: Mapping[str, Met]


def run_stage(
    stage: Stage,
    site: int,
    boxes: Mapping[str, Ranges],
    taken: Mapping[str, Tiles],
    received: Received,
    scan: Reader,
    threads: int,
) -> StageRun:
    """Runs the nodes of a stage in order; what no later node takes is let go.

    Args:
        stage: the stage.
        site: the site.
        boxes: the keys wanted of sources that are read or generated here.
        taken: results of earlier stages at this site.
        received: pieces by exchange and operand, ordered by source site.
        scan: reads a source's tiles in a box of keys.
        threads: threads of this task.

    Example:
        >>> import numpy as np
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import cut_stages
        >>> file = Tiles(np.array([[0, 0], [1, 1]]), [np.zeros((2, 2)), np.ones((2, 2))])
        >>> stage, = cut_stages((scan(),))
        >>> boxes = {scan().digest: ((1, 2), (0, 2))}
        >>> found = run_stage(stage, 1, boxes, {}, {}, lambda node, box: file.within(box), threads=1)
        >>> lower, = found.outputs
        >>> lower.keys.tolist()
        [[1, 1]]
    """
    held, peak = {digest: tiles.shared() for digest, tiles in taken.items()}, 0
    met: dict[str, Met] = {}
    token, free = THREADS.set(threads), FREE.set(stage.is_free)
    try:
        for step in steps_of(stage):
            if is_exchange(step.node):
                made = _arrived(step.node, site, received)
            else:
                operands = [held[digest] for digest in step.inputs]
                made = run_step(step, operands, held, boxes, scan)
                found = met_at(step.node, made, () if step.chain else operands, site)
                met |= {} if found is None else {step.node.digest: found}
            held[step.node.digest] = made
            peak = max(peak, sum(tiles.nbytes for tiles in held.values()))
            for digest in step.free:
                del held[digest]
    finally:
        THREADS.reset(token)
        FREE.reset(free)
    return StageRun(_apart([held[digest] for digest in stage.outputs]), peak, met)


def run_step(
    step: Step,
    inputs: Sequence[Tiles],
    held: Mapping[str, Tiles],
    boxes: Mapping[str, Ranges],
    scan: Reader,
) -> Tiles:
    """A node, or a chain: at once where its operands lie in blocks, else node by node.

    Args:
        step: what is run.
        inputs: its operands.
        held: all that is held meanwhile; what is a view of its memory is not written to.
        boxes: the keys wanted of sources.
        scan: reads a source's tiles in a box of keys.
    """
    if step.chain is None:
        return _run(step.node, inputs, boxes, scan)
    fused = run_chain(step.chain, inputs, _spare(step, inputs, held))
    if fused is not None:
        return fused
    made = dict(zip(step.inputs, inputs, strict=True))
    for node in step.chain.nodes:
        made[node.digest] = _run(node, [made[child.digest] for child in node.children], boxes, scan)
    return made[step.node.digest]


def _spare(step: Step, inputs: Sequence[Tiles], held: Mapping[str, Tiles]) -> frozenset[str]:
    """Operands that may be written to: made in this run, used up, and nothing else held is a view of them."""
    operands = zip(step.inputs, inputs, strict=True)
    fresh = [digest for digest, tiles in operands if digest in step.free and tiles.has_fresh]
    memory = {digest: tiles.memory() for digest, tiles in held.items()} if fresh else {}
    return frozenset(
        digest
        for digest in fresh
        if all(memory[digest].isdisjoint(found) for other, found in memory.items() if other != digest)
    )


def _apart(outputs: Sequence[Tiles]) -> tuple[Tiles, ...]:
    """Outputs of a stage; those that share memory are nobody's own."""
    memory = [tiles.memory() for tiles in outputs] if len(outputs) > 1 else []
    uses = Counter(place for found in memory for place in found)
    return tuple(
        tiles.shared() if memory and any(uses[place] > 1 for place in memory[number]) else tiles
        for number, tiles in enumerate(outputs)
    )


def _arrived(node: Plan, site: int, received: Received) -> Tiles:
    if isinstance(node, Repartition):
        pieces = [piece for o in range(len(node.operands)) for piece in received[node.digest, o]]
        return assemble(node, cast(list[Fragments], pieces), site)
    return union(cast(list[Tiles], received[node.digest, 0]), len(node.type.keys)).shared()


def _run(node: Plan, inputs: Sequence[Tiles], boxes: Mapping[str, Ranges], scan: Reader) -> Tiles:
    match node:
        case Scan():
            return scan(node, boxes[node.digest])
        case Make():
            return generated(node, boxes[node.digest])
    found = run_on_blocks(node, inputs)
    return _run_on_tiles(node, inputs) if found is None else found


def generated(node: Make, box: Ranges) -> Tiles:
    """The tiles of a generated source, side by side where they can lie so."""
    type_, keys = node.type, keys_within(node.type, box)
    cuts = cuts_of(type_)
    held = Tiles(keys, [], is_sorted=True)
    if cuts is None or not spans_one(cuts, bounds(held)):
        tiles = parallel(lambda key: generate_tile(type_, node.maker, tuple(key)), keys.tolist())
        return Tiles(keys, tiles, is_sorted=True)
    block = empty_block(type_, bounds(held))

    def fill(place: tuple[list[int], Tile]) -> None:
        place[1][...] = generate_tile(type_, node.maker, tuple(place[0]))

    parallel(fill, list(zip(keys.tolist(), block.tiles(), strict=True)))
    return Tiles.of([block])


def _run_on_tiles(node: Plan, inputs: Sequence[Tiles]) -> Tiles:
    match node:
        case LocalJoin(left=left, right=right, on=on, kernel=kernel):
            return local.join_local(inputs[0], inputs[1], left.type, right.type, on, kernel)
        case LocalContract():
            found = sparse_product(node, inputs[0], inputs[1])
            return _contract(node, inputs) if found is None else found
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
    raise AssertionError(f"{node!r} makes no tiles out of tiles")


def _contract(node: LocalContract, inputs: Sequence[Tiles]) -> Tiles:
    left, right = node.left.type, node.right.type
    joined = keys_joined(left, right, node.on)
    return local.contract_local(
        inputs[0], inputs[1], left, right, joined, node.on, node.kernel, node.by, node.fold, node.type
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
