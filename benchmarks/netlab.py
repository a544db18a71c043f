"""Benchmarks on hosts with slow links, which `benchmarks/netlab` makes of network namespaces.

A section calls `on_hosts("benchmarks.links", "measure", {"shape": [4, 4, 4]}, hosts=4, rate="1gbit")`: the
function runs in a process of its own beside the scheduler, as `measure(client, shape=[4, 4, 4])`, and what it
returns comes back as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("netlab")
NOT_RUN = "not run: needs root and iproute2"


def is_there() -> bool:
    """Claims that hosts can be made here."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return sys.platform == "linux" and is_root and all(map(shutil.which, ("ip", "tc"))) and _may_make_hosts()


def _may_make_hosts() -> bool:
    """Claims that namespaces can be made: in a container root may not."""
    name = f"probe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made


def on_hosts(
    module: str,
    function: str,
    arguments: Mapping[str, Any],
    hosts: int,
    rate: str,
    memory: str = "5GB",
) -> Any:
    """Calls a function of a module with a client of a cluster of hosts behind links of a rate.

    Raises:
        RuntimeError: it failed; with the last lines of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        call = [sys.executable, "-m", "benchmarks.netlab", module, function, json.dumps(arguments), str(out)]
        command = [str(SCRIPT), "--memory", memory, str(hosts), rate, *call]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise RuntimeError(f"{module}.{function} failed on {hosts} hosts:\n{said}")
        return json.loads(out.read_text(encoding="utf-8"))


def main(module: str, function: str, arguments: str, out: str) -> None:
    """Runs beside the scheduler, and writes what the function returns."""
    from distributed import Client

    with Client(os.environ["DASK_ADDR"], set_as_default=False) as client:
        client.wait_for_workers(int(os.environ["HOSTS"]))
        found = getattr(import_module(module), function)(client, **json.loads(arguments))
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        print(
            "netlab.py: sections run this beside the scheduler, as MODULE FUNCTION ARGUMENTS OUT; "
            "benchmarks/netlab runs a script on hosts with slow links",
            file=sys.stderr,
        )
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    main(*sys.argv[1:])
