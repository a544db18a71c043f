"""TRAIN as it runs: the training itself, and what is shown of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tra.algebra.counted import counted
from tra.backends.record import Record
from tra.backends.session import Session
from tra.sql.train_form import Training


def run_training(session: Session, training: Training) -> str:
    """Trains, gives the parameters their new values, and says how the loss went.

    Example:
        >>> import tra
        >>> text = "INITIALIZE w() ZEROS; LET loss = MEAN((x[n] * w - 2 * x[n]) ^ 2);"
        >>> with tra.connect("local", threads=1) as session:
        ...     train = "TRAIN w MINIMIZE loss USING SGD(0.01) FOR 2 EPOCHS BATCH n BY 2;"
        ...     print(session.sql(text + train, x=[1.0, 2.0, 3.0]))
        w: 2 epochs of 2 steps
        epoch  loss
            1 17.65
            2  12.1
    """
    recipe, checkpoint = training.recipe(), training.written.checkpoint
    every = 1 if checkpoint is None or checkpoint.every is None else checkpoint.every.value
    trained = session.train(
        recipe.loss, recipe.parameters, recipe.using, data=recipe.data, batch=recipe.batch,
        epochs=recipe.epochs, seed=recipe.seed, metrics=recipe.metrics, checkpoint=training.folder,
        every=every,
    )  # fmt: skip
    places = training.parameters
    training.definitions.replace({places[name]: value for name, value in trained.parameters.items()})
    steps = f"{counted(recipe.epochs, 'epoch')} of {counted(recipe.steps_per_epoch, 'step')}"
    shown = f"{', '.join(places)}: {steps}"
    last = recipe.n_rows % recipe.batch if recipe.batch else 0
    return "\n".join([shown, *_table(trained.history, recipe.epochs, recipe.batch or 1, last)])


def explain_training(session: Session, training: Training) -> str:
    """The plan of a step.

    Example:
        >>> import tra
        >>> text = "INITIALIZE w() ZEROS; LET loss = MEAN((x[n] * w - 2 * x[n]) ^ 2);"
        >>> with tra.connect("local", threads=1) as session:
        ...     explain = "EXPLAIN TRAIN w MINIMIZE loss USING SGD(0.1) FOR 2 EPOCHS BATCH n BY 2;"
        ...     "stage 1" in str(session.sql(text + explain, x=[1.0, 2.0, 3.0]))
        True
    """
    recipe = training.recipe()
    return str(
        session.explain_train(
            recipe.loss, recipe.parameters, recipe.using, data=recipe.data, batch=recipe.batch
        )
    )


def _table(history: Sequence[Record], n_epochs: int, full: int, last: int) -> Iterator[str]:
    """A line for each epoch: the means over its examples, each as it was before its step.

    Args:
        history: what the steps gave.
        n_epochs: how many epochs there are in all.
        full: examples of a step.
        last: examples of the last step of an epoch where these are fewer, else 0.
    """
    done = n_epochs if not history else history[0].epoch - 1
    if done:
        yield f"{counted(done, 'epoch')} done before, by the checkpoint"
    if not history:
        return
    names = ["loss", *history[0].metrics]
    rows = [["epoch", *names]]
    for epoch, group in groupby(history, lambda record: record.epoch):
        records = list(group)
        weights = [full] * (len(records) - 1) + [last or full]
        values = [[record.loss, *record.metrics.values()] for record in records]
        rows.append([str(epoch), *(f"{_mean(column, weights):.4g}" for column in zip(*values, strict=True))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield " ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
