"""TRAIN: which relations are parameters and which are batched, and the loss as a function of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tra.algebra.relation import Relation
from tra.algebra.whole_tensor import axis_key, is_whole_form
from tra.backends.recipe import Recipe, checked_recipe
from tra.backends.step_query import LOSS
from tra.errors import near_name
from tra.sql import syntax as s
from tra.sql.definitions import Definitions
from tra.sql.gradient_form import check_loss
from tra.sql.kept_tiles import kept, speaks_of_tiles
from tra.sql.problems import Problem
from tra.sql.recipe_form import bind_optimizer
from tra.sql.scope import at
from tra.sql.step_check import check_step


@dataclass(frozen=True)
class Training:
    """A TRAIN with its names looked up.

    Attributes:
        written: the statement.
        definitions: what its names stand for.
        loss: the place of the loss among the definitions.
        parameters: the place of each parameter, by name.
        data: the places of the relations that are batched.
        report: the place of each metric, by name.
        folder: where checkpoints are kept, or None.
    """

    written: s.Train
    definitions: Definitions
    loss: int
    parameters: Mapping[str, int]
    data: tuple[int, ...]
    report: Mapping[str, int]
    folder: Path | None

    def function(self, place: int) -> Callable[..., Relation]:
        """A definition as a function of the parameters by name and the relations of a batch."""

        def value(parameters: Mapping[str, Relation], *batch: Relation) -> Relation:
            replaced = {self.parameters[name]: relation for name, relation in parameters.items()}
            replaced |= zip(self.data, batch, strict=True)
            return self.definitions.bound(place, replaced)

        return value

    def recipe(self) -> Recipe:
        """What is trained, and how; the parameters and the data as they are now.

        Raises:
            Problem: parts do not fit together.
        """
        train, batch = self.written, self.written.batch
        with at(train.span if batch is None else batch.span):
            return checked_recipe(
                self.function(self.loss),
                {name: self._value(place) for name, place in self.parameters.items()},
                bind_optimizer(train.using),
                [self._value(place) for place in self.data],
                None if batch is None else batch.size.value,
                train.epochs.value,
                0 if train.seed is None else train.seed.value,
                {name: self.function(place) for name, place in self.report.items()},
            )

    def _value(self, place: int) -> Relation:
        value: Relation = self.definitions[place].value
        used = [self.loss, *self.report.values()]
        return kept(value) if speaks_of_tiles(self.definitions, used) else value


def bind_train(train: s.Train, definitions: Definitions, base: Path | None) -> Training:
    """A TRAIN with its names looked up, and a step of it written once, so that mistakes show.

    Raises:
        Problem: a parameter is none, the loss is no number or does not depend on it, there is no such
            optimizer or setting, or what is batched does not fit.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> *others, train = parse_text(
        ...     "INITIALIZE w() ZEROS; LET loss = MEAN((x[n] * w - 2 * x[n]) ^ 2);"
        ...     "TRAIN w MINIMIZE loss USING SGD(0.1) FOR 5 EPOCHS BATCH n BY 2")
        >>> definitions = Definitions({"x": [1.0, 2.0, 3.0]})
        >>> for statement in others:
        ...     definitions.define(statement)
        >>> bound = bind_train(train, definitions, None)
        >>> bound.loss, bound.parameters, bound.data
        (2, {'w': 1}, (0,))
    """
    bind_optimizer(train.using)
    _check_counts(train)
    loss = _derived(train.loss, definitions, "MINIMIZE")
    report = {name.text: _derived(name, definitions, "REPORT") for name in train.report}
    check_loss(train.loss, definitions.scope.find(train.loss))
    for name in train.report:
        _check_metric(name, definitions)
    parameters = {name.text: _parameter(name, loss, train, definitions) for name in train.names}
    if len(parameters) < len(train.names):
        raise Problem(train.names[-1].span, "a parameter is named twice")
    data = () if train.batch is None else _batched(train.batch, [loss, *report.values()], definitions)
    folder = None if train.checkpoint is None else _folder(train.checkpoint, base)
    training = Training(train, definitions, loss, parameters, tuple(data), report, folder)
    with at(train.span):
        check_step(training.recipe())
    return training


def _check_counts(train: s.Train) -> None:
    every = None if train.checkpoint is None else train.checkpoint.every
    counts = [(train.epochs, "FOR"), (every, "EVERY")]
    if train.batch is not None:
        counts.append((train.batch.size, "BY"))
    for count, word in counts:
        if count is not None and count.value < 1:
            raise Problem(count.span, f"{word} takes a number of at least 1")


def _derived(name: s.Name, definitions: Definitions, word: str) -> int:
    """The place of a LET or view, which can be bound again over new values."""
    place = definitions.place(name)
    if definitions[place].statement is None:
        raise Problem(
            name.span,
            f"{name.text} is given as it is, and {word} takes what a LET makes of parameters and data",
            f"write LET {name.text} = ... in the same text",
        )
    return place


def _check_metric(name: s.Name, definitions: Definitions) -> None:
    type_ = definitions.scope.find(name).expr.type
    if type_.shape or type_.dtype.kind not in "biuf":
        raise Problem(name.span, f"what is reported is one number, and {name.text} is {type_}")
    if name.text == LOSS:
        raise Problem(name.span, f"{LOSS} is reported anyway")


def _parameter(name: s.Name, loss: int, train: s.Train, definitions: Definitions) -> int:
    place = definitions.place(name)
    value = definitions[place].value
    if definitions[place].statement is not None:
        raise Problem(
            name.span,
            f"{name.text} follows from others by its definition: it cannot be trained",
            "parameters are made by INITIALIZE, loaded, or given from Python",
        )
    if not isinstance(value, Relation):
        raise Problem(name.span, f"{name.text} is a number", f"write INITIALIZE {name.text}() ZEROS")
    if value.dtype.kind != "f":
        raise Problem(name.span, f"parameters are of floats; {name.text} is {value.expr.type}")
    if place not in definitions.needed([loss]):
        raise Problem(name.span, f"{train.loss.text} does not depend on {name.text}")
    return place


# --- batches ---------------------------------------------------------------------------------------


def _batched(batch: s.Batch, wanted: list[int], definitions: Definitions) -> Iterator[int]:
    """The places of what has rows along the index of a batch: what is loaded or given, along axis 0."""
    index = batch.index.text
    found: dict[int, None] = {}
    needed = sorted(definitions.needed(wanted))
    for place in needed:
        for used, node in definitions.uses(place):
            axes = _axes_along(index, node, definitions[used].value)
            if not axes:
                continue
            if axes != [0]:
                raise _not_first(batch.index, definitions[used].name, axes[-1])
            found[used] = None
    if not found:
        raise _nothing_along(batch.index, needed, definitions)
    _check_rows(batch, found, definitions)
    yield from found


def _axes_along(index: str, node: s.Node, value: object) -> list[int]:
    """The axes of a relation that an index names where it is used: by its indices, or else by its keys."""
    if not isinstance(value, Relation):
        return []
    match node:
        case s.Tensor(indices=indices):
            return [axis for axis, name in enumerate(indices or ()) if name.text == index]
        case s.Table() if is_whole_form(value.expr.type):
            return [axis for axis in range(len(value.shape)) if axis_key(value.expr.type, axis) == index]
        case _:
            return []


def _not_first(index: s.Name, name: str, axis: int) -> Problem:
    return Problem(
        index.span,
        f"batches are taken from the first axis, and {index.text} is axis {axis} of {name}",
        f"load or pass it with {index.text} first",
    )


def _nothing_along(index: s.Name, needed: Sequence[int], definitions: Definitions) -> Problem:
    """The problem that nothing has rows along the index of a batch."""
    indices = {
        name.text
        for place in needed
        for used, node in definitions.uses(place)
        if isinstance(node, s.Tensor) and definitions[used].statement is None
        for name in node.indices or ()
    }
    near = near_name(index.text, sorted(indices))
    return Problem(
        index.span,
        f"nothing that is loaded or given has rows along {index.text}{near}",
        f"what the loss reads has {', '.join(sorted(indices))}" if indices else None,
    )


def _check_rows(batch: s.Batch, places: Mapping[int, None], definitions: Definitions) -> None:
    rows = {definitions[place].name: definitions[place].value.shape[0] for place in places}
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"{name} {n:,}" for name, n in rows.items())
        raise Problem(batch.index.span, f"what is batched has one number of rows: {listed}")


# --- checkpoints -----------------------------------------------------------------------------------


def _folder(checkpoint: s.Checkpoint, base: Path | None) -> Path:
    """Where checkpoints are kept.

    Raises:
        Problem: it is a file, or no name.
    """
    written = checkpoint.folder
    folder = (base or Path()) / written.value
    if not written.value.strip():
        raise Problem(written.span, "checkpoints need a folder", "such as 'checkpoints'")
    if folder.exists() and not folder.is_dir():
        raise Problem(written.span, f"checkpoints are kept in a folder, and {written.value} is a file")
    return folder
