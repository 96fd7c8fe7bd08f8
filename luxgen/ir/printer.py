"""A program as stable text: what golden/<case>/program.txt holds."""

from __future__ import annotations

from luxgen.ir.program import (
    Branch,
    Call,
    Cotangents,
    Function,
    Guard,
    Item,
    Loop,
    Op,
    Program,
    Pull,
    Pullback,
    Unwind,
    Write,
)
from luxgen.ir.tree import Absent, Flag, Tree
from luxgen.ir.values import Arg, Dim, Leaf, Node, Option, Structure, Value


def program_text(program: Program) -> str:
    """Trees, then functions, callees first; values are numbered in each function."""
    lines = [f"program {program.name!r}"]
    lines += [
        f"free {name}: {a} and {b} in the traces"
        for (a, b), name in program.frees.items()
    ]
    lines += [f"tied {name!r} = {first!r}" for name, first in program.tied.items()]
    for kind, tree in (("ps", program.ps), ("st", program.st)):
        lines += ["", f"tree {kind}", *_tree(tree, "  ")]
    for function in (*program.functions, *program.vjps):
        lines += ["", *_Printer().function(function)]
    return "\n".join(lines) + "\n"


def _tree(tree: Tree, indent: str) -> list[str]:
    lines = []
    for name, child in tree.children.items():
        if isinstance(child, Leaf):
            lines.append(f"{indent}{name!r}: {child.dtype}{list(child.shape)}")
        elif isinstance(child, Flag):
            lines.append(f"{indent}{name!r}: mode")
        elif isinstance(child, Absent):
            lines.append(f"{indent}{name!r}: absent")
        else:
            kind = child.kind or (
                f"tuple of {child.length}" if child.sequence else child.layer
            )
            lines += [f"{indent}{name!r}: {kind}", *_tree(child, indent + "  ")]
    return lines


class _Printer:
    def __init__(self) -> None:
        self.numbers: dict[Value, int] = {}

    def function(self, function: Function) -> list[str]:
        params = ", ".join(f"{p.name}={self.typed(p.arg)}" for p in function.params)
        options = "".join(f", {k}={v!r}" for k, v in function.options.items())
        lines = [f"function {function.class_name}({params}{options})"]
        lines += self.items(function.body, "  ")
        if function.pullback is not None:
            lines += self.pullback(function.pullback)
        return [*lines, f"  return {self.show(function.result)}"]

    def pullback(self, pullback: Pullback) -> list[str]:
        """The way back: what it is given, its steps, what it returns."""
        given = ", ".join(
            f"{self.typed(d)} of {self.show(v)}"
            for v, d in zip(pullback.of, pullback.params, strict=True)
        )
        lines = [f"  pullback({given})", *self.items(pullback.body, "    ")]
        for value, d in zip(pullback.outs, pullback.results, strict=True):
            lines.append(f"    cotangent of {self.show(value)} = {self.show(d)}")
        return lines + [f"    {line}" for line in self.leaves(pullback.ps or {})]

    def leaves(self, leaves: Cotangents) -> list[str]:
        return [
            f"cotangent of ps.{'.'.join(path)} = {self.show(d)}"
            for path, d in leaves.items()
        ]

    def items(self, items: list[Item], indent: str) -> list[str]:
        return [indent + line for item in items for line in self.item(item)]

    def item(self, item: Item) -> list[str]:
        if isinstance(item, Op):
            args = ", ".join(f"{k}={self.show(v)}" for k, v in item.args.items())
            state = (
                ""
                if item.state is None
                else f" with {item.kind} st.{'.'.join(item.state)}"
            )
            return [f"{self.typed(item.result)} = {item.name}({args}){state}"]
        if isinstance(item, Call):
            args = ", ".join(self.show(a) for a in item.args)
            options = "".join(f", {k}={self.show(v)}" for k, v in item.options.items())
            name = item.function.class_name
            return [
                f"{self.typed(item.result)} = call {name} at {'.'.join(item.path)!r}({args}{options})"
            ]
        if isinstance(item, Write):
            return [f"st.{'.'.join(item.path)} = {self.show(item.value)}"]
        if isinstance(item, Guard):
            return [f"guard {self.show(item.condition)} is {item.outcome}"]
        if isinstance(item, Branch):
            return self.branch(item)
        if isinstance(item, Pull):
            outs = ", ".join(self.typed(v) for v in item.outs)
            return [f"{outs} = pull {self.show(item.pullback)}{self.show(item.given)}"]
        if isinstance(item, Unwind):
            return self.unwind(item)
        return self.loop(item)

    def unwind(self, item: Unwind) -> list[str]:
        """A loop's way back."""
        saved = ", ".join(self.typed(v) for v in item.saved)
        head = f"unwind {self.show(item.tape)} of {'.'.join(item.loop.path)}: {saved}"
        carried = item.carried
        lines = [
            head,
            *(f"  {self.typed(i)} = first {self.show(b)}" for i, b, _, _ in carried),
        ]
        lines += self.items(item.body, "  ")
        lines += [f"  {line}" for line in self.leaves(item.leaves)]
        lines += [f"  next {self.show(i)} = {self.show(a)}" for i, _, a, _ in carried]
        lines += [f"{self.typed(r)} = last {self.show(a)}" for _, _, a, r in carried]
        if item.trees is not None:
            lines.append(f"{self.show(item.trees)} = all of them")
        return lines

    def branch(self, item: Branch) -> list[str]:
        asked = item.condition
        head = (
            "if training:" if asked is None else f"if {'.'.join(asked.path)} is there:"
        )
        lines = [head, *self.items(item.training, "  ")]
        lines += ["else:", *self.items(item.testing, "  ")]
        for value, a, b in item.joins:
            lines.append(f"{self.typed(value)} = join({self.show(a)}, {self.show(b)})")
        return lines

    def loop(self, item: Loop) -> list[str]:
        head = f"for * in {'.'.join(item.path)}[{item.start}:{item.stop}]:"
        first = [
            f"{self.typed(i)} = first {self.show(b)}" for i, b, _, _ in item.carried
        ]
        lines = [head, *("  " + f for f in first), *self.items(item.body, "  ")]
        lines += [
            f"  next {self.show(i)} = {self.show(a)}" for i, _, a, _ in item.carried
        ]
        if item.tape is not None:
            lines.append(f"{self.show(item.tape)} = tape of {self.show(item.saved)}")
        return lines + [
            f"{self.typed(r)} = last {self.show(a)}" for _, _, a, r in item.carried
        ]

    def typed(self, arg: Arg) -> str:
        if isinstance(arg, Value):
            sizes = zip(arg.shape, arg.witness or arg.shape, strict=True)
            text = ", ".join(str(a) if a == b else f"{a}|{b}" for a, b in sizes)
            return f"{self.show(arg)}:{arg.dtype}[{text}]"
        if isinstance(arg, (tuple, list)):
            return f"({', '.join(self.typed(a) for a in arg)})"
        if isinstance(arg, dict):
            return (
                "{" + ", ".join(f"{k!r}: {self.typed(v)}" for k, v in arg.items()) + "}"
            )
        if isinstance(arg, Structure):
            return f"({', '.join(f'{k}={self.typed(v)}' for k, v in arg.fields)})"
        return self.show(arg)

    def show(self, arg: Arg) -> str:
        if isinstance(arg, Value):
            return f"%{self.numbers.setdefault(arg, len(self.numbers))}"
        if isinstance(arg, (Leaf, Node)):
            return f"{arg.kind}.{'.'.join(arg.path)}"
        if isinstance(arg, Option):
            return f"{arg.name}={arg.value!r}"
        if isinstance(arg, Dim):
            text = arg.text
            for k, inner in reversed(list(enumerate(arg.args))):
                text = text.replace(f"_{k}", self.show(inner))
            return f"<{text}>"
        if isinstance(arg, (tuple, list)):
            return f"({', '.join(self.show(a) for a in arg)})"
        if isinstance(arg, dict):
            return (
                "{" + ", ".join(f"{k!r}: {self.show(v)}" for k, v in arg.items()) + "}"
            )
        if isinstance(arg, slice):
            parts = (arg.start, arg.stop, arg.step)
            return ":".join("" if p is None else self.show(p) for p in parts)
        if isinstance(arg, Structure):
            return (
                f"{arg.name}({', '.join(f'{k}={self.show(v)}' for k, v in arg.fields)})"
            )
        return repr(arg)
