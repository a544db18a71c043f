"""Files of this folder that are run as scripts: what is said of parts of others, and of packages not there.

It is said when the package is first imported, which is before anything else is, so that it imports nothing
that might be missing.
"""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent
NEEDED = {"matplotlib": "bench", "psutil": "bench", "zarr": "peers"}  # by package: the extra that brings it
_MAIN = '__name__ == "__main__"'
_SEVERAL = 3  # sections: what more of them use is a part of none


def check_script() -> None:
    """Ends the process with a line where a file of this folder is run that cannot be.

    Raises:
        SystemExit: 2, the file is a part of others; 1, a package is missing.
    """
    file = script()
    if file is None:
        return
    if _MAIN not in file.read_text(encoding="utf-8"):
        _end(f"{file.name} is {_part(file.stem)}", 2)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing and (runs_section(file.read_text(encoding="utf-8")) or file.stem == "report"):
        _end(f"they need {' and '.join(missing)}: pip install '.[bench,peers]'", 1)


def script() -> Path | None:
    """The file of this folder that runs, as ``python FILE`` or ``python -m benchmarks.NAME``."""
    told = sys.orig_argv
    if sys.argv[:1] == ["-m"] and "-m" in told:
        module = told[told.index("-m") + 1]
        file = FOLDER / f"{module.removeprefix('benchmarks.')}.py"
        return file if module.startswith("benchmarks.") and file.exists() else None
    file = Path(sys.argv[0] if sys.argv else "").resolve()
    return file if file.parent == FOLDER.resolve() and file.suffix == ".py" and file.exists() else None


def runs_section(text: str) -> bool:
    """Claims that a file runs its section of the page where it is a script."""
    return _MAIN in text and "alone(__file__)" in text


def _part(name: str) -> str:
    found = sections_of(name)
    if not found or len(found) > _SEVERAL:
        return "used by benchmarks, and is none: python benchmarks/report.py --help lists them"
    runs = " or ".join(f"python benchmarks/{section}.py" for section in found)
    return f"a part of {' and '.join(found)}: {runs} runs it"


def sections_of(name: str) -> list[str]:
    """The sections of the page that import a module, or import what does.

    Example:
        >>> sections_of("small_queries"), sections_of("ddp")
        (['queries'], ['steps'])
    """
    text = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("[!_]*.py")}
    reached, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        reached.add(one)
        waiting += [user for user in text if user not in reached and _imports(text[user], one)]
    return sorted(user for user in reached - {name} if runs_section(text[user]))


def _imports(text: str, name: str) -> bool:
    lines = re.findall(r"^ *from benchmarks import (\([^)]*\)|.*)$", text, re.MULTILINE)
    named = any(re.search(rf"\b{name}\b", line) for line in lines)
    return named or re.search(rf"^ *from benchmarks\.{name} import", text, re.MULTILINE) is not None


def _end(says: str, status: int) -> None:
    print(f"benchmarks: {says}", file=sys.stderr)
    raise SystemExit(status)
