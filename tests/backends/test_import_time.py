"""What `import tra` loads: what is needed to write a query, and no more."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import tra

HEAVY = ("dask", "distributed", "lark", "networkx", "pyarrow", "tqdm")


def loaded(code):
    """The heavy packages that are there after some code."""
    shown = f"import sys, tra\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", shown], check=True, capture_output=True, text=True)
    return ran.stdout.split()


def test_writing_a_query_loads_nothing_heavy():
    assert loaded("A = tra.from_array([[1.0, 2.0]])\ntra.relu(A @ A.T - 1).sum()") == []


@pytest.mark.parametrize(
    "code",
    [
        "assert tra.sql('LET y[i] = 2 * x[i];', x=[1.0]).relation.keys == ('i',)",
        "assert 'SELECT' in (tra.from_array([1.0]) + 1).to_text()",
        "import tra.sql.parser as parser; assert parser.parse_text and callable(tra.sql)",
    ],
)
def test_query_text_loads_its_parser_when_used(code):
    assert loaded(code) == ["lark"]


def test_files_load_pyarrow_when_used(tmp_path):
    path = str(tmp_path / "A")
    assert loaded(f"import numpy; numpy.save({path!r}, [1.0]); tra.open({path + '.npy'!r})") == []
    assert "pyarrow" in loaded(f"tra.from_array([1.0]).save({path + '.tra'!r}); tra.open({path + '.tra'!r})")


def test_the_version_is_there_when_asked_for():
    assert tra.__version__ == version("tra-engine")
