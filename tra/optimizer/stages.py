"""Plans cut into stages at their exchanges, and stages into tasks: one per stage and site.

A stage is a set of local operators that runs as one function per site over that site's tiles. Exchanges
become pieces that a task takes from tasks of earlier stages; a piece that is not a whole output is cut out
by a small task beside its source, so that only what is needed crosses between sites.

Some sources are *given*: the sites hold their tiles before the first stage, because they are stored there or
the client has sent them. No task is spent on them; who uses them takes them as they lie.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from tra.optimizer.boxes import Ranges, box_of
from tra.optimizer.exchange import Piece, pieces
from tra.optimizer.meshes import n_sites
from tra.optimizer.plan import Broadcast, Make, Plan, Repartition, Scan, Shuffle, is_exchange, plan_order
from tra.optimizer.repartition import repartition_pieces


@dataclass(frozen=True)
class Stage:
    """Local operators that run together at each site.

    Attributes:
        number: the place of the stage in the order of execution.
        nodes: plan nodes in the order they run, exchanges first received here included.
        inputs: digests of results of earlier stages, and of given sources, that are used where they lie.
        outputs: digests of results that later stages, or the user, need.
    """

    number: int
    nodes: tuple[Plan, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """What a task takes: a result of a stage at a site, whole or the tiles in a box of keys.

    A repartition names the node, operand and target instead of a box: the source cuts the pieces of elements.

    Attributes:
        stage: the number of the stage, or None for a given source.
        site: where it lies.
        digest: the plan node.
        box: the keys wanted, or None for all.
        repartition: the node, the operand and the target site of a repartition, or None.
    """

    stage: int | None
    site: int
    digest: str
    box: Ranges | None = None
    repartition: tuple[str, int, int] | None = None


Taken: TypeAlias = tuple[tuple[int, Output], ...]


@dataclass(frozen=True)
class Task:
    """One stage at one site.

    Attributes:
        stage: the stage.
        site: the site.
        local: results of earlier stages and given sources at this site, by digest.
        received: for each exchange and operand, the pieces as (source site, what).
        scans: sources read here, with the box of keys.
    """

    stage: Stage
    site: int
    local: tuple[tuple[str, Output], ...]
    received: tuple[tuple[str, int, Taken], ...]
    scans: tuple[tuple[Scan, Ranges], ...]


@dataclass(frozen=True)
class Program:
    """A plan ready to run: its stages and tasks in order, and where the results are.

    Attributes:
        roots: the plan of each result.
        given: sources whose tiles the sites hold before the first stage.
        stages: in order.
        tasks: in order, stage by stage and site by site.
    """

    roots: tuple[Plan, ...]
    given: tuple[Scan, ...]
    stages: tuple[Stage, ...]
    tasks: tuple[Task, ...]

    @cached_property
    def cut_outputs(self) -> tuple[Output, ...]:
        """The pieces for other sites that need a task of their own where they lie, each once."""
        found: dict[Output, None] = {}
        for task in self.tasks:
            for _, _, taken in task.received:
                for source, output in taken:
                    if source != task.site and self.needs_cut(output):
                        found[output] = None
        return tuple(found)

    @cached_property
    def picked_outputs(self) -> tuple[Output, ...]:
        """The results that need a task of their own: those of stages that return more than one."""
        found = [output for shares in self.results for output in shares]
        return tuple(dict.fromkeys(o for o in found if o.stage is not None and self.is_one_of_several(o)))

    @cached_property
    def results(self) -> tuple[tuple[Output, ...], ...]:
        """For each root, what each site holds of it."""
        home = _homes(self.stages)
        return tuple(
            tuple(Output(home.get(r.digest), s, r.digest) for s in range(sites_of(r))) for r in self.roots
        )

    def needs_cut(self, output: Output) -> bool:
        """Claims that the output is not all that a task of this program returns."""
        return output.box is not None or output.repartition is not None or self.is_one_of_several(output)

    def is_one_of_several(self, output: Output) -> bool:
        """Claims that no task returns just this: it is given, or its stage has more outputs."""
        return output.stage is None or len(self.stages[output.stage].outputs) > 1

    @property
    def n_tasks(self) -> int:
        """Tasks a scheduler sees."""
        return len(self.tasks) + len(self.cut_outputs) + len(self.picked_outputs)

    @property
    def n_sites(self) -> int:
        """Sites that have anything to do or to hold."""
        return max(sites_of(node) for node in (*self.roots, *self.given, *(s.nodes[0] for s in self.stages)))


def sites_of(node: Plan) -> int:
    """How many sites hold the result of a node; a stage runs at the sites of its nodes, which have one mesh.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> sites_of(scan())
        2
    """
    return n_sites(node.placement.mesh)


def program(roots: tuple[Plan, ...], given: Collection[str] = ()) -> Program:
    """The stages and tasks of a plan.

    Args:
        roots: the plan of each result.
        given: ids of sources whose tiles the sites hold before the first stage.

    Example:
        >>> from tra.optimizer.rules.examples import scan, split
        >>> columns = Shuffle(scan().type, split("j"), scan())
        >>> program((columns,)).n_tasks, program((columns,), given=["A"]).n_tasks
        (6, 4)
    """
    held = {node.digest: node for node in plan_order(*roots) if isinstance(node, Scan) and node.id in given}
    stages = cut_stages(roots, held)
    home = _homes(stages)
    tasks = tuple(_task(stage, site, home) for stage in stages for site in range(sites_of(stage.nodes[0])))
    return Program(roots, tuple(held.values()), stages, tasks)


def _homes(stages: Sequence[Stage]) -> dict[str, int]:
    return {digest: stage.number for stage in stages for digest in stage.outputs}


def cut_stages(roots: tuple[Plan, ...], given: Collection[str] = ()) -> tuple[Stage, ...]:
    """Stages in order: nodes of equal depth in exchanges that are connected without one run together.

    Args:
        roots: the plan of each result.
        given: digests of nodes that no stage has to make.

    Example:
        >>> from tra.optimizer.compile_table import compile_default
        >>> from tra.optimizer.rules.examples import product
        >>> len(cut_stages(compile_default((product(),), (2,))))
        3
    """
    import networkx as nx  # it takes longer to load than a query to write

    order = [node for node in plan_order(*roots) if node.digest not in given]
    depth = _depths(order, {root.digest for root in roots})
    graph: nx.Graph[str] = nx.Graph()
    for node in order:
        graph.add_node(node.digest)
        if not is_exchange(node):
            near = (c.digest for c in node.children if depth.get(c.digest) == depth[node.digest])
            graph.add_edges_from((child, node.digest) for child in near)
    group = {
        digest: number for number, found in enumerate(nx.connected_components(graph)) for digest in found
    }
    first: dict[int, tuple[int, int]] = {}
    for place, node in enumerate(order):
        number = group[node.digest]
        first[number] = min(first.get(number, (depth[node.digest], place)), (depth[node.digest], place))
    members: dict[int, list[Plan]] = {number: [] for number in sorted(first, key=lambda n: first[n])}
    for node in order:
        members[group[node.digest]].append(node)
    kept = _kept(order, group) | {root.digest for root in roots}
    return tuple(_stage(number, nodes, kept) for number, nodes in enumerate(members.values()))


def _depths(order: Sequence[Plan], roots: Collection[str]) -> dict[str, int]:
    """How many exchanges lie below each node; a leaf that is used where it lies waits for its first user."""
    depth: dict[str, int] = {}
    for node in order:
        below = max((depth.get(child.digest, 0) for child in node.children), default=0)
        depth[node.digest] = below + is_exchange(node)
    users: dict[str, list[Plan]] = {}
    for node in order:
        for child in node.children:
            users.setdefault(child.digest, []).append(node)
    for node in order:
        if isinstance(node, Scan | Make) and node.digest not in roots:
            depth[node.digest] = min(
                0 if is_exchange(user) else depth[user.digest] for user in users[node.digest]
            )
    return depth


def _kept(order: Sequence[Plan], group: Mapping[str, int]) -> set[str]:
    """What is used outside its stage, or sent."""
    return {
        child.digest
        for node in order
        for child in node.children
        if is_exchange(node) or group.get(child.digest) != group[node.digest]
    }


def _stage(number: int, nodes: Sequence[Plan], kept: Collection[str]) -> Stage:
    here = {node.digest for node in nodes}
    inputs = [c.digest for n in nodes if not is_exchange(n) for c in n.children if c.digest not in here]
    outputs = tuple(node.digest for node in nodes if node.digest in kept)
    return Stage(number, tuple(nodes), tuple(dict.fromkeys(inputs)), outputs)


def _task(stage: Stage, site: int, home: Mapping[str, int]) -> Task:
    local = tuple((d, Output(home.get(d), site, d)) for d in stage.inputs)
    received = tuple(r for node in stage.nodes if is_exchange(node) for r in _received(node, site, home))
    scans = tuple((n, box_of(n.type, n.placement, site)) for n in stage.nodes if isinstance(n, Scan))
    return Task(stage, site, local, received, scans)


def _received(node: Plan, site: int, home: Mapping[str, int]) -> list[tuple[str, int, Taken]]:
    match node:
        case Broadcast(child=child) | Shuffle(child=child):
            found = pieces(child.type, child.placement, node.placement)
            return [(node.digest, 0, tuple(_output(p, child, home) for p in found if p.target == site))]
        case Repartition(operands=operands):
            return [(node.digest, o, _boxes(node, o, site, home)) for o in range(len(operands))]
        case _:
            raise AssertionError(f"{node!r} is no exchange")


def _output(piece: Piece, child: Plan, home: Mapping[str, int]) -> tuple[int, Output]:
    whole = (
        box_of(child.type, child.placement, piece.source) == piece.box and not child.placement.is_scattered
    )
    return piece.source, Output(
        home.get(child.digest), piece.source, child.digest, None if whole else piece.box
    )


def _boxes(node: Repartition, operand: int, site: int, home: Mapping[str, int]) -> Taken:
    types = tuple(o.type for o in node.operands)
    placed = tuple(o.placement for o in node.operands)
    found = repartition_pieces(types, placed, node.type, node.placement, node.along, node.windows)
    child = node.operands[operand].digest
    return tuple(
        (piece.source, Output(home.get(child), piece.source, child, None, (node.digest, operand, site)))
        for piece, number, _ in found
        if piece.target == site and number == operand
    )
