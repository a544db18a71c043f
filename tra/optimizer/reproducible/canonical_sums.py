"""Sums written in canonical blocks: tensors cut where their extents alone say, one BLAS call for each block.

Operands are cut anew, into blocks of even lengths up to 1024, products are made block by block on operands
that lie row by row, and blocks are added up by a balanced tree over their places. However the tensors were
cut and wherever the blocks are, each number is the same sum in the same order. So that sites can share a long
sum they are given whole subtrees of it: groups of eight blocks, whose sums are added in their turn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tra.algebra.kernels.contraction import einsum_kernel
from tra.algebra.kernels.elementwise import ADD
from tra.algebra.key_function import Const, Var
from tra.algebra.labels import LETTERS
from tra.algebra.live import is_dense
from tra.algebra.nodes import Cut, Expr, Generated, Retile, Source
from tra.algebra.operators import join, rekey, tile, transform
from tra.algebra.retiling import check_links, full_windows, retile
from tra.algebra.types import RelType
from tra.algebra.whole_tensor import axis_key, current_cuts, default_tile, fresh_name, reorder
from tra.errors import SchemaError
from tra.optimizer.network import Network, Term
from tra.optimizer.reproducible.in_order import as_cut, folded_in_order
from tra.optimizer.reproducible.regions import ends

EDGE = 1 << 10  # of a block, at most
OUTER = 1 << 9  # of a block of a small result of a product: threads and sites share those too
FEW = 4  # blocks along an axis, fewer of which are too few to share
GROUP = 8  # blocks of a subtree: a power of two


def canonical_sum_of(node: Expr, network: Network, cuttable: Collection[str] = frozenset()) -> Expr | None:
    """A sum in canonical blocks, or None where how its tensors are cut is part of the query.

    Args:
        node: the sum.
        network: what it is read as.
        cuttable: ids of sources that are read in canonical blocks, where others are cut anew.

    Example:
        >>> import tra
        >>> from tra.algebra.nodes import postorder
        >>> from tra.optimizer.network import read_network
        >>> A = tra.from_array([[1.0] * 6] * 6, tile=(2, 4), name="A")
        >>> same = canonical_sum_of((A @ A).expr, read_network((A @ A).expr, lambda node: False))
        >>> [type(node).__name__ for node in postorder(same)], same.type == (A @ A).expr.type
        (['Source', 'Retile', 'Join', 'Retile'], True)
    """
    plain = all(axis_key(node.type, place) for place, axis in enumerate(node.type.axes) if axis.link)
    if (
        not plain
        or not _is_whole(node.type)
        or not all(_is_cut_alike(term, network) for term in network.terms)
    ):
        return None
    sizes = _sizes(network)
    blocks = [_in_blocks(term, network, sizes, cuttable) for term in network.terms]
    one, *others = blocks
    made = _multiplied(one, others[0], network) if others else _summed(one, network)
    return _cut_back(_folded(made, network), network, node.type)


def _is_whole(type_: RelType) -> bool:
    """Claims that a relation may be cut anew."""
    try:
        check_links(type_, "a sum")
    except SchemaError:
        return False
    return is_dense(type_)


def _is_cut_alike(term: Term, network: Network) -> bool:
    """Claims that a term is a whole tensor, each axis cut by keys that end or stay with it.

    Keys of one value cut nothing.
    """
    type_ = term.expr.type
    labels = dict(zip(type_.names, term.keys, strict=True))
    return _is_whole(type_) and all(
        (label in network.axes) == (labels[name] in network.keys)
        for label, axis in zip(term.axes, type_.axes, strict=True)
        for name, _ in axis.link
        if type_.domain(name) > 1
    )


@dataclass(frozen=True)
class _Blocks:
    """A tensor in canonical blocks.

    Attributes:
        expr: the relation.
        keys: for each key what it counts: blocks or groups of blocks along an axis, blocks within a group, or
            its own values, and the label of the axis or of the key.
        axes: the labels of its axes.
    """

    expr: Expr
    keys: tuple[tuple[str, int], ...]
    axes: tuple[int, ...]

    def key_name(self, label: tuple[str, int]) -> str:
        """The key that counts something."""
        return self.expr.type.names[self.keys.index(label)]


def _sizes(network: Network) -> dict[int, int]:
    """The length of a block along each axis: by the extents of all tensors that have it, and by no tiles."""
    extents = {
        label: axis.extent
        for term in network.terms
        for label, axis in zip(term.axes, term.expr.type.axes, strict=True)
    }
    sizes = dict(extents)
    for axes in (*(term.axes for term in network.terms), network.axes):
        lengths = default_tile([extents[label] for label in axes], EDGE)
        sizes.update({label: min(sizes[label], n) for label, n in zip(axes, lengths, strict=True)})
    if len(network.terms) > 1:
        few = [label for label in network.axes if extents[label] <= (FEW - 1) * EDGE]
        short = {label: default_tile([extents[label]], OUTER)[0] for label in few}
        sizes.update({label: min(sizes[label], n) for label, n in short.items()})
    return sizes


def _in_blocks(term: Term, network: Network, sizes: Mapping[int, int], cuttable: Collection[str]) -> _Blocks:
    """A term cut where the extents of its axes say; keys that cut no axis first, in their order."""
    type_ = term.expr.type
    owned = dict(zip(type_.names, term.keys, strict=True))
    names = [name for name in type_.names if name not in type_.linked]
    labels: list[tuple[str, int]] = [("own", owned[name]) for name in names]
    cuts: list[Cut] = []
    groups: list[tuple[int, int]] = []
    for place, (label, axis) in enumerate(zip(term.axes, type_.axes, strict=True)):
        size = sizes[label]
        n_blocks = -(-axis.extent // max(size, 1))
        if n_blocks < 2:
            cuts.append(Cut())
            continue
        is_long = label not in network.axes and n_blocks > GROUP
        groups += [(place, size)] if is_long else []
        names.append(fresh_name(axis_key(type_, place) or f"k{place}", names))
        labels.append(("group" if is_long else "block", label))
        cuts.append(Cut(size * GROUP if is_long else size, names[-1]))
    expr = reorder(_recut(term.expr, cuts, cuttable), names)
    for place, size in groups:
        names.append(fresh_name(f"k{place}", names))
        labels.append(("within", term.axes[place]))
        expr = tile(expr, place, size, names[-1])
    return _Blocks(expr, tuple(labels), term.axes)


def _recut(expr: Expr, cuts: Sequence[Cut], cuttable: Collection[str] = frozenset()) -> Expr:
    """The tensor in other cuts; as it is where it has them, and read or made so where it can be."""
    while isinstance(expr, Retile) and expr.windows == (full_windows(expr.operands[0].type),):
        (expr,) = expr.operands  # it was cut anew itself
    type_ = expr.type
    same = all(
        axis_key(type_, place) == cut.key and (cut.size is None or cut.size == axis.size)
        for place, (cut, axis) in enumerate(zip(cuts, type_.axes, strict=True))
    )
    if same:
        return expr
    made = retile([expr], cuts)
    is_free = isinstance(expr, Generated) or (isinstance(expr, Source) and expr.id in cuttable)
    return replace(expr, type=made.type) if is_free else made


def _multiplied(left: _Blocks, right: _Blocks, network: Network) -> _Blocks:
    on = [(left.key_name(label), right.key_name(label)) for label in left.keys if label in right.keys]
    keys = (*left.keys, *(label for label in right.keys if label not in left.keys))
    by = as_cut(einsum_kernel(_spec([left.axes, right.axes], network.axes)))
    return _Blocks(join(left.expr, right.expr, on, by), keys, network.axes)


def _summed(blocks: _Blocks, network: Network) -> _Blocks:
    if blocks.axes == network.axes:
        return blocks
    by = as_cut(einsum_kernel(_spec([blocks.axes], network.axes)))
    return _Blocks(transform(blocks.expr, by), blocks.keys, network.axes)


def _spec(operands: Sequence[Sequence[int]], result: Sequence[int]) -> str:
    letters = {c: LETTERS[p] for p, c in enumerate(dict.fromkeys(c for axes in operands for c in axes))}
    *inputs, output = ("".join(letters[c] for c in axes) for axes in (*operands, result))
    return f"{','.join(inputs)}->{output}"


def _folded(blocks: _Blocks, network: Network) -> _Blocks:
    """The blocks of each group folded first, then groups and whatever else ends."""
    keys, axes = ends(network) or (set(), set())
    inner = [label for label in blocks.keys if label[0] != "within"]
    outer = [label for label in inner if label[1] not in (keys if label[0] == "own" else axes)]
    for kept in (inner, outer):
        if len(kept) < len(blocks.keys):
            expr = folded_in_order(blocks.expr, [blocks.key_name(label) for label in kept], ADD)
            blocks = _Blocks(expr, tuple(kept), blocks.axes)
    return blocks


def _cut_back(total: _Blocks, network: Network, type_: RelType) -> Expr:
    """The result in the tiles and with the keys that the query says."""
    keys = [axis_key(type_, place) for place in range(len(type_.axes))]
    cuts = current_cuts(type_)
    own = dict(zip(network.keys, type_.names, strict=True))
    names: dict[str, str] = {}
    for label in total.keys:
        name = own[label[1]] if label[0] == "own" else keys[network.axes.index(label[1])]
        names[total.key_name(label)] = name or fresh_name("k", (*type_.names, *names.values()))
    expr = reorder(total.expr, [total.key_name(label) for label in total.keys], names)
    cut = _recut(expr, cuts)
    single = [name for name in type_.names if name not in cut.type.names]
    if single:
        kept = tuple(Var(name) for name in cut.type.names)
        cut = rekey(cut, (*kept, *(Const(0) for _ in single)), [*cut.type.names, *single])
    return reorder(cut, list(type_.names))
