"""Chains of element functions run as one: piece by piece through all of them, while a piece is in the cache.

A chain is a tree of local maps and joins in one stage whose kernels act on elements and whose inner results
nobody else wants. Nothing of its size is made but its result, and where an operand's memory is of no further
use, not even that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from tra.algebra.formula import is_one_pass
from tra.algebra.join_type import joined_names
from tra.algebra.kernel import Kernel
from tra.algebra.key_function import Var
from tra.algebra.types import Tile
from tra.algebra.whole_kernels import pairs_alike
from tra.backends.block import Block, Ranges, cuts_of, spans_one, window_of
from tra.backends.kernel_calls import SMALL, call, call_into
from tra.backends.pieces import PIECE, Piece, each_piece, part, piece_of
from tra.backends.tiles import Tiles, bounds
from tra.optimizer.plan import LocalJoin, LocalMap, Plan


@dataclass(frozen=True)
class Operand:
    """An operand of a chain: which one, and for each of its keys the place among the result's keys."""

    place: int
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Applied:
    """Kernels applied in turn, the first to the operands, the others to what the one before gives."""

    kernels: tuple[Kernel, ...]
    operands: tuple[Term, ...]


Term: TypeAlias = Operand | Applied


@dataclass
class Chain:
    """A chain, ready to run.

    Attributes:
        root: the node whose result it makes.
        nodes: all its nodes, in the order they would run one by one.
        operands: what it takes, by place.
        term: the tree of kernels.
    """

    root: Plan
    nodes: list[Plan] = field(default_factory=list)
    operands: list[Plan] = field(default_factory=list)
    term: Term | None = None

    @cached_property
    def uses(self) -> list[Operand]:
        """The operands, each as often as it is used with other keys."""
        return _terms(self.term)


def is_link(node: Plan) -> bool:
    """Claims that a node may be part of a chain: by element, whatever its tiles.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> is_link(LocalMap(A.type, A.placement, A, None, (kernel("exp"),))), is_link(A)
        (True, False)
    """
    match node:
        case LocalMap(kernels=kernels):
            plain = key_order(node) is not None and cuts_of(node.type) is not None
            return plain and all(_by_element(kernel) for kernel in kernels)
        case LocalJoin(left=left, right=right, on=on, kernel=kernel):
            alike = _by_element(kernel) and pairs_alike(left.type, right.type, on, kernel)
            return alike and cuts_of(node.type) is not None
        case _:
            return False


def key_order(node: LocalMap) -> list[int] | None:
    """The place of each new key among the old ones, where keys only change places and names.

    Example:
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> [key_order(LocalMap(A.type, A.placement, A, f, ())) for f in (None, (Var("j"), Var("i")))]
        [[0, 1], [1, 0]]
    """
    names = node.child.type.names
    if node.function is None:
        return list(range(len(names)))
    if not isinstance(node.function, tuple):
        return None
    found = [names.index(part.name) for part in node.function if isinstance(part, Var)]
    return found if sorted(found) == list(range(len(names))) and len(found) == len(node.function) else None


def _by_element(kernel: Kernel) -> bool:
    core = any(kernel.signature.inputs) or bool(kernel.signature.output)
    return kernel.laws.elementwise and not core and (kernel.batched or not kernel.user)


def chain_of(root: Plan, inner: Collection[str]) -> Chain:
    """The chain that ends in a node.

    Args:
        root: the node.
        inner: digests of links that only one node uses, and nobody outside the stage.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> exp, log = (LocalMap(A.type, A.placement, A, None, (kernel(name),)) for name in ("exp", "log"))
        >>> both = LocalJoin(A.type, A.placement, exp, log, (("i", "i"), ("j", "j")), kernel("add"))
        >>> chain = chain_of(both, {exp.digest})
        >>> chain.nodes == [exp, both], chain.operands == [A, log]
        (True, True)
    """
    chain = Chain(root)
    chain.term = _term(root, tuple(range(len(root.type.keys))), inner, chain)
    return chain


def _term(node: Plan, columns: tuple[int, ...], inner: Collection[str], chain: Chain) -> Term:
    if node is not chain.root and node.digest not in inner:
        if node not in chain.operands:
            chain.operands.append(node)
        return Operand(chain.operands.index(node), columns)
    made: Term
    match node:
        case LocalMap(child=child, kernels=kernels):
            order = key_order(node)
            assert order is not None
            below = _term(child, tuple(columns[order.index(p)] for p in range(len(order))), inner, chain)
            made = Applied(kernels, (below,)) if kernels else below
        case LocalJoin(left=left, right=right, on=on, kernel=kernel):
            names = joined_names(left.type, right.type, on)
            place = dict(zip(node.type.names, columns, strict=True))
            sides = (
                _term(left, tuple(place[name] for name in left.type.names), inner, chain),
                _term(right, tuple(place[names[name]] for name in right.type.names), inner, chain),
            )
            made = Applied((kernel,), sides)
        case _:
            raise AssertionError(f"{node!r} is no link of a chain")
    chain.nodes.append(node)
    return made


def run_chain(chain: Chain, inputs: Sequence[Tiles], own: Collection[str]) -> Tiles | None:
    """The result of a chain, or None where its operands do not lie in blocks.

    Args:
        chain: the chain.
        inputs: its operands.
        own: digests of operands that nothing else uses.

    Example:
        >>> from tra.algebra.kernel import kernel
        >>> from tra.optimizer.rules.examples import scan
        >>> A = scan()
        >>> exp = LocalMap(A.type, A.placement, A, None, (kernel("exp"),))
        >>> tiles = Tiles.of([Block(((0, 1), (0, 2)), np.zeros((2, 4)), ((0, 2), (1, 2)))])
        >>> [block.array.tolist() for block in run_chain(chain_of(exp, []), [tiles], []).blocks]
        [[[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]]
    """
    lie = all(tiles.blocks is not None or _is_small(tiles) for tiles in inputs)
    if not lie or isinstance(chain.term, Operand):  # new names alone
        return None
    found = [(box, _operands_at(chain, inputs, box, given)) for box, given in _boxes(chain, inputs)]
    if not found or any(blocks is None for _, blocks in found):
        return None  # nothing has been written yet
    return Tiles.of([_run_at(chain, box, blocks, own) for box, blocks in found if blocks is not None])


def _is_small(tiles: Tiles) -> bool:
    """Claims that tiles are worth copying into one block."""
    return tiles.nbytes <= max(SMALL * len(tiles), PIECE)


def _terms(term: Term | None) -> list[Operand]:
    match term:
        case Operand():
            return [term]
        case Applied(operands=operands):
            return list(dict.fromkeys(found for below in operands for found in _terms(below)))
        case None:
            return []


def _boxes(chain: Chain, inputs: Sequence[Tiles]) -> list[tuple[Ranges, dict[Operand, Block]]]:
    """Where the result has blocks: where an operand with all keys has them, or all operands meet."""
    n_keys = len(chain.root.type.keys)
    terms = chain.uses
    whole = [t for t in terms if len(t.columns) == n_keys and inputs[t.place].blocks is not None]
    if whole:
        most = max(whole, key=lambda term: len(inputs[term.place].blocks or ()))
        order = [most.columns.index(column) for column in range(n_keys)]
        return [(tuple(b.box[p] for p in order), {most: b}) for b in inputs[most.place].blocks or ()]
    spans = [(0, key.domain) for key in chain.root.type.keys]
    for term in terms:
        for column, (low, high) in zip(term.columns, bounds(inputs[term.place]), strict=True):
            spans[column] = (max(spans[column][0], low), min(spans[column][1], high))
    cuts = cuts_of(chain.root.type)
    assert cuts is not None
    return [(tuple(spans), {})] if spans_one(cuts, tuple(spans)) else []


def _operands_at(
    chain: Chain, inputs: Sequence[Tiles], box: Ranges, given: Mapping[Operand, Block]
) -> dict[Operand, Block] | None:
    """The blocks that the result at a box of keys is made of, or None where they do not fit together."""
    blocks: dict[Operand, Block] = dict(given)
    for term in chain.uses:
        if term not in blocks:
            type_, part = chain.operands[term.place].type, tuple(box[column] for column in term.columns)
            found = None if cuts_of(type_) is None else inputs[term.place].block(type_, part)
            if found is None:
                return None
            blocks[term] = found
    shape = _shape(chain, box)
    return blocks if all(_fits(block.array.shape, shape) for block in blocks.values()) else None


def _shape(chain: Chain, box: Ranges) -> tuple[int, ...]:
    return tuple(window.stop - window.start for window in window_of(chain.root.type, box))


def _run_at(chain: Chain, box: Ranges, blocks: Mapping[Operand, Block], own: Collection[str]) -> Block:
    """The block of the result at a box of keys."""
    arrays = {term: block.array for term, block in blocks.items()}
    shape = _shape(chain, box)
    out = _reusable(chain, blocks, shape, own)
    out = np.empty(shape, chain.root.type.dtype) if out is None else out
    each_piece(lambda piece: _evaluate(chain.term, arrays, piece, out), out, _is_one_pass(chain.term))
    return Block(box, out, cuts_of(chain.root.type) or (), is_fresh=True)


def _is_one_pass(term: Term | None) -> bool:
    """Claims that nothing is made on the way to the result."""
    kernels = term.kernels if isinstance(term, Applied) else ()
    alone = isinstance(term, Applied) and all(isinstance(below, Operand) for below in term.operands)
    return alone and len(kernels) == 1 and is_one_pass(kernels[0].function)


def _reusable(
    chain: Chain, blocks: Mapping[Operand, Block], shape: tuple[int, ...], own: Collection[str]
) -> Tile | None:
    """An operand's memory that the result may be written into, piece by piece as it is read."""
    places = [term.place for term in blocks]
    for term, block in blocks.items():
        ours = block.is_fresh and chain.operands[term.place].digest in own and places.count(term.place) == 1
        if ours and block.array.shape == shape and block.array.dtype == chain.root.type.dtype:
            return block.array
    return None


def _fits(shape: tuple[int, ...], result: tuple[int, ...]) -> bool:
    """Claims that an operand broadcasts to the result: cut tiles of length one do so tile by tile only."""
    ends = zip(reversed(shape), reversed(result), strict=False)
    return len(shape) <= len(result) and all(mine in (1, theirs) for mine, theirs in ends)


def _evaluate(term: Term | None, arrays: Mapping[Operand, Tile], piece: Piece, out: Tile) -> None:
    """One piece of the result."""
    cut = {operand: piece_of(array, piece, out.ndim) for operand, array in arrays.items()}
    _value(term, cut, part(out, piece))


def _value(term: Term | None, arrays: Mapping[Operand, Tile], target: Tile | None) -> Tile:
    """The value of a term, written to the target where one is given."""
    if not isinstance(term, Applied):
        assert isinstance(term, Operand)
        return arrays[term]
    values = [_value(operand, arrays, None) for operand in term.operands]
    *inner, last = term.kernels
    for kernel in inner:
        values = [call(kernel, *values)]
    return call(last, *values) if target is None else call_into(target, last, *values)
