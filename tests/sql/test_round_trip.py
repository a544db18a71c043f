"""Tree to canonical text: it parses back to the tree, and formatting it again changes nothing."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tests.long import examples
from tra.errors import QueryError
from tra.sql import syntax as s
from tra.sql.format import format_statement, format_text
from tra.sql.parser import parse_text

# --- trees -----------------------------------------------------------------------------------------

PLAIN = [
    "A",
    "B",
    "i",
    "jj",
    "W1",
    "e",
    "e5",
    "E1",
    "j",
    "_",
    "selects",
    "é",
    "日本",
    "ſize",
    "µ",
    "ı",
    "train",
    "grad",
]
SOFT = [
    "tile",
    "Tile",
    "TILE",
    "key",
    "axis",
    "size",
    "by",
    "to",
    "value",
    "keys",
    "type",
    "seed",
    "along",
    "axes",
    "view",
    "analyze",
    "concat",
    "stack",
    "rekey",
    "truncate",
    "retile",
    "constant",
    "iota",
    "random",
    "inf",
    "nan",
    "true",
    "false",
    *[
        "initialize",
        "train",
        "minimize",
        "using",
        "for",
        "epochs",
        "batch",
        "checkpoint",
        "every",
        "report",
        "Grad",
        "GRAD",
    ],
]
RESERVED = [
    "select",
    "SELECT",
    "From",
    "and",
    "as",
    "create",
    "explain",
    "group",
    "join",
    "let",
    "load",
    "not",
    "on",
    "or",
    "save",
    "show",
    "where",
]
ODD = ["1a", "--", ";", "'", '"', '""', "(", "a_b;", "two words"]

texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=6)
names = st.builds(s.Name, st.sampled_from(PLAIN + SOFT + RESERVED + ODD) | texts.filter(bool))
functions = names.map(lambda name: s.Name(name.text.lower()) if name.text.isascii() else name)
strings = st.builds(s.Text, texts)
naturals = st.builds(s.Integer, st.integers(0, 10**20))
integers = st.builds(s.Integer, st.integers(-3, 10**20))
floats = st.floats(allow_nan=False)
sizes = st.floats(min_value=0, allow_infinity=False).map(abs)
imaginary = st.builds(complex, st.just(0.0), sizes)
complexes = st.builds(complex, st.floats(), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.booleans() | st.integers() | floats | st.just(math.nan) | complexes | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
literals = st.builds(s.Literal, values)
options = st.lists(st.builds(s.Option, names, literals), max_size=2, unique_by=lambda o: o.name).map(tuple)
comparisons = st.sampled_from(("=", "<>", "<", "<=", ">", ">="))


def tuples(of, least=0, most=3):
    return st.lists(of, min_size=least, max_size=most).map(tuple)


amounts = st.builds(s.Literal, st.integers(0, 10**20) | sizes | imaginary)
indices = st.none() | tuples(names, 1)
exprs = st.recursive(
    amounts | st.builds(s.Tensor, names, indices) | st.builds(s.Gradient, names, names, indices),
    lambda inner: st.one_of(
        st.builds(s.Negate, inner),
        st.builds(s.Binary, st.sampled_from("+-*/^"), inner, inner),
        st.builds(s.Compare, comparisons, inner, inner),
        st.builds(s.Call, functions, indices, tuples(inner, 1), options),
    ),
    max_leaves=10,
)

key_refs = st.builds(s.KeyRef, st.none() | names, names)
key_exprs = st.recursive(
    key_refs | naturals,
    lambda inner: st.one_of(
        st.builds(s.KeyNegate, inner),
        st.builds(s.KeyBinary, st.sampled_from("+-*/%"), inner, inner),
        st.builds(s.KeyCompare, comparisons, inner, inner),
        st.builds(s.Not, inner),
        st.builds(s.And, tuples(inner, 2)),
        st.builds(s.Or, tuples(inner, 2)),
    ),
    max_leaves=8,
)
tile_refs = st.builds(s.TileRef, st.none() | names)
tile_exprs = st.recursive(
    tile_refs | literals,
    lambda inner: st.builds(s.TileCall, functions, tuples(inner, 1), options),
    max_leaves=5,
)
tiles = tile_refs | st.builds(s.TileCall, functions, tuples(tile_exprs, 1), options)
key_items = st.builds(s.KeyItem, key_exprs, st.none() | names)

tables = st.builds(s.Table, names)
links = tuples(st.builds(s.LinkTerm, names, st.integers(0, 9)))
axes = tuples(st.builds(s.Axis, naturals, links, st.none() | naturals))
layouts = st.builds(s.Layout, tuples(st.builds(s.Domain, names, naturals)), axes)
numbers = st.integers(0, 10**20)
live = st.one_of(
    st.none(),
    st.builds(s.LiveKeys, tuples(tuples(numbers | st.tuples(numbers, numbers)))),
    st.builds(s.LiveBox, tuples(st.tuples(numbers, numbers), 1)),
)
generated = st.one_of(
    st.builds(s.Constant, layouts, literals, names, live),
    st.builds(s.Iota, layouts, integers, names, live),
    st.builds(s.Random, layouts, functions, tuples(literals), integers, names, live),
)


windows = st.none() | tuples(st.none() | st.builds(s.Window, integers, integers, integers))
cuts = st.just(s.Cut()) | st.builds(s.Cut, naturals, st.none() | names)


def _queries(inner):
    table_refs = st.builds(s.TableRef, inner, st.none() | names)
    joins = st.builds(
        s.Join, table_refs, tuples(st.builds(s.Equality, key_refs, key_refs), most=2), st.booleans()
    )
    return st.one_of(
        st.builds(
            s.Select,
            tuples(key_items),
            tiles,
            table_refs,
            tuples(joins, most=2),
            st.none() | key_exprs,
            tuples(key_refs, most=2),
        ),
        st.builds(s.Tile, inner, integers, naturals, names),
        st.builds(s.Concat, inner, names, integers),
        st.builds(s.Stack, tuples(inner, 1), names),
        st.builds(s.ReKey, inner, tuples(key_items)),
        st.builds(s.Retile, tuples(st.builds(s.Windowed, inner, windows), 1), tuples(cuts), integers),
    )


def _recipes(values):
    """Optimizers or schedules: settings without names come first, and no name comes twice."""
    bare = tuples(st.builds(s.Setting, st.none(), values), most=2)
    named = st.lists(st.builds(s.Setting, names, values), max_size=2, unique_by=lambda each: each.name)
    return st.builds(s.Recipe, functions, st.builds(lambda one, other: (*one, *other), bare, named))


recipes = _recipes(st.recursive(literals, _recipes, max_leaves=2))
drawn = st.builds(s.Drawn, functions, tuples(literals, most=2))
seeds = st.none() | integers
initializations = st.builds(
    s.Initialize,
    names,
    tuples(st.builds(s.Domain, names, naturals)),
    drawn,
    seeds,
    st.none() | names,
    st.none() | tuples(naturals),
)
trainings = st.builds(
    s.Train,
    tuples(names, 1),
    names,
    recipes,
    naturals,
    st.none() | st.builds(s.Batch, names, naturals),
    seeds,
    st.none() | st.builds(s.Checkpoint, strings, st.none() | naturals),
    tuples(names),
)

queries = st.recursive(tables | generated, _queries, max_leaves=5)
statements = st.one_of(
    st.builds(s.Load, names, st.none() | tuples(names), strings, st.none() | tuples(naturals)),
    st.builds(s.Let, names, indices, exprs),
    st.builds(s.View, names, queries),
    st.builds(s.Hint, names, strings, st.none() | tuples(st.none() | names, 1)),
    st.builds(s.Hint, names, st.none(), tuples(st.none() | names, 1)),
    initializations,
    trainings,
    st.builds(s.Explain, queries | trainings, st.booleans()),
    st.builds(s.Show, queries),
    st.builds(s.Save, names, strings),
    st.builds(s.Run, queries),
)


@examples(300)
@given(statements)
def test_every_tree_parses_back(statement):
    text = format_statement(statement)
    assert parse_text(text) == (statement,)
    assert format_text(text) == text + "\n"


comments = st.sampled_from(["-- x\n", "--\n", "-- ; 'a\n", "\n", "\n\n\n", "  ", "\t", '-- "é\r\n'])
fragments = st.sampled_from(
    ["A", ";", "SHOW", "LET", "=", "1", "'p'", "SAVE", "TO", "(", ")", "SELECT", "i,", "tile", "FROM"]
)


@examples(300)
@given(st.lists(st.tuples(statements, tuples(comments)), max_size=3), tuples(comments))
def test_comments_survive_and_formatting_is_idempotent(written, before):
    text = "".join(before) + "".join(
        " ".join(format_statement(statement)[:-1].split("\n")) + "".join(gap[:1]) + ";" + "".join(gap[1:])
        for statement, gap in written
    )
    once = format_text(text)
    assert parse_text(once) == parse_text(text) == tuple(statement for statement, _ in written)
    assert format_text(once) == once
    gaps = [*before, *(piece for _, gap in written for piece in gap)]
    n_comments = sum(piece.startswith("--") for piece in gaps)
    assert once.count("--") == n_comments + sum(format_statement(tree).count("--") for tree, _ in written)


@examples(300)
@given(statements, st.data())
def test_broken_text_is_refused_with_a_caret(statement, data):
    text = format_statement(statement)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    text = text[:start] + data.draw(fragments | texts) + text[min(end, start + 5) :]
    try:
        parse_text(text)
    except QueryError as error:
        where, _, caret, *_ = str(error).split("\n")
        assert where.startswith("<query>:") and "^" in caret


@examples(300)
@given(st.lists(fragments | comments | texts, max_size=15).map(" ".join))
def test_any_text_is_formatted_or_refused(text):
    try:
        once = format_text(text)
    except QueryError:
        return
    assert parse_text(once) == parse_text(text)
    assert format_text(once) == once
