"""Tensors of other libraries, by DLPack: the same memory, whatever they are."""

import numpy as np
import pytest

import tra
from tra.errors import SchemaError


def test_torch_tensors_are_borrowed_and_given_back():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool,
                  torch.complex64):  # fmt: skip
        tensor = torch.arange(15).reshape(5, 3).to(dtype).requires_grad_(dtype == torch.float32)
        A = tra.from_array(tensor, keys=("i", "j"), tile=2)
        (source,) = A.sources.values()
        assert source.array.__array_interface__["data"][0] == tensor.data_ptr()
        with tra.connect("local", threads=1):
            back = torch.from_dlpack(A)
            assert back.dtype == tensor.dtype and torch.equal(back, tensor.detach())


def test_strides_stay():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(24.0).reshape(4, 6).T[::2]
    A = tra.from_array(tensor, tile=2)
    np.testing.assert_array_equal(A.compute(), tensor.numpy())
    (source,) = A.sources.values()
    assert source.array.__array_interface__["data"][0] == tensor.data_ptr()


def test_numpy_takes_relations_too():
    with tra.connect("local", threads=1):
        assert np.from_dlpack(tra.from_array([1.0, 2.0]) + 1).tolist() == [2, 3]


def test_what_numpy_does_not_have():
    torch = pytest.importorskip("torch")
    with pytest.raises(SchemaError, match=r"NumPy cannot take a Tensor of torch.bfloat16.*\n.*float\(\)"):
        tra.from_array(torch.ones(3, dtype=torch.bfloat16))
    for sparse in (torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr()):
        with pytest.raises(SchemaError, match=r"layout torch.sparse.*\n.*tensor\.to_dense\(\)"):
            tra.from_array(sparse)
    with pytest.raises(SchemaError, match="on meta"):
        tra.from_array(torch.ones(3, device="meta"))


def test_other_devices_are_named():
    class Elsewhere:
        shape, dtype, device = (2,), "cuda float32", "cuda:0"

        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **_):
            raise AssertionError("not asked for")

    with pytest.raises(SchemaError, match="memory of the host; got a Elsewhere on cuda:0"):
        tra.from_array(Elsewhere())
