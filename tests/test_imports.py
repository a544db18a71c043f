"""Imports run one way: cli, sql, workflows → backends → optimizer → algebra; errors may be used by all.

Read from the source with `ast`, so that imports inside functions and under TYPE_CHECKING count as well.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "tra"
MODULES = sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)
BELOW = {
    "errors": set(),
    "algebra": {"errors"},
    "optimizer": {"algebra", "errors"},
    "backends": {"optimizer", "algebra", "errors"},
    "sql": {"backends", "algebra", "errors"},
    "workflows": {"backends", "algebra", "errors", ""},
    "testing": {"algebra", "errors"},
    "cli": {"sql", "workflows", "backends", "algebra", "errors", ""},
    "__main__": {"cli"},
}
EXEMPT = {
    "backends/probe.py": ["tra"]
}  # its functions travel by value, to workers that may not have `tra` at all


def part_of(module):
    """The part of the package a dotted name belongs to; "" for the face."""
    return [*module.split("."), ""][1]


def imports(tree, package):
    """Dotted names of everything of `tra` that a module imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "tra")
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            if module.split(".")[0] == "tra":
                names = [f"tra.{alias.name}" for alias in node.names] if module == "tra" else [module]
                yield from names
        elif isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            first = node.args[0] if node.args else None
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield str(first.value)


def violations(part, source, package=("tra",)):
    """Imports that go up or sideways."""
    allowed = BELOW[part] | {part}
    return [name for name in imports(ast.parse(source), package) if part_of(name) not in allowed]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts == ("__init__",):
        return  # the face joins all parts
    found = violations(parts[0], path.read_text(encoding="utf-8"), ("tra", *parts[:-1]))
    assert found == EXEMPT.get("/".join(path.relative_to(ROOT).parts), [])


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("algebra", "from tra.backends.session import Session"),
        ("algebra", "def f():\n    import tra.optimizer.rules"),
        ("algebra", "import tra"),
        ("algebra", "from tra import backends"),
        ("algebra", "from ..backends import session"),
        ("algebra", "import importlib\nimportlib.import_module('tra.sql')"),
        ("optimizer", "if TYPE_CHECKING:\n    from tra.backends.session import Session"),
        ("backends", "from tra.sql import parser"),
        ("backends", "from tra.workflows.matmul import matmul"),
        ("sql", "from tra.optimizer.plan import Plan"),
        ("workflows", "from tra.sql.parser import parse"),
        ("testing", "from tra.backends.connect import connect"),
        ("errors", "from tra.algebra.types import Key"),
    ],
)
def test_imports_that_go_up_are_found(part, source):
    package = ("tra", part) if part in ("algebra", "optimizer", "backends", "sql", "workflows") else ("tra",)
    assert violations(part, source, package)


def test_every_part_is_known():
    assert {path.relative_to(ROOT).with_suffix("").parts[0] for path in MODULES} - {"__init__"} <= set(BELOW)
