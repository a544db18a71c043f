"""Relations to query text that binds to the same expression.

A file becomes a LOAD; what only this process has is named in a comment and passed in by name. Each other
node is a view ``r0, r1, …``, except that an aggregation, the join below it, the filter between them and the
functions around them become one SELECT where nothing else uses what is between them.
"""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from tra.algebra.nodes import (
    Aggregate,
    Concat,
    Expr,
    Filter,
    Generated,
    Join,
    ReKey,
    Retile,
    Source,
    Stack,
    Tile,
    Transform,
    postorder,
)  # fmt: skip
from tra.algebra.relation import Relation
from tra.algebra.whole_tensor import fresh_name
from tra.sql import syntax as s
from tra.sql.format import format_statement
from tra.sql.generated_syntax import generated_syntax
from tra.sql.operator_syntax import operator_syntax
from tra.sql.select_syntax import Layers, is_identity, layers, select_syntax
from tra.sql.source_syntax import SourceNames, head_comment


def to_text(relation: Relation) -> str:
    """The query text of a relation: run with the same tensors it gives the same expression.

    Example:
        >>> import tra
        >>> A = tra.from_array([[1.0, 2.0], [3.0, 4.0]], keys=("i", "j"), name="A")
        >>> print(to_text(tra.relu(A @ A.T)))
        -- pass by name: A, [i:1, j:1] of 2×2 float64
        CREATE VIEW r0 AS SELECT A.i, A.j, TRANSPOSE(A.tile, axes => (1, 0)) AS tile FROM A;
        CREATE VIEW r1 AS SELECT r0.j, r0.i, r0.tile FROM r0;
        SELECT A.i, r1.i AS i_2, RELU(SUM(MATMUL(A.tile, r1.tile))) AS tile
        FROM A
        JOIN r1 ON A.j = r1.j
        GROUP BY A.i, r1.i;

    Raises:
        QueryError: a function of keys could not be traced, a kernel is not registered, or a name cannot be
            written.
    """
    sources = SourceNames(relation.expr, relation.sources)
    heads = _heads(relation.expr)
    names = dict(sources.names)
    taken = set(names.values())
    statements = sources.statements()
    for count, (digest, operator) in enumerate(
        item for item in heads.items() if item[0] != relation.expr.digest
    ):
        names[digest] = fresh_name(f"r{count}", taken)
        taken.add(names[digest])
        statements.append(s.View(s.Name(names[digest]), _query(operator, names)))
    statements.append(s.Run(_result(relation.expr, heads, names)))
    lines = [*head_comment(relation.expr, sources), *map(format_statement, statements)]
    return "\n".join(lines)


Operator = Layers | Generated | Tile | Concat | Stack | ReKey | Retile


def _heads(root: Expr) -> dict[str, Operator]:
    """What becomes a query of its own, by digest, operands before users."""
    nodes = list(postorder(root))
    uses = Counter(child.digest for node in nodes for child in node.children)
    chosen: dict[str, Operator] = {}
    wanted = {root.digest}
    for node in reversed(nodes):
        if node.digest in wanted and not isinstance(node, Source):
            operator = _operator(node, uses)
            chosen[node.digest] = operator
            operands = operator.operands if isinstance(operator, Layers) else operator.children
            wanted.update(operand.digest for operand in operands)
    return dict(reversed(chosen.items()))


def _operator(node: Expr, uses: Counter[str]) -> Operator:
    match node:
        case ReKey() if is_identity(node):
            return node
        case Aggregate() | Join() | ReKey() | Filter() | Transform():
            return layers(node, uses)
        case Generated() | Tile() | Concat() | Stack() | Retile():
            return node
        case Source():
            raise AssertionError("a source has a name")
        case _:
            assert_never(node)


def _result(root: Expr, heads: dict[str, Operator], names: dict[str, str]) -> s.Query:
    if root.digest in heads:
        return _query(heads[root.digest], names)
    return s.Table(s.Name(names[root.digest]))


def _query(operator: Operator, names: dict[str, str]) -> s.Query:
    """The query of one operator over named operands."""
    match operator:
        case Layers():
            return select_syntax(operator, [names[operand.digest] for operand in operator.operands])
        case Generated():
            return generated_syntax(operator)
        case _:
            return operator_syntax(
                operator, [s.Table(s.Name(names[child.digest])) for child in operator.children]
            )
