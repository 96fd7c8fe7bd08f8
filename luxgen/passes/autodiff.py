"""Reverse-mode differentiation: a function with a pullback for each that needs one.

function f(x) {h = linear(x, ps.fc); y = tanh(h); return y}
->  function f(x) {h = linear(x, ps.fc); y = tanh(h); return y
        pullback(d_y) {d_h = d_y * (1 - y * y); return linear's cotangents of d_h}}

Source of the scheme: Griewank & Walther, Evaluating Derivatives (2008), ch. 3 and 12.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luxgen.ir.program import (
    Branch,
    Call,
    Cotangents,
    Function,
    Item,
    Line,
    Loop,
    Op,
    Path,
    Pull,
    Pullback,
    Unwind,
    items_in,
    outs_of,
)
from luxgen.ir.values import Arg, Either, Leaf, Node, Value
from luxgen.passes.activity import (
    Activity,
    activities,
    own_values,
    parts,
    passed,
)
from luxgen.passes.autodiff_loop import captured
from luxgen.passes.autodiff_prune import prune, prune_block
from luxgen.passes.vjp import vjps
from luxgen.passes.vjp.row import NoGradient, Row
from luxgen.passes.vjp.terms import Tape, Term, settled

WITHOUT = "transpile without --grad"
TAPE = "tape"  # dtype of the list of what a loop's iterations kept
TREE = "tree"  # dtype of a cotangent of several leaves
Refusal = tuple[Line, str, str]  # where, reason, suggestion


def differentiate(functions: list[Function]) -> tuple[list[Function], list[Refusal]]:
    """Functions with pullbacks, callees first, and the places that have no gradient.

    `functions` are all of a program's, callees first; they stay as they are.
    """
    found = activities(functions)
    made: dict[Function, Function] = {}
    refusals: dict[Refusal, None] = {}
    for function in functions:
        if any(isinstance(part, Either) for part in parts(function.result)):
            reason = f"{function.class_name}'s result has another structure in training"
            refusals[(("", 0), reason, "return the same in both modes")] = None
        if found[function].useful or function is functions[-1]:
            reverse = _Reverse(function, found[function], made)
            made[function] = reverse.run()
            refusals |= dict.fromkeys(reverse.refusals)
    return list(made.values()), list(refusals)


class _Frame:
    """Cotangents gathered in one block: of values, and of leaves by their path."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.values: dict[Value, list[Arg]] = {}
        self.leaves: dict[Path, tuple[Arg, list[Arg]]] = {}  # path: like, cotangents


class _Reverse:
    """Differentiates one function; `made` holds its callees' versions."""

    def __init__(
        self, function: Function, activity: Activity, made: dict[Function, Function]
    ) -> None:
        self.activity, self.made = activity, made
        self.refusals: list[Refusal] = []
        names = {k: list(v) for k, v in function.names.items()}
        self.function = replace(function, names=names, plain=function)
        self.function.body = self._copied(function.body)
        self.like: dict[Value, Arg] = {}
        self.frame = _Frame()

    def run(self) -> Function:
        """The function with its pullback."""
        function = self.function
        places = parts(function.result)
        of, params = [], []
        for k in sorted(self.activity.useful):
            value = places[k]
            d = Value(value.dtype, value.shape, value.witness)
            self._name(d, value)
            self._name_result(d)
            of.append(value)
            params.append(d)
            self._add(value, d)
        self._block(function.body)
        outs = [v for v in own_values(function) if v in self.activity.wanted]
        results = [self._total(v) or self._zeros(v) for v in outs]
        ps = self._leaves() if function.reads_ps else None
        items = self.frame.tape.items
        pullback = Pullback(of, params, items, outs, results, ps, self.like)
        function.pullback = pullback
        prune(pullback)
        for item in items_in(pullback.body):
            if isinstance(item, Op) and item.name == "no_derivative":
                reason = (
                    f"{item.args['of']} has no derivative by {item.args['argument']}"
                )
                self.refusals.append((item.line, reason, WITHOUT))
        return function

    def _copied(self, items: list[Item]) -> list[Item]:
        """Items of our own, calls of functions with pullbacks instead of the plain."""
        copies: list[Item] = []
        for item in items:
            if isinstance(item, Branch):
                sides = self._copied(item.training), self._copied(item.testing)
                joins = list(item.joins)
                item = replace(item, training=sides[0], testing=sides[1], joins=joins)
            elif isinstance(item, Loop):
                item = replace(item, body=self._copied(item.body))
            elif isinstance(item, Call):
                function = self.made.get(item.function)
                varied = any(v in self.activity.varied for v in item.outs)
                if function is not None and varied and not item.stops:
                    pullback = Value(PULLBACK)
                    self.function.names[pullback] = [f"pull_{_last(item.path)}"]
                    item = replace(item, function=function, pullback=pullback)
            elif isinstance(item, Op):
                item = replace(item, args=dict(item.args))
            copies.append(item)
        return copies

    # -- cotangents ---------------------------------------------------------------

    def _add(self, atom: Any, d: Arg) -> None:
        """Add `d` to the cotangent of `atom`."""
        if isinstance(atom, Value):
            self.frame.values.setdefault(atom, []).append(d)
        elif isinstance(atom, (Leaf, Node)):
            self._add_leaf(atom.path, atom, d)

    def _add_leaf(self, path: Path, like: Arg, d: Arg) -> None:
        self.frame.leaves.setdefault(path, (like, []))[1].append(d)

    def _total(self, value: Value) -> Arg:
        """The sum of what was added for `value`, or None."""
        found = self.frame.values.get(value)
        if not found:
            return None
        if len(found) > 1:
            tape = self.frame.tape
            total = Term(found[0], tape)
            for d in found[1:]:
                total = total + Term(d, tape)
            found[:] = [total.arg]
        if isinstance(found[0], Value):
            self._name(found[0], value)
        return found[0]

    def _zeros(self, atom: Any) -> Arg:
        """Zeros like a value, leaf or node."""
        if isinstance(atom, Node):
            return self._emit("zeros_of", {"tree": atom}, Value(TREE))
        return Term(atom, self.frame.tape).zeros_like().arg

    def _emit(self, name: str, args: dict[str, Any], result: Value) -> Value:
        self.frame.tape.emit(name, args, result)
        return result

    def _name(self, d: Value, of: Any) -> None:
        """`d_h` for the cotangent of h."""
        self.like.setdefault(d, of)
        names = self.function.names.get(of, [])
        known = self.function.names.setdefault(d, [])
        known += [n for n in (f"d_{name}" for name in names) if n not in known]

    def _name_result(self, d: Value) -> None:
        self.function.names.setdefault(d, []).append("d_y")

    def _leaves(self) -> Cotangents:
        """The totals by path; what is below a path with a whole tree joins it."""
        totals: Cotangents = {}
        self._split_ranges()
        leaves = self.frame.leaves
        for path, (like, found) in leaves.items():
            if any(path[:k] in leaves for k in range(len(path))):
                continue  # joins the node above
            below = {
                p: e for p, e in leaves.items() if p != path and p[: len(path)] == path
            }
            total = self._sum_leaf(like, found)
            if below:
                inner = {p[len(path) :]: self._sum_leaf(*e) for p, e in below.items()}
                part = self._emit(
                    "grown", {"tree": Node(path, "ps"), "leaves": inner}, Value(TREE)
                )
                total = self._emit(
                    "add_trees", {"input": total, "other": part}, Value(TREE)
                )
            totals[path] = total
        return totals

    def _split_ranges(self) -> None:
        """What a loop gathered, by element where these have other cotangents too."""
        leaves = self.frame.leaves
        ranges = [p for p in leaves if p and ":" in p[-1]]
        for path in ranges:
            start, stop = map(int, path[-1].split(":"))
            depth = len(path) - 1
            names = {
                p[depth] for p in leaves if p[:depth] == path[:depth] and p != path
            }
            inside = any(_overlaps(name, start, stop) for name in names)
            if not inside:
                continue
            total = self._sum_leaf(*leaves.pop(path))
            for k in range(start, stop):
                own = (*path[:depth], str(k))
                args = {"input": total, "k": k - start}
                part = self._emit("element", args, Value(TREE))
                self._add_leaf(own, Node(own, "ps"), part)

    def _sum_leaf(self, like: Arg, found: list[Arg]) -> Arg:
        total = found[0]
        for d in found[1:]:
            if isinstance(like, Leaf):
                total = (Term(total, self.frame.tape) + Term(d, self.frame.tape)).arg
            else:
                total = self._emit(
                    "add_trees", {"input": total, "other": d}, Value(TREE)
                )
        return total

    # -- items, last first --------------------------------------------------------

    def _block(self, items: list[Item]) -> None:
        for item in reversed(items):
            if isinstance(item, Op):
                self._op(item)
            elif isinstance(item, Call):
                self._call(item)
            elif isinstance(item, Branch):
                self._branch(item)
            elif isinstance(item, Loop):
                self._loop(item)

    def _op(self, op: Op) -> None:
        outs = op.outs
        if not any(v in self.activity.varied for v in outs):
            return
        totals = [self._total(v) if v in self.activity.varied else None for v in outs]
        if all(d is None for d in totals):
            return
        row = vjps().get(op.name)
        if row is None:
            reason = f"{op.name} has no gradient"
            self.refusals.append((op.line, reason, WITHOUT))
            return
        tape = self.frame.tape
        tape.line = op.line
        given = tuple(None if d is None else Term(d, tape) for d in totals)
        args, first = dict(op.args), len(tape.items)
        try:
            cotangents = row(Row(op, given, tape))
        except NoGradient as error:
            self.refusals.append((op.line, error.reason, error.suggestion))
            return
        for value in op.outs[len(outs) :]:
            self.function.names[value] = [*value.names, "saved"]
        for item in tape.items[first:]:
            for value in outs_of(item):
                if value.names:
                    self.function.names.setdefault(value, list(value.names))
        for name, terms in cotangents.items():
            for atom, term in zip(parts(args[name]), parts(terms), strict=True):
                if isinstance(term, Term) and self.activity.varies(atom):
                    like = Term(atom, tape)
                    if isinstance(atom, Node):
                        made = {"tree": atom, "leaves": term}
                        if isinstance(term.arg, Value):
                            self.function.names[term.arg] = [f"d_{_last(atom.path)}"]
                        self._add(atom, self._emit("as_node", made, Value(TREE)))
                    else:
                        self._add(atom, settled(term, like).arg)

    def _call(self, call: Call) -> None:
        if call.pullback is None:
            return
        pullback = call.function.pullback
        assert pullback is not None
        own: dict[Value, Value] = {}
        for inside, outside in zip(
            parts(call.function.result), parts(call.result), strict=True
        ):
            own.setdefault(inside, outside)
        totals = [self._total(own[v]) for v in pullback.of]
        if all(d is None for d in totals):
            call.pullback = None
            assert call.function.plain is not None
            call.function = call.function.plain
            return
        pairs = zip(totals, pullback.of, strict=True)
        given = [d if d is not None else self._zeros(own[v]) for d, v in pairs]
        given_for = {inside: outside for outside, inside in passed(call)}
        atoms = [given_for[v] for v in pullback.outs]
        results = [
            Value(v.dtype, getattr(a, "shape", ()), getattr(a, "witness", ()))
            for v, a in zip(pullback.outs, atoms, strict=True)
        ]
        tree = None if not pullback.ps else Value(TREE)
        self.frame.tape.items.append(
            Pull(
                call.function, call.pullback, call.path, given, results, tree, call.line
            )
        )
        if tree is not None:
            star = call.path[-1:] == ("*",)
            self.function.names[tree] = ["d_ps" if star else f"d_{_last(call.path)}"]
        for atom, d in zip(atoms, results, strict=True):
            self._name(d, atom)
            if self.activity.varies(atom):
                self._add(atom, d)
        if tree is not None:
            self._add_leaf(call.path, Node(call.path, "ps"), tree)

    def _within(self, items: list[Item], seeds: list[tuple[Arg, Arg]]) -> _Frame:
        """Differentiate a block in a frame of its own, from cotangents `seeds`."""
        outer, self.frame = self.frame, _Frame()
        for atom, d in seeds:
            if self.activity.varies(atom):
                self._add(atom, d)
        self._block(items)
        inner, self.frame = self.frame, outer
        return inner

    def _escaping(self, frame: _Frame, items: list[Item]) -> list[Value]:
        """Values from outside `items` that its frame has cotangents of."""
        inside = {v for i in items_in(items) for v in outs_of(i)}
        inside |= {
            c[0] for i in items_in(items) if isinstance(i, Loop) for c in i.carried
        }
        return [v for v in frame.values if v not in inside]

    def _branch(self, branch: Branch) -> None:
        sides = (branch.training, branch.testing)
        totals = [
            (j, self._total(j[0])) for j in branch.joins if j[0] in self.activity.varied
        ]
        totals = [(j, d) for j, d in totals if d is not None]
        if not totals:
            return
        frames = [
            self._within(items, [(j[k + 1], d) for j, d in totals])
            for k, items in enumerate(sides)
        ]
        joins: list[tuple[Value, Arg, Arg]] = []
        values = dict.fromkeys(
            v for f, i in zip(frames, sides, strict=True) for v in self._escaping(f, i)
        )
        for value in values:
            joined = Value(value.dtype, value.shape, value.witness)
            found = [self._in_frame(f, value) for f in frames]
            joins.append((joined, *found))
            self._add(value, joined)
        self._join_leaves(branch, frames, joins)
        tapes = [f.tape.items for f in frames]
        back = Branch(tapes[0], tapes[1], joins, branch.outer, branch.condition)
        self.frame.tape.items.append(back)

    def _in_frame(self, frame: _Frame, value: Value) -> Arg:
        """The total for `value` in `frame`, zeros if there is none."""
        outer, self.frame = self.frame, frame
        total = self._total(value)
        result = total if total is not None else self._zeros(value)
        self.frame = outer
        return result

    def _join_leaves(
        self, branch: Branch, frames: list[_Frame], joins: list[tuple[Value, Arg, Arg]]
    ) -> None:
        """Cotangents of leaves that the sides found: one join for each path."""
        outer, found = self.frame, []
        for frame in frames:
            self.frame = frame
            found.append(self._leaves())
        likes = {p: e[0] for f in frames for p, e in f.leaves.items()}
        if branch.condition is not None:
            likes[branch.condition.path] = Node(branch.condition.path, "ps")
        paths = dict.fromkeys(p for totals in found for p in totals)
        if branch.condition is not None:
            child = branch.condition.path
            below = [p for p in paths if p[: len(child)] == child]
            paths |= dict.fromkeys([child] if below else [])
        top = [p for p in paths if not any(p[:k] in paths for k in range(len(p)))]
        for path in top:
            like = likes[path]
            leaf = isinstance(like, Leaf)
            joined = Value(like.dtype, like.shape, like.shape) if leaf else Value(TREE)
            self.function.names[joined] = [f"d_{_last(path)}"]
            values: list[Arg] = []
            absent = branch.condition is not None and (
                path[: len(branch.condition.path)] == branch.condition.path
            )
            for frame, totals in zip(frames, found, strict=True):
                self.frame = frame
                if path in totals:
                    values.append(totals[path])
                elif any(p[: len(path)] == path for p in totals):
                    inner = {
                        p[len(path) :]: d
                        for p, d in totals.items()
                        if p[: len(path)] == path
                    }
                    args = {"tree": Node(path, "ps"), "leaves": inner}
                    values.append(self._emit("grown", args, Value(TREE)))
                else:
                    values.append(None if absent else self._zeros(like))
            joins.append((joined, values[0], values[1]))
            self.frame = outer
            self._add_leaf(path, like, joined)
        self.frame = outer

    def _loop(self, loop: Loop) -> None:
        varied = [c for c in loop.carried if c[3] in self.activity.varied]
        totals = [(c, self._total(c[3])) for c in varied]
        if all(d is None for _, d in totals):
            return
        carried: list[tuple[Value, Arg, Arg, Value]] = []
        seeds, firsts = [], []
        for (inside, _, last, result), d in totals:
            like = last if isinstance(last, (Value, Leaf)) else inside
            within = Value(like.dtype, like.shape, like.witness)
            self._name(within, inside)
            first = d if d is not None else self._zeros(result)
            seeds.append((last, within))
            firsts.append((within, first))
        frame = self._within(loop.body, seeds)
        for ((inside, before, _, _), _), (within, first) in zip(
            totals, firsts, strict=True
        ):
            out = Value(inside.dtype, inside.shape, inside.witness)
            self._name(out, before)
            carried.append((within, first, self._in_frame(frame, inside), out))
            if self.activity.varies(before):
                self._add(before, out)
        insides = {c[0] for c in loop.carried}
        for value in self._escaping(frame, loop.body):
            if value not in insides:
                carried.append(
                    self._accumulated(frame, value, self._in_frame(frame, value))
                )
        outer, self.frame = self.frame, frame
        leaves = self._leaves()
        self.frame = outer
        star = (*loop.path, "*")
        own = {p[len(star) :]: d for p, d in leaves.items() if p[: len(star)] == star}
        for path, d in leaves.items():
            if path[: len(star)] != star:
                like = frame.leaves[path][0]
                carried.append(self._accumulated(frame, like, d))
        trees = Value(TREE) if own else None
        prune_block(frame.tape.items, [*own.values(), *(c[2] for c in carried)])
        saved, back = captured(loop, frame.tape.items, own, carried)
        for value, again in zip(saved, back, strict=True):
            names = self.function.names.get(value, [])
            self.function.names[again] = list(names)
        loop.saved = saved
        if saved:
            loop.tape = Value(TAPE)
            self.function.names[loop.tape] = ["tape"]
        if trees is not None:
            self.function.names[trees] = [f"d_{_last(loop.path)}"]
        self.frame.tape.items.append(
            Unwind(loop, loop.tape, back, frame.tape.items, carried, own, trees)
        )
        if trees is not None:
            path = (*loop.path, f"{loop.start}:{loop.stop}")
            gathered = self._emit("gathered", {"input": trees}, Value(TREE))
            self._add_leaf(path, Node(path, "ps"), gathered)

    def _accumulated(
        self, frame: _Frame, atom: Any, d: Arg
    ) -> tuple[Value, Arg, Arg, Value]:
        """A sum over the iterations, for what every one of them reads."""
        leaf = not isinstance(atom, Node)
        like = (atom.dtype, atom.shape, atom.witness) if leaf else (TREE,)
        inside, out = Value(*like), Value(*like)
        if leaf:
            total = (Term(inside, frame.tape) + Term(d, frame.tape)).arg
        else:
            args = {"input": inside, "other": d}
            total = Value(TREE)
            frame.tape.emit("add_trees", args, total)
        for value in (inside, out):
            self._name(value, atom)
        if isinstance(atom, Value):
            self._add(atom, out)
        else:
            self._add_leaf(atom.path, atom, out)
        return inside, self._zeros(atom), total, out


def _last(path: Path) -> str:
    """A name for what is at `path`: `layer1_0` for an element of a container."""
    named = [k for k, p in enumerate(path) if p != "*" and not p.isdigit()]
    rest = [p for p in (path[named[-1] :] if named else path) if p != "*"]
    return "_".join(rest) if named else f"n{'_'.join(rest)}"


def _overlaps(name: str, start: int, stop: int) -> bool:
    """Whether a child's name, or a range of children, is among start:stop."""
    bounds = [int(n) for n in name.split(":") if n.isdigit()]
    return bool(bounds) and bounds[0] < stop and bounds[-1] >= start


PULLBACK = "pullback"  # dtype of the function that a call with a pullback returns

__all__ = ["differentiate"]
