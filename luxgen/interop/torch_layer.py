"""A torch module behind Lux's interface, with torch at run time."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from luxgen.errors import InputError
from luxgen.frontends.half import in_float32
from luxgen.frontends.lazy import require_initialised
from luxgen.frontends.running import plain_attributes
from luxgen.frontends.structure import tensors_in
from luxgen.frontends.weights import load_into
from luxgen.interop.layer import Layer, Pullback, Rng
from luxgen.interop.trees import Array
from luxgen.verify.reference import to_numpy


class TorchParams(NamedTuple):
    """All parameters of floating dtype, in the order of named_parameters()."""

    p: Array


class TorchState(NamedTuple):
    """What else a call reads or changes."""

    buffers: dict[str, Array]  # and the parameters that aren't of floating dtype
    seed: int
    step: int = 0  # (seed, step) determines what the next call draws
    training: bool = True


class TorchLayer(Layer):
    """A copy of a torch module, run by torch: Lux's FluxLayer.

    `ps.p` is one vector (n,) with every parameter, tied ones once; half precision
    computes in float32. `setup` returns the module's own parameters and buffers; its
    `rng` only seeds what forward draws. Inputs and outputs are NumPy arrays in any
    structure that torch.utils._pytree knows. The module's own `training` flags and
    `requires_grad` are ignored: the mode is `st.training`, for the whole module.
    Attributes of forward's own that aren't buffers are no part of the state.
    Source: https://lux.csail.mit.edu/stable/api/Lux/interop
    """

    def __init__(self, module: nn.Module) -> None:
        require_initialised(module)
        (self.module,) = in_float32(_copy(module).cpu())
        named = dict(self.module.named_parameters())
        self._trained = {n: p for n, p in named.items() if _is_float(p)}
        dtypes = {p.dtype for p in self._trained.values()}
        if len({dtype.is_complex for dtype in dtypes}) > 1:
            raise InputError(
                "real and complex parameters can't share one vector: "
                "keep the complex ones as pairs of real numbers (torch.view_as_real)"
            )
        others = {n: p for n, p in named.items() if n not in self._trained}
        self._held = {**others, **dict(self.module.named_buffers())}

    def __repr__(self) -> str:
        name = type(self.module).__name__
        return f"TorchLayer({name}, {self.parameterlength():,} parameters)"

    def setup(self, rng: Rng) -> tuple[TorchParams, TorchState]:
        seed = rng if isinstance(rng, int) else int(rng.integers(2**63))
        return self._trees(self.module, seed)

    def __call__(self, *inputs: Any, **options: Any) -> tuple[Any, TorchState]:
        *xs, ps, st = inputs
        with torch.no_grad():
            y, st = self._run(
                _tensors(xs), _tensors(options), self._vector(ps), self._checked(st)
            )
            return _arrays(y), st

    def vjp(self, *inputs: Any, **options: Any) -> tuple[Any, TorchState, Pullback]:
        *xs, ps, st = inputs
        p = self._vector(ps).requires_grad_()
        args = _tensors(xs)
        wanted = [t for t in pytree.tree_leaves(args) if _is_float(t)]
        for tensor in wanted:
            tensor.requires_grad_()
        with torch.enable_grad():
            # clones, as forward may change its inputs in place
            cloned = pytree.tree_map_only(Tensor, torch.clone, args)
            y, st = self._run(cloned, _tensors(options), p, self._checked(st))
        results, spec = pytree.tree_flatten(y)

        def pullback(dy: Any) -> tuple[Any, ...]:
            dys = _cotangents(dy, results, spec)
            pairs = [
                (result, d)
                for result, d in zip(results, dys, strict=True)
                if d is not None and _is_float(result) and result.requires_grad
            ]
            leaves = [p, *wanted]
            found: tuple[Tensor | None, ...] = (None,) * len(leaves)
            if pairs:
                outs, given = zip(*pairs, strict=True)
                found = torch.autograd.grad(
                    outs, leaves, given, retain_graph=True, allow_unused=True
                )
            full = [
                torch.zeros_like(leaf) if d is None else d
                for leaf, d in zip(leaves, found, strict=True)
            ]
            of = {id(t): to_numpy(d) for t, d in zip(wanted, full[1:], strict=True)}
            dxs = pytree.tree_map(lambda t: of.get(id(t)), args)
            return (*dxs, TorchParams(to_numpy(full[0])))

        return _arrays(y), st, pullback

    def ravel(self, ps: TorchParams) -> Array:
        return ps.p.copy()

    def unravel(self, vec: Array) -> TorchParams:
        self._vector(TorchParams(vec))
        return TorchParams(vec)

    def parameterlength(self) -> int:
        return sum(p.numel() for p in self._trained.values())

    def state_dict(self, ps: TorchParams, st: TorchState) -> dict[str, Any]:
        """Arrays by torch's names; what get_extra_state returned stays as it is."""
        values = {n: to_numpy(t) for n, t in self._split(self._vector(ps)).items()}
        values |= {n: np.array(b) for n, b in st.buffers.items()}
        own = self.module.state_dict(keep_vars=True)
        held = (self._trained | self._held).items()
        first = {id(t): n for n, t in held}
        return {
            n: values[first[id(t)]] if isinstance(t, Tensor) else t
            for n, t in own.items()
        }

    def from_state_dict(
        self, weights: Mapping[str, Any]
    ) -> tuple[TorchParams, TorchState]:  # fmt: skip
        """InputError where names, shapes or dtypes aren't the module's."""
        module = _copy(self.module)
        arrays = {n: w for n, w in weights.items() if isinstance(w, np.ndarray)}
        load_into(module, arrays)
        return self._trees(module, 0)

    def _trees(self, module: nn.Module, seed: int) -> tuple[TorchParams, TorchState]:
        named = dict(module.named_parameters())
        held = {**named, **dict(module.named_buffers())}
        flat = [named[n].detach().reshape(-1) for n in self._trained]
        vec = torch.cat(flat) if flat else torch.zeros(0)
        buffers = {n: to_numpy(held[n]) for n in self._held}
        return TorchParams(to_numpy(vec)), TorchState(buffers, seed)

    def _vector(self, ps: TorchParams) -> Tensor:
        """A copy of the parameters, for forward may change them in place."""
        if ps.p.shape != (self.parameterlength(),):
            raise InputError(
                f"ps.p must have shape ({self.parameterlength()},), not {ps.p.shape}"
            )
        return torch.tensor(ps.p)

    def _checked(self, st: TorchState) -> TorchState:
        if st.buffers.keys() != self._held.keys():
            raise InputError("st is the state of another layer: its buffers differ")
        return st

    def _split(self, vec: Tensor) -> dict[str, Tensor]:
        sizes = [p.numel() for p in self._trained.values()]
        return {
            n: piece.view(p.shape).to(p.dtype)
            for (n, p), piece in zip(
                self._trained.items(), vec.split(sizes), strict=True
            )
        }

    def _run(
        self, args: Any, kwargs: Any, vec: Tensor, st: TorchState
    ) -> tuple[Any, TorchState]:  # fmt: skip
        """Forward in the mode and at the place in the random stream that `st` tells."""
        buffers = {n: torch.tensor(b) for n, b in st.buffers.items()}
        given = {**self._split(vec), **buffers}
        self.module.train(st.training)
        words = np.random.SeedSequence([st.seed % 2**64, st.step]).generate_state(
            1, "u8"
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(words[0]))
            before = torch.get_rng_state()
            y = torch.func.functional_call(self.module, given, tuple(args), kwargs)
            drew = not torch.equal(before, torch.get_rng_state())
        # functional_call puts what forward assigned to buffers back into `given`
        new = {n: to_numpy(given[n]) for n in buffers}
        return y, st._replace(buffers=new, step=st.step + drew)


def _copy(module: nn.Module) -> nn.Module:
    """A copy, also of a module with computed tensors, such as old weight_norm's."""
    computed = (
        t
        for m in module.modules()
        for t in tensors_in(plain_attributes(m))
        if not t.is_leaf  # deepcopy refuses it
    )
    return copy.deepcopy(module, {id(t): t.detach().clone() for t in computed})


def _is_float(item: Any) -> bool:
    floating = isinstance(item, Tensor) and (
        item.is_floating_point() or item.is_complex()
    )
    return floating


def _tensors(tree: Any) -> Any:
    """Copies of the arrays as tensors."""
    return pytree.tree_map(
        lambda x: torch.tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x,
        tree,
    )


def _arrays(tree: Any) -> Any:
    """The tensors as arrays of their own memory."""

    def array(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return to_numpy(leaf)
        if leaf is None or isinstance(leaf, (bool, int, float, complex, str)):
            return leaf
        raise InputError(
            f"the module returns a {type(leaf).__name__}, in which torch can't find "
            "tensors: register it with torch.utils._pytree or return a tuple"
        )

    return pytree.tree_map(array, tree)


def _cotangents(dy: Any, results: list[Any], spec: Any) -> list[Any]:
    """The leaves of `dy`, which has the structure of the results; a None is zeros."""
    leaves = pytree._broadcast_to_and_flatten(dy, spec)
    if leaves is None:
        raise InputError("dy must have the structure of y")
    found: list[Any] = []
    for leaf, result in zip(leaves, results, strict=True):
        if leaf is None or not isinstance(result, Tensor):
            found.append(None)
            continue
        tensor = torch.as_tensor(np.array(leaf), dtype=result.dtype)
        if tensor.shape != result.shape:
            raise InputError(
                f"dy must have shape {tuple(result.shape)}, not {tuple(tensor.shape)}"
            )
        found.append(tensor)
    return found
