"""What a plan will do, before it runs: bytes moved, flops, peak bytes, tasks, seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tra.algebra.volume import Size, is_estimated, n_bytes, n_bytes_at_most
from tra.optimizer.boxes import box_of
from tra.optimizer.exchange import exchange_bytes, paper_elements, piece_bytes, pieces
from tra.optimizer.plan import Broadcast, Plan, Repartition, Shuffle, is_exchange, plan_order
from tra.optimizer.program import Program
from tra.optimizer.repartition import repartition_received
from tra.optimizer.search import Assignment
from tra.optimizer.stages import Stage, sites_of


@dataclass(frozen=True)
class Prediction:
    """The price of a plan.

    Attributes:
        bytes_moved: bytes that cross between sites, without upload and gather.
        paper_bytes: what the paper's model counts: s·|R| for each broadcast, |R| for each shuffle.
        flops: floating-point operations over all sites.
        peak_bytes_per_site: the most that one task takes, makes and returns, as far as it is expected.
        most_bytes_per_site: the same if all tiles are there that may be: what is held to a limit.
        tasks: tasks a scheduler sees.
        seconds: the cost model's time.
    """

    bytes_moved: int
    paper_bytes: int
    flops: float
    peak_bytes_per_site: int
    most_bytes_per_site: int
    tasks: int
    seconds: float


def moved(node: Plan) -> int:
    """Bytes that one exchange moves between sites; 0 for a local operator.

    Example:
        >>> from tra.optimizer.rules.examples import everywhere, scan
        >>> moved(Broadcast(scan().type, everywhere(), scan())), moved(scan())
        (128, 0)
    """
    match node:
        case Broadcast(child=child) | Shuffle(child=child):
            return exchange_bytes(child.type, child.placement, node.placement)
        case Repartition(operands=operands, type=type_, placement=placement, along=along, windows=windows):
            types, placed = tuple(o.type for o in operands), tuple(o.placement for o in operands)
            return sum(repartition_received(types, placed, type_, placement, along, windows))
        case _:
            return 0


def _paper(node: Plan) -> int:
    match node:
        case Broadcast(child=child) | Shuffle(child=child):
            return paper_elements(child.type, child.placement, node.placement) * child.type.dtype.itemsize
        case Repartition(type=type_):
            return n_bytes(type_)
        case _:
            return 0


def predict(program: Program, assignment: Assignment) -> Prediction:
    """Predicts a program from its plan.

    Example:
        >>> from tra.optimizer.planner import plan_query
        >>> from tra.optimizer.rules.examples import product
        >>> from tra.optimizer.context import Context
        >>> planned = plan_query((product(),), Context())
        >>> predict(planned.program, planned.assignment).flops  # 8 products of tiles at 2 each, 4 sums
        20.0
    """
    nodes = list(plan_order(*program.roots))
    peak = peak_bytes(program)
    is_known = not any(is_estimated(node.type) for node in nodes)
    return Prediction(
        bytes_moved=sum(moved(node) for node in nodes),
        paper_bytes=sum(_paper(node) for node in nodes if is_exchange(node)),
        flops=sum(op.flops * assignment.chosen[digest].copies for digest, op in assignment.operators.items()),
        peak_bytes_per_site=peak,
        most_bytes_per_site=peak if is_known else peak_bytes(program, n_bytes_at_most),
        tasks=program.n_tasks,
        seconds=assignment.seconds,
    )


def peak_bytes(program: Program, size: Size = n_bytes) -> int:
    """The most bytes that one task takes, makes and returns.

    Args:
        program: what runs.
        size: counts bytes, those expected or those that there may be.

    Example:
        >>> from tra.optimizer.rules.examples import everywhere, scan
        >>> from tra.optimizer.program import program
        >>> peak_bytes(program((Broadcast(scan().type, everywhere(), scan()),)))
        128
    """
    held = {node.digest: node for node in plan_order(*program.roots)}
    sites = range(program.n_sites)
    given = [sum(_held(n, site, size) for n in program.given) for site in sites]
    stages = [_working_set(stage, site, held, size) for stage in program.stages for site in sites]
    return max(*given, *stages, 0)


def _working_set(stage: Stage, site: int, held: Mapping[str, Plan], size: Size) -> int:
    return sum(_held(node, site, size) for node in [*stage.nodes, *(held[d] for d in stage.inputs)])


def _held(node: Plan, site: int, size: Size) -> int:
    """Bytes of a node's tiles at a site; an exchange of parts leaves a bag, each part with its bytes."""
    if site >= sites_of(node):
        return 0
    match node:
        case Broadcast(child=child) | Shuffle(child=child):
            arriving = pieces(child.type, child.placement, node.placement)
            total = sum(
                piece_bytes(child.type, child.placement, piece, size)
                for piece in arriving
                if piece.target == site
            )
            return total // child.placement.scatter
        case _:
            return size(node.type, box_of(node.type, node.placement, site))
