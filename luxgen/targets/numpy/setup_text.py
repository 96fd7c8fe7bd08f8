"""The text of `setup`: the constructor's draws and fills, repeated in NumPy."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from luxgen.ir.initial import Fill, InitProgram
from luxgen.ir.values import Leaf
from luxgen.ops import draws
from luxgen.targets.numpy.setup_draws import affine_bound
from luxgen.targets.numpy.setup_expressions import filled, template
from luxgen.targets.numpy.setup_fold import (
    EACH,
    Block,
    Line,
    Many,
    Name,
    Names,
    Number,
    Shape,
    Stmt,
    group,
    key,
    roll,
)
from luxgen.targets.numpy.setup_mixed import mix
from luxgen.targets.numpy.setup_plan import (
    Plan,
    Step,
    is_affine_weight,
    make_plan,
    merged,
)
from luxgen.targets.numpy.setup_render import Scope, cost, render
from luxgen.targets.numpy.setup_select import cover, select
from luxgen.targets.numpy.setup_wrap import quote, wrap

Shapes = Mapping[str, tuple[int, ...]]

_HELPERS = {name for name in vars(draws) if name.startswith(("draw_", "skip_", "fan_"))}
_HELPERS |= {"erfinv"}

_BITS = "np.random.RandomState(rng % 2**32) if isinstance(rng, int) else rng"

_FOLDED = 6  # lines from which on loops are looked for


@dataclass(frozen=True)
class SetupText:
    """`lines` of the function; the `helpers` of luxgen/ops that they call.

    `stored` holds the leaves that it takes from the weights file, and why.
    """

    lines: tuple[str, ...]
    helpers: frozenset[str]
    stored: Mapping[str, str]


def setup_text(
    init: InitProgram,
    leaves: Sequence[Leaf],
    *,
    keep: Collection[str] = (),
    stored: str = "_stored()",
    result: str = "from_state_dict(w)",
    seeded: bool = False,
) -> SetupText:
    """Write `setup` for the leaves, in the order of `_shapes()`.

    Names in `keep`, and those that can't be retraced, come from the expression
    `stored`, a mapping of names to arrays. `result` builds the trees from `w`; with
    `seeded` it may use `seed`, an int.
    """
    shapes = {".".join(leaf.path): leaf.shape for leaf in leaves}
    plan = make_plan(init, leaves, keep)
    scope = Scope(shapes)
    body = _folded(plan.constants, scope) + _stream(plan, shapes)
    body += render(plan.copies, scope)
    fills = _fills(plan, scope)
    if plan.stored:
        fills += wrap(f"w |= {stored}", 4)
    text = "\n".join((*fills, *body))
    head = []
    if "bits" in text:
        head.append(f"    bits = {_BITS}")
    if "shapes" in text:
        head.append("    shapes = _shapes()")
    if "spare" in text:
        head.append("    spare: list[float] = []  # torch keeps one of two normals")
    first = next(iter((*fills, *body)), "")
    if first.startswith("    w |= "):  # `w` starts with what is added first
        (fills or body)[0] = first.replace("w |= ", "w = ", 1)
    elif not first.startswith("    w: "):
        head.append("    w: dict[str, Array] = {}")
    lines = [
        "def setup(rng: int | np.random.Generator) -> tuple[Params, State]:",
        _docstring("bits" in text),
        *head,
        *fills,
        *body,
        *(_seed() if seeded else ()),
        f"    return {result}",
    ]
    return SetupText(tuple(lines), _called(lines), plan.stored)


def _docstring(drawn: bool) -> str:
    if drawn:
        text = "Draw as the constructor does; an int repeats torch.manual_seed(rng)."
    else:
        text = "Fill as the constructor does, which draws nothing."
    return f'    """{text}"""'


def _seed() -> list[str]:
    return ["    seed = rng if isinstance(rng, int) else int(rng.integers(2**63))"]


def _called(lines: Iterable[str]) -> frozenset[str]:
    tree = ast.parse("\n".join(lines))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return frozenset(names & _HELPERS)


# ---- fills ----


def _fills(plan: Plan, scope: Scope) -> list[str]:
    """Zeros for everything, then the leaves with other numbers or dtypes."""
    fills: dict[tuple[str, str], tuple[Fill, list[str]]] = {}
    for fill, names in plan.fills.items():
        kind = (repr(fill.value or 0), fill.dtype)
        fills.setdefault(kind, (fill, []))[1].extend(names)
    lines: list[str] = []
    zeros = [kind for kind, (fill, _) in fills.items() if _is_zero(fill)]
    if zeros:
        zero = "{n: np.zeros(s, np.float32) for n, s in shapes.items()}"
        lines += wrap(f"w: dict[str, Array] = {zero}", scope.indent)
    for kind, (fill, names) in fills.items():
        if kind in zeros:
            continue
        order = [name for name in scope.shapes if name in set(names)]
        lines += _fill(fill, order, scope)
    return lines


def _is_zero(fill: Fill) -> bool:
    return fill.dtype == "float32" and repr(fill.value) in ("0", "0.0")


def _fill(fill: Fill, names: list[str], scope: Scope) -> list[str]:
    def text(shape: str) -> str:
        return ast.unparse(filled(fill, template(shape)))

    if len(names) == 1:
        name = quote(names[0])
        line = f"w[{name}] = {_literal(text('_'), f'shapes[{name}]')}"
        return wrap(line, scope.indent)
    condition = select(names, scope.shapes, "n", "s")
    if condition is None and len(names) > 4:
        condition = cover(names, scope.shapes, "n", "s")
    if condition is not None:
        clause = f" if {condition}" if condition else ""
        line = f"w |= {{n: {text('s')} for n, s in shapes.items(){clause}}}"
        return wrap(line, scope.indent)
    head, tail = text("_").split("_", 1)
    recipe = ("w[", EACH, f"] = {head}", Shape(EACH), tail)
    return render([Many((recipe,), tuple(Name((n,)) for n in names))], scope)


def _literal(text: str, shape: str) -> str:
    head, tail = text.split("_", 1)
    return f"{head}{shape}{tail}"


# ---- the stream ----


def _stream(plan: Plan, shapes: Shapes) -> list[str]:
    """The draws in order, in the shortest of several texts."""
    scope, steps = Scope(shapes), merged(plan.steps)
    while steps and steps[-1].unused:
        steps.pop()
    steps = _skippable(steps)
    variants = ((False, False), (True, False), (False, True))
    choices = dict.fromkeys(
        tuple(_statements(_chosen(steps, again), shapes, attached))
        for again, attached in variants
    )
    return min([_folded(stmts, scope) for stmts in choices], key=cost)


def _folded(stmts: Sequence[Block], scope: Scope) -> list[str]:
    """The statements in the shortest of several forms."""
    grouped = group(stmts)
    texts = [render(grouped, scope)]
    if len(texts[0]) > _FOLDED:
        texts.append(render(mix(grouped, scope.shapes), scope))
        for blocks in (group(roll(stmts)), roll(grouped)):
            texts.append(render(blocks, scope))
    return min(texts, key=cost)


def _skippable(steps: list[Step]) -> list[Step]:
    """Find the unused draws of which nothing is left but the words they take."""
    out: list[Step] = []
    spare = False  # whether a later draw may use the normal that is kept back
    for step in reversed(steps):
        draw = step.draw
        few = draw is not None and "few_normals" in (draw.kind, *draw.args)
        fixed = draw is not None and draw.words is not None
        skippable = step.unused and fixed and not (few and spare)
        spare = spare or (few and not skippable)
        out.append(replace(step, skippable=skippable))
    return out[::-1]


def _chosen(steps: Sequence[Step], again: bool) -> list[Step]:
    """Each step in its most common spelling, and none for what is skipped.

    With `again`, an unused draw is done if it is into a leaf and others are alike.
    """
    counts: Counter[object] = Counter()
    for step in steps:
        if not step.unused:
            counts.update({key(stmt) for stmt in step.spellings})
    out = []
    for step in steps:
        best = max(step.spellings, key=lambda s: counts[key(s)], default=None)
        alike = again and step.leaf and best is not None and counts[key(best)]
        kept = best is not None and (alike or not step.skippable)
        out.append(replace(step, spellings=(best,) if kept and best else ()))
    return out


def _statements(steps: Sequence[Step], shapes: Shapes, attached: bool) -> list[Block]:
    """The steps as statements; skips on their own, or `attached` to what follows."""
    out: list[Block] = []
    skipped = at = 0
    while at < len(steps):
        step = steps[at]
        at += 1
        if not step.spellings:
            assert step.draw is not None and step.draw.words is not None
            skipped += step.draw.words
            continue
        taken = _affine(steps, at - 1, shapes)
        skip: Line = ("skip_words(bits, ", Number(skipped), ")")
        attach = attached and not taken and bool(skipped)
        if skipped and not attach:
            out.append(Stmt((skip,)))
        skipped = 0
        if taken:
            names = Names((Name((step.leaf,)),))
            line = ("w |= draw_affine(bits, shapes, ", names, ")")
            out.append(Stmt((line,), batch=True))
            at += taken - 1
        else:
            lines = step.spellings[0].lines
            out.append(Stmt((skip, *lines) if attach else lines))
    return out


def _affine(steps: Sequence[Step], at: int, shapes: Shapes) -> int:
    """How many steps from here draw a layer as Linear does: weight, then bias."""
    step, after = steps[at], steps[at + 1 : at + 2]
    alone = len(step.spellings[0].lines) <= 2  # nothing is written into it
    if step.unused or not alone or not is_affine_weight(step, shapes):
        return 0
    bias = step.leaf.removesuffix("weight") + "bias"
    if bias not in shapes:
        return 1
    for second in after:
        draw = second.draw if second.leaf == bias and not second.unused else None
        if draw is not None and affine_bound(draw, shapes[step.leaf]):
            return 2
    return 0
