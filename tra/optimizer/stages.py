"""Plans cut into stages at their exchanges, and stages into tasks: one per stage and site.

A stage is a set of local operators that runs as one function per site over that site's tiles. Exchanges
become pieces that a task takes from tasks of earlier stages; a piece that is not a whole output is cut out
by a small task beside its source, so that only what is needed crosses between sites.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import networkx as nx

from tra.optimizer.exchange import Piece, pieces, repartition_pieces
from tra.optimizer.placement import Ranges, box_of, n_sites
from tra.optimizer.plan import Broadcast, Plan, Repartition, Scan, Shuffle, is_exchange, plan_order


@dataclass(frozen=True)
class Stage:
    """Local operators that run together at each site.

    Attributes:
        number: the place of the stage in the order of execution.
        nodes: plan nodes in the order they run, exchanges first received here included.
        inputs: digests of results of earlier stages that are used where they lie.
        outputs: digests of results that later stages, or the user, need.
    """

    number: int
    nodes: tuple[Plan, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __dask_tokenize__(self) -> tuple[object, ...]:
        """The digests of the nodes: Dask need not look into them."""
        return (self.number, tuple(node.digest for node in self.nodes), self.inputs, self.outputs)


@dataclass(frozen=True)
class Output:
    """What a task takes: a result of a stage at a site, whole or the tiles in a box of keys.

    A repartition names the node and target instead of a box: the source cuts the pieces of elements.
    """

    stage: int
    site: int
    digest: str
    box: Ranges | None = None
    repartition: tuple[str, int, int] | None = None


@dataclass(frozen=True)
class Task:
    """One stage at one site.

    Attributes:
        stage: the stage.
        site: the site.
        local: results of earlier stages at this site, by digest.
        received: for each exchange and operand, the pieces as (source site, what).
        scans: sources read here, with the box of keys.
    """

    stage: Stage
    site: int
    local: tuple[tuple[str, Output], ...]
    received: tuple[tuple[str, int, tuple[tuple[int, Output], ...]], ...]
    scans: tuple[tuple[Scan, Ranges], ...]


TaskKey: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Program:
    """A plan ready to run: its stages and tasks in order, and where the results are."""

    roots: tuple[Plan, ...]
    stages: tuple[Stage, ...]
    tasks: tuple[Task, ...]

    @cached_property
    def cut_outputs(self) -> tuple[Output, ...]:
        """The pieces that need a task of their own, each once, for sites other than the one that holds them."""
        found: dict[Output, None] = {}
        for task in self.tasks:
            for _, _, taken in task.received:
                for source, output in taken:
                    if source != task.site and self.needs_cut(output):
                        found[output] = None
        return tuple(found)

    def needs_cut(self, output: Output) -> bool:
        """Claims that the output is not all that its task returns."""
        stage = self.stages[output.stage]
        return output.box is not None or output.repartition is not None or len(stage.outputs) > 1

    @property
    def n_tasks(self) -> int:
        """Tasks a scheduler sees."""
        return len(self.tasks) + len(self.cut_outputs)

    @property
    def n_sites(self) -> int:
        """Sites of the mesh."""
        return n_sites(self.roots[0].placement.mesh)

    def home(self, root: Plan) -> Stage:
        """The stage that makes a result."""
        return next(stage for stage in self.stages if root.digest in stage.outputs)


def cut_stages(roots: tuple[Plan, ...]) -> tuple[Stage, ...]:
    """Stages in order: nodes of equal depth in exchanges that are connected without one run together.

    Example:
        >>> import tra
        >>> from tra.optimizer.compile_table import compile_default
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], tile=(1, 1), name="A")
        >>> len(cut_stages(compile_default(((A @ A).expr,), (2,))))
        3
    """
    order = list(plan_order(*roots))
    depth: dict[str, int] = {}
    for node in order:
        depth[node.digest] = max((depth[c.digest] for c in node.children), default=0) + is_exchange(node)
    graph = nx.Graph()
    for node in order:
        graph.add_node(node.digest)
        if is_exchange(node):
            continue
        graph.add_edges_from((c.digest, node.digest) for c in node.children if depth[c.digest] == depth[node.digest])
    group = {d: number for number, found in enumerate(nx.connected_components(graph)) for d in found}
    place = {node.digest: position for position, node in enumerate(order)}
    numbers = sorted(set(group.values()), key=lambda g: min((depth[d], place[d]) for d in group if group[d] == g))
    return tuple(_stage(n, g, group, order, roots) for n, g in enumerate(numbers))


def _stage(number: int, own: int, group: dict[str, int], order: list[Plan], roots: tuple[Plan, ...]) -> Stage:
    nodes = tuple(node for node in order if group[node.digest] == own)
    here = {node.digest for node in nodes}
    inputs = [c.digest for n in nodes if not is_exchange(n) for c in n.children if c.digest not in here]
    used = {c.digest for n in order if n.digest not in here or is_exchange(n) for c in n.children}
    kept = used | {root.digest for root in roots}
    outputs = tuple(node.digest for node in nodes if node.digest in kept)
    return Stage(number, nodes, tuple(dict.fromkeys(inputs)), outputs)


def program(roots: tuple[Plan, ...]) -> Program:
    """The stages and tasks of a plan."""
    stages = cut_stages(roots)
    home = {digest: stage.number for stage in stages for digest in stage.outputs}
    sites = range(n_sites(roots[0].placement.mesh))
    tasks = [_task(stage, site, home) for stage in stages for site in sites]
    return Program(roots, stages, tuple(tasks))


def _task(stage: Stage, site: int, home: dict[str, int]) -> Task:
    local = tuple((d, Output(home[d], site, d)) for d in stage.inputs)
    received = tuple(r for node in stage.nodes if is_exchange(node) for r in _received(node, site, home))
    scans = tuple((n, box_of(n.type, n.placement, site)) for n in stage.nodes if isinstance(n, Scan))
    return Task(stage, site, local, received, scans)


def _received(node: Plan, site: int, home: dict[str, int]) -> list[tuple[str, int, tuple[tuple[int, Output], ...]]]:
    match node:
        case Broadcast(child=child) | Shuffle(child=child):
            taken = [_output(p, child, home) for p in pieces(child.type, child.placement, node.placement) if p.target == site]
            return [(node.digest, 0, tuple(taken))]
        case Repartition(operands=operands):
            return [(node.digest, o, _boxes(node, o, operands[o], site, home)) for o in range(len(operands))]
        case _:
            raise AssertionError(f"{node!r} is no exchange")


def _output(piece: Piece, child: Plan, home: dict[str, int]) -> tuple[int, Output]:
    whole = box_of(child.type, child.placement, piece.source) == piece.box and not child.placement.is_scattered
    return piece.source, Output(home[child.digest], piece.source, child.digest, None if whole else piece.box)


def _boxes(node: Repartition, operand: int, child: Plan, site: int, home: dict[str, int]) -> tuple[tuple[int, Output], ...]:
    types = tuple(o.type for o in node.operands)
    placed = tuple(o.placement for o in node.operands)
    found = repartition_pieces(types, placed, node.type, node.placement, node.along, node.windows)
    return tuple(
        (piece.source, Output(home[child.digest], piece.source, child.digest, None, (node.digest, operand, site)))
        for piece, number, _ in found
        if piece.target == site and number == operand
    )
