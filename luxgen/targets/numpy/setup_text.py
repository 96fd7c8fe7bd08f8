"""The text of `setup`: the constructor's draws and fills, repeated in NumPy."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from luxgen.ir.initial import Draw, Fill, InitProgram
from luxgen.ir.values import Leaf
from luxgen.ops import draws
from luxgen.targets.numpy.setup_draws import affine_bound
from luxgen.targets.numpy.setup_expressions import dtype_expression, filled, template
from luxgen.targets.numpy.setup_fold import (
    EACH,
    Block,
    Int,
    Many,
    Name,
    Names,
    Shape,
    Stmt,
    group,
    key,
    roll,
)
from luxgen.targets.numpy.setup_plan import (
    Plan,
    Step,
    is_affine_weight,
    make_plan,
    merged,
)
from luxgen.targets.numpy.setup_render import Scope, render
from luxgen.targets.numpy.setup_select import select
from luxgen.targets.numpy.setup_wrap import quote, wrap

Shapes = Mapping[str, tuple[int, ...]]

_HELPERS = {name for name in vars(draws) if name.startswith(("draw_", "skip_", "fan_"))}
_HELPERS |= {"erfinv"}

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
    plan = make_plan(init, shapes, keep)
    scope = Scope(shapes)
    body = render(plan.constants, scope) + _stream(plan, shapes)
    body += render(plan.copies, scope)
    fills = _fills(plan, scope)
    if plan.stored:
        fills += wrap(f"w |= {stored}", 4)
    text = "\n".join((*fills, *body))
    head = []
    if "bits" in text:
        head.append("    bits = np.random.RandomState(rng % 2**32) if isinstance(rng, int) else rng")
    if "shapes" in text:
        head.append("    shapes = _shapes()")
    if "spare" in text:
        head.append("    spare: list[float] = []  # torch keeps the second of two normals")
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
    fills: dict[tuple[object, ...], tuple[Fill, list[str]]] = {}
    for fill, names in plan.fills.items():
        kind = (repr(fill.value or 0), fill.dtype)
        fills.setdefault(kind, (fill, []))[1].extend(names)
    lines: list[str] = []
    zeros = [kind for kind, (fill, _) in fills.items() if _is_zero(fill)]
    if zeros:
        text = "w: dict[str, Array] = {n: np.zeros(s, np.float32) for n, s in shapes.items()}"
        lines += wrap(text, scope.indent)
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
        return wrap(f"w[{name}] = " + _literal(text("_"), f"shapes[{name}]"), scope.indent)
    condition = select(names, scope.shapes, "n", "s")
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
    steps = merged(plan.steps)
    while steps and steps[-1].unused:
        steps.pop()
    steps = _skippable(steps)
    texts = []
    for again in (False, True):
        stmts = _statements(_chosen(steps, again), shapes)
        plain = render(group(stmts), Scope(shapes))
        texts.append(plain)
        if len(plain) > _FOLDED:
            for blocks in (group(roll(stmts)), roll(group(stmts))):
                texts.append(render(blocks, Scope(shapes)))
    return min(texts, key=len)


def _skippable(steps: list[Step]) -> list[Step]:
    """Unused draws that may be skipped, without a spelling as a bare call."""
    out: list[Step] = []
    spare = False  # whether a later draw may use the normal that is kept back
    for step in reversed(steps):
        draw = step.draw
        few = draw is not None and "few_normals" in (draw.kind, *draw.args)
        if step.unused and draw is not None and draw.words is not None:
            if not (few and spare) and not step.leaf:
                step = Step((), draw, "", unused=True)
        spare = spare or (few and not step.unused)
        out.append(step)
    return out[::-1]


def _chosen(steps: Sequence[Step], again: bool) -> list[Step]:
    """Each step in its most common spelling.

    An unused draw is skipped; or, with `again`, done where others are alike.
    """
    counts: Counter[object] = Counter()
    for step in steps:
        if not step.unused:
            counts.update({key(stmt) for stmt in step.spellings})
    out = []
    for step in steps:
        best = max(
            step.spellings, key=lambda s: counts[key(s)], default=None
        )
        words = step.draw.words if step.draw else None
        wanted = again and step.leaf and best is not None and counts[key(best)]
        if step.unused and words is not None and not wanted and (
            step.leaf or not step.spellings
        ):
            best = None
        out.append(Step(() if best is None else (best,), step.draw, step.leaf, step.unused))
    return out


def _statements(steps: Sequence[Step], shapes: Shapes) -> list[Block]:
    out: list[Block] = []
    skipped = at = 0
    while at < len(steps):
        step = steps[at]
        at += 1
        if not step.spellings:
            assert step.draw is not None and step.draw.words is not None
            skipped += step.draw.words
            continue
        if skipped:
            out.append(Stmt((("skip_words(bits, ", Int(skipped), ")"),)))
            skipped = 0
        taken = _affine(steps, at - 1, shapes)
        if taken:
            names = Names((Name((step.leaf,)),))
            line = ("w |= draw_affine(bits, shapes, ", names, ")")
            out.append(Stmt((line,), batch=True))
            at += taken - 1
        else:
            out.append(step.spellings[0])
    return out


def _affine(steps: Sequence[Step], at: int, shapes: Shapes) -> int:
    """How many steps from here draw a layer as Linear does: weight, then bias."""
    step = steps[at]
    if step.unused or len(step.spellings[0].lines) > 2 or not is_affine_weight(step, shapes):
        return 0
    bias = step.leaf.removesuffix("weight") + "bias"
    if bias not in shapes:
        return 1
    after = steps[at + 1] if at + 1 < len(steps) else None
    drawn = after is not None and after.draw is not None and after.leaf == bias
    if drawn and not after.unused and affine_bound(after.draw, shapes[step.leaf]):
        return 2
    return 0
