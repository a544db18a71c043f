"""Benchmark scripts on the command line: wrong arguments, parts of sections, missing packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page, report, scripts

FOLDER = Path(page.__file__).parent
USAGE = "usage: netlab [--memory SIZE] HOSTS RATE PYTHON SCRIPT [ARGS…]"


def run(*command, **environment):
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, cwd=FOLDER.parent,
        env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def run_script(name, *arguments, **environment):
    return run(sys.executable, FOLDER / name, *arguments, **environment)


def test_a_scheduler_that_is_none_is_told_in_a_line():
    found = run_script("queries.py", "--quick", "--scheduler", "foo")
    assert found.returncode == 1
    assert found.stderr.startswith("benchmarks: 'foo' is no address of a Dask scheduler")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [[FOLDER / "small_queries.py"], ["-m", "benchmarks.small_queries"]])
def test_a_part_names_its_section(command):
    found = run(sys.executable, *command, "--quick")
    assert found.returncode == 2
    expected = "small_queries.py is a part of queries: python benchmarks/queries.py runs it"
    assert found.stderr == f"benchmarks: {expected}\n"


def test_what_many_use_is_a_part_of_none():
    found = run_script("bars.py")
    assert found.returncode == 2
    assert "used by benchmarks, and is none" in found.stderr


def test_every_section_runs_as_a_script():
    for name in report.SECTIONS:
        assert scripts.runs_section((FOLDER / f"{name}.py").read_text(encoding="utf-8")), name


def test_missing_packages_are_named_with_what_installs_them(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else found(name, *rest)\n"
    )
    found = run_script("local_products.py", "--help", PYTHONPATH=str(tmp_path))
    assert found.returncode == 1
    assert found.stderr == "benchmarks: they need matplotlib: pip install '.[bench,peers]'\n"


def test_help_of_a_section_is_its_own():
    found = run_script("queries.py", "--help")
    assert found.returncode == 0
    assert "Queries beside dask.array" in found.stdout
    assert "--only" not in found.stdout
    assert "--only" in run_script("report.py", "--help").stdout


def test_the_other_end_of_netlab_says_what_it_is():
    assert run_script("netlab.py", "--help").returncode == 0
    found = run_script("netlab.py")
    assert found.returncode == 2
    assert "MODULE FUNCTION ARGUMENTS OUT" in found.stderr


def test_parts_are_told_on_stderr(capsys):
    page.begins("products on threads")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "  products on threads …\n")


# -- netlab ---------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["2", "fast", sys.executable, "s.py"],
            "RATE is a rate such as 1gbit or 200mbit, or none; got 'fast'",
        ),
        (
            ["2", "0gbit", sys.executable, "s.py"],
            "RATE is a rate such as 1gbit or 200mbit, or none; got '0gbit'",
        ),
        (["--memory"], f"--memory takes a SIZE, such as 2GB; {USAGE}"),
        (
            ["--memory", "lots", "2", "none", sys.executable, "s.py"],
            "SIZE is a number of bytes such as 5GB or 500MB; got 'lots'",
        ),
        (
            ["--mem", "2GB", "2", "none", sys.executable, "s.py"],
            f"there is no option '--mem', only --memory SIZE; {USAGE}",
        ),
        (["many", "none", sys.executable, "s.py"], "HOSTS is a number from 1 to 99; got 'many'"),
        (
            ["2", "none", "/no/python", "s.py"],
            "PYTHON is a program that can be run; there is no '/no/python'",
        ),
        (["2", "none"], USAGE),
    ],
)
def test_netlab_says_what_is_legal(arguments, says):
    found = run(FOLDER / "netlab", *arguments)
    assert (found.returncode, found.stdout, found.stderr) == (2, "", f"netlab: {says}\n")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_help_of_netlab():
    assert run(FOLDER / "netlab", "--help").stdout == f"{USAGE}\n"
