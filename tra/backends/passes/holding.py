"""What a pass holds, as a formula of its windows.

Windows of what it reads, twice where the next are read while these are worked on; results until their last
use; folds until their loop ends; and what products and readers need for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from tra.algebra.volume import n_bytes_at_most
from tra.backends.balanced_fold import most_held
from tra.backends.block import cuts_of
from tra.backends.panel_products import ADDED_BYTES
from tra.backends.passes.group import Group, Load, Phase
from tra.backends.passes.maps import SLAB
from tra.backends.passes.shape import Leaf, Shape, is_ahead
from tra.backends.passes.wiring import wiring_of
from tra.backends.product_axes import block_product
from tra.backends.steps import Step
from tra.optimizer.plan import LocalAggregate, LocalConcat, LocalContract, LocalJoin, LocalMap, LocalTile

BLAS_BYTES = 12 << 20  # of memory into which a thread packs operands, and which BLAS keeps


class Holding:
    """What is held step by step when a pass runs one turn of its outer loops."""

    def __init__(
        self, group: Group, leaves: Mapping[str, Leaf], kept: frozenset[str], threads: int, shape: Shape
    ) -> None:
        self.group, self.leaves, self.kept, self.threads, self.shape = group, leaves, kept, threads, shape
        phases = self.group.phases(shape.inner.label if shape.inner else None)
        assert phases is not None
        self.phases = phases
        self._taken = group.loads(shape.labels)
        self.at = {loop.label: loop.largest for loop in shape.loops}
        self.last = group.last_uses(phases)

    def peak(self) -> int:
        """The most bytes held at once."""
        steps = range(len(self.group.steps))
        folds = sum(self._fold(n) for n in steps if self.phases[n] is Phase.FOLD)
        base = self._stores() + self._loads() + self._packed() + self._reading()
        live: dict[str, int] = {}
        most = 0
        for turn in (Phase.BEFORE, Phase.WITHIN, Phase.AFTER):
            if turn is Phase.WITHIN:
                base += folds
            for n in steps:
                if self.phases[n].turn == turn.value:
                    most = max(most, base + self._after(n, live))
        return max(most, base)

    def _after(self, n: int, live: dict[str, int]) -> int:
        """Bytes of results that are about when a step is done; those of no more use go."""
        step = self.group.steps[n]
        digest, scratch = step.node.digest, self._scratch(n)
        if self.phases[n] is not Phase.FOLD:
            live[digest] = 0 if is_view(step) else self._size(n)
        total = sum(live.values()) + scratch
        for done in [d for d in live if self._is_done(d, n)]:
            del live[done]
        return total

    def _is_done(self, digest: str, n: int) -> bool:
        """Claims that nothing needs a result after a step; what a loop needs is needed to its end."""
        maker, last = self.group.made[digest], self.last.get(digest, -1)
        if digest in self.kept and not self._is_cut(maker):
            return False
        if self.phases[maker] is Phase.BEFORE and last >= 0 and self.phases[last] is not Phase.BEFORE:
            return False
        return last < 0 or (self.phases[last].turn, last) <= (self.phases[n].turn, n)

    def _scratch(self, n: int) -> int:
        """Bytes that a step uses for itself."""
        node, size = self.group.steps[n].node, self._size(n)
        fold = node.kernel if isinstance(node, LocalAggregate) else getattr(node, "fold", None)
        if fold is not None and fold.laws.ordered:
            return self._laid_out(n) + 4 * size  # a tree of products, and what two of its parts make
        if not isinstance(node, LocalContract | LocalJoin):
            return size if self.phases[n] is Phase.FOLD else 0
        how = block_product(node)
        plain = how is not None and how.matrix is not None
        if plain and max(len(node.left.type.axes), len(node.right.type.axes)) <= 2:
            return min(self.threads * ADDED_BYTES, size) if self.phases[n] is Phase.FOLD else 0
        return 2 * size

    def _reading(self) -> int:
        """Bytes that readers need for themselves; one of them may read ahead while another reads.

        A slab of the other is among what any run takes.
        """
        readers = {load.digest: self.leaves[load.digest].beside for load in self._taken}
        most, second, *_ = *sorted(readers.values(), reverse=True), 0, 0
        return most + (max(second - SLAB, 0) if self.shape.ahead else 0)

    def _laid_out(self, n: int) -> int:
        """Bytes of operands that are laid out anew, each tile once."""
        step = self.group.steps[n]
        kernel = step.node.kernel if isinstance(step.node, LocalContract) else None
        if kernel is None or not kernel.laws.as_cut:
            return 0
        return sum(self._bytes(Load(d, self.group.labels(n, place))) for place, d in enumerate(step.inputs))

    def _packed(self) -> int:
        """Bytes that BLAS has packed operands into, and keeps."""
        return max((self._packed_by(n) for n in range(len(self.group.steps))), default=0)

    def _packed_by(self, n: int) -> int:
        step = self.group.steps[n]
        if not isinstance(step.node, LocalContract | LocalJoin) or not step.node.kernel.laws.contraction:
            return 0
        operands = (Load(digest, self.group.labels(n, place)) for place, digest in enumerate(step.inputs))
        return self.threads * min(BLAS_BYTES, sum(map(self._bytes, operands)))

    def _fold(self, n: int) -> int:
        """Bytes that a fold holds: one result, or those of a tree whose parts are still to be folded."""
        wiring, size = wiring_of(self.group.steps[n]), self._size(n)
        return size if wiring.turn is None else size * most_held(self.group.n_in_turn(n))

    def _size(self, n: int) -> int:
        """Bytes of a step's result in one turn."""
        return self._bytes(Load(self.group.steps[n].node.digest, self.group.labels(n)))

    def _bytes(self, load: Load) -> int:
        return self.group.n_bytes(load, self.at)

    def _is_cut(self, n: int) -> bool:
        return any(label in self.at for label in self.group.labels(n))

    def _stores(self) -> int:
        """Outputs that stay in memory and come in windows."""
        made = self.group.made
        cut_ = [digest for digest in self.kept if self._is_cut(made[digest])]
        return sum(n_bytes_at_most(self.group.types[digest]) for digest in cut_)

    def _loads(self) -> int:
        """Windows of what is taken from elsewhere."""
        return sum(
            self._bytes(load) * (2 if is_ahead(load, self.shape) else 1)
            for load in self._taken
            if not self.leaves[load.digest].is_held
        )


def is_view(step: Step) -> bool:
    """Claims that a step gives tiles that lie in one block other names and keys, and makes none.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> node = LocalMap(A.type, A.placement, A, None, ())
        >>> is_view(Step(node, (A.digest,), None, frozenset()))
        True
    """
    node = step.node
    named = isinstance(node, LocalMap) and not any(node.kernels)
    moved = isinstance(node, LocalTile | LocalConcat) or named
    return moved and all(
        cuts_of(type_) is not None for type_ in (node.type, *(c.type for c in node.children))
    )
