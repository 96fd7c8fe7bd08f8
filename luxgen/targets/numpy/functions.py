"""Every function of a program as text: signature, docstring, body."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from luxgen.ir.program import Call, Function, Param, Program, items_in
from luxgen.ir.tree import Tree
from luxgen.ir.values import Arg, Dim, Either, Structure, Value, atoms
from luxgen.targets.numpy.access import Access
from luxgen.targets.numpy.annotate import annotated
from luxgen.targets.numpy.body import Body, Probe
from luxgen.targets.numpy.helpers import helper_names
from luxgen.targets.numpy.naming import safe, snake
from luxgen.targets.numpy.pullback import VjpBody
from luxgen.targets.numpy.sizes import comment, described, shape_of

RESERVED = frozenset({
    "check_sizes",
    "np", "math", "ps", "st", "apply", "setup", "from_state_dict", "state_dict",
    "trainmode", "testmode", "ravel", "unravel", "leaves", "prod", "Array", "Leaf",
    "Any", "NamedTuple", "Callable", "Mapping", "Iterator", "sliding_window_view",
    "Params", "State", "INPUTS", "OUTPUTS", "NUM_PARAMETERS", "TIED", "repeat",
    "_params", "_state", "vjp", "pullback", "dy", "inputs", "train_step", "Pullback", "value_and_grad", "NDArray", "ArrayLike", "TypeAlias",
})  # fmt: skip


@dataclass
class Naming:
    """Names shared by all functions of a module."""

    classes: dict[str, dict[Tree, str]]
    results: dict[tuple[str, ...], str] = field(default_factory=dict)
    splats: dict[str, int] = field(
        default_factory=dict
    )  # fields of `*ps.fc`, by function

    def merged(self) -> dict[Any, str]:
        return {**self.classes["ps"], **self.classes["st"], **self.results}


def name_functions(program: Program, taken: set[str]) -> None:
    """`apply` for the model, snake_case class names for the others."""
    used = set(taken) | RESERVED | set(helper_names())
    for function in reversed(program.functions):
        if function is program.main:
            function.name = "apply"
            continue
        base = safe(
            snake(function.class_name), set(taken) | RESERVED | set(helper_names())
        )
        name, count = base, 1
        while name in used:
            count += 1
            name = f"{base}_{count}"
        used.add(name)
        function.name = name
    for function in reversed(program.vjps):
        if function is program.vjps[-1]:
            function.name = "vjp"
            continue
        base = f"{function.plain.name if function.plain else 'x'}_vjp"
        name, count = base, 1
        while name in used:
            count += 1
            name = f"{base}_{count}"
        used.add(name)
        function.name = name


def function_text(
    program: Program, function: Function, naming: Naming, probe: Probe | None = None
) -> str:
    """One function, with `ps` and `st` after the required arguments."""
    names = {f.name for f in (*program.functions, *program.vjps)}
    reserved = frozenset(RESERVED | helper_names() | names | set(function.options))
    trees = {
        kind: _at(tree, function)
        for kind, tree in (("ps", program.ps), ("st", program.st))
    }
    access = Access(trees)
    kind = Body if function.pullback is None else VjpBody
    body = kind(
        function,
        access,
        naming.merged(),
        reserved,
        lambda v: comment(program, v),
        probe,
    )
    written = annotated(
        body.write(),
        ["ps", "st", *(body.parameter(p) for p in function.params)],
        _type_of(function.result, naming) if _returns_only(program, function) else "",
    )
    lines = [f"    {'    ' * indent}{text}" for indent, text in written]
    for text, fields in access.by_text.items():
        naming.splats[f"{function.name}: {text}"] = len(fields)
    lines = [_without_long_comment(line) for line in lines]
    main = _is_main(program, function)
    if main and (checked := fixed_inputs(program)):
        given = ", ".join(f"{p.name}={body.parameter(p)}" for p in checked)
        lines.insert(0, f"    check_sizes({given})")
    head = _signature(program, function, naming, body)
    doc = _docstring(program, function)
    return "\n".join([head, *([f"    {doc}"] if doc else []), *lines])


def _returns_only(program: Program, function: Function) -> bool:
    """Whether it returns its result alone: no state, no pullback."""
    main = _is_main(program, function)
    return not (main or function.updates or function.pullback)


def fixed_inputs(program: Program) -> list[Param]:
    """Required inputs with a size that forward doesn't leave free: checked at entry."""
    return [
        param
        for param in program.main.params
        if isinstance(param.arg, Value)
        and param.required
        and any(s.isdigit() for s in shape_of(param.arg, program.frees))
    ]


def _without_long_comment(line: str) -> str:
    code, _, _ = line.partition("  # (")
    return code if len(line) > 88 else line


def _at(tree: Tree, function: Function) -> Tree | None:
    try:
        found = tree.at(function.path)
    except KeyError:
        return None
    return found if isinstance(found, Tree) else None


def _is_main(program: Program, function: Function) -> bool:
    return function is program.main or function in program.vjps[-1:]


def _signature(program: Program, function: Function, naming: Naming, body: Body) -> str:
    main = _is_main(program, function)
    parts = [_parameter(p, body) for p in function.params if p.required or not main]
    optional = [p for p in function.params if not p.required and main]
    for kind, reads in (("ps", function.reads_ps), ("st", function.reads_st)):
        if reads or main:
            default = "Params" if kind == "ps" else "State"
            node = _at(program.ps if kind == "ps" else program.st, function)
            name = default if main or node is None else naming.classes[kind].get(node)
            parts.append(f"{kind}: {name or _sequence_type(node, naming, kind)}")
    keywords = [_parameter(p, body) for p in optional]
    for name, values in function.options.items():
        kinds = list(dict.fromkeys(_constant_type(v) for v in values))
        keywords.append(f"{name}: {' | '.join(kinds)}")
    if keywords:
        parts += ["*", *keywords]
    result = _type_of(function.result, naming)
    if main or function.updates:
        state = naming.classes["st"].get(
            _at(program.st, function) or program.st, "State"
        )
        result = f"tuple[{result}, {'State' if main else state}]"
    if function.pullback is not None:
        inner = result[6:-1] if main or function.updates else result
        result = f"tuple[{inner}, Pullback]"
    return f"def {function.name}({', '.join(parts)}) -> {result}:"


def _sequence_type(node: Tree | None, naming: Naming, kind: str) -> str:
    return "Any"


def _parameter(param: Param, body: Body) -> str:
    return f"{body.parameter(param)}: {argument_type(param.arg)}"


def argument_type(arg: Arg) -> str:
    if isinstance(arg, Value):
        return "Array"
    if isinstance(arg, (tuple, list)) and all(isinstance(a, Value) for a in arg):
        places = ", ".join("Array" for _ in arg)
        return f"tuple[{places}]" if isinstance(arg, tuple) else "list[Array]"
    return "Any"


def _constant_type(value: Any) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_constant_type(v) for v in value)}]"
    return type(value).__name__


def _type_of(arg: Arg, naming: Naming) -> str:
    if isinstance(arg, Either):
        sides = (_type_of(arg.training, naming), _type_of(arg.testing, naming))
        return " | ".join(dict.fromkeys(sides))
    if isinstance(arg, Structure):
        return naming.results[tuple(k for k, _ in arg.fields)]
    if isinstance(arg, tuple):
        return f"tuple[{', '.join(_type_of(a, naming) for a in arg) or '()'}]"
    if isinstance(arg, list):
        kinds = sorted({_type_of(a, naming) for a in arg})
        return f"list[{' | '.join(kinds) or 'Any'}]"
    if isinstance(arg, dict):
        kinds = sorted({_type_of(a, naming) for a in arg.values()})
        return (
            f"dict[{'str' if all(isinstance(k, str) for k in arg) else 'Any'}, "
            f"{' | '.join(kinds) or 'Any'}]"
        )
    if isinstance(arg, Dim):
        return arg.dtype
    if arg is None:
        return "None"
    if isinstance(arg, (bool, int, float, str)):
        return type(arg).__name__
    return "Array"


def _docstring(program: Program, function: Function) -> str:
    """`BasicBlock.forward: x (N, C, H, W) -> (N, C, H, W).` where shapes are certain."""
    values = [
        (p.name, p.arg) for p in function.params
        if p.required and not p.name.startswith("captured")
    ]  # fmt: skip
    shared = any(
        "varies" in v.names for _, a in values for v in atoms(a) if isinstance(v, Value)
    )
    title = _safe_text(f"{function.class_name}.forward")
    if function.pullback is not None:
        return f'"""{title} and its pullback."""'
    if not values or shared:
        return f'"""{title}."""'
    left = ", ".join(f"{n} {described(a, program.frees)}" for n, a in values)
    right = described(function.result, program.frees)
    text = f'"""{title}: {_safe_text(left)} -> {_safe_text(right)}."""'
    return text if len(text) <= 84 and "?" not in text else f'"""{title}."""'


def _safe_text(text: str) -> str:
    """Text of a model inside a docstring or comment: nothing that could end it."""
    text = "".join(c if c.isprintable() and c.isascii() else "?" for c in text)
    return text.replace("\\", "/").replace('"', "'")


def calls_in(function: Function) -> list[Call]:
    return [i for i in items_in(function.body) if isinstance(i, Call)]


def result_classes(
    program: Program, taken: set[str]
) -> tuple[dict[tuple[str, ...], str], list[Structure]]:
    """NamedTuples that results need, named after the source's classes."""
    names: dict[tuple[str, ...], str] = {}
    found: list[Structure] = []

    def visit(arg: Any) -> None:
        if isinstance(arg, Either):
            visit((arg.training, arg.testing))
        elif isinstance(arg, Structure):
            key = tuple(k for k, _ in arg.fields)
            if key not in names:
                base = safe(arg.name, taken | RESERVED | helper_names())
                taken.add(base)
                names[key] = base
                found.append(arg)
            for _, inner in arg.fields:
                visit(inner)
        elif isinstance(arg, (tuple, list)):
            for inner in arg:
                visit(inner)
        elif isinstance(arg, dict):
            for inner in arg.values():
                visit(inner)

    for function in program.functions:
        visit(function.result)
        for call in calls_in(function):
            visit(call.args)
    return names, found


__all__ = ["Naming", "ast", "function_text", "name_functions", "result_classes"]
