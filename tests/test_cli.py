"""The command: exit codes, readable errors without a traceback, every subcommand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tra
from tra.cli import main
from tra.workflows import benchmark


@pytest.fixture
def query(tmp_path):
    """Writes a query file beside a small matrix."""
    np.save(tmp_path / "A.npy", np.arange(6.0).reshape(2, 3))

    def write(text):
        path = tmp_path / "query.tra"
        path.write_text(text)
        return str(path)

    return write


LOAD = "LOAD A(i, j) FROM 'A.npy';\n"


def test_run_shows_results(query, capsys):
    assert main(["run", query(LOAD + "LET s[i] = SUM(A[i, j]);\nSHOW s;\n")]) == 0
    out, err = capsys.readouterr()
    assert "3." in out and "12." in out and err == ""


def test_run_analyze_shows_predicted_and_measured(query, capsys):
    assert main(["run", query(LOAD + "LET s[i] = SUM(A[i, j]);\n"), "--analyze"]) == 0
    out = capsys.readouterr().out
    assert "predicted" in out and "measured" in out and "bytes moved" in out


@pytest.mark.parametrize("arguments", [["explain"], ["run", "--explain"]])
def test_explain_runs_nothing(query, capsys, tmp_path, arguments):
    path = query(LOAD + "LET s[i] = SUM(A[i, j]);\nSAVE s TO 'out.npy';\n")
    assert main([arguments[0], path, *arguments[1:]]) == 0
    assert "stage 1" in capsys.readouterr().out
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("arguments", [["explain"], ["run", "--analyze"]])
def test_hints_are_in_force_where_the_result_is_explained(query, capsys, arguments):
    text = LOAD.replace(";", " TILE (1, 1);") + "LET s[i] = SUM(A[i, j]);\nHINT s 'aggregate in place';\n"
    assert main([arguments[0], query(text), *arguments[1:], "--sites", "2"]) == 0
    assert "aggregate in place, as hinted" in capsys.readouterr().out


@pytest.mark.parametrize("level", ["off", "run", "tiling", "exact"])
def test_levels_of_reproducibility_are_options(query, capsys, level):
    assert main(["explain", query(LOAD + "LET s[i] = SUM(A[i, j]);"), "--reproducible", level]) == 0
    assert f"reproducible={level!r}" in capsys.readouterr().out


def test_cost_models_and_rules_are_options(query, capsys):
    path = query(LOAD + "LET s[i] = SUM(A[i, j]);")
    assert main(["explain", path, "--sites", "2", "--cost-model", "paper"]) == 0
    assert "elements sent" in capsys.readouterr().out
    assert main(["explain", path, "--without", "map_map_fuze"]) == 1
    assert "did you mean 'map_map_fuse'" in capsys.readouterr().err


def test_save_is_relative_to_the_query_file(query, tmp_path):
    assert main(["run", query(LOAD + "LET s[j] = SUM(A[i, j]);\nSAVE s TO 'out.npy';\n")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), [3.0, 5.0, 7.0])


def test_fmt_prints_and_writes(query, capsys):
    path = query("load A(i,j) from 'A.npy' ;let s[i]=sum(A[i,j]);")
    assert main(["fmt", path]) == 0
    assert capsys.readouterr().out == "LOAD A(i, j) FROM 'A.npy';\nLET s[i] = SUM(A[i, j]);\n"
    assert main(["fmt", path, "--in-place"]) == 0
    assert Path(path).read_text().startswith("LOAD A(i, j)")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("LOAD A(i, j) FROM 'B.npy';", ["B.npy", "query.tra:1:"]),
        (LOAD + "LET s[i] = SUM(B[i, j]);", ["B", "query.tra:2:", "^"]),
        (LOAD + "LET s[i] = SUM(A[i, j])", []),
        (LOAD + "LET s[i] = SUM(A[i, j]", ["query.tra:2:", "^"]),
        (LOAD + "LET s[i] = NOPE(A[i, j]);", ["NOPE", "^"]),
        (LOAD + "SHOW C;", ["C", "^"]),
    ],
)
def test_errors_are_one_message_and_exit_1(query, capsys, text, parts):
    code = main(["run", query(text)])
    err = capsys.readouterr().err
    assert code == (1 if parts else 0)
    assert all(part.lower() in err.lower() for part in parts), err
    assert "Traceback" not in err


def test_a_kernel_that_fails_is_one_message(query, capsys):
    @tra.kernel("()->()", name="bad luck", output_dtype="f8")
    def bad_luck(x):
        raise RuntimeError("not today")

    assert main(["run", query(LOAD + 'SHOW (SELECT i, j, "bad luck"(tile) FROM A);')]) == 1
    err = capsys.readouterr().err
    assert "KernelError" in err and "kernel bad luck failed" in err and "RuntimeError: not today" in err
    assert "query.tra:2:1" in err and "Traceback" not in err


def test_a_missing_query_file(capsys):
    assert main(["run", "nowhere.tra"]) == 1
    assert capsys.readouterr().err == "tra: CatalogError: there is no query file nowhere.tra\n"


def test_wrong_usage_exits_2():
    with pytest.raises(SystemExit) as stop:
        main(["run"])
    assert stop.value.code == 2


@pytest.mark.parametrize("repeats", ["0", "-1", "many"])
def test_a_benchmark_runs_at_least_once(capsys, repeats):
    with pytest.raises(SystemExit) as stop:
        main(["bench", "matmul", "--size", "10", "--repeats", repeats])
    assert stop.value.code == 2
    assert f"argument --repeats: a positive number; got '{repeats}'" in capsys.readouterr().err


def test_the_memory_error_names_the_option(query, capsys):
    assert main(["run", query(LOAD + "LET s[i] = SUM(A[i, j]);\nSHOW s;"), "--memory-limit", "20MB"]) == 1
    err = capsys.readouterr().err
    assert "MemoryLimitError" in err and "; --memory-limit " in err and "memory_limit" not in err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tra {tra.__version__}\n"


def test_versions(capsys):
    assert main(["versions"]) == 0
    out = capsys.readouterr().out
    assert "numpy" in out and "dask" in out and out.startswith("tra ")


@pytest.mark.parametrize(
    ("name", "size"), [("matmul", "60"), ("ffnn", "n=30,d=20,h=10,c=5"), ("nns", "q=10,x=20,i=4")]
)
def test_bench_prints_a_table_and_writes_json(capsys, tmp_path, name, size):
    figures = tmp_path / "figures.json"
    assert main(["bench", name, "--size", size, "--peers", "--repeats", "1", "--json", str(figures)]) == 0
    out = capsys.readouterr().out
    assert "on local, 1 site\n" in out
    assert "GFLOP/s" in out and "numpy" in out and "dask.array" in out
    rows = json.loads(figures.read_text())["rows"]
    assert [row["who"] for row in rows] == ["tra", "numpy", "dask.array"]
    assert all(row["seconds"] > 0 for row in rows) and rows[0]["tasks"] >= 1


@pytest.mark.parametrize(("arguments", "part"), [
    (["bench", "matmull"], "did you mean 'matmul'"),
    (["bench", "matmul", "--size", "n=0"], "cannot read the size"),
    (["bench", "matmul", "--size", "10", "--memory-limit", "lots"], "no amount of memory"),
])  # fmt: skip
def test_bench_errors(capsys, arguments, part):
    assert main(arguments) == 1
    assert part in capsys.readouterr().err


def test_bench_looks_whether_it_can_write_before_it_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "run_benchmark", lambda *_: pytest.fail("the benchmark was run"))
    for path in (tmp_path / "no" / "x.json", tmp_path):
        assert main(["bench", "matmul", "--size", "10", "--json", str(path)]) == 1
        assert f"tra: CatalogError: cannot write {path}: " in capsys.readouterr().err
    monkeypatch.setattr(benchmark, "run_benchmark", lambda *_: 1 / 0)
    assert main(["bench", "matmul", "--size", "10", "--json", str(tmp_path / "x.json")]) == 1
    assert not list(tmp_path.iterdir())


def test_the_module_runs_as_a_command():
    command = [sys.executable, "-m", "tra", "versions"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("tra ")
