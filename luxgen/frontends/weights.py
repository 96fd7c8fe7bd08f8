"""Reads weight files into NumPy arrays and loads such arrays into a model."""

import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luxgen.errors import InputError, printable
from luxgen.frontends.source_file import display_path
from luxgen.safetensors_file import write_safetensors

__all__ = ["load_into", "read_weights", "write_safetensors"]

Array = NDArray[Any]

# Where training scripts keep the state_dict inside what they save.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_LISTED = 100
_HALF = (torch.bfloat16, torch.float16)


def read_weights(path: str | Path, *, widen: bool = True) -> dict[str, Array]:
    """The tensors of a .safetensors, .npz or torch file, by state_dict name.

    Nothing is unpickled but tensors. bfloat16 becomes float32, for NumPy lacks it;
    so does float16 unless `widen` is false. Raises InputError for a file that is
    missing, truncated, of another type or holds anything else.
    """
    path = Path(path)
    shown = display_path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(
            f"{shown} isn't a weights file that luxgen reads; "
            f"it may be {', '.join(_READERS)}"
        )
    if not path.exists():
        raise InputError(f"the weights file {shown} doesn't exist")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"can't read {shown}: {error.strerror or error}") from error
    try:
        content = read(path, shown)
        return {name: _array(value, name, shown, widen) for name, value in content}
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes its reader raise
        first = printable(str(error).strip().split("\n")[0]) or type(error).__name__
        raise InputError(
            f"can't read {shown}: it is truncated or not a {path.suffix} file ({first})"
        ) from error


def load_into(model: nn.Module, weights: Mapping[str, Array]) -> None:
    """Copy `weights` into the model, or raise InputError and leave it as it was.

    Every name, shape and dtype must be the model's; all that aren't are listed. One
    name of a tied parameter is enough, and float32 fits a half-precision one.
    """
    state = {
        name: value
        for name, value in model.state_dict().items()
        if isinstance(value, Tensor)
    }
    tied = _tied(state)
    filled = dict(weights)
    for name, twins in tied.items():
        source = next((twin for twin in twins if twin in weights), None)
        if name not in filled and source is not None:
            filled[name] = weights[source]
    problems = [
        *_names("missing", [n for n in state if n not in filled]),
        *_names("unexpected", [n for n in filled if n not in state]),
        *_prefix_hint(state, filled),
        *_mismatches(state, filled),
        *_untied(tied, weights),
    ]
    if problems:
        if len(problems) > _LISTED:
            problems[_LISTED:] = [f"and {len(problems) - _LISTED} more"]
        listed = "\n    ".join(printable(problem) for problem in problems)
        raise InputError(
            f"the weights don't fit {printable(type(model).__name__)}:\n    {listed}"
        )
    tensors = {name: _tensor(value) for name, value in filled.items()}
    # What set_extra_state takes isn't a tensor, so it stays as it is.
    extra = {k: v for k, v in model.state_dict().items() if k not in tensors}
    try:
        model.load_state_dict({**tensors, **extra})
    except RuntimeError as error:
        raise InputError(f"the weights don't fit the model: {error}") from error


def _read_safetensors(path: Path, shown: str) -> list[tuple[str, Any]]:
    # By way of torch, which has all the dtypes of the format.
    with safetensors.safe_open(path, framework="pt") as file:
        return [(name, file.get_tensor(name)) for name in file.keys()]  # noqa: SIM118


def _read_npz(path: Path, shown: str) -> list[tuple[str, Any]]:
    with np.load(path, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise InputError(f"{shown} holds one array, not arrays by name (np.savez)")
        content = []
        for name in file.files:
            try:
                content.append((name, file[name]))
            except ValueError as error:
                if "allow_pickle" in str(error):
                    raise InputError(_pickled(shown, f"the array {name!r}")) from error
                raise
        return content


def _read_torch(path: Path, shown: str) -> list[tuple[str, Any]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, on old formats
            payload = torch.load(
                path,
                map_location="cpu",
                weights_only=True,
                mmap=zipfile.is_zipfile(path),
            )
    except Exception as error:
        if "TorchScript" in str(error):
            raise InputError(
                f"{shown} is a TorchScript archive; save model.state_dict() instead"
            ) from error
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            raise InputError(_pickled(shown, f"`{found[1]}`")) from error
        raise
    return list(_unwrap(payload, shown).items())


_READERS: dict[str, Callable[[Path, str], list[tuple[str, Any]]]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".bin": _read_torch,
    ".ckpt": _read_torch,
}


def _pickled(shown: str, what: str) -> str:
    return printable(
        f"{shown} holds pickled Python objects ({what}), which could run code and are "
        f"never loaded; save model.state_dict() instead"
    )


def _unwrap(payload: Any, shown: str) -> Mapping[str, Any]:
    """The state_dict in what torch.load returned."""
    if not isinstance(payload, Mapping):
        raise InputError(
            f"{shown} holds a {type(payload).__name__}, not a state_dict; "
            f"save model.state_dict()"
        )
    for key in _WRAPPERS:
        if isinstance(payload.get(key), Mapping):
            return _unwrap(payload[key], shown)
    return payload


def _array(value: Any, name: object, shown: str, widen: bool) -> Array:
    """One entry of a file as an array in native byte order."""
    where = f"{shown}: {name!r}"
    if not isinstance(name, str):
        raise InputError(f"{where} isn't a name; save model.state_dict()")
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise InputError(f"{where} holds no numbers (dtype {value.dtype})")
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        half = native.dtype == np.float16 and widen
        return native.astype(np.float32) if half else native
    if not isinstance(value, Tensor):
        raise InputError(f"{where} is a {type(value).__name__}, not a tensor")
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise InputError(f"{where} is a sparse, quantized or empty tensor, not dense")
    tensor = value.detach().resolve_conj().resolve_neg()
    narrow = tensor.is_floating_point() and tensor.element_size() < 4
    if narrow and (widen or tensor.dtype != torch.float16):
        tensor = tensor.float()
    result: Array = tensor.numpy()
    return result


def _tensor(value: Array) -> Tensor:
    """A tensor on the array's memory, where torch can share it."""
    contiguous = np.ascontiguousarray(value).reshape(value.shape)
    return torch.from_numpy(
        contiguous if contiguous.flags.writeable else contiguous.copy()
    )


def _tied(state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """For each name of a tied tensor, the other names of it."""
    places: dict[Any, list[str]] = {}
    for name, tensor in state.items():
        if tensor.numel() and not tensor.is_meta:
            key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
            places.setdefault(key, []).append(name)
    return {
        name: [other for other in names if other != name]
        for names in places.values()
        if len(names) > 1
        for name in names
    }


def _names(kind: str, names: list[str]) -> list[str]:
    return [f"{kind}: {name!r}" for name in names]


def _prefix_hint(
    state: Mapping[str, Tensor], weights: Mapping[str, Array]
) -> list[str]:
    """Name the prefix that DataParallel or a wrapper put before every name."""
    for name in weights:
        for own in state:
            prefix = name.removesuffix(own)
            if (
                prefix
                and prefix != name
                and set(weights) == {prefix + n for n in state}
            ):
                return [f"every name in the file starts with {prefix!r}: remove that"]
        break
    return []


def _mismatches(state: Mapping[str, Tensor], weights: Mapping[str, Array]) -> list[str]:
    problems = []
    for name, tensor in state.items():
        if name not in weights:
            continue
        value = weights[name]
        if tuple(tensor.shape) != value.shape:
            problems.append(
                f"shape of {name!r}: the model's is {tuple(tensor.shape)}, "
                f"the file's {value.shape}"
            )
        wanted = str(tensor.dtype).removeprefix("torch.")
        fits = {wanted, "float32"} if tensor.dtype in _HALF else {wanted}
        if value.dtype.name not in fits:
            problems.append(
                f"dtype of {name!r}: the model's is {wanted}, "
                f"the file's {value.dtype.name}"
            )
    return problems


def _untied(tied: Mapping[str, list[str]], weights: Mapping[str, Array]) -> list[str]:
    """Names of one tied parameter to which the file gives different values."""
    return [
        f"{name!r} and {twin!r} are one parameter, but differ in the file"
        for name, twins in tied.items()
        for twin in twins
        if name < twin
        and name in weights
        and twin in weights
        and weights[name].shape == weights[twin].shape
        and not np.array_equal(weights[name], weights[twin])
    ]
