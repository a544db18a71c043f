"""Rules that take maps into the kernels of joins, so that what lies between is never stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from tra.algebra.kernel import Kernel, flops_of
from tra.algebra.laws import Laws
from tra.algebra.types import Tile
from tra.optimizer.plan import LocalContract, LocalJoin, LocalMap, Plan


@dataclass(frozen=True)
class _Chain:
    """Kernels before each operand, one that combines them, kernels after it: as one function on tiles."""

    before: tuple[tuple[Kernel, ...], ...]
    combine: Kernel
    after: tuple[Kernel, ...]

    def __call__(self, *tiles: Tile) -> Tile:
        """The kernels in turn."""
        made = [_through(kernels, tile) for kernels, tile in zip(self.before, tiles, strict=True)]
        return _through(self.after, self.combine(*made))


@dataclass(frozen=True)
class _Flops:
    """Operations of a chain: those of its kernels, each on as many elements as it gets."""

    chain: _Chain

    def __call__(self, dims: Mapping[str, int]) -> float:
        """Operations for one set of core dimensions."""
        signature = self.chain.combine.signature
        total = flops_of(self.chain.combine, dims, 1)
        for kernels, core in zip(
            (*self.chain.before, self.chain.after), (*signature.inputs, signature.output), strict=True
        ):
            size = prod(int(d) if d.isdigit() else dims.get(d, 1) for d in core)
            total += sum(flops_of(kernel, {}, size) for kernel in kernels)
        return total


def _through(kernels: Sequence[Kernel], tile: Tile) -> Tile:
    for kernel in kernels:
        tile = kernel(tile)
    return tile


def composed(before: Sequence[Sequence[Kernel]], combine: Kernel, after: Sequence[Kernel] = ()) -> Kernel:
    """One kernel of several: some on each operand, one that combines them, some on its result.

    It is known by the kernels it is made of, and travels with them.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> both = composed([[kernel("neg")], []], kernel("add"), [kernel("exp")])
        >>> str(both), both(1.0, 1.0).item()
        ('exp∘add∘(neg, ·)', 1.0)
    """
    if isinstance(combine.function, _Chain):
        inner = combine.function
        before = [(*new, *old) for new, old in zip(before, inner.before, strict=True)]
        combine, after = inner.combine, (*inner.after, *after)
    chain = _Chain(tuple(map(tuple, before)), combine, tuple(after))
    parts = [kernel for kernels in (*chain.before, chain.after) for kernel in kernels]
    known = [*map(_keys, chain.before), combine.identity_key, _keys(chain.after)]
    return Kernel(
        name=_named(chain),
        params=(),
        signature=combine.signature,
        function=chain,
        laws=Laws(elementwise=combine.laws.elementwise),
        sizes=combine.sizes,
        flops_per_item=_Flops(chain),
        batched=all(kernel.batched for kernel in (combine, *parts)),
        user=repr(known),
    )


def _keys(kernels: Sequence[Kernel]) -> list[object]:
    return [kernel.identity_key for kernel in kernels]


def _named(chain: _Chain) -> str:
    """The kernels, last first, as functions are composed."""
    operands = ["∘".join(str(kernel) for kernel in reversed(kernels)) or "·" for kernels in chain.before]
    names = [str(kernel) for kernel in (*reversed(chain.after), chain.combine)]
    return "∘".join(names) + (f"∘({', '.join(operands)})" if any(chain.before) else "")


def map_join_fuse(node: Plan) -> Plan | None:
    """λᴸ_g(L ⋈ᴸ_p R) = L ⋈ᴸ_(g∘p) R.

    Applies when: the map leaves keys as they are, and its kernels act on each element by itself.
    Source: R1-6.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> R, on = scan(), (("i", "i"), ("j", "j"))
        >>> pairs = LocalJoin(R.type, R.placement, R, R, on, kernel("mul"))
        >>> str(map_join_fuse(LocalMap(R.type, R.placement, pairs, None, (kernel("exp"),))).kernel)
        'exp∘mul'
    """
    match node:
        case LocalMap(
            child=LocalJoin(left=left, right=right, on=on, kernel=by), function=None, kernels=kernels
        ):
            if all(map(_is_elementwise, kernels)):
                fused = composed([()] * 2, by, kernels)
                return LocalJoin(node.type, node.placement, left, right, on, fused)
    return None


def join_map_fuse(node: Plan) -> Plan | None:
    """λᴸ_g(L) ⋈ᴸ_p R = L ⋈ᴸ_(p∘(g,·)) R, and so for the right operand and for contractions.

    Applies when: the map leaves keys as they are, its kernels act on each element by itself, and every tile
    meets at most one of the other operand, so that none goes through them twice.
    Source: R1-6, for an operand.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> R, on = scan(), (("i", "i"), ("j", "j"))
        >>> mapped = LocalMap(R.type, R.placement, R, None, (kernel("exp"),))
        >>> str(join_map_fuse(LocalJoin(R.type, R.placement, mapped, R, on, kernel("mul"))).kernel)
        'mul∘(exp, ·)'
    """
    match node:
        case LocalJoin(left=left, right=right, on=on) | LocalContract(left=left, right=right, on=on):
            operands: list[Plan] = [left, right]
            before: list[tuple[Kernel, ...]] = [(), ()]
            for place, other in ((0, right), (1, left)):
                operand = operands[place]
                if len(on) == len(other.type.keys) and isinstance(operand, LocalMap) and _is_plain(operand):
                    operands[place], before[place] = operand.child, operand.kernels
            if any(before):
                return _with(node, operands, composed(before, node.kernel))
    return None


def _with(node: LocalJoin | LocalContract, operands: Sequence[Plan], by: Kernel) -> Plan:
    left, right = operands
    if isinstance(node, LocalJoin):
        return LocalJoin(node.type, node.placement, left, right, node.on, by)
    return LocalContract(node.type, node.placement, left, right, node.on, by, node.by, node.fold, node.only)


def _is_plain(node: LocalMap) -> bool:
    return node.function is None and bool(node.kernels) and all(map(_is_elementwise, node.kernels))


def _is_elementwise(kernel: Kernel) -> bool:
    return kernel.laws.elementwise and kernel.arity == 1
