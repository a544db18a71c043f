"""Parameters from text: ``INITIALIZE W1(d: 64, h: 48) UNIFORM(-0.1, 0.1) SEED 1``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tra.algebra.nodes import Constant, Maker
from tra.algebra.operators import generated
from tra.algebra.relation import Relation
from tra.algebra.tensor_type import tensor_type
from tra.errors import near_name
from tra.sql import syntax as s
from tra.sql.generated_form import dtype_of, random_maker
from tra.sql.problems import Problem
from tra.sql.scope import at
from tra.sql.vocabulary import DISTRIBUTIONS

_DRAWN = ("uniform", "normal")


def bind_initialize(statement: s.Initialize) -> Relation:
    """The relation of a parameter: a whole tensor, made where it is needed.

    Raises:
        Problem: no such distribution, a size or a dtype that is none, tile sizes that do not fit.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> bind_initialize(parse_text("INITIALIZE W(d: 6, h: 4) NORMAL(0, 1) SEED 1 TILE (4, 4)")[0])
        [d:2, h:1] of 4/6×4 float64
    """
    for axis in statement.axes:
        if axis.size.value < 1:
            raise Problem(axis.span, f"an axis has at least one place; {axis.key.text} has 0")
    keys = [axis.key.text for axis in statement.axes]
    shape = [axis.size.value for axis in statement.axes]
    sizes = None if statement.sizes is None else [size.value for size in statement.sizes]
    dtype = dtype_of(statement.dtype or s.Name("float64"))
    if statement.dtype is not None and dtype.kind != "f":
        raise Problem(statement.dtype.span, f"parameters are of floats, not of {dtype}")
    maker = _maker(statement, dtype)
    with at(statement.span):
        return Relation(generated(tensor_type(shape, dtype, keys, sizes), maker), {})


def _maker(statement: s.Initialize, dtype: np.dtype[Any]) -> Maker:
    drawn, seed = statement.drawn, statement.seed
    name = drawn.distribution
    if name.text == "zeros":
        if drawn.parameters or seed is not None:
            raise Problem(drawn.span, "ZEROS takes no numbers and no SEED")
        return Constant(0.0)
    if name.text not in _DRAWN:
        near = near_name(name.text.upper(), ["UNIFORM", "NORMAL", "ZEROS"])
        raise Problem(name.span, f"no distribution {name.text.upper()}{near}", DISTRIBUTIONS)
    if seed is None:
        raise Problem(drawn.span, f"{name.text.upper()} needs a SEED: runs draw the same numbers", "SEED 1")
    return random_maker(name, drawn.parameters, seed.value, dtype)
