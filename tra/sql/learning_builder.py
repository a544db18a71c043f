"""Builds the syntax tree of parameters, gradients and trainings; `builder` adds the other statements."""

from __future__ import annotations

from dataclasses import replace

from tra.sql import syntax as s
from tra.sql.parts import Kids, function_name, nodes_of, span_of, text_of, value_of
from tra.sql.problems import Problem
from tra.sql.query_builder import QueryBuilder


class LearningBuilder(QueryBuilder):
    """The tree of each rule, from the trees of its parts."""

    def initialize(self, kids: Kids) -> s.Initialize:
        _, name, axes, drawn, seed, dtype, tiling = kids
        return s.Initialize(name, axes.value, drawn, seed, dtype, value_of(tiling), span=span_of(kids))

    def drawn(self, kids: Kids) -> s.Drawn:
        name, parameters = kids
        return s.Drawn(function_name(name), value_of(parameters) or (), span=span_of(kids))

    def seed(self, kids: Kids) -> s.Integer:
        number: s.Integer = kids[1]
        return replace(number, span=span_of(kids))

    def element_type(self, kids: Kids) -> s.Name:
        name: s.Name = kids[1]
        return name

    def gradient(self, kids: Kids) -> s.Gradient:
        loss, wrt = nodes_of(kids)
        return s.Gradient(loss, wrt, value_of(kids[-1]), span=span_of(kids))

    def train(self, kids: Kids) -> s.Train:
        _, names, _, loss, _, using, _, epochs, _, batch, seed, checkpoint, report = kids
        return s.Train(
            names.value, loss, using, epochs, batch, seed, checkpoint, value_of(report) or (),
            span=span_of(kids),
        )  # fmt: skip

    def recipe(self, kids: Kids) -> s.Recipe:
        name, *settings = nodes_of(kids)
        _check_settings(settings)
        return s.Recipe(function_name(name), tuple(settings), span=span_of(kids))

    def setting(self, kids: Kids) -> s.Setting:
        name, *_, value = kids
        return s.Setting(name, value, span=span_of(kids))

    def batch(self, kids: Kids) -> s.Batch:
        return s.Batch(*nodes_of(kids), span=span_of(kids))

    def checkpoint(self, kids: Kids) -> s.Checkpoint:
        every = next(iter(nodes_of(kids)), None)
        return s.Checkpoint(text_of(kids[2]), every, span=span_of(kids))

    report = QueryBuilder._inner


def _check_settings(settings: list[s.Setting]) -> None:
    """Checks that settings without a name come first, and that no name comes twice."""
    seen: set[s.Name] = set()
    for setting in settings:
        if setting.name is None:
            if seen:
                raise Problem(setting.span, "a setting without a name after one with a name")
        elif setting.name in seen:
            raise Problem(setting.span, f"{setting.name.text} is given twice")
        else:
            seen.add(setting.name)
