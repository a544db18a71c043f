"""Rules that bring local operators before an exchange, or after it, where that sends less."""

from __future__ import annotations

from tra.algebra.volume import n_bytes
from tra.optimizer.plan import Broadcast, LocalFilter, LocalMap, Plan, Shuffle

ENLARGED = 2  # how much larger a map must make tiles, for every site of a broadcast to run it by itself


def filter_exchange_push(node: Plan) -> Plan | None:
    """σᴸ_f(SHUF(R)) = SHUF(σᴸ_f(R)), and so for BCAST: tiles that go are not sent.

    Applies when: always; a filter leaves the places of tiles as they are.
    Source: R2-2.

    Example:
        >>> from tra.algebra.key_function import Const, Op, Var
        >>> from tra.algebra.operators import filter_keys
        >>> from tra.optimizer.rules.examples import everywhere, product, scan
        >>> R, keep = scan(), Op("==", Var("i"), Const(0))
        >>> kept = filter_keys(product(4).child.left, keep).type
        >>> sent = LocalFilter(kept, everywhere(), Broadcast(R.type, everywhere(), R), keep)
        >>> type(filter_exchange_push(sent)).__name__, filter_exchange_push(sent).child.child == R
        ('Broadcast', True)
    """
    match node:
        case LocalFilter(child=(Shuffle(child=child) | Broadcast(child=child)) as sent, predicate=predicate):
            before = LocalFilter(node.type, child.placement, child, predicate)
            return type(sent)(node.type, node.placement, before)
    return None


def map_exchange_push(node: Plan) -> Plan | None:
    """λᴸ_g(SHUF(R)) = SHUF(λᴸ_g(R)), and so for BCAST, where that sends less.

    Applies when: the map leaves keys as they are and makes tiles smaller, or is broadcast as large as it is;
    R holds no parts.
    Source: R2-3.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.operators import transform
        >>> from tra.optimizer.rules.examples import everywhere, product, scan
        >>> R, half = scan(), kernel("cast", dtype="float32")
        >>> smaller = transform(product(4).child.left, half).type
        >>> sent = LocalMap(smaller, everywhere(), Broadcast(R.type, everywhere(), R), None, (half,))
        >>> map_exchange_push(sent).child.child == R
        True
    """
    match node:
        case LocalMap(
            child=(Shuffle(child=child) | Broadcast(child=child)) as sent, function=None, kernels=kernels
        ):
            grows = n_bytes(node.type) - n_bytes(child.type)
            if child.placement.parts or grows > 0 or (grows == 0 and isinstance(sent, Shuffle)):
                return None
            before = LocalMap(node.type, child.placement, child, None, kernels)
            return type(sent)(node.type, node.placement, before)
    return None


def exchange_map_push(node: Plan) -> Plan | None:
    """SHUF(λᴸ_g(R)) = λᴸ_g(SHUF(R)), and so for BCAST, where that sends less.

    Applies when: the map leaves keys as they are and makes tiles larger, for a broadcast `ENLARGED` times;
    R holds no parts.
    Source: R2-3.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.algebra.operators import transform
        >>> from tra.optimizer.rules.examples import product, scan, split
        >>> R, wide = scan(), kernel("one_hot", size=3)
        >>> larger = transform(product(4).child.left, wide).type
        >>> sent = Shuffle(larger, split("j"), LocalMap(larger, R.placement, R, None, (wide,)))
        >>> exchange_map_push(sent).child.child == R
        True
    """
    match node:
        case Shuffle(child=LocalMap() as mapped) | Broadcast(child=LocalMap() as mapped):
            before = mapped.child
            old, new = n_bytes(before.type), n_bytes(node.type)
            pays = new > old and (isinstance(node, Shuffle) or new >= ENLARGED * old)
            if mapped.function is not None or before.placement.parts or not pays:
                return None
            sent = type(node)(before.type, node.placement, before)
            return LocalMap(node.type, node.placement, sent, None, mapped.kernels)
    return None
