"""Programs: the tasks of a plan, one per stage and site, or one per panel of it.

Exchanges become pieces that a task takes from tasks of earlier stages; a piece that is not a whole output
is cut out by a small task beside its source, so that only what is needed crosses between sites.

Some sources are *given*: the sites hold their tiles before the first stage, because they are stored there or
the client has sent them. No task is spent on them; who uses them takes them as they lie.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from tra.algebra.volume import n_bytes_at_most
from tra.optimizer.boxes import Ranges, box_of, boxes_of
from tra.optimizer.cost import CostModel
from tra.optimizer.exchange import Piece, pieces
from tra.optimizer.panels import Panels, panels_of
from tra.optimizer.plan import Broadcast, Make, Plan, Repartition, Scan, Shuffle, is_exchange, plan_order
from tra.optimizer.repartition import repartition_pieces
from tra.optimizer.stages import Stage, cut_stages, sites_of


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

    @property
    def is_empty(self) -> bool:
        """Claims that no key is wanted."""
        return any(low >= high for low, high in self.box or ())

    @property
    def place(self) -> Place:
        """What it is taken from: stage, site and plan node."""
        return self.stage, self.site, self.digest


Place: TypeAlias = tuple[int | None, int, str]
Taken: TypeAlias = tuple[tuple[int, Output], ...]


@dataclass(frozen=True)
class Task:
    """One stage at one site.

    Attributes:
        stage: the stage.
        site: the site.
        local: results of earlier stages and given sources at this site, by digest.
        received: for each exchange and operand, the pieces as (source site, what).
        made: sources read or generated here, with the box of keys.
        panel: which panel of the results the task makes, or None where it makes all.
    """

    stage: Stage
    site: int
    local: tuple[tuple[str, Output], ...]
    received: tuple[tuple[str, int, Taken], ...]
    made: tuple[tuple[Scan | Make, Ranges], ...]
    panel: int | None = None

    @property
    def scans(self) -> tuple[Scan, ...]:
        """The sources read here."""
        return tuple(node for node, _ in self.made if isinstance(node, Scan))


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
    def nodes(self) -> Mapping[str, Plan]:
        """The plan nodes by digest."""
        return {node.digest: node for node in plan_order(*self.roots)}

    @cached_property
    def result_bytes(self) -> Sequence[Sequence[int]]:
        """For each root, the bytes of the tiles that each site holds of it, or a little more."""
        return [[n_bytes_at_most(r.type, box) for box in boxes_of(r.type, r.placement)] for r in self.roots]

    @cached_property
    def expiring(self) -> Mapping[int, Sequence[Place]]:
        """What nothing takes any more after each task, by the task's place in the order."""
        last: dict[Place, int] = {}
        for number, task in enumerate(self.tasks):
            for taken in (task.local, *(found for _, _, found in task.received)):
                last.update((output.place, number) for _, output in taken)
            last.update(((task.stage.number, task.site, digest), number) for digest in task.stage.outputs)
        kept = {output.place for outputs in self.results for output in outputs}
        found: dict[int, list[Place]] = {}
        for place in last.keys() - kept:
            found.setdefault(last[place], []).append(place)
        return found

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

    @cached_property
    def joined(self) -> tuple[tuple[int, int], ...]:
        """The stages and sites whose panels another task puts together."""
        return tuple(dict.fromkeys((t.stage.number, t.site) for t in self.tasks if t.panel is not None))

    @property
    def n_tasks(self) -> int:
        """Tasks a scheduler sees."""
        return len(self.tasks) + len(self.joined) + len(self.cut_outputs) + len(self.picked_outputs)

    @property
    def n_sites(self) -> int:
        """Sites that have anything to do or to hold."""
        return max(sites_of(node) for node in (*self.roots, *self.given, *(s.nodes[0] for s in self.stages)))


def program(
    roots: tuple[Plan, ...],
    given: Collection[str] = (),
    model: CostModel | None = None,
    is_free: bool = False,
) -> Program:
    """The stages and tasks of a plan.

    Args:
        roots: the plan of each result.
        given: ids of sources whose tiles the sites hold before the first stage.
        model: what transfers cost; without one no stage runs in panels.
        is_free: sums may be cut as suits the threads, whatever that does to their bits.

    Example:
        >>> from tra.optimizer.rules.examples import scan, split
        >>> columns = Shuffle(scan().type, split("j"), scan())
        >>> program((columns,)).n_tasks, program((columns,), given=["A"]).n_tasks
        (6, 4)
    """
    held = {node.digest: node for node in plan_order(*roots) if isinstance(node, Scan) and node.id in given}
    cut_ = tuple(replace(stage, is_free=is_free) for stage in cut_stages(roots, held))
    stages, panels = _with_panels(cut_, model)
    home = _homes(stages)
    tasks = tuple(
        task
        for stage in stages
        for site in range(sites_of(stage.nodes[0]))
        for task in _tasks(stage, site, home, panels.get(stage.number))
    )
    return Program(roots, tuple(held.values()), stages, tasks)


def _with_panels(
    stages: Sequence[Stage], model: CostModel | None
) -> tuple[tuple[Stage, ...], dict[int, Panels]]:
    """Stages numbered anew, and those that run in panels; what every panel takes whole is made before."""
    found: list[Stage] = []
    panels: dict[int, Panels] = {}
    for stage in stages:
        cut_ = None if model is None else panels_of(stage.nodes, stage.outputs, model)
        whole = [
            n for n in stage.nodes if cut_ and isinstance(n, Scan | Make) and n.digest not in cut_.labels
        ]
        if whole:
            made = tuple(node.digest for node in whole)
            found.append(Stage(len(found), tuple(whole), (), made, stage.is_free))
            rest = tuple(node for node in stage.nodes if node not in whole)
            outputs = tuple(digest for digest in stage.outputs if digest not in made)
            stage = replace(stage, nodes=rest, inputs=(*stage.inputs, *made), outputs=outputs)
        if cut_ is not None:
            panels[len(found)] = cut_
        found.append(replace(stage, number=len(found)))
    return tuple(found), panels


def _homes(stages: Sequence[Stage]) -> dict[str, int]:
    return {digest: stage.number for stage in stages for digest in stage.outputs}


def _tasks(stage: Stage, site: int, home: Mapping[str, int], panels: Panels | None) -> list[Task]:
    local = tuple((d, Output(home.get(d), site, d)) for d in stage.inputs)
    exchanges = [node for node in stage.nodes if is_exchange(node)]
    received = tuple(r for node in exchanges for r in _received(node, site, home))
    made = tuple((n, box_of(n.type, n.placement, site)) for n in stage.nodes if isinstance(n, Scan | Make))
    whole = Task(stage, site, local, received, made)
    if panels is None:
        return [whole]
    return [_panel(whole, panels, number) for number in range(panels.count)]


def _panel(task: Task, panels: Panels, number: int) -> Task:
    """One panel of a task: what it takes, cut along the panels' key."""
    nodes = {n.digest: n for node in task.stage.nodes for n in (node, *node.children)}

    def part(digest: str, output: Output) -> Output:
        """What the panel needs of an operand, or of a piece of an exchange."""
        node = nodes[digest]
        if digest not in panels.labels:
            return output
        held = nodes[output.digest]
        box = output.box or box_of(held.type, held.placement, output.site)
        return replace(output, box=panels.narrowed(node, box, task.site, number))

    parts = (
        (digest, operand, ((site, part(digest, output)) for site, output in taken))
        for digest, operand, taken in task.received
    )
    received = tuple(
        (digest, operand, tuple((site, output) for site, output in taken if not output.is_empty))
        for digest, operand, taken in parts
    )
    return replace(
        task,
        local=tuple((digest, part(digest, output)) for digest, output in task.local),
        received=received,
        made=tuple((node, panels.narrowed(node, box, task.site, number)) for node, box in task.made),
        panel=number,
    )


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
