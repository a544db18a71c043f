"""Writes the step of a training before anything runs, so that what does not fit shows at its place."""

from __future__ import annotations

from tra.algebra.relation import Relation
from tra.algebra.whole_tensor import whole_form
from tra.backends.batches import batch_type
from tra.backends.recipe import Recipe
from tra.backends.step_query import STEP, open_relation, step_query, step_type


def check_step(recipe: Recipe) -> None:
    """Writes the query of a step over a full batch: forward pass, gradients, update and metrics.

    Raises:
        TraError: something in it does not fit; mistakes in definitions have their place in the text.

    Example:
        >>> import tra
        >>> from tra.backends.recipe import checked_recipe
        >>> check_step(checked_recipe(lambda p: p["w"] * p["w"], {"w": 1.0}, tra.SGD(0.1)))
    """
    parameters = {
        name: open_relation(relation.expr.type, "parameter", name)
        for name, relation in recipe.parameters.items()
    }
    state = {
        name: open_relation(relation.expr.type, "state", name)
        for name, relation in recipe.using.start(parameters).items()
    }
    carried = {**parameters, **state, STEP: open_relation(step_type(), "step", STEP)}
    batch = [_batch(relation, recipe.batch) for relation in recipe.data]
    step_query(recipe.loss, carried, len(parameters), recipe.using, batch, recipe.metrics)


def _batch(relation: Relation, n_rows: int | None) -> Relation:
    type_ = relation.expr.type
    if n_rows is not None:
        type_ = batch_type(whole_form(relation.expr).type, n_rows)
    return open_relation(type_, "batch", "batch")
