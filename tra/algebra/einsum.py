"""einsum: any equation of any number of operands, as pairwise joins and aggregations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tra.algebra.labelled import (
    Labelled,
    check_extents,
    contract_pair,
    drop_ones,
    labelled,
    renamed_keys,
    sum_labels,
    transposed,
)
from tra.algebra.nodes import Expr
from tra.algebra.remembered import remembered
from tra.algebra.whole_tensor import axis_key, whole_form
from tra.errors import SchemaError

_MAX_LABELS = 52  # what numpy.einsum_path takes


def parse_equation(equation: str, ranks: Sequence[int]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """The labels of each operand and of the result; an ellipsis becomes ``...0``, counted from the right.

    Example:
        >>> parse_equation("ij,jk", [2, 2])
        ([('i', 'j'), ('j', 'k')], ('i', 'k'))

    Raises:
        SchemaError: the equation cannot be read, or does not fit the number of operands or axes.
    """
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise SchemaError(f"einsum equation {equation!r} has {len(terms)} terms for {len(ranks)} operands")
    inputs = [_term(term, rank, equation) for term, rank in zip(terms, ranks, strict=True)]
    flat = [label for labels in inputs for label in labels]
    dots = tuple(sorted({c for c in flat if c.startswith("...")}, key=lambda c: -int(c[3:])))
    if not arrow:
        return inputs, (*dots, *sorted(c for c in set(flat) - set(dots) if flat.count(c) == 1))
    output = _term(right, None, equation, dots)
    for label in output:
        if label not in flat or output.count(label) > 1:
            raise SchemaError(
                f"einsum equation {equation!r}: output label {label!r} must stand once there, and in an input"
            )
    if dots and "..." not in right:
        raise SchemaError(f"einsum equation {equation!r}: the output needs the ellipsis that an input has")
    return inputs, output


def _term(term: str, rank: int | None, equation: str, dots: tuple[str, ...] = ()) -> tuple[str, ...]:
    head, ellipsis, tail = term.partition("...")
    letters = head + tail
    if not all(c.isalpha() for c in letters):
        raise SchemaError(f"einsum equation {equation!r}: labels are letters; cannot read {term!r}")
    if rank is not None:
        n = rank - len(letters)
        if n < 0 or (n and not ellipsis):
            raise SchemaError(
                f"einsum equation {equation!r}: {term!r} has {len(letters)} labels for {rank} axes"
            )
        dots = tuple(f"...{p}" for p in reversed(range(n)))
    return (*head, *(dots if ellipsis else ()), *tail)


@remembered
def einsum_expr(equation: str, *operands: Expr) -> Expr:
    """The expression of an einsum; see `tra.einsum`.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> str(einsum_expr("ij,kj->ik", A.expr, A.expr).type)
        '[i:3, i_2:3] of 2/6×2/6 float64'

    Raises:
        SchemaError: the equation does not fit the operands, or an operand is no whole tensor.
    """
    wholes = [whole_form(operand) for operand in operands]
    inputs, output = parse_equation(equation, [len(w.type.axes) for w in wholes])
    return contract([labelled(w, labels) for w, labels in zip(wholes, inputs, strict=True)], output)


def _without_ones(terms: Sequence[Labelled]) -> list[Labelled]:
    """Drops axes of extent 1 under labels whose extent is another elsewhere (NumPy broadcasts them)."""
    stretched = {c for term in terms for c in term.labels if term.extent(c) != 1}
    return [drop_ones(term, stretched) for term in terms]


def contract(terms: Sequence[Labelled], output: Sequence[str]) -> Expr:
    """Σ of the product of all terms over the labels not in `output`, pair by pair in a greedy order.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0] * 4] * 6, keys=("i", "k"), tile=2)
        >>> terms = [labelled(A.expr, ("a", "b")), labelled(A.expr, ("c", "b"))]
        >>> str(contract(terms, ["a", "c"]).type)
        '[i:3, i_2:3] of 2/6×2/6 float64'

    Raises:
        SchemaError: a label stands for two extents.
    """
    names = _key_names(terms)
    rest = _without_ones(terms)
    check_extents(rest)
    for first, second in _path(rest, output):
        one, other = rest[first], rest[second]
        rest = [t for p, t in enumerate(rest) if p not in (first, second)]
        rest.append(contract_pair(one, other, _kept([one, other], rest, output)))
    last = rest[0]
    gone = [c for c in last.labels if c not in output]
    if gone:
        last = sum_labels(last, gone)
    last = transposed(last, output)
    return renamed_keys(last, [names.get(c, f"k{p}") for p, c in enumerate(output)])


def _kept(pair: Sequence[Labelled], rest: Sequence[Labelled], output: Sequence[str]) -> list[str]:
    """Labels a pair must keep; in the output's order when nothing follows, so that no transpose is needed."""
    needed = set(output).union(*(t.labels for t in rest))
    here = dict.fromkeys(c for t in pair for c in t.labels if c in needed)
    return [c for c in output if c in here] if not rest else list(here)


def _key_names(terms: Sequence[Labelled]) -> dict[str, str]:
    """The key name that rides along with each label: the first operand's that cuts it."""
    names: dict[str, str] = {}
    for term in terms:
        for place, label in enumerate(term.labels):
            key = axis_key(term.type, place)
            if key is not None:
                names.setdefault(label, key)
    return names


def _path(terms: Sequence[Labelled], output: Sequence[str]) -> list[tuple[int, int]]:
    """The greedy order of NumPy's einsum_path, from shapes alone."""
    numbers = {c: n for n, c in enumerate(dict.fromkeys(c for t in terms for c in t.labels))}
    if len(terms) < 3 or len(numbers) > _MAX_LABELS:
        return [(0, 1)] * (len(terms) - 1)
    arguments: list[Any] = []
    for term in terms:
        shape = tuple(axis.extent for axis in term.type.axes)
        arguments += [np.broadcast_to(np.float32(0), shape), [numbers[c] for c in term.labels]]
    path = np.einsum_path(*arguments, [numbers[c] for c in output], optimize=("greedy", 2**62))[0]
    steps: list[tuple[int, int]] = []
    for step in path[1:]:
        at = sorted(step)
        while len(at) > 1:
            steps.append((at[0], at[1]))
            n = len(terms) - len(steps)
            at = [p - sum(q < p for q in at[:2]) for p in at[2:]] + [n - 1]
    return steps
