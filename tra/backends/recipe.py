"""What is trained, and how: the arguments of a training, checked before anything is run."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from tra.algebra.live import is_listable, live_keys
from tra.algebra.nodes import Source, postorder
from tra.algebra.relation import Relation
from tra.algebra.retiling import check_whole
from tra.algebra.sources import TileSource
from tra.algebra.tensor_type import tensor_type
from tra.algebra.types import RelType, Tile
from tra.backends.backend import StoredSource
from tra.backends.step_query import LOSS, STEP, Function, Optimizer, StepQuery, Unbound, query_digest
from tra.backends.used_parameters import using_all
from tra.errors import PlanError, SchemaError


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how.

    Attributes:
        loss: a scalar, of the parameters by name and the relations of a batch.
        parameters: initial values by name.
        using: the optimizer.
        data: relations whose axis 0 are the examples.
        batch: examples per step, None for all.
        epochs: how often all examples are seen.
        seed: of the order of examples.
        metrics: more scalars that each step gives, by name.
    """

    loss: Function
    parameters: Mapping[str, Relation]
    using: Optimizer
    data: tuple[Relation, ...]
    batch: int | None
    epochs: int
    seed: int
    metrics: Mapping[str, Function]
    _kept: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def n_rows(self) -> int:
        """How many examples there are; 1 where there is no data."""
        return self.data[0].shape[0] if self.data else 1

    @property
    def steps_per_epoch(self) -> int:
        """How many batches make an epoch."""
        return -(-self.n_rows // self.batch) if self.batch else 1

    def content(self, query: StepQuery) -> str:
        """A name for the data, and for all else that steps read but for metrics; its sample is taken once."""
        if "content" not in self._kept:
            read = _sources([*query.updates.values(), query.figures[LOSS]])
            data = query_digest([r.expr for r in self.data]) + sampled(_sources(self.data))
            self._kept["content"] = sha256((data + sampled(read)).encode()).hexdigest()[:24]
        return self._kept["content"]


def checked_recipe(
    loss: Any,
    parameters: Any,
    using: Any,
    data: Any = (),
    batch: int | None = None,
    epochs: int = 1,
    seed: int = 0,
    metrics: Any = None,
) -> Recipe:
    """A recipe whose parts fit together.

    Example:
        >>> checked_recipe(None, {}, None)
        Traceback (most recent call last):
        tra.errors.PlanError: a loss is a function of the parameters and a batch; got None

    Raises:
        PlanError: an argument is none of its kind.
        SchemaError: data has other numbers of examples, or no examples; or a parameter has the name of
            something that the optimizer keeps of another. A loss that does not depend on a parameter raises
            it where the query of a step is written.
    """
    metrics = {} if metrics is None else metrics
    _check_functions(loss, metrics)
    _check_parameters(parameters, metrics)
    if isinstance(using, type) or not (hasattr(using, "start") and hasattr(using, "update")):
        raise PlanError(f"using is an optimizer, such as tra.SGD(rate=0.1); got {using!r}")
    epochs, seed = _number("epochs", epochs, 1), _seed(seed)
    relations = _relations(data)
    if batch is not None:
        batch = _number("batch", batch, 1)
        if not relations:
            raise PlanError(f"batch={batch} takes examples from data, and none is given")
        batch = batch if batch < relations[0].shape[0] else None  # all of it is one step
    values = {name: Relation._of(value) for name, value in parameters.items()}
    _check_state_names(values, using)
    return Recipe(using_all(loss), values, using, relations, batch, epochs, seed, dict(metrics))


def _check_functions(loss: Any, metrics: Any) -> None:
    if not callable(loss):
        raise PlanError(f"a loss is a function of the parameters and a batch; got {loss!r}")
    if not isinstance(metrics, Mapping) or not all(callable(metric) for metric in metrics.values()):
        raise PlanError(f"metrics are functions by name; got {metrics!r}")


def _check_parameters(parameters: Any, metrics: Mapping[str, Any]) -> None:
    if not isinstance(parameters, Mapping) or not parameters:
        raise PlanError(f"parameters are relations by name, at least one; got {parameters!r}")
    for name in (*parameters, *metrics):
        if not isinstance(name, str) or name in ("", LOSS, STEP):
            raise PlanError(f"{name!r} cannot be the name of a parameter or a metric")


def _check_state_names(parameters: Mapping[str, Relation], using: Optimizer) -> None:
    for name in using.start(parameters):
        if name in parameters:
            raise SchemaError(
                f"{name!r} is the name of a parameter and of what the optimizer keeps\n"
                "  hint: give the parameter a name without a dot"
            )


def _number(what: str, value: Any, least: int) -> int:
    number = _index(value)
    if number is None or number < least:
        raise PlanError(f"{what} is an integer of at least {least}; got {value!r}")
    return number


def _seed(value: Any) -> int:
    number = _index(value)
    if number is None or not 0 <= number < 1 << 64:
        raise PlanError(f"seed is an integer from 0 to 2**64 - 1; got {value!r}")
    return number


def _index(value: Any) -> int | None:
    """An integer of any kind as Python's; None for what is none, truth values among it."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _relations(data: Any) -> tuple[Relation, ...]:
    """Data as relations with equally many examples."""
    if isinstance(data, (Mapping, str)):
        raise SchemaError(f"data is a list of relations or arrays, in the order of the loss; got {data!r}")
    given: Sequence[Any] = (data,) if hasattr(data, "shape") else tuple(data)
    relations = tuple(Relation._of(value) for value in given)
    for relation in relations:
        check_whole(relation.expr.type, "training")
        if not relation.shape or not relation.shape[0]:
            raise SchemaError(f"data has an axis 0 that counts the examples; got {relation!r}")
        if relation.shape[0] != relations[0].shape[0]:
            raise SchemaError(
                f"data has one row for each example: {relations[0]!r} has {relations[0].shape[0]} rows, "
                f"{relation!r} has {relation.shape[0]}"
            )
    return relations


N_SAMPLED = 64  # rows of a source


def sampled(sources: Iterable[tuple[RelType, TileSource]]) -> str:
    """A digest of shapes, dtypes and a few rows, evenly spaced; where the data lies does not count.

    Rows are read of arrays, tiles and files. Of what is stored on a backend only shape and dtype count.

    Example:
        >>> import tra
        >>> A, B, C = (tra.from_array([1.0, 2.0, end]) for end in (3.0, 3.0, 4.0))
        >>> [sampled(_sources([A])) == sampled(_sources([other])) for other in (B, C)]
        [True, False]
    """
    found = sha256()
    for type_, source in sources:
        found.update(f"{type_.shape} {type_.dtype};".encode())
        if not isinstance(source, StoredSource):
            for row in _rows(type_, source):
                found.update(np.ascontiguousarray(row).tobytes())
    return found.hexdigest()[:24]


def _sources(relations: Iterable[Relation]) -> list[tuple[RelType, TileSource]]:
    """What relations read, in the order of their expressions, but for what is bound when a step runs."""
    given = list(relations)
    sources = {id_: source for relation in given for id_, source in relation.sources.items()}
    nodes = [node for node in postorder(*(relation.expr for relation in given)) if isinstance(node, Source)]
    return [(n.type, sources[n.id]) for n in nodes if not isinstance(sources[n.id], Unbound)]


def _rows(type_: RelType, source: TileSource) -> Iterator[Tile]:
    """Evenly spaced rows; of tiles that somebody chose, evenly spaced rows of evenly spaced tiles."""
    if source.is_open and type_.names:
        lengths = (1, *(max(length, 1) for length in type_.shape[1:]))
        cut = source.cut(tensor_type(type_.shape, type_.dtype, type_.names, lengths))
        others = (0,) * (len(type_.names) - 1)
        yield from (cut.read((place, *others)) for place in _spaced(type_.shape[0], N_SAMPLED))
    elif is_listable(type_):
        keys = live_keys(type_)
        chosen = _spaced(len(keys), N_SAMPLED)
        for key in keys[chosen].tolist():
            tile = np.atleast_1d(source.read(tuple(key)))
            yield tile[_spaced(len(tile), -(-N_SAMPLED // len(chosen)))]


def _spaced(n: int, most: int) -> list[int]:
    """Up to so many places among n, evenly spaced, the first and the last among them.

    Example:
        >>> _spaced(3, 64), _spaced(101, 3)
        ([0, 1, 2], [0, 50, 100])
    """
    if n <= most or most < 2:
        return list(range(min(n, most)))
    return [place * (n - 1) // (most - 1) for place in range(most)]
