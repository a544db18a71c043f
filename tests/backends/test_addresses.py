"""Addresses of schedulers: wrong forms and strangers are named at once, and nothing is left hanging."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest

import tra
from tra import cli
from tra.backends import cluster
from tra.errors import PlanError


@pytest.mark.parametrize(
    "address",
    [
        "tcp://head:8786",
        "head:8786",
        "tls://10.0.0.1:8786",
        "[::1]:8786",
        "tcp://[::1]:1",
        "inproc://10.0.0.1/2/3",
    ],
)
def test_legal_addresses(address):
    cluster.check_address(address)


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("head", "a host and the number of a port"),
        ("tcp://head", "a host and the number of a port"),
        ("", "a host and the number of a port"),
        (":8786", "a host and the number of a port"),
        ("head:http", "a host and the number of a port"),
        ("head:99999", "a host and the number of a port"),
        ("::1:8786", "a host and the number of a port"),
        ("http://head:8787/status", "unknown address scheme 'http'"),
    ],
)
def test_addresses_that_cannot_be_one(address, fault):
    with pytest.raises(
        PlanError, match=f"{address!r} is no address of a Dask scheduler: .*{fault}.*tcp://host:8786"
    ):
        tra.connect("dask", scheduler=address)


def test_the_command_says_so_at_once(tmp_path, capsys):
    query = tmp_path / "q.tra"
    query.write_text("LET x[i] = 1;")
    start = time.monotonic()
    assert cli.main(["run", str(query), "--scheduler", "foo"]) == 1
    assert time.monotonic() - start < 5
    assert "PlanError: 'foo' is no address of a Dask scheduler" in capsys.readouterr().err


@contextmanager
def stranger(greeting):
    """A server that greets whoever connects, and says no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        guests = []

        def greet():
            while True:
                try:
                    guest, _ = server.accept()
                except OSError:
                    return
                guest.sendall(greeting)
                guests.append(guest)

        threading.Thread(target=greet, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for guest in guests:
            guest.close()


@pytest.mark.parametrize(
    ("greeting", "words"),
    [(b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak Dask's protocol"), (b"", "said nothing in 0.5 s")],
)
def test_what_is_no_scheduler_is_told_from_one(monkeypatch, greeting, words):
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.5)
    with (
        stranger(greeting) as address,
        pytest.raises(PlanError, match=f"no Dask scheduler answers at {address}: .*{words}"),
    ):
        tra.connect("dask", scheduler=address)
