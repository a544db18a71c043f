"""Sites that stay idle because tensors whose tile sizes were left out could not be cut for them."""

from __future__ import annotations

from collections.abc import Iterator

from tra.algebra.nodes import Source
from tra.optimizer.context import Context
from tra.optimizer.operators import is_leaf
from tra.optimizer.search import Assignment
from tra.optimizer.tile_sizes import cut_for_sites

_IDLE = 1.5  # times the work of an even share: less is what odd numbers of tiles cost


def idle_note(assignment: Assignment, context: Context) -> Iterator[str]:
    """A note for people where a site does much more than its share, and other tiles would mend that.

    Args:
        assignment: the plan's choices.
        context: says which tensors' tiles were open, and how many sites there are.

    Example:
        >>> import tra
        >>> from tra.optimizer.planner import plan_query
        >>> A = tra.from_array([[1.0] * 300] * 300, name="A")
        >>> query = tra.exp(A).filter(lambda i, j: i == j)
        >>> context = Context(n_sites=2, open=frozenset({A.expr.id}))
        >>> for note in plan_query((query.expr,), context).form.notes:
        ...     print(note)
        the busiest of 2 sites has 2.0 times its share: A cannot be cut for the sites, since the query
        speaks of keys or meets other tiles; pass tile=, (150, 150) for A
    """
    model, n = context.model, context.n_sites
    work = {d: model.work(op) for d, op in assignment.operators.items() if not is_leaf(op)}
    least = sum(work.values()) / n
    most = sum(seconds * assignment.chosen[digest].share for digest, seconds in work.items())
    sources = [op.expr for op in assignment.operators.values() if isinstance(op.expr, Source)]
    kept = [s for s in sources if s.id in context.open and cut_for_sites(s.type, n) != s.type]
    if most <= _IDLE * least or not kept:
        return
    found = max(kept, key=lambda source: source.type.shape)
    wanted = cut_for_sites(found.type, n).tile_shape
    names = ", ".join(source.name for source in kept)
    yield (
        f"the busiest of {n} sites has {most / least:.1f} times its share: {names} cannot be cut for the "
        f"sites, since the query speaks of keys or meets other tiles; pass tile=, {wanted} for {found.name}"
    )
