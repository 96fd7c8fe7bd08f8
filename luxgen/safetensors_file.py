"""Writes .safetensors files: one tensor at a time, whole or not at all.

The safetensors package would serialise all tensors into a second copy in memory, and
write to the file itself.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luxgen.errors import InputError
from luxgen.files import open_atomic

_DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "complex64": "C64",
}
_METADATA = "__metadata__"
_OURS = {"generator": "luxgen"}
_ALIGNMENT = 8
_LONGEST_HEADER = 100_000_000  # the format's own limit


def write_safetensors(
    path: str | Path, tensors: Mapping[str, NDArray[np.generic]]
) -> None:
    """Write `tensors` to `path`; raise InputError for what the format can't hold."""
    # The widest first: then every tensor is aligned, as the format recommends.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header = _header(order, tensors)
    with open_atomic(path) as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for name in order:
            array = tensors[name]
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            file.write(np.ascontiguousarray(little).reshape(-1).view(np.uint8).data)


def written_by_luxgen(path: str | Path) -> bool:
    """Whether `path` is a file of `write_safetensors`."""
    try:
        with Path(path).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, _LONGEST_HEADER)))
    except (OSError, ValueError):
        return False
    return isinstance(header, dict) and header.get(_METADATA) == _OURS


def _header(order: list[str], tensors: Mapping[str, NDArray[np.generic]]) -> bytes:
    entries: dict[str, Any] = {_METADATA: _OURS}
    start = 0
    for name in order:
        array = tensors[name]
        dtype = _DTYPES.get(array.dtype.newbyteorder("=").name)
        if dtype is None:
            raise InputError(f"can't store {name!r}: safetensors has no {array.dtype}")
        if name == _METADATA:
            raise InputError(f"can't store {name!r}: safetensors reserves that name")
        end = start + array.nbytes
        entries[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        start = end
    try:
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"can't store a name that isn't Unicode: {error}") from error
    return text + b" " * (-len(text) % _ALIGNMENT)
