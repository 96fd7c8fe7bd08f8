"""Runs a model on candidate inputs without leaving a trace on it."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from luxgen.errors import InputError
from luxgen.frontends.source_file import user_code


class Trial:
    """A copy of a model in eval mode, to run on inputs that may be wrong.

    Parameters are shared with the model, all else (buffers, caches) is the copy's.
    A model that can't be copied is built again by `rebuild`.
    """

    def __init__(
        self, model: nn.Module, rebuild: Callable[[], nn.Module], path: Path
    ) -> None:
        self.path = path
        self.model = _shared_copy(model, rebuild).eval()

    def run(self, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
        """The output, always with the same random numbers.

        Raises InputError with the user's file and line for whatever forward raises.
        """
        args, kwargs = _cloned((tuple(args), dict(kwargs or {})))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            with user_code(self.path):
                return self.model(*args, **kwargs)

    def runs(
        self, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> bool:
        """Whether the model accepts these inputs."""
        try:
            self.run(args, kwargs)
        except InputError:
            return False
        return True

    @contextmanager
    def watching(
        self, modules: Sequence[nn.Module], seen: Callable[[nn.Module, Tensor], None]
    ) -> Iterator[None]:
        """Call `seen(module, input)` before each call of these of `self.model`."""

        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], Tensor):
                seen(module, args[0])

        handles = [module.register_forward_pre_hook(hook) for module in modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def on_meta(self) -> "Trial":
        """The same model with shapes but no values, which makes large runs cheap."""
        memo: dict[int, Any] = {}
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            memo[id(tensor)] = _on_meta(tensor)
        trial = copy.copy(self)
        trial.model = copy.deepcopy(self.model, memo)
        return trial


def tensors(output: Any) -> list[Tensor]:
    """The tensors in an output of any structure, dataclasses included."""
    leaves: list[Any] = pytree.tree_leaves(output)
    found = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dataclass_fields__"):
            found += tensors([getattr(leaf, n) for n in leaf.__dataclass_fields__])
    return found


def _shared_copy(model: nn.Module, rebuild: Callable[[], nn.Module]) -> nn.Module:
    memo: dict[int, Any] = {id(p): p for p in model.parameters()}
    try:
        return copy.deepcopy(model, memo)
    except Exception:  # tensors that a hook computed can't be copied
        with torch.random.fork_rng(devices=[]):
            return rebuild()


def _cloned(tree: Any) -> Any:
    """The inputs again, in tensors that a forward may overwrite."""
    return pytree.tree_map_only(Tensor, lambda tensor: tensor.clone(), tree)


def _on_meta(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty
