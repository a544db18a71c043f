"""A cluster that speaks TLS and nothing else: queries run on it; who has no certificate gets no answer."""

import shutil
import subprocess

import dask
import numpy as np
import pytest

import tra
from tra.errors import PlanError

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A certificate that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", "/CN=tra", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return str(certificate), str(key)


@pytest.fixture(scope="module")
def security(files):
    certificate, key = files
    return distributed.Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_{what}": file for role in ("client", "scheduler", "worker")
           for what, file in (("cert", certificate), ("key", key))},
    )  # fmt: skip


@pytest.fixture(scope="module")
def cluster(security):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, protocol="tls://", security=security,
        dashboard_address=None, silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster


def check_product(session):
    A = tra.from_array(np.arange(36.0).reshape(6, 6), ("i", "j"), tile=2, name="A")
    np.testing.assert_array_equal(session.compute(A @ A)[0], A.compute() @ A.compute())


def test_a_cluster_object(cluster):
    assert cluster.scheduler_address.startswith("tls://")
    with tra.connect("dask", scheduler=cluster) as session:
        check_product(session)


def test_a_client(cluster, security):
    with (
        distributed.Client(cluster.scheduler_address, security=security, set_as_default=False) as client,
        tra.connect("dask", scheduler=client) as session,
    ):
        check_product(session)


def test_an_address_with_certificates_in_the_settings_of_dask(cluster, files):
    certificate, key = files
    tls = {"ca-file": certificate, "client.cert": certificate, "client.key": key}
    settings = {f"distributed.comm.tls.{name}": file for name, file in tls.items()}
    with dask.config.set(settings), tra.connect("dask", scheduler=cluster.scheduler_address) as session:
        check_product(session)


@pytest.mark.parametrize("scheme", ["tls", "tcp"])
def test_without_a_certificate(cluster, scheme):
    address = cluster.scheduler_address.replace("tls", scheme)
    with pytest.raises(PlanError, match=f"no Dask scheduler answers at {scheme}://"):
        tra.connect("dask", scheduler=address)
