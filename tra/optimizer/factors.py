"""The price of an assignment as tables over the choices of a few operators each, for exact search.

The work of an operator is a table over its choices alone; the conversions of a result are one over its
choices and those of its users, because users that need it alike pay once; a Retile is one over its choices
and those of its operands. Where such a table would be too large, one for each user or operand replaces it,
which counts what is shared more than once: the search is then no longer exact, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from tra.algebra.nodes import Retile
from tra.optimizer.elimination import Costs, Factor
from tra.optimizer.placement import Placement
from tra.optimizer.pricing import Pricing
from tra.optimizer.strategies import Choice

MAX_TABLE, MAX_LINKED = 1 << 14, 1 << 20
_MAX_AXES = 60
_SMALL = 16  # operators: so few may have large tables
_FORBIDDEN = 1e18  # seconds: stands for infinity, so that sums and differences stay numbers
Options = Mapping[str, Sequence[Choice]]
Needs = tuple[Placement, ...]


@dataclass(frozen=True)
class Factors:
    """Tables of a query, or of one of its operators, on one mesh.

    Attributes:
        tables: the factors, whose variables are operators by digest, and how users need their results.
        sizes: how many values each variable has.
        is_exact: claims that their sum is the price of every assignment.
    """

    tables: tuple[Factor, ...]
    sizes: Mapping[str, int]
    is_exact: bool


def price_factors(prices: Pricing, options: Options) -> Factors:
    """The factors of a query, from its prices.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.context import Context
        >>> from tra.optimizer.rules.examples import product as example
        >>> from tra.optimizer.strategies import choices
        >>> roots = (example(),)
        >>> graph = operator_graph(*roots)
        >>> prices = Pricing(graph, roots, (2,), Context(n_sites=2))
        >>> found = price_factors(prices, {digest: choices(op, (2,)) for digest, op in graph.items()})
        >>> len(found.tables), found.is_exact
        (6, True)
    """
    tables: list[Factor] = []
    exact = True
    sizes = {digest: len(found) for digest, found in options.items()}
    for digest, found in options.items():
        tables.append(Factor((digest,), np.array([prices.own_price(digest, choice) for choice in found])))
        for made in (_results(prices, options, digest), _repartition(prices, options, digest)):
            tables += made.tables
            sizes |= made.sizes
            exact = exact and made.is_exact
    return Factors(tuple(tables), sizes, exact)


def _results(prices: Pricing, options: Options, digest: str) -> Factors:
    """The tables of what becomes of a result: one, or where that is too large one for each user."""
    users = dict.fromkeys(user for user, _ in prices.users[digest])
    every = {user: [_needs(prices, digest, user, choice) for choice in options[user]] for user in users}
    wanted = {user: needs for user, needs in every.items() if len(needs) > 1}
    always = tuple(need for needs in every.values() if len(needs) == 1 for need in needs[0])
    if _is_small(options[digest], wanted, MAX_TABLE):
        return Factors((_conversions(prices, options, digest, wanted, True, always),), {}, True)
    by_need = {_link(digest, user): list(dict.fromkeys(needs)) for user, needs in wanted.items()}
    most = MAX_LINKED if len(options) <= _SMALL else MAX_LINKED >> 4
    if _is_small(options[digest], by_need, most):
        links = [_linked(digest, user, needs) for user, needs in wanted.items()]
        tables = (_conversions(prices, options, digest, by_need, True, always), *links)
        return Factors(tables, {name: len(needs) for name, needs in by_need.items()}, True)
    alone = [_conversions(prices, options, digest, {user: needs}, False) for user, needs in wanted.items()]
    return Factors((_conversions(prices, options, digest, {}, True, always), *alone), {}, False)


def _is_small(own: Sequence[Choice], users: Mapping[str, Sequence[Needs]], most: int) -> bool:
    """Claims that a table over the choices for a result and what its users need is not too large."""
    return len(users) < _MAX_AXES and prod((len(own), *map(len, users.values()))) <= most


def _link(digest: str, user: str) -> str:
    """The variable that says how a user needs a result, where many of its choices need it alike."""
    return f"{digest} for {user}"


def _linked(digest: str, user: str, wanted: Sequence[Needs]) -> Factor:
    """Ties that variable to the choice of the user."""
    every = list(dict.fromkeys(wanted))
    allowed = np.array([[need == one for one in every] for need in wanted])
    return Factor((user, _link(digest, user)), np.where(allowed, 0.0, _FORBIDDEN))


def _conversions(
    prices: Pricing,
    options: Options,
    digest: str,
    users: Mapping[str, Sequence[Needs]],
    final: bool,
    always: Needs = (),
) -> Factor:
    """Each placement that the result is needed in is paid for once, whoever needs it."""
    own = options[digest]
    ends = [prices.final(digest, choice) if final else None for choice in own]
    wanted = list(users.values())
    every = dict.fromkeys([*always, *(need for row in wanted for needs in row for need in needs), *ends])
    total: Costs = np.zeros((len(own), *map(len, wanted)))
    for need in every:
        if need is None:
            continue
        asked = np.array([need in always or end == need for end in ends]).reshape(-1, *(1 for _ in users))
        for place, row in enumerate(wanted):
            shape = [1] * (len(users) + 1)
            shape[place + 1] = len(row)
            asked = asked | np.array([need in needs for needs in row]).reshape(shape)
        cost = np.array([_finite(prices.convert(digest, choice.output, need)) for choice in own])
        total += np.where(asked, cost.reshape(-1, *(1 for _ in users)), 0.0)
    return Factor((digest, *users), total)


def _needs(prices: Pricing, digest: str, user: str, choice: Choice) -> Needs:
    found = (choice.inputs[position] for name, position in prices.users[digest] if name == user)
    return tuple(need for need in found if need is not None)


def _repartition(prices: Pricing, options: Options, digest: str) -> Factors:
    """The tables of a Retile; none of other operators."""
    expr = prices.graph[digest].expr
    if not isinstance(expr, Retile):
        return Factors((), {}, True)
    operands = list(dict.fromkeys(operand.digest for operand in expr.operands))
    outputs = {name: [choice.output for choice in options[name]] for name in (*operands, digest)}
    if prod(len(set(found)) for found in outputs.values()) <= MAX_TABLE >> 4:
        return Factors((_retile(prices, (*operands, digest), outputs),), {}, True)
    fixed = {name: found[:1] for name, found in outputs.items()}
    alone = [{**fixed, name: outputs[name], digest: outputs[digest]} for name in operands]
    tables = [_retile(prices, (*operands, digest), found) for found in alone]
    pairs = tuple(
        Factor((name, digest), f.table.reshape(len(outputs[name]), -1))
        for name, f in zip(operands, tables, strict=True)
    )
    return Factors(pairs, {}, False)


def _retile(prices: Pricing, scope: Sequence[str], outputs: Mapping[str, Sequence[Placement]]) -> Factor:
    """The cost for every combination of placements; equal ones are priced once."""
    known: dict[tuple[Placement, ...], float] = {}
    table = np.zeros(tuple(len(outputs[name]) for name in scope))
    for place in product(*(range(len(outputs[name])) for name in scope)):
        placed = tuple(outputs[name][p] for name, p in zip(scope, place, strict=True))
        if placed not in known:
            known[placed] = _finite(
                prices.repartition_price(scope[-1], dict(zip(scope, placed, strict=True)))
            )
        table[place] = known[placed]
    return Factor(tuple(scope), table)


def _finite(seconds: float) -> float:
    return min(seconds, _FORBIDDEN)
