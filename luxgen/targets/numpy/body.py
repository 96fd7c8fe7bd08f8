"""The statements of one function's body."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from luxgen.ir.program import (
    Branch,
    Call,
    Function,
    Guard,
    Item,
    Loop,
    Op,
    Param,
    Path,
    Pull,
    Unwind,
    Write,
    args_of,
    items_in,
)
from luxgen.ir.tree import Tree, field_names
from luxgen.ir.values import Arg, Dim, Leaf, Node, Option, Structure, Value, atoms
from luxgen.targets.numpy.access import Access
from luxgen.targets.numpy.expression import constant, substitute
from luxgen.targets.numpy.loop_reads import kinds_read
from luxgen.targets.numpy.naming import safe
from luxgen.targets.numpy.rules import template
from luxgen.targets.numpy.rules.op import Op as View
from luxgen.targets.numpy.rules.op import Refused
from luxgen.targets.numpy.schedule import Schedule
from luxgen.targets.numpy.syntax import (
    Line,
    as_choice,
    find,
    may_precede,
    negated,
    starred,
)

Probe = Callable[[Item, ast.expr], ast.expr]


class Body:
    """Writes a function's statements; `probe` wraps every op's expression (verify)."""

    def __init__(
        self,
        function: Function,
        access: Access,
        class_names: dict[Any, str],
        reserved: frozenset[str],
        shapes: Callable[[Value], str],
        probe: Probe | None = None,
    ) -> None:
        self.function, self.access, self.class_names = function, access, class_names
        self.shapes, self.probe = shapes, probe
        self.schedule = Schedule(function, reserved)
        self.lines: list[Line] = []
        self.indent = 0
        self.states: dict[Path, ast.expr] = {}
        self.unlike: set[Path] = set()  # loops over states of different structure
        self.state_names: dict[Path, str] = {}
        self.unpacked: list[tuple[str, dict[Any, Arg]]] = []  # dicts to take apart
        self.dim_names = self._named_sizes()
        self.taken = set(self.schedule.names.chosen.values()) | reserved

    # -- expressions --------------------------------------------------------------

    def show(self, arg: Any) -> ast.expr:
        """A value by its variable or, if it is written here, by its expression."""
        if isinstance(arg, (Leaf, Node)):
            return self.access.expression(arg.kind, arg.path)
        assert isinstance(arg, Value)
        maker = self.schedule.maker.get(arg)
        if maker is not None and id(maker) in self.schedule.inlined:
            return self.compute(maker)
        name = self.schedule.name(arg)
        if name is not None:
            return ast.Name(name)
        return self._from_container(arg)

    def _from_container(self, value: Value) -> ast.expr:
        for param in self.function.params:
            found = find(param.arg, value, ast.Name(self.param_name(param.name)))
            if found is not None:
                return found
        raise Refused(f"{self.function.class_name} reads a value that isn't its own")

    def parameter(self, param: Param) -> str:
        """The variable that a parameter brings its value in."""
        name = self.schedule.name(param.arg) if isinstance(param.arg, Value) else None
        return name or self.param_name(param.name)

    def param_name(self, name: str) -> str:
        return safe(name, self.schedule.names.reserved)

    def arg(self, arg: Arg) -> ast.expr:
        return constant(arg, self._show_any)

    def _show_any(self, arg: Any) -> ast.expr:
        if isinstance(arg, ast.expr):
            return arg
        if isinstance(arg, Option):
            return ast.Name(arg.name)
        if isinstance(arg, Dim):
            return self.size(arg)
        return self.show(arg)

    def size(self, dim: Dim) -> ast.expr:
        """A number from shapes: a local name of the source, or its expression."""
        name = self.dim_names.get(dim)
        if name is not None:
            return ast.Name(name)
        names = {f"_{k}": a for k, a in enumerate(dim.args)}
        return substitute(dim.text, names, self._show_any)

    def compute(self, item: Op | Call | Any) -> ast.expr:
        """The expression of an op or call."""
        expression = self.call(item) if isinstance(item, Call) else self.op(item)
        return self.probe(item, expression) if self.probe else expression

    def backward(self, item: Pull | Unwind) -> None:
        """Steps of a pullback: a Body of a function that has one writes them."""
        raise NotImplementedError

    def keep(self, loop: Loop) -> None:
        """After an iteration: what its way back needs goes onto the tape."""

    def op(self, op: Op) -> ast.expr:
        view = View(op.name, op.args, op.outs, op.overload)
        text = template(view, stateful=op.state is not None)
        args: dict[str, Any] = dict(op.args)
        if op.state is not None:
            args["state"] = self.state(op.state)
        tree = substitute(text, args, self._show_any)
        return starred(tree, self.access)

    def state(self, path: Path) -> ast.expr:
        """The current state at `path`: the newest one made in this call."""
        return self._rebuilt(path)

    def _newest(self, path: Path) -> ast.expr:
        """The newest state that holds `path`, without changes below `path`."""
        star = path.index("*") if "*" in path else -1
        for length in range(len(path), star, -1):
            held = self.states.get(path[:length])
            if held is not None:
                return self.access.within(held, "st", path, length)
        return self.access.expression("st", path)

    def _replace_state(self, path: Path, state: ast.expr) -> None:
        """`state` is what is at `path` from here on; it includes what is below."""
        for inner in [p for p in self.states if p[: len(path)] == path]:
            del self.states[inner]
        self.states[path] = state

    def call(self, call: Call) -> ast.expr:
        args = [self.arg(a) for a in call.args]
        function = call.function
        if function.reads_ps:
            args.append(self.access.expression("ps", call.path))
        if function.reads_st:
            args.append(self.state(call.path))
        options = [ast.keyword(k, self.arg(v)) for k, v in call.options.items()]
        return ast.Call(ast.Name(function.name), args, options)

    # -- statements ---------------------------------------------------------------

    def write(self) -> list[Line]:
        self._emit_sizes(0)
        self.items(self.function.body)
        self._return()
        return self.lines

    def line(self, text: str) -> None:
        self.lines.append((self.indent, text))

    def items(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, Guard):
                self.guard(item)
            elif isinstance(item, Write):
                self._replace_state(item.path, self.arg(item.value))
            elif isinstance(item, Branch):
                self.branch(item)
            elif isinstance(item, Loop):
                self.loop(item)
            elif isinstance(item, (Pull, Unwind)):
                self.backward(item)
            elif id(item) not in self.schedule.inlined:
                self.assign(item)
            self._emit_sizes(self.schedule.position[id(item)])

    def assign(self, item: Op | Call) -> None:
        target = self._target(item.result)
        path = item.state if isinstance(item, Op) else item.path
        expression = self.compute(item)
        if Schedule.keeps_state(item):
            assert path is not None
            name = self._state_name(path)
            target = f"{target}, {name}" if "," not in target else f"({target}), {name}"
            self._replace_state(path, ast.Name(name))
        if isinstance(item, Call) and item.pullback is not None:
            pull = self.schedule.name(item.pullback) or "_"
            open_ = "," in target and not item.function.updates
            target = f"({target}), {pull}" if open_ else f"{target}, {pull}"
        comment = self.shapes(item.result) if isinstance(item.result, Value) else ""
        self.line(f"{target} = {ast.unparse(expression)}{comment}")
        while self.unpacked:
            name, held = self.unpacked.pop(0)
            for key, value in held.items():
                if any(self._is_used(v) for v in atoms(value) if isinstance(v, Value)):
                    self.line(f"{self._target(value)} = {name}[{key!r}]")

    def _target(self, result: Arg) -> str:
        """What a result is assigned to; dicts are taken apart by the next lines."""
        used = (v for v in atoms(result) if isinstance(v, Value))
        if not any(self._is_used(v) for v in used):
            return "_"
        if isinstance(result, Value):
            return self.schedule.name(result) or "_"
        if isinstance(result, dict):
            name = self._fresh("named")
            self.unpacked.append((name, result))
            return name
        if isinstance(result, (tuple, list)):
            inner = [self._target(a) for a in result]
            texts = [f"({t})" if "," in t else t for t in inner]
            return ", ".join(texts) + ("," if len(texts) == 1 else "")
        if isinstance(result, Structure):
            return self._target(tuple(v for _, v in result.fields))
        return "_"

    def _is_used(self, value: Value) -> bool:
        return bool(self.schedule.uses.get(value))

    def _state_name(self, path: Path) -> str:
        if path not in self.state_names:
            parts = ["st", *(p for p in path if p != "*")]
            if "*" in path:
                star = path.index("*") + 1
                alias = self.access.aliases.get(("st", path[:star]))
                parts = [alias, *path[star:]] if alias is not None else parts
            text = "_".join(parts)
            name = "".join(c if c.isascii() and c.isalnum() else "_" for c in text)
            self.state_names[path] = self._fresh(name if path else "st_")
        return self.state_names[path]

    def guard(self, guard: Guard) -> None:
        condition = self.arg(guard.condition)
        if guard.outcome:
            condition = negated(condition)
        said = ast.unparse(negated(condition))
        message = ast.unparse(ast.Constant(f"the sizes must keep {said}"))
        self.line(f"if {ast.unparse(condition)}:")
        self.lines.append((self.indent + 1, f"raise ValueError({message})"))

    def branch(self, branch: Branch) -> None:
        if branch.condition is None:
            flag = ast.unparse(
                self.access.expression("st", (*branch.outer, "training"))
            )
        else:
            places = [(k, branch.condition.path) for k in branch.condition.kinds]
            held = [ast.unparse(self.access.expression(*place)) for place in places]
            flag = " and ".join(f"{text} is not None" for text in held)
        before = dict(self.states)
        sides = []
        for items, pick in ((branch.training, 1), (branch.testing, 2)):
            outer, self.lines = self.lines, []
            self.states = dict(before)
            self.indent += 1
            self.items(items)
            self._assign_all([(j[0], self.result(j[pick])) for j in branch.joins])
            if branch.condition is not None:
                self._gather(branch.condition.path)
            self.indent -= 1
            sides.append((self.lines, dict(self.states)))
            self.lines = outer
        self.states = before
        (train, train_states), (test, test_states) = sides
        changed = [p for p in train_states | test_states
                   if train_states.get(p) is not before.get(p)
                   or test_states.get(p) is not before.get(p)]  # fmt: skip
        whole = [p for p in changed
                 if not any(p[: len(q)] == q for q in changed if q != p)]  # fmt: skip
        for path in whole:
            name = self._state_name(path)
            for lines, states in ((train, train_states), (test, test_states)):
                self.states = states
                value = ast.unparse(self._rebuilt(path))
                if value != name:
                    lines.append((self.indent + 1, f"{name} = {value}"))
        self.states = before
        for path in whole:
            self._replace_state(path, ast.Name(self._state_name(path)))
        if branch.condition is not None and may_precede(test, train):
            # as a person writes it: the plain case first, then the optional child
            self.lines += [(indent - 1, text) for indent, text in test]
            test = []
        if choice := as_choice(flag, train, test):
            self.lines.append(choice)
        elif train:
            self.line(f"if {flag}:")
            self.lines += train
            if test:
                self.line("else:")
                self.lines += test
        elif test:
            self.line(f"if not {flag}:")
            self.lines += test

    def _assign_all(self, pairs: list[tuple[Value, ast.expr]]) -> None:
        """Assignments in one place: at once where one would change another's value."""
        named = [(self.schedule.name(value), expression) for value, expression in pairs]
        kept = [(n, ast.unparse(e), e) for n, e in named if n is not None]
        kept = [each for each in kept if each[0] != each[1]]
        assigned: set[str] = set()
        clash = False
        for name, _, expression in kept:
            read = {n.id for n in ast.walk(expression) if isinstance(n, ast.Name)}
            clash = clash or bool(read & assigned)
            assigned.add(name)
        if clash:
            left, right = (
                ", ".join(n for n, _, _ in kept),
                ", ".join(t for _, t, _ in kept),
            )
            self.line(f"{left} = {right}")
            return
        for name, text, _ in kept:
            self.line(f"{name} = {text}")

    def _gather(self, path: Path) -> None:
        """New states below an optional child as one, since it may not be there."""
        if any(p[: len(path)] == path for p in self.states):
            self._replace_state(path, self._rebuilt(path))

    def loop(self, loop: Loop) -> None:
        self.access.firsts[loop.path] = loop.start
        self._note_unlike(loop)
        self._assign_all([(i, self.arg(before)) for i, before, _, _ in loop.carried])
        columns, variables, touched = self._columns(loop)
        collected: dict[Path, str] = {}
        for path in touched:
            collected[path] = self._fresh(self._state_name(path))
            self.line(f"{collected[path]} = []")
        if loop.tape is not None:
            self.line(f"{self.schedule.name(loop.tape)} = []")
        heads = ", ".join(variables)
        if len(columns) == 1:
            self.line(f"for {heads} in {columns[0]}:")
        else:
            self.line(f"for {heads} in zip({', '.join(columns)}, strict=True):")
        self.indent += 1
        outer = dict(self.states)
        self.items(loop.body)
        self.keep(loop)
        self._assign_all([(r, self.arg(after)) for _, _, after, r in loop.carried])
        star = (*loop.path, "*")
        for path in touched:
            new = self._rebuilt(star)
            self.line(f"{collected[path]}.append({ast.unparse(new)})")
        self.indent -= 1
        self.states = outer
        for path in touched:
            tree = self.access.tree("st", loop.path)
            assert isinstance(tree, Tree)
            if loop.start == 0 and loop.stop == tree.length:
                text = f"tuple({collected[path]})"
                self._replace_state(loop.path, ast.parse(text, mode="eval").body)
                continue
            for k in range(loop.start, loop.stop):
                new = ast.Subscript(
                    ast.Name(collected[path]), ast.Constant(k - loop.start), ast.Load()
                )
                self._replace_state((*loop.path, str(k)), new)
        for key in [k for k in self.access.aliases if k[1] == star]:
            del self.access.aliases[key]

    def _columns(self, loop: Loop) -> tuple[list[str], list[str], list[Path]]:
        """What the loop iterates over, its variables, and the state it replaces."""
        star = (*loop.path, "*")
        columns, variables = [], []
        kinds = kinds_read(loop, star)
        for kind in ("ps", "st"):
            if kind not in kinds:
                continue
            tree = self.access.tree(kind, loop.path)
            assert isinstance(tree, Tree)
            whole = loop.start == 0 and loop.stop == tree.length
            column = ast.unparse(
                self._rebuilt(loop.path)
                if kind == "st" and (whole or self._is_new(loop))
                else self.access.expression(kind, loop.path)
            )
            columns.append(column if whole else f"{column}[{loop.start}:{loop.stop}]")
            variable = self._fresh(f"{kind}_i")
            variables.append(variable)
            self.access.aliases[(kind, star)] = variable
        self._option_columns(loop.body, columns, variables)
        touched = [loop.path] if _writes_state(loop) else []
        return columns, variables, touched

    def _option_columns(
        self, items: list[Item], columns: list[str], variables: list[str]
    ) -> None:
        """Constants that differ between the iterations."""
        for item in items:
            holder = item.args if isinstance(item, Op) else getattr(item, "options", {})
            for name, value in list(holder.items()):
                if isinstance(value, Option) and isinstance(value.value, tuple):
                    variable = self._fresh(name)
                    columns.append(ast.unparse(constant(value.value, self._show_any)))
                    variables.append(variable)
                    holder[name] = Option(variable, value.value)

    def _note_unlike(self, loop: Loop) -> None:
        tree = self.access.tree("st", loop.path)
        children = tree.children if isinstance(tree, Tree) else {}
        places = range(loop.start, loop.stop)
        if len({children.get(str(k)) for k in places}) > 1:
            self.unlike.add((*loop.path, "*"))

    def _is_unlike(self, path: Path) -> bool:
        return any(path[:k] in self.unlike for k in range(len(path) + 1))

    def _is_new(self, loop: Loop) -> bool:
        """Whether this call has replaced a state that the loop reads."""
        depth = len(loop.path)
        places = {str(k) for k in range(loop.start, loop.stop)}
        return any(
            p == loop.path[: len(p)] or (p[:depth] == loop.path and p[depth] in places)
            for p in self.states
        )

    def _fresh(self, name: str) -> str:
        base, count = name, 1
        while name in self.taken:
            count += 1
            name = f"{base}{count}"
        self.taken.add(name)
        return name

    # -- state --------------------------------------------------------------------

    def _return(self) -> None:
        result = self.result(self.function.result)
        if not self.function.updates and self.function.name != "apply":
            text = ast.unparse(result)
            bare = isinstance(result, ast.Tuple) and len(result.elts) > 1
            self.line(f"return {text[1:-1] if bare else text}")
            return
        new = self._rebuilt(())
        self.line(f"return {ast.unparse(result)}, {ast.unparse(new)}")

    def result(self, arg: Arg) -> ast.expr:
        """The returned structure, NamedTuples by the module's own classes."""
        if isinstance(arg, Structure):
            name = self.class_names[tuple(k for k, _ in arg.fields)]
            parts = [self.result(v) for _, v in arg.fields]
            return ast.Call(ast.Name(name), parts, [])
        if isinstance(arg, tuple):
            return ast.Tuple([self.result(a) for a in arg], ast.Load())
        if isinstance(arg, list):
            return ast.List([self.result(a) for a in arg], ast.Load())
        if isinstance(arg, dict):
            return ast.Dict(
                [ast.Constant(k) for k in arg], [self.result(v) for v in arg.values()]
            )
        return self.arg(arg)

    def _rebuilt(self, path: Path) -> ast.expr:
        """The state at `path` after this call: new parts in, the rest as it was."""
        tree = self.access.tree("st", path)
        depth = len(path)
        below = {p[depth] for p in self.states if p[:depth] == path and len(p) > depth}
        if not below or not isinstance(tree, Tree):
            return self._newest(path)
        if tree.sequence:
            return self._rebuilt_sequence(path, tree, below)
        names = field_names(dict(tree.children))
        parts = {c: self._rebuilt((*path, c)) for c in tree.children if c in below}
        if len(parts) == len(tree.children) and not self._is_unlike(path):
            return ast.Call(ast.Name(self.class_names[tree]), list(parts.values()), [])
        old = self._newest(path)
        keywords = [ast.keyword(names[c], v) for c, v in parts.items()]
        return ast.Call(ast.Attribute(old, "_replace", ast.Load()), [], keywords)

    def _rebuilt_sequence(self, path: Path, tree: Tree, below: set[str]) -> ast.expr:
        places: list[ast.expr] = []
        if self._is_unlike(path):
            old, last = self._newest(path), max(int(k) for k in below)
            for k in range(last + 1):
                kept = ast.Subscript(old, ast.Constant(k), ast.Load())
                new = self._rebuilt((*path, str(k))) if str(k) in below else kept
                places.append(new)
            rest = ast.Slice(ast.Constant(last + 1))
            more = ast.Subscript(old, rest, ast.Load())
            return ast.Tuple([*places, ast.Starred(more, ast.Load())], ast.Load())
        for k in range(tree.length):
            name = str(k)
            if name in below or name in tree.children:
                places.append(self._rebuilt((*path, name)))
            else:
                places.append(ast.Constant(None))
        return ast.Tuple(places, ast.Load())

    # -- sizes --------------------------------------------------------------------

    def _named_sizes(self) -> dict[Dim, str]:
        """Sizes that the source gave a local name, if every part of it is at hand."""
        self._size_lines: dict[int, list[tuple[str, Value, int]]] = {}
        used = _used_dims(self.function)
        names: dict[Dim, str] = {}
        for dim, wanted in self.function.names.items():
            if not isinstance(dim, Dim) or not dim.text.startswith("_0.shape["):
                continue
            value = dim.args[0]
            if dim not in used or not isinstance(value, Value):
                continue
            name = self.schedule.name(value)
            maker = self.schedule.maker.get(value)
            if name is None or (
                maker is not None and id(maker) in self.schedule.inlined
            ):
                continue
            at, block = self.schedule.defined.get(value, (0, 0))
            if block:
                continue
            low = 0 if maker is None else at
            chosen = self.schedule.names.give(
                Value("int"), wanted, (low, self.schedule.finish + 1)
            )
            names[dim] = chosen
            axis = int(dim.text[len("_0.shape[") : -1])
            self._size_lines.setdefault(low, []).append((chosen, value, axis))
        return names

    def _emit_sizes(self, position: int) -> None:
        sizes = self._size_lines.pop(position, [])
        for value in dict.fromkeys(v for _, v, _ in sizes):
            own = sorted((axis, name) for name, v, axis in sizes if v is value)
            left = ", ".join(name for _, name in own)
            array = self.schedule.name(value)
            if [axis for axis, _ in own] == list(range(value.ndim)) and value.ndim > 1:
                self.line(f"{left} = {array}.shape")
            else:
                right = ", ".join(f"{array}.shape[{axis}]" for axis, _ in own)
                self.line(f"{left} = {right}")


def _writes_state(loop: Loop) -> bool:
    return any(Schedule.keeps_state(i) for i in items_in(loop.body))


def _used_dims(function: Function) -> set[Dim]:
    back = [] if function.pullback is None else function.pullback.body
    items = [a for i in items_in([*function.body, *back]) for a in args_of(i)]
    return {a for a in [*items, *atoms(function.result)] if isinstance(a, Dim)}
