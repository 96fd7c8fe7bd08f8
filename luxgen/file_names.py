"""Safe names made from class names, whatever those hold."""

import keyword
import re
import sys
import unicodedata

# Modules that a generated file beside a model must not hide from it.
_IMPORTED = {"jax", "luxgen", "numba", "numpy", "safetensors", "scipy", "torch"}
_WINDOWS_DEVICES = {"aux", "con", "nul", "prn"}
_MAX_LENGTH = 100


def snake_case(name: str) -> str:
    """LeNet5 -> lenet5, GRUPolicy -> gru_policy, UNet -> unet, ResBlock -> res_block.

    Only a-z, 0-9 and _ remain, at most 100 of them; "" if nothing does.
    """
    name = unicodedata.normalize("NFKC", name)
    name = re.sub(r"[^A-Za-z0-9]+", "_", name)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    name = re.sub(r"(?<=[A-Z0-9])(?=[A-Z][a-z])", "_", name)
    name = re.sub(r"(?<=[A-Za-z0-9])_Net(?![a-z])", "Net", name)
    return re.sub(r"__+", "_", name).strip("_").lower()[:_MAX_LENGTH]


def module_stem(name: str, target: str, taken: str) -> str:
    """The stem of a generated module's file that can be imported and hides nothing.

    `taken` is the stem of the model's own file; a clash with it, or with a module
    that the model may import, is resolved by the target's name.
    """
    stem = snake_case(name) or snake_case(taken) or "model"
    if stem[0].isdigit():
        stem = f"model_{stem}"
    hidden = sys.stdlib_module_names | _IMPORTED | _WINDOWS_DEVICES
    if stem == taken or stem in hidden or keyword.iskeyword(stem):
        stem = f"{stem}_{target}"
    return stem


def identifier(name: str) -> str:
    """`name` if it is an identifier, else one with what can't be in it replaced."""
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", name))[:_MAX_LENGTH]
    return name if name.isidentifier() else f"Model_{name}".rstrip("_")
