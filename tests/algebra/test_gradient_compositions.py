"""Gradients of random compositions of operators, on relations of any kind, are the central differences."""

from hypothesis import HealthCheck, given, settings

from tra.algebra.gradient import gradients

from .gradient_harness import check_gradients, compositions, sources_of, weighted

MANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@settings(MANY, max_examples=300)
@given(compositions())
def test_random_compositions(drawn):
    relation, tiles = drawn
    check_gradients(weighted(relation.expr), tiles, most=5)


@settings(MANY, max_examples=60)
@given(compositions(max_steps=3))
def test_gradients_of_gradients(drawn):
    relation, tiles = drawn
    loss = weighted(relation.expr)
    for expr in gradients(loss, sources_of(loss)):
        check_gradients(weighted(expr, seed=5), tiles, most=3)
