"""Plans cut into stages at their exchanges.

A stage is a set of local operators that runs as one function per site over that site's tiles.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tra.optimizer.meshes import n_sites
from tra.optimizer.plan import Make, Plan, Scan, is_exchange, plan_order


@dataclass(frozen=True)
class Stage:
    """Local operators that run together at each site.

    Attributes:
        number: the place of the stage in the order of execution.
        nodes: plan nodes in the order they run, exchanges first received here included.
        inputs: digests of results of earlier stages, and of given sources, that are used where they lie.
        outputs: digests of results that later stages, or the user, need.
        is_free: sums may be cut as suits the threads, whatever that does to their bits.
    """

    number: int
    nodes: tuple[Plan, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    is_free: bool = False


def sites_of(node: Plan) -> int:
    """How many sites hold the result of a node; a stage runs at the sites of its nodes, which have one mesh.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> sites_of(scan())
        2
    """
    return n_sites(node.placement.mesh)


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
