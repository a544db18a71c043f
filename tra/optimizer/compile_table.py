"""The paper's compile table: the default plan of each operator, before any rule.

| algebra | default plan |
|---|---|
| Σ_g(R) | Σᴸ_g(SHUF_g(R)) |
| ⋈(L, R) | ⋈ᴸ(BCAST(L), R) |
| ReKey, σ, λ, Tile | the local operator |
| Concat_k(R) | the local concat over SHUF of all keys but k |

Source: Yuan et al., PVLDB 14(8), 2021, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tra.algebra.nodes import Aggregate, Concat, Expr, Generated, Join, Retile, Source, Stack, postorder
from tra.algebra.types import RelType
from tra.optimizer.build import convert, local
from tra.optimizer.operators import Operator
from tra.optimizer.placement import ALL, SCATTERED, Mesh, Placement, Role, Split, replicated, widest_key
from tra.optimizer.plan import Make, Plan, Repartition, Scan


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
    made: dict[str, Plan] = {}
    for node in postorder(*roots):
        made[node.digest] = _compile(node, [made[c.digest] for c in node.children], mesh, placed or {})
    return tuple(made[root.digest] for root in roots)


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


def _compile(node: Expr, inputs: list[Plan], mesh: Mesh, placed: Mapping[str, Placement]) -> Plan:
    operator = Operator(node)
    match node:
        case Source(id=id_, version=version, name=name, type=type_):
            return Scan(type_, placed.get(id_) or partitioned(type_, mesh), id_, version, name)
        case Generated(maker=maker, type=type_):
            return Make(type_, partitioned(type_, mesh), maker)
        case Aggregate(by=by):
            need = partitioned(inputs[0].type, mesh, by)
            return local(operator, node.type, need, [convert(inputs[0], need)])
        case Concat(key=key, child=child):
            need = partitioned(child.type, mesh, tuple(n for n in child.type.names if n != key))
            return local(operator, node.type, need, [convert(inputs[0], need)])
        case Join():
            left = convert(inputs[0], replicated(mesh))
            where = joined_placement(operator, inputs[1].placement)
            return local(operator, node.type, where, [left, inputs[1]])
        case Stack():
            need = partitioned(inputs[0].type, mesh)
            return local(operator, node.type, need, [convert(i, need) for i in inputs])
        case Retile(along=along, windows=windows, cuts=cuts, type=type_):
            return Repartition(type_, partitioned(type_, mesh), tuple(inputs), along, windows, cuts)
        case _:
            return local(operator, node.type, moved_placement(operator, inputs[0].placement), inputs)


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
