"""Parameters that the source doesn't train stay as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import luxgen


def test_train_step_leaves_frozen_parameters_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    net[0].requires_grad_(False)
    made = luxgen.transpile(net, (torch.randn(5, 4),), loss="mse")
    assert any("0.weight, 0.bias" in note for note in made.report.notes)
    module = made.load()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.1)
    ps, st = module.from_state_dict({n: t.numpy() for n, t in net.state_dict().items()})
    before, opt_state = ps, module.adam_init(ps)
    x, y = torch.randn(5, 4), torch.randn(5, 3)
    options = {"optimizer": module.adamw, "lr": 1e-2, "weight_decay": 0.1}
    for _ in range(5):
        batch = x.numpy(), y.numpy()
        _, ps, st, opt_state = module.train_step(ps, st, opt_state, batch, **options)
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
    ours, theirs = module.state_dict(ps, st), net.state_dict()
    for name, tensor in theirs.items():
        np.testing.assert_allclose(ours[name], tensor.numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(ps.n0.weight, before.n0.weight)


def test_the_pullback_has_their_gradient_all_the_same() -> None:
    net = nn.Linear(3, 2)
    net.weight.requires_grad_(False)
    module = luxgen.transpile(net, (torch.randn(4, 3),), grad=True).load()
    x = np.ones((4, 3), np.float32)
    dx, dps = module.vjp(x, *module.setup(0))[2](np.ones((4, 2), np.float32))
    np.testing.assert_array_equal(dps.weight, np.full((2, 3), 4, np.float32))
