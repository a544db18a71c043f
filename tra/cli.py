"""The command ``tra``: run, explain and format query files, run benchmarks, show versions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import tra
from tra.algebra.counted import counted
from tra.backends.connect import LEVELS
from tra.backends.session import Session
from tra.errors import CatalogError, MemoryLimitError, TraError

if TYPE_CHECKING:  # the class takes a parameter in stubs only
    Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

_PACKAGES = ("numpy", "pyarrow", "dask", "distributed", "lark", "networkx", "threadpoolctl", "tqdm")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0 when all went well, 1 when the query or the run failed (one readable error on standard error).
        130 after Ctrl-C. Wrong usage exits with 2.

    Example:
        >>> main(["versions"])  # doctest: +ELLIPSIS
        tra ...
        0
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except MemoryLimitError as error:
        print(f"tra: {type(error).__name__}: {_as_option(str(error))}", file=sys.stderr)
        return 1
    except TraError as error:
        print(f"tra: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tra: interrupted", file=sys.stderr)
        return 130  # as shells have it: 128 and the number of the signal
    except BrokenPipeError:
        return 1
    except (OSError, MemoryError, ValueError, TypeError, ArithmeticError) as error:
        print(f"tra: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _as_option(message: str) -> str:
    """A message about the argument of `tra.connect`, for the option of the command.

    Example:
        >>> _as_option("no plan fits; memory_limit=1000 would do")
        'no plan fits; --memory-limit 1000 would do'
    """
    return message.replace("memory_limit=", "--memory-limit ")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tra", description="A query engine for tensors.")
    parser.add_argument("--version", action="version", version=f"tra {tra.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", "run a query file", _run)
    run.add_argument("file", metavar="FILE.tra", help="the query file; paths in it are relative to it")
    _allow_option(run)
    _backend_options(run)
    shown = run.add_mutually_exclusive_group()
    shown.add_argument("--explain", action="store_true", help="show the last result's plan, run nothing")
    shown.add_argument("--analyze", action="store_true", help="run, and show the plan with measured figures")
    explain = _command(commands, "explain", "show the plan of a query file's last result", _explain)
    explain.add_argument("file", metavar="FILE.tra")
    _allow_option(explain)
    _backend_options(explain)
    fmt = _command(commands, "fmt", "print a query file in canonical form", _fmt)
    fmt.add_argument("file", metavar="FILE.tra")
    fmt.add_argument("--in-place", action="store_true", help="write the file instead of printing it")
    bench = _command(commands, "bench", "time a workflow", _bench)
    bench.add_argument("name", metavar="matmul|ffnn|nns")
    bench.add_argument("--size", help="sizes, as 4000,4000,4000 or n=4000,k=100")
    bench.add_argument("--peers", action="store_true", help="time numpy and dask.array in the same run")
    bench.add_argument("--json", metavar="FILE", help="write the figures as JSON too")
    bench.add_argument("--repeats", type=_count, default=3, help="rounds; the median is shown (default 3)")
    _backend_options(bench)
    _command(commands, "versions", "show versions of tra and what it stands on", _versions)
    return parser


def _count(text: str) -> int:
    """A number of times, which is one at least."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a positive number; got {text!r}")
    return int(text)


def _command(
    commands: Subparsers, name: str, text: str, function: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=function)
    return command


def _allow_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow", action="append", metavar="DIR",
        help="a folder or URL below which the query may name files, once for each (default: the query's own)",
    )  # fmt: skip


def _backend_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--backend", choices=("local", "dask"), help="threads (default), or Dask")
    command.add_argument("--scheduler", metavar="ADDR", help="a Dask scheduler; implies --backend dask")
    command.add_argument("--sites", type=int, metavar="N", help="sites to plan for; workers to start on Dask")
    command.add_argument("--threads", type=int, metavar="N", help="threads of each site")
    command.add_argument("--memory-limit", metavar="SIZE", help="memory of one site, like 2GB")
    command.add_argument(
        "--cost-model", choices=("measured", "fixed", "paper"), default="seconds",
        help="choose plans by seconds, from constants that are measured (default on Dask) or fixed (default "
        "here), or by the elements they send",
    )  # fmt: skip
    command.add_argument(
        "--without", action="append", default=[], metavar="RULE", help="switch a rule off by its name"
    )
    command.add_argument(
        "--tolerance", type=float, default=0.0, metavar="X",
        help="rounding that rules may add, as a part of the largest product",
    )  # fmt: skip
    command.add_argument(
        "--reproducible", choices=LEVELS, default="run",
        help="what bits of results do not depend on: nothing promised; how a plan is run (default); tiles, "
        "sites and plans too; or machine and order too",
    )  # fmt: skip
    command.add_argument("--no-progress", action="store_true", help="no progress bar")


def _connect(options: argparse.Namespace) -> Session:
    backend = options.backend or ("dask" if options.scheduler else "local")
    progress = False if options.no_progress else None
    return tra.connect(
        backend, scheduler=options.scheduler, sites=options.sites, threads=options.threads,
        memory_limit=options.memory_limit, progress=progress, cost_model=options.cost_model,
        without=options.without, tolerance=options.tolerance, reproducible=options.reproducible,
    )  # fmt: skip


def _read(path: str) -> str:
    file = Path(path)
    if file.is_dir():
        stored = "a stored relation, which LOAD reads in a query" if file.suffix == ".tra" else "a folder"
        raise CatalogError(f"{path} is no query file but {stored}")
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CatalogError(f"there is no query file {path}") from None
    except UnicodeDecodeError:
        raise CatalogError(f"{path} is not a text file") from None


def _run(options: argparse.Namespace) -> None:
    text = _read(options.file)
    if options.explain:
        return _explain(options)
    with _connect(options) as session:
        result = session.sql(
            text, origin=options.file, base=Path(options.file).parent, allow=options.allow, echo=print
        )
        if options.analyze and result.relation is not None:
            with session.hinted(result.hints):
                print(session.explain(result.relation, analyze=True))
    return None


def _explain(options: argparse.Namespace) -> None:
    text = _read(options.file)
    with _connect(options) as session:
        result = session.sql(
            text, origin=options.file, base=Path(options.file).parent, allow=options.allow, execute=False
        )
        if result.relation is None:
            raise CatalogError(f"{options.file} has no result to explain: end it with SHOW or a query")
        with session.hinted(result.hints):
            print(session.explain(result.relation))


def _fmt(options: argparse.Namespace) -> None:
    from tra.sql.format import format_text

    text = format_text(_read(options.file), options.file)
    if options.in_place:
        Path(options.file).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def _bench(options: argparse.Namespace) -> None:
    from tra.workflows import benchmark

    load = benchmark.workload(options.name)
    sizes = benchmark.read_sizes(load, options.size)
    if options.json:
        _check_writable(Path(options.json))
    with _connect(options) as session:
        rows = benchmark.run_benchmark(session, load, sizes, options.peers, options.repeats)
        where = f"{session.backend.name}, {counted(session.backend.n_sites, 'site')}"
    print(f"{load.name} {', '.join(f'{k}={v}' for k, v in sizes.items())} float32 on {where}")
    print(benchmark.table(rows))
    if options.json:
        content = {"name": load.name, "sizes": sizes, "backend": where, "rows": benchmark.as_dicts(rows)}
        Path(options.json).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _check_writable(path: Path) -> None:
    """Makes sure, before what takes long, that a file can be written at its end; one that is there stays.

    Example:
        >>> _check_writable(Path("/nowhere/figures.json"))
        Traceback (most recent call last):
        tra.errors.CatalogError: cannot write /nowhere/figures.json: no such file or directory
    """
    is_new = not path.exists()
    try:
        path.open("a").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise CatalogError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error


def _versions(options: argparse.Namespace) -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    print(f"tra {tra.__version__}\npython {python}")
    for package in _PACKAGES:
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            print(f"{package} not installed")
