"""Sources in text: files are loaded, what only this process has is passed in by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tra.algebra.nodes import Aggregate, Expr, Join, Source, Transform, postorder
from tra.algebra.sources import TileSource
from tra.algebra.whole_tensor import fresh_name
from tra.backends.storage.sources import ArrayFile, TableFile
from tra.sql import syntax as s


class SourceNames:
    """Distinct names of the sources of an expression.

    A file keeps its name in LOAD, since the name is part of what it is; where a second file has that name
    too, the first gets another by a view before the second is loaded.

    Attributes:
        names: what each source is called, by digest.
        passed: the sources that are passed in by name.
    """

    def __init__(self, expr: Expr, data: Mapping[str, TileSource]) -> None:
        self.names: dict[str, str] = {}
        self.passed: list[Source] = []
        self._loads: list[tuple[Source, ArrayFile | TableFile]] = []
        for node in postorder(expr):
            if isinstance(node, Source):
                file = data.get(node.id)
                if isinstance(file, ArrayFile | TableFile):
                    self._loads.append((node, file))
                else:
                    self.passed.append(node)
        self._choose()

    def _choose(self) -> None:
        taken = {node.name for node, _ in self._loads}
        for node in self.passed:
            plain = node.name if node.name and "\n" not in node.name else "tensor"
            self.names[node.digest] = fresh_name(plain, taken)
            taken.add(self.names[node.digest])
        last = {node.name: node.digest for node, _ in self._loads}
        for node, _ in self._loads:
            is_last = last[node.name] == node.digest
            self.names[node.digest] = node.name if is_last else fresh_name(node.name, taken)
            taken.add(self.names[node.digest])

    def statements(self) -> list[s.Statement]:
        """The statements that load the files."""
        return [statement for node, file in self._loads for statement in self._load(node, file)]

    def _load(self, node: Source, file: ArrayFile | TableFile) -> Iterator[s.Statement]:
        name = s.Name(node.name)
        keys = tuple(map(s.Name, node.type.names))
        sizes = None
        if isinstance(file, ArrayFile) and not file.is_open:
            cut = [axis for axis in node.type.axes if axis.link]
            sizes = tuple(s.Integer(max(axis.size, 1)) for axis in cut)
        yield s.Load(name, keys, s.Text(str(file.location)), sizes)
        if self.names[node.digest] != node.name:
            yield s.View(s.Name(self.names[node.digest]), s.Table(name))


def head_comment(expr: Expr, sources: SourceNames) -> list[str]:
    """Comments that say what the text needs from outside: tensors to pass in, kernels to register.

    Example:
        >>> import tra
        >>> x = tra.from_array([1.0, 2.0], keys=("i",), name="x")
        >>> head_comment(x.expr, SourceNames(x.expr, x.sources))
        ['-- pass by name: x, [i:1] of 2 float64']
    """
    lines = [f"-- pass by name: {sources.names[node.digest]}, {node.type}" for node in sources.passed]
    users = {
        node.kernel.name
        for node in postorder(expr)
        if isinstance(node, Join | Transform | Aggregate) and node.kernel.user
    }
    return lines + [f"-- register the kernel: {name}" for name in sorted(users)]
