"""One plan node as a line of text."""

from __future__ import annotations

from collections.abc import Mapping

from tra.algebra.counted import counted
from tra.algebra.key_function import KeyFunction, Opaque, text
from tra.optimizer.plan import (
    Broadcast,
    LocalAggregate,
    LocalConcat,
    LocalContract,
    LocalFilter,
    LocalJoin,
    LocalMap,
    LocalStack,
    LocalTile,
    Make,
    Plan,
    Repartition,
    Scan,
    Shuffle,
)


def node_text(node: Plan, names: Mapping[str, str] | None = None) -> str:
    """One plan node in a line, operands by the names given to them, or by their digests.

    Example:
        >>> from tra.optimizer.rules.examples import scan, split
        >>> node_text(Shuffle(scan().type, split("j"), scan()), {scan().digest: "r0"})
        'shuffle(r0)'
    """
    args = ", ".join((names or {}).get(c.digest, c.digest[:6]) for c in node.children)
    match node:
        case Scan(name=name):
            return f"scan {name}"
        case Make(maker=maker):
            return f"make {maker}"
        case Broadcast():
            return f"broadcast({args})"
        case Shuffle():
            return f"shuffle({args})"
        case Repartition(along=along):
            return f"repartition({args}" + (f", along={along})" if len(node.children) > 1 else ")")
        case LocalJoin(on=on, kernel=kernel):
            return f"join({args}, on={_on(on)}, {kernel})"
        case LocalContract(on=on, kernel=kernel, by=by, fold=fold, only=only):
            masked = "" if only is None else f", only {counted(len(only.keys), 'tile')}"
            return f"contract({args}, on={_on(on)}, {kernel}, by=({', '.join(by)}), {fold}{masked})"
        case LocalAggregate(by=by, kernel=kernel):
            return f"aggregate({args}, by=({', '.join(by)}), {kernel})"
        case LocalFilter(predicate=predicate):
            return f"filter({args}, {text(predicate)})"
        case LocalMap(function=function, kernels=kernels):
            keys = [] if function is None else [_keys(function)]
            return f"map({', '.join([args, *keys, *map(str, kernels)])})"
        case LocalTile(axis=axis, size=size, key=key):
            return f"tile({args}, axis={axis}, size={size}, key={key})"
        case LocalConcat(key=key, axis=axis):
            return f"concat({args}, key={key}, axis={axis})"
        case LocalStack(key=key):
            return f"stack({args}, key={key})"


def _on(on: tuple[tuple[str, str], ...]) -> str:
    return "(" + ", ".join(mine if mine == theirs else f"{mine}={theirs}" for mine, theirs in on) + ")"


def _keys(function: KeyFunction) -> str:
    return text(function) if isinstance(function, Opaque) else f"({', '.join(map(text, function))})"
