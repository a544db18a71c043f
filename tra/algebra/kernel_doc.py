"""What ``help(tra.relu)`` shows, all taken from the kernel: its call, shape law, laws and an example."""

from __future__ import annotations

from dataclasses import fields
from inspect import Parameter, Signature, cleandoc
from itertools import takewhile
from typing import Any

import numpy as np

from tra.algebra.kernel import Kernel, kernel
from tra.algebra.laws import Laws
from tra.algebra.types import Tile
from tra.errors import TraError

_PAIR = np.dtype([("value", np.float64), ("index", np.int64)])
_PARAMETERS = {"by": 10, "dtype": "float32", "high": 1, "low": 0, "size": 3}
_OWN_PARAMETERS: dict[str, dict[str, Any]] = {"embed": {"spec": "a->aa"}}
_OPERANDS: dict[int, tuple[tuple[Tile, ...], ...]] = {  # the first that the kernel takes makes the example
    1: (
        (np.array([-1.0, 2.0]),),
        (np.array([1.0, 4.0]),),
        (np.array([(3.0, 0), (5.0, 1)], _PAIR),),
        (np.array([[1.0, 2.0], [3.0, 4.0]]),),
        (np.array([[1.0], [2.0]]),),
    ),
    2: (
        (np.array([-1.0, 2.0]), np.array([3.0, 2.0])),
        (np.array([(3.0, 0), (5.0, 1)], _PAIR), np.array([(4.0, 2), (5.0, 3)], _PAIR)),
        (np.array([True, False]), np.array([(3.0, 0), (5.0, 1)], _PAIR)),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])),
    ),
}


def kernel_doc(name: str, call: Signature, n_operands: int) -> str:
    """The docstring of the function for a kernel that takes `n_operands`, then parameters.

    Example:
        >>> import tra
        >>> text, example = tra.add.__doc__.split("Example:")
        >>> print(text)
        numpy.add, element by element.
        <BLANKLINE>
        Call: ``tra.add(left, right)``
        Tiles: ``(),()->()``; shapes broadcast as in NumPy
        Laws: associative, commutative, identity 0.0, ...
        <BLANKLINE>
        >>> example.split()[-2:]
        ['array([2.,', '4.])']
    """
    required = [p.name for p in [*call.parameters.values()][n_operands:] if p.default is Parameter.empty]
    samples = {**_PARAMETERS, **_OWN_PARAMETERS.get(name, {})}
    lines = [f"Call: ``tra.{name}{call.replace(return_annotation=Signature.empty)}``"]
    try:
        made = kernel(name, **{param: samples[param] for param in required})
    except (KeyError, TraError):  # parameters that only its user knows
        return "\n".join([f"The kernel {name} on whole tensors.", "", *lines, ""])
    lines += [f"Tiles: ``{made.signature}``; {_shapes(made)}"]
    if laws := law_text(made.laws):
        lines += [f"Laws: {laws}" + (", with the parameters below" if required else "")]
    example = [] if made.user else _example(name, made, [samples[param] for param in required])
    return "\n".join([_summary(name, made), "", *lines, *example, ""])


def _summary(name: str, made: Kernel) -> str:
    """What the kernel does in a sentence: a user's own words, or the name."""
    if made.user and made.function.__doc__:
        return " ".join(takewhile(str.strip, cleandoc(made.function.__doc__).splitlines()))
    what = f"numpy.{made.function.__name__}" if isinstance(made.function, np.ufunc) else f"The kernel {name}"
    return f"{what}, element by element." if made.laws.elementwise else f"{what} on whole tensors."


def _shapes(made: Kernel) -> str:
    if any(made.signature.inputs) or made.signature.output:
        return "the dimensions named are the last axes, those before them broadcast"
    return "the shape stays" if made.arity == 1 else "shapes broadcast as in NumPy"


def law_text(laws: Laws) -> str:
    """The laws that hold, in words.

    Example:
        >>> law_text(Laws(associative=True, identity=0.0, linear=frozenset([0, 1])))
        'associative, identity 0.0, linear in operand 1 and 2'
    """
    return ", ".join(text for f in fields(laws) if (text := _law(f.name, getattr(laws, f.name))))


def _law(name: str, value: Any) -> str:
    if value is None or value is False or value in (frozenset(), ()):
        return ""
    if name == "linear":
        return f"linear in operand {' and '.join(str(position + 1) for position in sorted(value))}"
    words = name.replace("_", " ")
    if value is True:
        return words
    if isinstance(value, frozenset):
        return f"{words} {' and '.join(sorted(value))}"
    return f"{words} {value}"


def _example(name: str, made: Kernel, parameters: list[Any]) -> list[str]:
    """A call on a few numbers and what it gives, where the kernel takes one of the operands tried."""
    for operands in _OPERANDS.get(made.arity, ()):
        result = _result(made, operands)
        if result is not None:
            arguments = ", ".join([*map(_text, operands), *map(repr, parameters)])
            shown = repr(result).splitlines()
            lines = [">>> import tra", f">>> tra.{name}({arguments}).compute()", *shown]
            return ["", "Example:", *(f"    {line}" for line in lines)]
    return []


def _result(made: Kernel, operands: tuple[Tile, ...]) -> Tile | None:
    """What the kernel gives, or None where it does not take these tiles or gives no numbers."""
    if any(len(dims) > tile.ndim for dims, tile in zip(made.signature.inputs, operands, strict=True)):
        return None
    try:
        with np.errstate(all="ignore"):
            result = made(*operands)
    except TraError:
        return None
    return result if result.dtype.names is not None or np.isfinite(result).all() else None


def _text(tile: Tile) -> str:
    if tile.dtype.names is not None:
        return f"tra.pair({tile['value'].tolist()}, {tile['index'].tolist()})"
    return f"tra.from_array({tile.tolist()})"
