"""Weight files are read as they are, or refused with a reason; never unpickled."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luxgen.errors import InputError
from luxgen.frontends.weights import load_into, read_weights, write_safetensors
from luxgen.safetensors_file import written_by_luxgen

HOSTILE = ['"; import os #', "__class__", "np", "lambda", "ｎｐ", "a\n\x1b[2J", "", "0"]


def state() -> dict[str, torch.Tensor]:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).state_dict()


def save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    match path.suffix:
        case ".safetensors":
            safetensors.torch.save_file(tensors, path)
        case ".npz":
            arrays: dict[str, Any] = {name: t.numpy() for name, t in tensors.items()}
            np.savez(path, **arrays)
        case _:
            torch.save(tensors, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".pth", ".PT"])
def test_read(tmp_path: Path, suffix: str) -> None:
    tensors = state()
    weights = read_weights(save(tmp_path / f"w{suffix}", tensors))
    assert set(weights) == set(tensors)
    for name, tensor in tensors.items():
        assert weights[name].dtype == tensor.numpy().dtype
        assert weights[name].shape == tuple(tensor.shape)
        np.testing.assert_array_equal(weights[name], tensor.numpy())


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_checkpoints_are_unwrapped(tmp_path: Path, key: str) -> None:
    path = tmp_path / "w.pt"
    checkpoint = {"epoch": 3, "optimizer": {"lr": 0.1}, key: OrderedDict(state())}
    torch.save({"state_dict": checkpoint} if key == "model" else checkpoint, path)
    assert set(read_weights(path)) == set(state())


def test_old_torch_format(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(state(), path, _use_new_zipfile_serialization=False)
    assert set(read_weights(path)) == set(state())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_half_precision(tmp_path: Path, suffix: str) -> None:
    values = torch.tensor([1.5, -2.0, 3e38, float("inf"), 1e-40])
    tensors = {"b": values.bfloat16(), "h": values.half()}
    path = save(tmp_path / f"w{suffix}", tensors)
    wide = read_weights(path)
    for name, tensor in tensors.items():
        assert wide[name].dtype == np.float32
        np.testing.assert_array_equal(wide[name], tensor.float().numpy())
    assert read_weights(path, widen=False)["h"].dtype == np.float16
    assert read_weights(path, widen=False)["b"].dtype == np.float32


def test_npz_of_half_and_foreign_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, h=np.ones(2, np.float16), b=np.arange(3, dtype=">f4"))
    weights = read_weights(path)
    assert weights["h"].dtype == np.float32
    assert weights["b"].dtype == np.dtype("=f4") and weights["b"].dtype.isnative
    np.testing.assert_array_equal(weights["b"], [0, 1, 2])


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, suffix: str, kept: float) -> None:
    path = save(tmp_path / f"w{suffix}", state() | {"big": torch.zeros(3000)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=rf"w\{suffix}: it is truncated or not a"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x00" * 100, b"PK\x03\x04", b"{}" * 9]
)
def test_not_such_a_file(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"w\{suffix}"):
        read_weights(path)


@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_damaged_files_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    suffix = data.draw(st.sampled_from([".safetensors", ".npz", ".pt"]))
    path = save(tmp_path_factory.mktemp("w") / f"w{suffix}", state())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        weights = read_weights(path)
    except InputError:
        return
    assert all(isinstance(value, np.ndarray) for value in weights.values())


def test_missing_directory_and_unknown_type(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pt doesn't exist"):
        read_weights(tmp_path / "gone.pt")
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(InputError, match=r"can't read .*dir\.npz"):
        read_weights(tmp_path / "dir.npz")
    with pytest.raises(InputError, match=r"w\.h5 isn't a weights file.*\.safetensors"):
        read_weights(tmp_path / "w.h5")


class Payload:
    """Touches a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["pt", "pt in a dict", "old pt", "plain pickle", "npz"])
def test_pickled_payload_is_never_run(tmp_path: Path, how: str) -> None:
    payload, owned = Payload(tmp_path / "owned"), tmp_path / "owned"
    path = tmp_path / ("w.npz" if how == "npz" else "w.pt")
    match how:
        case "pt":
            torch.save(payload, path)
        case "pt in a dict":
            torch.save(state() | {"x": payload}, path)
        case "old pt":
            torch.save(payload, path, _use_new_zipfile_serialization=False)
        case "plain pickle":
            path.write_bytes(pickle.dumps(payload))
        case "npz":
            np.savez(path, x=np.array([payload], dtype=object))
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert not owned.exists()
    if how != "plain pickle":  # which torch refuses before it sees what is in it
        assert "pickled Python objects" in str(caught.value)
        assert "save model.state_dict() instead" in str(caught.value)


def test_whole_model_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"pickled.*Linear.*save model\.state_dict"):
        read_weights(tmp_path / "w.pt")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/constants.pkl", b"")
        archive.writestr("w/data.pkl", b"")
        archive.writestr("w/version", b"3")
    with pytest.raises(InputError, match="TorchScript|truncated"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([torch.ones(2)], "holds a list, not a state_dict"),
        (torch.ones(2), "holds a Tensor, not a state_dict"),
        ({"epoch": 3}, "'epoch' is a int, not a tensor"),
        ({3: torch.ones(2)}, "3 isn't a name"),
        ({"s": torch.eye(3).to_sparse()}, "'s' is a sparse"),
        ({"m": torch.ones(2, device="meta")}, "'m' is a .* or empty tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of torch, on sparse tensors
def test_other_payloads(tmp_path: Path, payload: Any, message: str) -> None:
    torch.save(payload, tmp_path / "w.pt")
    with pytest.raises(InputError, match=message):
        read_weights(tmp_path / "w.pt")


def test_npz_of_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", x=np.array(["a"]))
    with pytest.raises(InputError, match="'x' holds no numbers"):
        read_weights(tmp_path / "w.npz")


ARRAYS: dict[str, Any] = {
    "f": np.arange(6, dtype=np.float32).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float64).reshape(2, 3).T,
    "foreign": np.arange(3, dtype=">i4"),
    "scalar": np.array(7, dtype=np.int64),
    "empty": np.zeros((0, 3), np.float16),
    "flags": np.array([True, False]),
    "c": np.array([1 + 2j], np.complex64),
    **{name: np.full(2, i, np.float32) for i, name in enumerate(HOSTILE)},
}


def test_write_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_safetensors(path, ARRAYS)
    loaded = safetensors.numpy.load_file(path)
    assert set(loaded) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype.newbyteorder("=")
        assert loaded[name].shape == array.shape
    assert written_by_luxgen(path)
    first = path.read_bytes()
    write_safetensors(path, dict(reversed(ARRAYS.items())))
    assert path.read_bytes() == first
    back = read_weights(path, widen=False)
    assert all(np.array_equal(back[name], array) for name, array in ARRAYS.items())


def test_written_by_luxgen_is_false_of_others(tmp_path: Path) -> None:
    path = save(tmp_path / "w.safetensors", state())
    assert not written_by_luxgen(path)
    path.write_bytes(b"\xff" * 20)
    assert not written_by_luxgen(path)
    assert not written_by_luxgen(tmp_path / "gone.safetensors")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.array(["a"])}, "can't store 'x': safetensors has no <U1"),
        ({"x": np.ones(2, np.complex128)}, "no complex128"),
        ({"__metadata__": np.ones(2)}, "reserves that name"),
        ({"\ud800": np.ones(2)}, "isn't Unicode"),
    ],
)
def test_write_refused(tmp_path: Path, arrays: Any, message: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"before")
    with pytest.raises(InputError, match=message):
        write_safetensors(path, arrays)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_writing_takes_no_second_copy(tmp_path: Path) -> None:
    import tracemalloc

    arrays = {f"w{i}": np.ones(1_000_000, np.float32) for i in range(8)}
    tracemalloc.start()
    write_safetensors(tmp_path / "w.safetensors", arrays)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000  # two of the eight


def test_load_into() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    weights = {n: np.array(t.numpy() + 1) for n, t in state().items()}
    for array in weights.values():
        array.flags.writeable = False
    load_into(model, weights)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name])
        assert not np.shares_memory(tensor.numpy(), weights[name])


def test_everything_that_doesnt_fit_is_named() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = {name: tensor.numpy() + 1 for name, tensor in before.items()}
    weights["0.weight"] = weights["0.weight"].T
    weights["1.bias"] = weights["1.bias"].astype(np.float64)
    weights["1.num_batches_tracked"] = np.array(1.0, np.float32)
    del weights["1.running_mean"]
    weights['"; import os #'] = np.ones(1)
    with pytest.raises(InputError) as caught:
        load_into(model, weights)
    assert str(caught.value).splitlines()[1:] == [
        "    missing: '1.running_mean'",
        "    unexpected: '\"; import os #'",
        "    shape of '0.weight': the model's is (2, 3), the file's (3, 2)",
        "    dtype of '1.bias': the model's is float32, the file's float64",
        "    dtype of '1.num_batches_tracked': the model's is int64, "
        "the file's float32",
    ]
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_prefix_is_explained() -> None:
    model = nn.Linear(2, 2)
    weights = {f"module.{n}": t.numpy() for n, t in model.state_dict().items()}
    with pytest.raises(InputError, match="starts with 'module.': remove that"):
        load_into(model, weights)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    return model


def test_tied_parameters() -> None:
    model = tied()
    weights = {n: t.numpy() + 1 for n, t in model.state_dict().items()}
    load_into(model, weights)
    assert model.get_parameter("1.weight") is model.get_parameter("0.weight")
    del weights["1.weight"]
    weights["0.weight"] = weights["0.weight"] + 1
    load_into(model, weights)
    np.testing.assert_array_equal(
        model.state_dict()["1.weight"].numpy(), weights["0.weight"]
    )
    weights["1.weight"] = weights["0.weight"] + 1
    with pytest.raises(InputError, match="are one parameter, but differ"):
        load_into(model, weights)


def test_half_precision_model_takes_widened_weights() -> None:
    model = nn.Linear(2, 2).to(torch.bfloat16)
    weights = {n: t.float().numpy() + 1 for n, t in model.state_dict().items()}
    load_into(model, weights)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, torch.from_numpy(weights[name]).bfloat16())


def test_extra_state_is_kept() -> None:
    class Net(nn.Linear):
        extra = 5

        def get_extra_state(self) -> dict[str, int]:
            return {"extra": self.extra}

        def set_extra_state(self, state: dict[str, int]) -> None:
            self.extra = state["extra"]

    model = Net(2, 2)
    load_into(model, {"weight": np.ones((2, 2), np.float32), "bias": np.ones(2, "f4")})
    assert model.extra == 5 and model.bias.sum() == 2
