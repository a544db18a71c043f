"""The public contract: names, signatures and classes that users rely on; changed only by adding."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import tra
from tra.testing import reference_session

SIGNATURES = {
    "from_array": ["array", "keys", "tile", "name"],
    "from_tiles": ["tiles", "keys", "axes", "domain"],
    "open": ["path", "keys", "tile"],
    "einsum": ["equation", "operands"],
    "grad": ["loss", "wrt"],
    "kernel": ["signature"],
    "sql": ["text", "relations"],
    "connect": ["backend", "scheduler", "threads", "sites", "memory_limit", "reproducible"],
}
DEFAULTS = {
    "from_array": {"keys": None, "tile": None, "name": None},
    "from_tiles": {"axes": None, "domain": None},
    "open": {"keys": None, "tile": None},
    "connect": {
        "backend": "local",
        "scheduler": None,
        "threads": None,
        "sites": None,
        "memory_limit": None,
        "reproducible": "run",
    },
}
METHODS = {
    "aggregate": ["by", "kernel"],
    "join": ["other", "on", "kernel", "truncate", "params"],
    "rekey": ["function", "keys"],
    "filter": ["predicate"],
    "transform": ["kernel", "params"],
    "tile": ["axis", "size", "key"],
    "concat": ["key", "axis"],
    "fill": ["value"],
    "compute": [],
    "tiles": [],
    "to_arrow": [],
    "persist": [],
    "explain": ["analyze"],
    "to_text": [],
    "save": ["path", "append"],
    "sum": ["axis", "keepdims"],
    "mean": ["axis", "keepdims"],
    "var": ["axis", "keepdims"],
    "max": ["axis", "keepdims"],
    "argmin": ["axis", "keepdims"],
}
SESSION_METHODS = {
    "compute": ["relations"],
    "persist": ["relations"],
    "explain": ["relation", "analyze"],
    "sql": ["text", "relations"],
    "close": [],
}
ERRORS = {
    "SchemaError": ValueError,
    "KernelError": TypeError,
    "CatalogError": KeyError,
    "PlanError": Exception,
    "MemoryLimitError": MemoryError,
    "QueryError": Exception,
}


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_functions_of_the_package(name):
    if name == "grad" and not hasattr(tra, name):
        pytest.skip("gradients are not there yet")
    function = getattr(tra, name)
    assert name in tra.__all__
    assert parameters(function)[: len(SIGNATURES[name])] == SIGNATURES[name] or name == "grad"
    for parameter, default in DEFAULTS.get(name, {}).items():
        assert inspect.signature(function).parameters[parameter].default == default


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_relations(name):
    assert parameters(getattr(tra.Relation, name)) == METHODS[name]


@pytest.mark.parametrize("name", SESSION_METHODS)
def test_methods_of_sessions(name):
    assert parameters(getattr(tra.Session, name)) == SESSION_METHODS[name]
    assert hasattr(tra.Session, "__enter__") and hasattr(tra.Session, "__exit__")


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    error = getattr(tra.errors, name)
    assert issubclass(error, tra.errors.TraError) and issubclass(error, ERRORS[name])


def test_what_a_relation_shows_without_reading_data():
    class Untouchable:
        shape, dtype = (5, 4), np.dtype("float32")

        def __getitem__(self, _):
            raise AssertionError("data was read")

    A = tra.from_array(Untouchable(), keys=("i", "j"), tile=(2, 4), name="A")
    assert (A.keys, A.frontier, A.tile_shape, A.shape) == (("i", "j"), (3, 1), (2, 4), (5, 4))
    assert (A.dtype, A.nbytes, repr(A)) == (np.float32, 80, "A[i:3, j:1] of 2/5×4 float32")
    assert (A @ A.T).shape == (5, 5)


def test_what_compute_and_tiles_return():
    a = np.arange(6.0).reshape(2, 3)
    with reference_session():
        A = tra.from_array(a, keys=("i", "j"), tile=(1, 2))
        np.testing.assert_array_equal(A.compute(), a)
        np.testing.assert_array_equal(np.asarray(A), a)
        assert {key: tile.tolist() for key, tile in A.tiles().items()} == {
            (0, 0): [[0, 1]],
            (0, 1): [[2]],
            (1, 0): [[3, 4]],
            (1, 1): [[5]],
        }
        free = tra.from_tiles({(n,): a * n for n in range(2)}, keys="n")
        np.testing.assert_array_equal(free.compute(), [a * 0, a * 1])  # keys that cut no axis lead
        scalar = tra.from_tiles({(): 7.0}, keys=())
        assert scalar.compute() == 7.0  # no keys: its tile


def test_the_version_and_the_functions_of_kernels():
    assert tra.__version__
    for name in ("relu", "exp", "sigmoid", "softmax", "transpose"):
        assert callable(getattr(tra, name)) and name in dir(tra)
    with pytest.raises(AttributeError, match="no attribute 'reluu'"):
        tra.reluu  # noqa: B018


def test_testing_is_there_without_an_import_of_its_own():
    program = "import sys, tra; assert 'tra.testing' not in sys.modules; tra.testing.check_kernel('add')"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert "testing" in dir(tra)
