"""The trees `ps` and `st` of a model, from its modules and a program's needs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from luxgen.frontends.bind import dtype_name
from luxgen.ir.program import Branch, Call, Function, Op, args_of, items_in
from luxgen.ir.tree import Flag, Path, Tree
from luxgen.ir.values import Leaf, atoms
from luxgen.passes.pipeline import callees_first

_WIDENED = {"float16": "float32", "bfloat16": "float32"}


def build_trees(
    model: nn.Module, main: Function, constants: dict[Path, torch.Tensor]
) -> tuple[Tree, Tree]:
    """All parameters; buffers, layer states, mode flags and constants."""
    modules = {tuple(n.split(".") if n else ()): m for n, m in model.named_modules()}
    ps, st = Tree((), type(model).__name__), Tree((), type(model).__name__)
    for name, parameter in model.named_parameters():
        _put(ps, modules, tuple(name.split(".")), "ps", parameter)
    buffers = [(tuple(n.split(".")), b) for n, b in model.named_buffers()]
    for path, tensor in [*buffers, *constants.items()]:
        _put(st, modules, path, "st", tensor)
    _put_states(st, modules, main, ())
    _order_like_torch(ps, modules)
    _order_like_torch(st, modules)
    return ps, st


def frozen_names(model: nn.Module) -> tuple[str, ...]:
    """Parameters that could be trained, but have requires_grad=False."""
    named = model.named_parameters()
    floats = ((n, p) for n, p in named if p.is_floating_point() or p.is_complex())
    return tuple(name for name, p in floats if not p.requires_grad)


def unsaved_names(model: nn.Module) -> frozenset[str]:
    """Buffers that aren't persistent."""
    return frozenset(n for n, _ in model.named_buffers()) - model.state_dict().keys()


def layers_of(model: nn.Module) -> tuple[tuple[str, str], ...]:
    """The model's children, as "fc1", "Linear(256, 120)"."""
    rows = []
    for name, child in model.named_children():
        text = type(child).__name__
        if isinstance(child, (nn.ModuleList, nn.Sequential)) and len(child):
            inner = {type(c).__name__ for c in child}
            text = f"{len(child)} x {inner.pop()}" if len(inner) == 1 else text
        elif not list(child.children()):
            text = f"{text}({_settings(child)})"
        rows.append((name, text))
    return tuple(rows)


def _settings(layer: nn.Module) -> str:
    """extra_repr without the names of the sizes and without defaults that say nothing."""
    parts = []
    for part in layer.extra_repr().split(", "):
        name, _, value = part.partition("=")
        if name in _SIZES:
            parts.append(value)
        elif part not in _SAID:
            parts.append(part)
    return ", ".join(parts)


_SIZES = ("in_features", "out_features", "p", "num_embeddings", "embedding_dim")
_SAID = (
    "bias=True", "inplace=False", "inplace=True", "eps=1e-05", "momentum=0.1",
    "affine=True", "track_running_stats=True", "elementwise_affine=True",
    "dilation=1", "ceil_mode=False", "padding=0", "stride=(1, 1)", "stride=(1,)",
)  # fmt: skip


def tied_names(model: nn.Module) -> dict[str, str]:
    """Further state_dict names of parameters and buffers -> the first one."""
    first: dict[int, str] = {}
    tied: dict[str, str] = {}
    state = model.state_dict(keep_vars=True)
    for name, tensor in (
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ):
        if id(tensor) in first and name in state and first[id(tensor)] != name:
            tied[name] = first[id(tensor)]
        first.setdefault(id(tensor), name)
    return tied


def _put(
    tree: Tree, modules: dict[Path, nn.Module], path: Path, kind: str, tensor: Any
) -> None:
    node = _node(tree, modules, path[:-1])
    dtype = dtype_name(tensor.dtype)
    node.children[path[-1]] = Leaf(
        path, kind, _WIDENED.get(dtype, dtype), tuple(tensor.shape)
    )


def _node(tree: Tree, modules: dict[Path, nn.Module], path: Path) -> Tree:
    for k, name in enumerate(path):
        child = tree.children.get(name)
        if not isinstance(child, Tree):
            module = modules.get(path[: k + 1])
            child = Tree(path[: k + 1], type(module).__name__ if module else name)
            if module is not None and _is_sequence(module):
                child.sequence, child.length = True, len(module)  # type: ignore[arg-type]
            tree.children[name] = child
        tree = child
    return tree


def _is_sequence(module: nn.Module) -> bool:
    if not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ParameterList)):
        return False
    names = [*module._modules, *module._parameters]
    return names == [str(k) for k in range(len(module))] and not module._buffers


def _put_states(
    st: Tree, modules: dict[Path, nn.Module], function: Function, base: Path
) -> None:
    """States of layers and mode flags, wherever a call of a function needs them."""
    for item in items_in(function.body):
        if isinstance(item, Op) and item.state is not None:
            node = _node(st, modules, (*base, *item.state))
            node.kind = item.kind
            if item.kind == "BatchNormState":
                node.children["training"] = Flag()
        elif isinstance(item, Call):
            _put_states(st, modules, item.function, (*base, *item.path))
        elif isinstance(item, Branch) and item.condition is None:
            _node(st, modules, (*base, *item.outer)).children["training"] = Flag()
        for arg in args_of(item):
            for atom in atoms(arg):
                if (
                    isinstance(atom, Leaf)
                    and atom.path[-1] == "training"
                    and atom.kind == "st"
                ):
                    _node(st, modules, (*base, *atom.path[:-1])).children[
                        "training"
                    ] = Flag()


def _order_like_torch(tree: Tree, modules: dict[Path, nn.Module]) -> None:
    """Children in the order in which the module registered them, the rest last."""
    module = modules.get(tree.path)
    if module is not None and not tree.kind:
        known = [*module._parameters, *module._buffers, *module._modules]
        rank = {name: k for k, name in enumerate(known)}
        # state_dict order: own leaves first, then submodules
        tree.children = dict(
            sorted(tree.children.items(), key=lambda c: rank.get(c[0], len(rank)))
        )
        flag = tree.children.pop("training", None)
        if flag is not None:
            tree.children["training"] = flag
    for child in tree.children.values():
        if isinstance(child, Tree):
            _order_like_torch(child, modules)


__all__ = ["build_trees", "callees_first", "tied_names"]
