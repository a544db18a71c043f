"""Where a query leaves the order of its products open: its regions, and the equal expressions for each.

A region is a maximal sum of products between results that are shared or are no products. Each has options:
as written, every order worth planning, and its sums multiplied out. The search plans them and takes the
cheapest; every option carries the name of its rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tra.algebra.nodes import Aggregate, Expr, Join, name_of, postorder
from tra.optimizer.context import Context
from tra.optimizer.cost import CostModel
from tra.optimizer.expansion import expanded, rounding
from tra.optimizer.network import Network, Tree, read_network
from tra.optimizer.operators import Operator
from tra.optimizer.orders import ranked_trees
from tra.optimizer.precision import is_mixed, narrowed
from tra.optimizer.products import write_network
from tra.optimizer.rules.registry import with_children

FOLD, ORDER, EXPAND = "layout_contraction_fold", "contraction_reassociate", "sum_product_expand"
WRITTEN = "as written"


@dataclass(frozen=True)
class Option:
    """One expression for a region.

    Attributes:
        rule: the rule that made it from the one written.
        order: the order of its products, for people.
        expr: the expression.
        work: seconds that one site would take for it.
    """

    rule: str
    order: str
    expr: Expr
    work: float = 0.0


@dataclass(frozen=True)
class Region:
    """A node whose expression may be exchanged for others of the same type.

    Attributes:
        root: the node as written.
        options: what it may be, as written first.
        is_complete: claims that these are all orders there are.
        note: what was left out, and why; empty where nothing was.
    """

    root: Expr
    options: tuple[Option, ...]
    is_complete: bool = True
    note: str = ""


def regions(roots: Sequence[Expr], context: Context, fixed: Sequence[Expr] = ()) -> list[Region]:
    """The regions of a query that have more than one option, or a note, users before operands.

    Args:
        roots: the results.
        context: ranks orders by their work; says which rules are off, and what rounding is tolerated.
        fixed: nodes that have to stay as they are.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 50] * 50, name=name) for name in "AB")
        >>> v = tra.from_array([1.0] * 50, name="v")
        >>> found = regions([(A @ B @ v).expr], Context())
        >>> [option.order for option in found[0].options], found[0].options[1].rule
        (['(A·B)·v', 'A·(B·v)', '(A·v)·B'], 'contraction_reassociate')
    """
    users = _n_users((*roots, *fixed))
    found, seen, waiting = [], set[str](), list(reversed(roots))
    while waiting:
        node = waiting.pop()
        if node.digest in seen:
            continue
        seen.add(node.digest)
        network = read_network(node, lambda child: users[child.digest] > 1)
        if network is None or node in fixed:
            waiting += reversed(node.children)
            continue
        waiting += [term.expr for term in reversed(network.terms)]
        region = _region(node, network, context)
        if len(region.options) > 1 or region.options[0].rule != WRITTEN or region.note:
            found.append(region)
    return found


def _region(node: Expr, network: Network, context: Context) -> Region:
    ends = {term.expr.digest for term in network.terms}
    found = {node.digest: Option(WRITTEN, order_text(network, network.tree), node)}
    if network.n_folded and FOLD not in context.without:
        folded = write_network(network, network.tree, node.type)
        if folded is not None and is_mixed(network, node) and narrowed(node, folded, ends):
            folded = None
        if folded is not None and _n_nodes(folded) < _n_nodes(node):
            found = {folded.digest: Option(FOLD, order_text(network, network.tree), folded)}
    complete, notes, narrower = _add_orders(found, node, network, context)
    options = [_priced(option, ends, context.model) for option in found.values()]
    notes += _narrower_note(
        [_priced(option, ends, context.model) for option in narrower], options, node, ends
    )
    multiplied, note = _multiplied_out(options, node, network, context)
    return Region(node, (*options, *multiplied), complete, "; ".join([*notes, *note]))


def _multiplied_out(
    options: Sequence[Option], node: Expr, network: Network, context: Context
) -> tuple[list[Option], list[str]]:
    """The sums multiplied out where that rounds no more than is tolerated; else a note where it would pay."""
    allowed = EXPAND not in context.without and not is_mixed(network, node)
    made = expanded(network, node.type, context.model) if allowed else None
    if made is None:
        return [], []
    ends = {term.expr.digest for term in network.terms}
    option = _priced(Option(EXPAND, "multiplied out", made), ends, context.model)
    lost, least = rounding(network), min(o.work for o in options)
    if lost <= context.tolerance:
        return [option], []
    note = (
        f"{EXPAND} would be {least / option.work:.2g} times less work, and is not taken: it rounds "
        f"by up to {lost:.1e} of the largest product, and tolerance is {context.tolerance:g}"
    )
    return [], [note] if option.work < least else []


def _add_orders(
    found: dict[str, Option], node: Expr, network: Network, context: Context
) -> tuple[bool, list[str], list[Option]]:
    """Adds the orders worth planning; says whether these are all, and if not, why.

    Also gives the orders that would compute in narrower types than the query does.
    """
    narrower: list[Option] = []
    if ORDER in context.without:
        return True, [], narrower
    ranked, complete = ranked_trees(network, context.model)
    mixed = is_mixed(network, node)
    ends = {term.expr.digest for term in network.terms}
    for tree in (r.tree for r in ranked):
        made = write_network(network, tree, node.type)
        if made is None:
            continue
        option = Option(ORDER, order_text(network, tree), made)
        if mixed and narrowed(node, made, ends):
            narrower.append(option)
        else:
            found.setdefault(made.digest, option)
    n = len(network.terms)
    notes = [] if complete else [f"{len(ranked)} orders of {n} factors were ranked best and planned"]
    return complete, notes, narrower


def _narrower_note(
    narrower: Sequence[Option], options: Sequence[Option], node: Expr, ends: Collection[str]
) -> list[str]:
    """A note where an order that computes in narrower types would be less work than all others."""
    best = min(narrower, key=lambda option: option.work, default=None)
    least = min(option.work for option in options)
    if best is None or best.work >= least:
        return []
    return [
        f"{ORDER} {best.order} would be {least / best.work:.2g} times less work, and is not taken: "
        f"{narrowed(node, best.expr, ends)}"
    ]


def _priced(option: Option, ends: Collection[str], model: CostModel) -> Option:
    return replace(option, work=_work(option.expr, ends, model))


def order_text(network: Network, tree: Tree) -> str:
    """The order of a tree in the names of its terms.

    Example:
        >>> import tra
        >>> A, B = (tra.from_array([[1.0] * 50] * 50, name=name) for name in "AB")
        >>> network = read_network((A @ B @ tra.exp(B)).expr, lambda node: False)
        >>> order_text(network, (0, (1, 2)))
        'A·(B·exp)'
    """
    if isinstance(tree, int):
        return _term_name(network.terms[tree].expr)
    left, right = (order_text(network, side) for side in tree)
    alone = [isinstance(side, int) for side in tree]
    return f"{left if alone[0] else f'({left})'}·{right if alone[1] else f'({right})'}"


def _term_name(expr: Expr) -> str:
    kernel = getattr(expr, "kernel", None)
    return name_of(expr) or (kernel.name if kernel is not None else type(expr).__name__.lower())


def _work(expr: Expr, ends: Collection[str], model: CostModel) -> float:
    """Seconds that one site would take for the nodes of an option above its terms."""
    seen, waiting = set(ends), [expr]
    total = 0.0
    while waiting:
        node = waiting.pop()
        if node.digest in seen:
            continue
        seen.add(node.digest)
        fused = node.child if isinstance(node, Aggregate) and isinstance(node.child, Join) else None
        total += model.work(Operator(node, fused))
        waiting += (fused or node).children
    return total


def _n_nodes(expr: Expr) -> int:
    return sum(1 for _ in postorder(expr))


def _n_users(roots: Sequence[Expr]) -> dict[str, int]:
    """How many users each node has; a result counts as used once more."""
    users: dict[str, int] = {}
    for root in roots:
        users[root.digest] = users.get(root.digest, 0) + 2
    for node in postorder(*roots):
        for child in node.children:
            users[child.digest] = users.get(child.digest, 0) + 1
    return users


def exchanged(roots: Sequence[Expr], chosen: Mapping[str, Expr]) -> tuple[Expr, ...]:
    """The query with some nodes, by digest, exchanged for equal ones; operands of these are exchanged too.

    Example:
        >>> import tra
        >>> A, B, C = (tra.from_array([[1.0]], name=name) for name in "ABC")
        >>> left, right = (A @ B @ C).expr, (A @ (B @ C)).expr
        >>> exchanged([tra.exp(A @ B @ C).expr], {left.digest: right}) == (tra.exp(A @ (B @ C)).expr,)
        True
    """
    made: dict[str, Expr] = {}
    for root in roots:
        for node in _order(root, chosen, made):
            new = chosen.get(node.digest, node)
            made[node.digest] = with_children(new, [made[child.digest] for child in new.children])
    return tuple(made[root.digest] for root in roots)


def _order(root: Expr, chosen: Mapping[str, Expr], made: Mapping[str, Expr]) -> Iterator[Expr]:
    """Every node to be made anew, the operands of what it is exchanged for first."""
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if node.digest in made:
            continue
        if ready:
            yield node
        else:
            stack.append((node, True))
            stack += [(child, False) for child in chosen.get(node.digest, node).children]


__all__ = ["EXPAND", "FOLD", "ORDER", "WRITTEN", "Option", "Region", "exchanged", "regions"]
