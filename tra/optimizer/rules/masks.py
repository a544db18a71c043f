"""Rules that leave out tiles of a product that nobody needs: what it is joined with has holes there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tra.algebra.key_arrays import codes, sort_keys, unique_keys
from tra.algebra.key_function import KeyFunction, Opaque, Var
from tra.algebra.live import is_listable, live_keys
from tra.algebra.live_rules import with_live
from tra.algebra.types import KeySet, RelType
from tra.optimizer.plan import LocalContract, LocalJoin, LocalMap, Plan


def join_contract_mask(node: Plan) -> Plan | None:
    """M ⋈ᴸ Σᴸ(L ⋈ R) = M ⋈ᴸ Σᴸ(σ_M(L ⋈ R)): only tiles of the product that meet one of M are computed.

    Applies when: the keys of M are listed and have holes, and all keys of the product are joined, which a map
    may have renamed before.
    Source: own; a semijoin, Bernstein and Chiu, J. ACM 28(1), 1981; masks of GraphBLAS.

    Example:
        >>> import tra
        >>> from tra.optimizer.context import Context
        >>> from tra.optimizer.planner import plan_query
        >>> A, B = (tra.from_array([[1.0] * 3] * 3, tile=1, name=name) for name in "AB")
        >>> M = tra.from_tiles({(0, 2): [[1.0]], (1, 0): [[2.0]]}, ("i", "j"), domain=(3, 3), name="M")
        >>> planned = plan_query((((A @ B) * M).expr,), Context())
        >>> planned.program.roots[0].child.left.only.keys.tolist()
        [[0, 2], [1, 0]]
    """
    if not isinstance(node, LocalJoin):
        return None
    for side, mask in (("left", node.right), ("right", node.left)):
        operand = getattr(node, side)
        path = _path(operand)
        if path:
            pairs = node.on if side == "left" else tuple((theirs, mine) for mine, theirs in node.on)
            only = _needed(operand.type, mask.type, dict(pairs))
            if only is None:
                return None
            made = _masked(path, only)
            return replace(node, left=made) if side == "left" else replace(node, right=made)
    return None


def masked(node: Plan) -> tuple[Plan, ...]:
    """The nodes that would leave out tiles: a contraction that is joined, and the map on top of it.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> masked(scan())
        ()
    """
    paths = map(_path, node.children) if isinstance(node, LocalJoin) else ()
    return next((path for path in paths if path), ())


def _path(operand: Plan) -> tuple[Plan, ...]:
    """A contraction, with a map on top of it that at most renames keys; nothing where there is none."""
    match operand:
        case LocalContract(only=None):
            return (operand,)
        case LocalMap(child=LocalContract(only=None) as product, function=function):
            return (operand, product) if _renames(product.type, function) else ()
    return ()


def _renames(old: RelType, function: KeyFunction | None) -> bool:
    if function is None or isinstance(function, Opaque):
        return function is None
    names = [part.name for part in function if isinstance(part, Var)]
    return len(names) == len(function) and sorted(names) == sorted(old.names)


def _needed(product: RelType, mask: RelType, on: dict[str, str]) -> KeySet | None:
    """The keys of a product that a mask has; None where that is no fewer, or not known."""
    if set(on) != set(product.names) or not isinstance(mask.live, KeySet) or not is_listable(product):
        return None
    there, domains = live_keys(product), product.domains
    wanted = unique_keys(mask.live.keys[:, [mask.names.index(on[name]) for name in product.names]])
    both = wanted[np.isin(codes(wanted, domains), codes(there, domains))]
    return KeySet(both) if len(both) < len(there) else None


def _masked(path: tuple[Plan, ...], keys: KeySet) -> Plan:
    """A contraction that computes some keys only, and the map on top of it."""
    top = path[0]
    if isinstance(top, LocalContract):
        return replace(top, type=with_live(top.type, keys), only=keys)
    assert isinstance(top, LocalMap)
    below = path[1].type.names
    before = keys
    if isinstance(top.function, tuple):
        order = [part.name for part in top.function if isinstance(part, Var)]
        before = KeySet(sort_keys(keys.keys[:, [order.index(name) for name in below]]))
    return replace(top, type=with_live(top.type, keys), child=_masked(path[1:], before))
