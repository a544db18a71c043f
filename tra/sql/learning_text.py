"""Canonical text of statements that make parameters and train them."""

from __future__ import annotations

from tra.sql import syntax as s
from tra.sql.expression_text import function_text, literal_text, name_text, names_text, string_text
from tra.sql.query_text import INDENT, sizes_text


def initialize_text(statement: s.Initialize) -> str:
    """An INITIALIZE, always on one line, without its semicolon.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> initialize_text(parse_text("initialize W(d:2,h:3)normal(0,1)seed 1 tile(2,2)")[0])
        'INITIALIZE W(d: 2, h: 3) NORMAL(0, 1) SEED 1 TILE (2, 2)'
    """
    axes = ", ".join([f"{name_text(axis.key)}: {axis.size.value}" for axis in statement.axes])
    parts = [f"INITIALIZE {name_text(statement.name)}({axes}) {_drawn_text(statement.drawn)}"]
    if statement.seed is not None:
        parts.append(f"SEED {statement.seed.value}")
    if statement.dtype is not None:
        parts.append(f"TYPE {name_text(statement.dtype)}")
    if statement.sizes is not None:
        parts.append(f"TILE {sizes_text(statement.sizes)}")
    return " ".join(parts)


def _drawn_text(drawn: s.Drawn) -> str:
    given = ", ".join([literal_text(parameter.value) for parameter in drawn.parameters])
    return function_text(drawn.distribution) + (f"({given})" if given else "")


def train_lines(statement: s.Train, room: int) -> list[str]:
    """The lines of a TRAIN, without its semicolon: as many clauses to a line as `room` allows.

    Example:
        >>> from tra.sql.parser import parse_text
        >>> (train,) = parse_text("train W minimize l using sgd(0.1,clip=1.0) for 2 epochs batch n by 8")
        >>> for line in train_lines(train, room=45):
        ...     print(line)
        TRAIN W MINIMIZE l USING SGD(0.1, clip = 1.0)
          FOR 2 EPOCHS BATCH n BY 8
    """
    first, *others = _clauses(statement)
    lines = [first]
    for clause in others:
        longer = f"{lines[-1]} {clause}"
        if len(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(INDENT + clause)
    return lines


def _clauses(train: s.Train) -> list[str]:
    clauses = [
        f"TRAIN {names_text(train.names)}",
        f"MINIMIZE {name_text(train.loss)}",
        f"USING {recipe_text(train.using)}",
        f"FOR {train.epochs.value} EPOCHS",
    ]
    if train.batch is not None:
        clauses.append(f"BATCH {name_text(train.batch.index)} BY {train.batch.size.value}")
    if train.seed is not None:
        clauses.append(f"SEED {train.seed.value}")
    if train.checkpoint is not None:
        every = train.checkpoint.every
        ending = "" if every is None else f" EVERY {every.value} EPOCHS"
        clauses.append(f"CHECKPOINT TO {string_text(train.checkpoint.folder.value)}{ending}")
    if train.report:
        clauses.append(f"REPORT {names_text(train.report)}")
    return clauses


def recipe_text(recipe: s.Recipe) -> str:
    """An optimizer or a schedule with its settings.

    Example:
        >>> rate = s.Setting(s.Name("rate"), s.Recipe(s.Name("cosine"), (s.Setting(None, s.Literal(0.1)),)))
        >>> recipe_text(s.Recipe(s.Name("adam"), (rate,)))
        'ADAM(rate = COSINE(0.1))'
    """
    named = name_text(recipe.name)  # in quotes where it is a reserved word, which no recipe is called
    called = named if named.startswith('"') else function_text(recipe.name)
    return f"{called}({', '.join(map(_setting_text, recipe.settings))})"


def _setting_text(setting: s.Setting) -> str:
    head = "" if setting.name is None else f"{name_text(setting.name)} = "
    value = setting.value
    return head + (recipe_text(value) if isinstance(value, s.Recipe) else literal_text(value.value))
