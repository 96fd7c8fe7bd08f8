"""Input specs, "x: float32[batch, 1, 28, 28]", and example tensors for them."""

import difflib
import keyword
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luxgen.errors import InputError

FORM = '"x: float32[batch, 1, 28, 28]"'
DTYPES = (
    *("float32", "float64", "float16", "bfloat16"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
    *("complex64", "complex128"),
)
_ALIASES = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "int": "int64",
    "long": "int64",
}
# Without a bound, integers stay below it: valid indices, labels and flags.
_SAFE_HIGH = 2
_SPEC = re.compile(r"([^:\[\]]+):([^\[\]<]+)(?:\[([^\[\]]*)\])?\s*(?:<(.*))?", re.S)


@dataclass(frozen=True)
class InputSpec:
    """One tensor input. Names in `shape` are free dims; integers stay below `high`."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    high: int | None = None

    def __str__(self) -> str:
        bound = "" if self.high is None else f" < {self.high}"
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]{bound}"


def parse_input(text: str) -> InputSpec:
    """Parse "NAME: DTYPE[DIM, ...]", where "< N" may bound an integer input.

    Raises InputError that says which part is wrong and how to write it.
    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise InputError(f"can't read the input {text!r}; write it as {FORM}")
    name, dtype, dims, bound = match.groups()
    name = _identifier(name.strip(), f"the input's name in {text!r}")
    dtype = _dtype(dtype.strip(), text)
    if dims is None:
        raise InputError(
            f'the input {text!r} lacks its shape; write it as "{name}: {dtype}'
            f'[batch, 8]", or "{name}: {dtype}[]" for a scalar'
        )
    high = None if bound is None else _bound(bound.strip(), dtype, text)
    return InputSpec(name, dtype, _shape(dims, text), high)


def free_dims(specs: Sequence[InputSpec]) -> list[str]:
    """The names of the free dims, in order of appearance."""
    dims = [dim for spec in specs for dim in spec.shape if isinstance(dim, str)]
    return list(dict.fromkeys(dims))


def example(
    specs: Sequence[InputSpec], sizes: Mapping[str, int], seed: int
) -> list[Tensor]:
    """Tensors for `specs`, the same for the same seed.

    Floats are standard normal, integers valid indices; `sizes` binds the free dims.
    """
    missing = [dim for dim in free_dims(specs) if dim not in sizes]
    if missing:
        raise InputError(f"no size given for the free dims {', '.join(missing)}")
    generator = torch.Generator().manual_seed(seed)
    return [_tensor(spec, sizes, generator) for spec in specs]


def _tensor(
    spec: InputSpec, sizes: Mapping[str, int], generator: torch.Generator
) -> Tensor:
    shape = [sizes[dim] if isinstance(dim, str) else dim for dim in spec.shape]
    dtype: torch.dtype = getattr(torch, spec.dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, dtype=dtype, generator=generator)
    high = _SAFE_HIGH if spec.high is None else spec.high
    return torch.randint(high, shape, generator=generator).to(dtype)


def _identifier(name: str, what: str) -> str:
    name = unicodedata.normalize("NFKC", name)  # as Python reads identifiers
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InputError(f"{what} must be a Python name, not {name!r}; write {FORM}")
    return name


def _dtype(name: str, text: str) -> str:
    name = name.removeprefix("torch.").removeprefix("np.")
    if name in DTYPES:
        return name
    near = difflib.get_close_matches(name, DTYPES, 1)
    meant = _ALIASES.get(name) or (near[0] if near else None)
    hint = f"did you mean {meant}?" if meant else f"it may be {', '.join(DTYPES)}"
    raise InputError(f"unknown dtype {name!r} in the input {text!r}; {hint}")


def _shape(dims: str, text: str) -> tuple[int | str, ...]:
    parts = [part.strip() for part in dims.split(",")]
    if not parts[-1]:  # no dims at all, or a trailing comma
        parts.pop()
    return tuple(_dim(part, text) for part in parts)


def _dim(part: str, text: str) -> int | str:
    if re.fullmatch(r"[0-9]+", part):
        return int(part)
    if re.fullmatch(r"-[0-9]+|\?|\*|\.\.\.|None|:|", part):
        raise InputError(
            f"the dim {part!r} in the input {text!r} is neither a size nor a name; "
            f"give each free dim a name, as batch in {FORM}"
        )
    return _identifier(part, f"the dim in the input {text!r}")


def _bound(bound: str, dtype: str, text: str) -> int:
    if not dtype.startswith(("int", "uint")):
        raise InputError(f"only an integer input takes a bound, not {text!r}")
    limit = torch.iinfo(getattr(torch, dtype)).max
    if not re.fullmatch(r"[0-9]+", bound) or not 0 < int(bound) <= limit:
        raise InputError(
            f"the bound in {text!r} must be a whole number, at least 1: "
            f'"ids: int64[batch, time] < 100"'
        )
    return int(bound)
