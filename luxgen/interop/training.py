"""Training step by step, as Lux.Training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from luxgen.interop.layer import Layer
from luxgen.interop.losses import Loss, loss_and_gradient
from luxgen.interop.optimisers import Optimiser
from luxgen.interop.share import summed_over_ties, tied_again

_NEW: Any = object()


@dataclass(frozen=True)
class TrainState:
    """`TrainState(layer, ps, st, Adam(lr=1e-3))`: all that a training step changes.

    `optimizer` is a luxgen.SGD, Adam or AdamW, or any object with `init(ps) -> state`
    and `update(ps, grads, state) -> (ps, state)`. `step` counts the updates made.
    Source: https://lux.csail.mit.edu/stable/api/Lux/utilities (Training API)
    """

    model: Layer
    parameters: Any
    states: Any
    optimizer: Optimiser
    optimizer_state: Any = field(default=_NEW)
    step: int = 0

    def __post_init__(self) -> None:
        if self.optimizer_state is _NEW:
            start = self.optimizer.init(self.parameters)
            object.__setattr__(self, "optimizer_state", start)


def compute_gradients(
    ts: TrainState, loss: Loss, data: tuple[Any, Any]
) -> tuple[Any, Any, Any, TrainState]:
    """`(grads, loss, stats, ts)` of `data = (x, target)`; `ts` has the new state.

    A tuple `x` holds several inputs. `loss` is a name of `luxgen.LOSSES`, or a function
    `(y, target) -> (loss, dloss/dy)` or `(loss, dloss/dy, stats)`; without the latter
    `stats` is {}. `grads` is a tree like `ps`; leaves that share one array have the
    sum of their gradients.
    """
    x, target = data
    inputs = x if type(x) is tuple else (x,)
    y, states, pullback = ts.model.vjp(*inputs, ts.parameters, ts.states)
    value, dy, stats = loss_and_gradient(loss, y, target)
    grads = summed_over_ties(ts.parameters, pullback(dy)[-1])
    return grads, value, stats, replace(ts, states=states)


def apply_gradients(ts: TrainState, grads: Any) -> TrainState:
    """`ts` after one update of the parameters by `grads`, a tree like these."""
    ps, state = ts.optimizer.update(ts.parameters, grads, ts.optimizer_state)
    ps = tied_again(ts.parameters, ps)
    return replace(ts, parameters=ps, optimizer_state=state, step=ts.step + 1)


def single_train_step(
    ts: TrainState, loss: Loss, data: tuple[Any, Any]
) -> tuple[Any, Any, Any, TrainState]:
    """`(grads, loss, stats, ts)` after one step: gradients, then the update.

    Lux's `Training.single_train_step`; nothing is changed in place. The backend that
    Lux takes first isn't needed: gradients come from the layer's own `vjp`.
    """
    grads, value, stats, ts = compute_gradients(ts, loss, data)
    return grads, value, stats, apply_gradients(ts, grads)
