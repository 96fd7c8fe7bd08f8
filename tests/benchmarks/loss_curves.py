"""Curves over the steps of a training run as an SVG picture, without dependencies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 48


@dataclass(frozen=True)
class Curve:
    """One line: later ones are drawn over earlier ones."""

    name: str
    values: Sequence[float]
    colour: str
    width: float


@dataclass(frozen=True)
class _Axes:
    steps: int
    ticks: list[float]  # of values, from the lowest to the highest shown

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / max(self.steps, 1)

    def y(self, value: float) -> float:
        low, high = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
        part = (math.log10(value) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part


def picture(title: str, curves: Sequence[Curve]) -> str:
    """Positive values over their steps, counted from 1; the vertical axis is log."""
    values = [v for curve in curves for v in curve.values]
    steps = max(len(curve.values) for curve in curves)
    axes = _Axes(steps, _ticks(min(values), max(values)))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *_grid(axes),
        *(_line(curve, axes) for curve in curves),
        f'<text x="{LEFT}" y="22" font-size="15">{title}</text>',
        *_legend(curves),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _ticks(low: float, high: float) -> list[float]:
    """1, 3, 10, 30, ... from the last that isn't above low to the first over high."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    ticks = [m * 10.0**k for k in range(first, last + 1) for m in (1, 3)]
    start = max(k for k, tick in enumerate(ticks) if tick <= low)
    stop = min(k for k, tick in enumerate(ticks) if tick > high)
    return ticks[start : stop + 1]


def _grid(axes: _Axes) -> list[str]:
    lines = []
    for tick in axes.ticks:
        y = f"{axes.y(tick):.1f}"
        lines.append(
            f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">'
            f"{tick:g}</text>"
        )
    width = 10 ** math.floor(math.log10(max(axes.steps, 1)))
    for step in range(0, axes.steps + 1, max(width // 2, 1)):
        lines.append(
            f'<text x="{axes.x(step):.1f}" y="{HEIGHT - BOTTOM + 20}" '
            f'text-anchor="middle">{step}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) // 2
    lines.append(
        f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">step</text>'
    )
    return lines


def _line(curve: Curve, axes: _Axes) -> str:
    points = [
        f"{axes.x(k):.1f},{axes.y(v):.1f}" for k, v in enumerate(curve.values, start=1)
    ]
    return (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{curve.colour}" '
        f'stroke-width="{curve.width}" stroke-linejoin="round"/>'
    )


def _legend(curves: Sequence[Curve]) -> list[str]:
    lines = []
    for k, curve in enumerate(curves):
        x, y = WIDTH - RIGHT - 120, TOP + 16 + 20 * k
        lines.append(
            f'<path d="M{x} {y}h28" stroke="{curve.colour}" '
            f'stroke-width="{curve.width}"/>'
            f'<text x="{x + 36}" y="{y}" dy="4">{curve.name}</text>'
        )
    return lines
