"""Builds the syntax tree while the parser reduces: one method per rule of ``grammar.lark``.

A method gets everything its rule matched, tokens included, so that a span runs from the first to the last.
Nothing here recurses: deep text costs memory in the parser, not stack.
"""

from __future__ import annotations

from lark import Token

from tra.sql import syntax as s
from tra.sql.learning_builder import LearningBuilder
from tra.sql.numerals import complex_of, integer_of, negative, number_of
from tra.sql.parts import Kids, Part, function_name, nodes_of, span_of, text_of, value_of
from tra.sql.problems import Problem


class Builder(LearningBuilder):
    """Statements, the index form and leaves; queries and what is learned are built by the parents."""

    # --- statements -------------------------------------------------------------------------------

    def start(self, kids: Kids) -> tuple[s.Statement, ...]:
        return nodes_of(kids)

    def load(self, kids: Kids) -> s.Load:
        _, name, keys, _, path, tiling = kids
        return s.Load(name, value_of(keys), text_of(path), value_of(tiling), span=span_of(kids))

    def let(self, kids: Kids) -> s.Let:
        _, name, indices, _, value = kids
        return s.Let(name, value_of(indices), value, span=span_of(kids))

    def view(self, kids: Kids) -> s.View:
        _, _, name, _, query = kids
        return s.View(name, query, span=span_of(kids))

    def hint(self, kids: Kids) -> s.Hint:
        _, name, *rest = kids
        strategy = text_of(rest[0]) if isinstance(rest[0], Token) else None
        split = rest[-1] if isinstance(rest[-1], Part) else None
        return s.Hint(name, strategy, value_of(split), span=span_of(kids))

    def split(self, kids: Kids) -> Part:
        return Part(tuple(kid.value for kid in kids if isinstance(kid, Part)), span_of(kids))

    def split_key(self, kids: Kids) -> Part:
        """A key, or `*` for a dimension that splits nothing."""
        key = kids[0] if isinstance(kids[0], s.Name) else None
        return Part(key, span_of(kids))

    def explain(self, kids: Kids) -> s.Explain:
        _, analyze, query = kids
        return s.Explain(query, analyze is not None, span=span_of(kids))

    def show(self, kids: Kids) -> s.Show:
        return s.Show(kids[1], span=span_of(kids))

    def save(self, kids: Kids) -> s.Save:
        _, name, _, path = kids
        return s.Save(name, text_of(path), span=span_of(kids))

    def run(self, kids: Kids) -> s.Run:
        return s.Run(kids[0], span=span_of(kids))

    # --- the index form ---------------------------------------------------------------------------

    def amount(self, kids: Kids) -> s.Literal:
        return s.Literal(number_of(kids[0]), span=span_of(kids))

    def scalar(self, kids: Kids) -> s.Tensor:
        return s.Tensor(kids[0], span=span_of(kids))

    def tensor(self, kids: Kids) -> s.Tensor:
        return s.Tensor(kids[0], kids[1].value, span=span_of(kids))

    def call(self, kids: Kids) -> s.Call:
        name, indices, _, part, _ = kids
        return s.Call(function_name(name), value_of(indices), *part.value, span=span_of(kids))

    def arguments(self, kids: Kids) -> Part:
        """Splits into arguments and options, which come last and once each."""
        given = nodes_of(kids)
        options = tuple(node for node in given if isinstance(node, s.Option))
        arguments = tuple(node for node in given if not isinstance(node, s.Option))
        for late in given[len(arguments) :]:
            if not isinstance(late, s.Option):
                raise Problem(late.span, "an argument without a name after one with a name")
        seen: set[s.Name] = set()
        for option in options:
            if option.name in seen:
                raise Problem(option.span, f"{option.name.text} is given twice")
            seen.add(option.name)
        return Part((arguments, options), span_of(kids))

    def option(self, kids: Kids) -> s.Option:
        return s.Option(kids[0], kids[2], span=span_of(kids))

    def negate(self, kids: Kids) -> s.Negate:
        return s.Negate(kids[1], span=span_of(kids))

    def binary(self, kids: Kids) -> s.Binary:
        left, operator, right = kids
        return s.Binary(str(operator), left, right, span=span_of(kids))

    def compare(self, kids: Kids) -> s.Compare:
        left, operator, right = kids
        return s.Compare(operator.value, left, right, span=span_of(kids))

    def comparator(self, kids: Kids) -> Part:
        return Part("<>" if kids[0] == "!=" else str(kids[0]), span_of(kids))

    # --- leaves -----------------------------------------------------------------------------------

    def word(self, kids: Kids) -> s.Name:
        token = kids[0]
        text = token[1:-1].replace('""', '"') if token.type == "QUOTED" else str(token)
        return s.Name(text, span=span_of(kids))

    def integer(self, kids: Kids) -> s.Integer:
        value = integer_of(kids[-1])
        return s.Integer(-value if len(kids) == 2 else value, span=span_of(kids))

    def number(self, kids: Kids) -> Part:
        value = number_of(kids[-1])
        return Part(negative(value) if len(kids) == 2 else value, span_of(kids))

    def literal(self, kids: Kids) -> s.Literal:
        match kids:
            case [Part(value=value)]:
                return s.Literal(value, span=span_of(kids))
            case [Part(value=real), sign, imaginary]:
                value = complex_of(real, sign, imaginary)
                if value is None:
                    raise Problem(span_of(kids), "two imaginary parts", "write 1.0 + 2.0j")
                return s.Literal(value, span=span_of(kids))
            case [Token(type="STRING") as string]:
                return s.Literal(text_of(string).value, span=span_of(kids))
            case [word]:
                return s.Literal(word.type == "TRUE", span=span_of(kids))
        raise AssertionError(kids)

    def tuple_literal(self, kids: Kids) -> s.Literal:
        """A tuple; parentheses around one literal without a comma mean that literal, as in Python."""
        values = tuple(literal.value for literal in nodes_of(kids))
        is_group = len(values) == 1 and isinstance(kids[-2], s.Literal)
        return s.Literal(values[0] if is_group else values, span=span_of(kids))
