"""The paper's compile table: the default plan of each operator, before any rule.

| algebra | default plan |
|---|---|
| Σ_g(R) | Σᴸ_g(SHUF_g(R)) |
| ⋈(L, R) | ⋈ᴸ(BCAST(L), R) |
| ReKey, σ, λ, Tile | the local operator |
| Concat_k(R) | the local concat over SHUF of all keys but k |

A relation that is stored on another mesh than the plan's is split anew where the table takes it as it lies.

Source: Yuan et al., PVLDB 14(8), 2021, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tra.algebra.nodes import Aggregate, Concat, Expr, Generated, Join, Retile, Source, Stack, postorder
from tra.algebra.types import RelType
from tra.optimizer.build import build
from tra.optimizer.meshes import Mesh
from tra.optimizer.operators import Operator
from tra.optimizer.placement import Placement, on_mesh, replicated, widest_key
from tra.optimizer.plan import Plan
from tra.optimizer.pricing import settled
from tra.optimizer.roles import ALL, SCATTERED, Role, Split
from tra.optimizer.search import Assignment
from tra.optimizer.strategies import Choice

START = "compile table"


def compile_default(
    roots: tuple[Expr, ...], mesh: Mesh, placed: Mapping[str, Placement] | None = None
) -> tuple[Plan, ...]:
    """The default plan of each root on a mesh; sources lie split by their key of largest frontier.

    Example:
        >>> from tra.optimizer.rules.examples import product
        >>> plan = compile_default((product(),), (2,))[0]
        >>> type(plan).__name__, type(plan.child).__name__, type(plan.child.child).__name__
        ('LocalAggregate', 'Shuffle', 'LocalJoin')
    """
    operators: dict[str, Operator] = {}
    chosen: dict[str, Choice] = {}
    for node in postorder(*roots):
        operators[node.digest] = operator = Operator(node)
        have = [chosen[child.digest].output for child in node.children]
        chosen[node.digest] = default_choice(operator, have, mesh, placed or {})
    return build(Assignment(mesh, operators, chosen, 0.0), roots, {})


def default_choice(
    operator: Operator, have: Sequence[Placement], mesh: Mesh, placed: Mapping[str, Placement]
) -> Choice:
    """The table's way to run one node: where it needs its operands, and where it leaves its result.

    Args:
        operator: a single node; the table knows no contractions.
        have: where its operands lie, stored ones maybe on another mesh.
        mesh: the mesh of the plan.
        placed: placements of stored relations, by source id.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], keys="i", tile=1)
        >>> choice = default_choice(Operator((-A).expr), [Placement((3,), (Split("i"),))], (2,), {})
        >>> str(choice.inputs[0]), str(choice.output)
        ('split(i) on 2', 'split(i) on 2')
    """
    need, gives = _table(operator, have, mesh, placed)
    return Choice((), need, gives, START, 1.0)


def _table(
    operator: Operator, have: Sequence[Placement], mesh: Mesh, placed: Mapping[str, Placement]
) -> tuple[tuple[Placement | None, ...], Placement]:
    """Where one node needs its operands, None for as they lie, and where it leaves its result."""
    match operator.expr:
        case Source(id=id_, type=type_) if id_ in placed:
            return (), on_mesh(placed[id_], mesh)
        case Source(type=type_) | Generated(type=type_):
            return (), partitioned(type_, mesh)
        case Aggregate(child=child, by=by):
            gives = partitioned(child.type, mesh, by)
            return (gives,), gives
        case Concat(child=child, key=key):
            gives = partitioned(child.type, mesh, tuple(n for n in child.type.names if n != key))
            return (gives,), gives
        case Join(right=right):
            there = _on_the_plans_mesh(right.type, have[1], mesh)
            return (replicated(mesh), there), joined_placement(operator, there)
        case Stack(operands=operands):
            gives = partitioned(operands[0].type, mesh)
            return (gives,) * len(operands), gives
        case Retile(operands=operands, type=type_):
            return (None,) * len(operands), partitioned(type_, mesh)
        case node:
            there = _on_the_plans_mesh(node.children[0].type, have[0], mesh)
            return (there,), moved_placement(operator, there)


def _on_the_plans_mesh(type_: RelType, have: Placement, mesh: Mesh) -> Placement:
    """Where an operand is taken as it lies, its parts folded; one stored on other sites is split anew."""
    return settled(type_, have) if have.mesh == mesh else partitioned(type_, mesh)


def partitioned(type_: RelType, mesh: Mesh, among: tuple[str, ...] | None = None) -> Placement:
    """PART by the key of largest frontier among some keys; ALL when there is none to split.

    Example:
        >>> from tra.algebra.sources import tensor_type
        >>> t = tensor_type((4, 4), "f8", ("i", "j"), (2, 1))
        >>> [str(partitioned(t, (2,), among)) for among in (None, ("i",), ())]
        ['split(j) on 2', 'split(i) on 2', 'all on 2']
    """
    name = widest_key(type_, among)
    role: Role = Split(name) if name is not None else ALL
    return Placement(mesh, (role,) * len(mesh))


def joined_placement(operator: Operator, right: Placement) -> Placement:
    """The right operand's placement in the names of the join.

    Example:
        >>> from tra.optimizer.operators import operator_graph
        >>> from tra.optimizer.rules.examples import product
        >>> operator = list(operator_graph(product()).values())[-1]
        >>> str(joined_placement(operator, Placement((2,), (Split("k"),))))
        'split(k) on 2'
    """
    names = {own: label for label, own in operator.input_keys[1].items()}
    return Placement(right.mesh, tuple(_renamed(role, names) for role in right.roles))


def _renamed(role: Role, names: Mapping[str, str]) -> Role:
    if not isinstance(role, Split):
        return role
    return replace(role, key=names[role.key]) if role.key in names else SCATTERED


def moved_placement(operator: Operator, placement: Placement) -> Placement:
    """Where the result of a re-key lies, from where its operand lies; scattered where a split key is gone.

    Example:
        >>> import tra
        >>> A = tra.from_array([1.0, 2.0], keys="i", tile=1)
        >>> renamed = Operator(A.rekey(lambda i: i, keys="x").expr)
        >>> str(moved_placement(renamed, Placement((2,), (Split("i"),))))
        'split(x) on 2'
    """
    roles: list[Role] = []
    for role in placement.roles:
        name = operator.output_key(role.key) if isinstance(role, Split) else None
        if isinstance(role, Split):
            roles.append(replace(role, key=name) if name else SCATTERED)
        else:
            roles.append(role)
    return Placement(placement.mesh, tuple(roles))
