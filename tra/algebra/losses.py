"""Losses: how far predictions are from what they should be, as one number, the mean over the examples.

Labels are brought to the dtype of the predictions, so that a network in float32 has a loss in float32. They
must have the shape of the predictions: what would broadcast here, [n] against [n, 1], would pair every
example with every other.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from tra.algebra.arithmetic import binary, cast
from tra.algebra.entry_point import entry_point
from tra.algebra.functions import kernel_function
from tra.algebra.habits import python_habit, synonym
from tra.algebra.labels import labelled, match_cuts
from tra.algebra.reductions import iota_like, reduce
from tra.algebra.relation import Operand, Relation, as_relation, combine, where
from tra.algebra.whole_tensor import expand_dims
from tra.errors import SchemaError, near_name


@entry_point
def squared_error(prediction: Operand, target: Operand) -> Relation:
    """The mean squared error: mean((prediction − target)²) over all elements.

    Args:
        prediction: a tensor of any shape, [n] or [n, outputs] as a rule.
        target: a tensor of the same shape.

    Source: `torch.nn.MSELoss`.

    Example:
        >>> squared_error([1.0, 2.0, 3.0], [1.0, 2.0, 6.0]).compute()
        array(3.)

    Raises:
        SchemaError: the shapes differ, or one has holes.
    """
    found, wanted = _pair(prediction, target, "squared_error", "prediction", "target")
    return (found - wanted).transform("square").mean()


@entry_point
def softmax_cross_entropy(logits: Operand, labels: Operand) -> Relation:
    """The cross entropy of softmax(logits): mean(logsumexp(z) − z[label]) over the examples.

    Nothing overflows: the logarithm of the sum is taken about its largest term. A label that is no class
    makes the loss NaN, and a training names it.

    Args:
        logits: a tensor [n, classes] (or with more axes before the last), before any softmax.
        labels: integers [n] from 0 to classes − 1, or shares of classes [n, classes], such as one-hot rows.

    Source: `torch.nn.CrossEntropyLoss`.

    Example:
        >>> logits = np.array([[0.0, np.log(3.0)], [1000.0, 0.0]])
        >>> np.allclose(softmax_cross_entropy(logits, [1, 0]).compute(), np.log(4 / 3) / 2)
        True
        >>> softmax_cross_entropy(logits, [[1.0], [0.0]])
        Traceback (most recent call last):
        tra.errors.SchemaError: softmax_cross_entropy: labels of shape (2, 1) do not fit logits of ... (2, 2)
          logits  ...[i:1, j:1] of 2×2 float64
          labels  ...[i:1, j:1] of 2×1 float64
          hint: labels are integers of shape (2,), or shares of the classes of shape (2, 2)

    Raises:
        SchemaError: labels of another shape, labels of shape [n] that are no integers, or holes.
    """
    scores, truth = _as_float(as_relation(logits), "softmax_cross_entropy"), as_relation(labels)
    if not scores.ndim:
        raise SchemaError(f"softmax_cross_entropy takes logits with an axis of classes; got {scores}")
    if truth.shape == scores.shape:
        return _between_shares(scores, truth.astype(scores.dtype))
    if truth.shape != scores.shape[:-1]:
        _refuse_labels(scores, truth, f"do not fit logits of shape {scores.shape}")
    if truth.dtype.kind not in "biu":
        _refuse_labels(scores, truth, f"are {truth.dtype}, and classes are counted by integers")
    return _with_classes(scores, truth)


@entry_point
def logistic(scores: Operand, labels: Operand) -> Relation:
    """The cross entropy of sigmoid(scores): mean(log(1 + exp(s)) − s·y) over all elements; never overflows.

    Its derivative is sigmoid(s) − y everywhere, at 0 as well.

    Args:
        scores: a tensor of any shape, before any sigmoid.
        labels: 0 and 1 (or shares between them), of the same shape.

    Source: `torch.nn.BCEWithLogitsLoss`.

    Example:
        >>> np.allclose(logistic([0.0, 1000.0], [1, 1]).compute(), np.log(2.0) / 2)
        True

    Raises:
        SchemaError: the shapes differ, or one has holes.
    """
    found, wanted = _pair(scores, labels, "logistic", "scores", "labels")
    return (combine("logaddexp", found, 0.0) - found * wanted).mean()


@entry_point
def hinge(scores: Operand, labels: Operand) -> Relation:
    """The hinge loss of a margin: mean(max(1 − y·s, 0)) over all elements.

    Args:
        scores: a tensor of any shape.
        labels: −1 and +1, of the same shape.

    Source: Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Example:
        >>> hinge([0.5, 2.0, -1.0], [1, 1, 1]).compute()
        array(0.83333333)

    Raises:
        SchemaError: the shapes differ, or one has holes.
    """
    found, wanted = _pair(scores, labels, "hinge", "scores", "labels")
    return kernel_function("relu")(1.0 - found * wanted).mean()


def _pair(left: Operand, right: Operand, loss: str, one: str, other: str) -> tuple[Relation, Relation]:
    """Both operands, of one shape and of the dtype of the first."""
    found, wanted = _as_float(as_relation(left), loss), as_relation(right)
    if found.shape != wanted.shape:
        raise SchemaError(
            f"{loss}: {one} of shape {found.shape} and {other} of shape {wanted.shape} differ\n"
            f"  {one}  {found}\n  {other}  {wanted}\n"
            f"  hint: a loss does not broadcast; index one as in A[:, None] or A[:, 0] to add or drop an axis"
        )
    return found, wanted.astype(found.dtype)


def _as_float(prediction: Relation, loss: str) -> Relation:
    if prediction.dtype.kind == "c":
        raise SchemaError(f"{loss} takes real predictions; got {prediction}")
    return prediction if prediction.dtype.kind == "f" else prediction.astype(np.float64)


def _refuse_labels(logits: Relation, labels: Relation, problem: str) -> NoReturn:
    raise SchemaError(
        f"softmax_cross_entropy: labels of shape {labels.shape} {problem}\n"
        f"  logits  {logits}\n  labels  {labels}\n"
        f"  hint: labels are integers of shape {logits.shape[:-1]}, or shares of the classes of shape "
        f"{logits.shape}"
    )


def _between_shares(logits: Relation, shares: Relation) -> Relation:
    """−mean(Σ y·log softmax(z)): the shares of one example need not sum to 1."""
    total = shares.sum(axis=-1) * _logsumexp(logits)
    return (total - (logits * shares).sum(axis=-1)).mean()


def _with_classes(logits: Relation, labels: Relation) -> Relation:
    """Takes z[label] by comparing: a product with one-hot rows would make NaN of a class ruled out by −∞."""
    logits, labels = _cut_alike(logits, labels)
    checked = labels.transform("class_check", size=logits.shape[-1], dtype=str(logits.dtype))
    taken = where(_is_label(logits, labels), logits, 0.0).sum(axis=-1)
    return (_logsumexp(logits) - taken + checked).mean()


def _cut_alike(logits: Relation, labels: Relation) -> tuple[Relation, Relation]:
    """Both cut alike along the examples before they meet: the labels are moved, which are smaller."""
    examples = [f"example {place}" for place in range(labels.ndim)]
    pair = [labelled(logits.expr, [*examples, "class"]), labelled(labels.expr, examples)]
    matched = [operand.expr for operand in match_cuts(pair)]
    return Relation(matched[0], logits.sources), Relation(matched[1], labels.sources)


def _is_label(logits: Relation, labels: Relation) -> Relation:
    """Truth values of the shape of the logits; the places along the classes are cut as the logits are."""
    column = cast(expand_dims(labels.expr, labels.ndim), np.int64)
    return Relation(binary("eq", column, iota_like(logits.expr.type, labels.ndim)), labels.sources)


def _logsumexp(logits: Relation) -> Relation:
    return Relation(reduce(logits.expr, "logsumexp", -1), logits.sources)


def __getattr__(name: str) -> NoReturn:
    """Nothing: says what a loss of another library is called here."""
    ours = synonym(name)
    habit = None if name.startswith("_") else python_habit(name)
    near = f"; did you mean {ours!r}?" if ours in __all__ else near_name(name, __all__)
    hint = near if habit is None else f"; {habit}"
    raise AttributeError(f"there is no loss {name!r}{hint or '; there are ' + ', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = ["hinge", "logistic", "softmax_cross_entropy", "squared_error"]
