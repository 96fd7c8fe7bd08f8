"""torch.optim's update rules as values, for a TrainState."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from luxgen.ops import optimiser


class Optimiser(Protocol):
    """Pure: `init(ps) -> state`, `update(ps, grads, state) -> (ps, state)`.

    None in `grads`, for a leaf or a whole layer, leaves these parameters alone.
    """

    def init(self, ps: Any) -> Any: ...

    def update(self, ps: Any, grads: Any, state: Any) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD, with its arguments and defaults."""

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def init(self, ps: Any) -> Any:
        return optimiser.momentum_init(ps) if self.momentum else ()

    def update(self, ps: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        if not self.momentum:
            return optimiser.sgd(
                ps, grads, state, lr=self.lr, weight_decay=self.weight_decay
            )
        return optimiser.momentum(
            ps,
            grads,
            state,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            weight_decay=self.weight_decay,
            nesterov=self.nesterov,
        )


@dataclass(frozen=True)
class Adam:
    """torch.optim.Adam, with its arguments and defaults."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def init(self, ps: Any) -> Any:
        return optimiser.adam_init(ps)

    def update(self, ps: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        return optimiser.adam(
            ps,
            grads,
            state,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True)
class AdamW:
    """torch.optim.AdamW, with its arguments and defaults."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2

    def init(self, ps: Any) -> Any:
        return optimiser.adam_init(ps)

    def update(self, ps: Any, grads: Any, state: Any) -> tuple[Any, Any]:
        return optimiser.adamw(
            ps,
            grads,
            state,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
        )
