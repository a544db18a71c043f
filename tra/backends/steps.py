"""The steps of a stage: nodes in order, chains of element functions as one, and what each step uses up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tra.backends.element_chains import Chain, chain_of, is_link
from tra.optimizer.plan import Plan, is_exchange
from tra.optimizer.stages import Stage

HIGHEST = 64  # links of a chain, one above the other: it is gone through by recursion


@dataclass(frozen=True, eq=False)
class Step:
    """A node of a stage, or a chain of them.

    Attributes:
        node: the node whose result the step makes.
        inputs: digests of what it takes.
        chain: the chain that ends in the node, or None.
        free: digests of those inputs that nothing uses afterwards.
    """

    node: Plan
    inputs: tuple[str, ...]
    chain: Chain | None
    free: frozenset[str]


@lru_cache(maxsize=128)
def steps_of(stage: Stage) -> tuple[Step, ...]:
    """The steps of a stage.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.plan import LocalMap
        >>> from tra.optimizer.rules.examples import scan
        >>> from tra.optimizer.stages import cut_stages
        >>> A = scan()
        >>> exp = LocalMap(A.type, A.placement, A, None, (kernel("exp"),))
        >>> log = LocalMap(A.type, A.placement, exp, None, (kernel("log"),))
        >>> stage, = cut_stages((log,))
        >>> [(type(step.node).__name__, step.chain is not None) for step in steps_of(stage)]
        [('Scan', False), ('LocalMap', True)]
    """
    inner = _inner(stage)
    kept = [node for node in stage.nodes if node.digest not in inner]
    chains = [chain_of(node, inner) if is_link(node) else None for node in kept]
    inputs = [_inputs(node, chain) for node, chain in zip(kept, chains, strict=True)]
    last = {digest: number for number, taken in enumerate(inputs) for digest in taken}
    steps = []
    for number, (node, chain, taken) in enumerate(zip(kept, chains, inputs, strict=True)):
        free = frozenset(d for d in taken if last[d] == number and d not in stage.outputs)
        steps.append(Step(node, taken, chain, free))
    return tuple(steps)


def _inner(stage: Stage) -> frozenset[str]:
    """Links whose result only one other link takes, once."""
    users = [node for node in stage.nodes if not is_exchange(node)]
    uses = Counter(child.digest for node in users for child in node.children)
    inside = {child.digest for node in users if is_link(node) for child in node.children}
    found: dict[str, int] = {}  # how many links lie one above the other, up to each
    for node in stage.nodes:
        alone = uses[node.digest] == 1 and node.digest not in stage.outputs
        if is_link(node) and alone and node.digest in inside:
            height = 1 + max((found.get(child.digest, 0) for child in node.children), default=0)
            if height < HIGHEST:
                found[node.digest] = height
    return frozenset(found)


def _inputs(node: Plan, chain: Chain | None) -> tuple[str, ...]:
    if is_exchange(node):
        return ()
    operands: Sequence[Plan] = node.children if chain is None else chain.operands
    return tuple(operand.digest for operand in operands)
