"""Train and eval traces merged into one program: a mode flag where they differ."""

from __future__ import annotations

from typing import Any

from luxgen.frontends.mode_regions import form, made_by, regions
from luxgen.frontends.records import Record, Scope
from luxgen.frontends.vocabulary import RANDOM_OPTION
from luxgen.ir.program import Branch, Guard, Op, Write, items_in
from luxgen.ir.values import (
    Arg,
    Dim,
    Either,
    Leaf,
    Node,
    Structure,
    Value,
    atoms,
    map_arg,
)

ALWAYS = "always"  # DropoutState kind of dropout that ignores the mode


_OFF_BY_DEFAULT = ("rrelu", "alpha_dropout", "feature_alpha_dropout")


def merge(train: Scope, test: Scope) -> Scope:
    """One scope tree for both modes; `train` is changed in place and returned."""
    merging = _Merge({})
    merging.pair(tuple(train.args.values()), tuple(test.args.values()))
    return merging.scope(train, test)


class _Merge:
    def __init__(self, twins: dict[Any, Any]) -> None:
        self.twins = twins  # value of the test run -> value of the train run
        self.homes: dict[Value, Branch] = {}  # what only one mode makes -> where
        self.tests: dict[Value, Arg] = {}  # a join -> what it is in testing

    def pair(self, train: Arg, test: Arg) -> None:
        for a, b in zip(atoms(train), atoms(test), strict=False):
            if isinstance(a, Value) and isinstance(b, Value):
                self.twins[b] = a

    def scope(self, train: Scope, test: Scope) -> Scope:
        self.path = train.path
        for key, names in test.names.items():
            train.names.setdefault(self.translate(key), names)
        merged: list[Record] = []
        for region in regions(train, test):
            if not region.same:
                self.branch(region.train, region.test, merged)
                continue
            for left, right in zip(region.train, region.test, strict=True):
                merged.append(self.item(left, right, merged))
                self.path = train.path
        if form(train.result) == form(test.result):
            train.result = self.arg(train.result, test.result, merged)
        else:
            train.result = self.either(train, test.result, merged)
        for key, names in test.names.items():
            train.names.setdefault(self.translate(key), names)
        train.items = merged
        return train

    def branch(self, train: list[Any], test: list[Any], before: list[Record]) -> Branch:
        """Steps that only one of the modes takes."""
        rest: list[Any] = [_translated(i, self) for i in test]
        branch = Branch(train, rest, outer=self.path)
        self.homes |= {v: branch for i in (*train, *rest) for v in made_by(i)}
        before.append(branch)
        return branch

    def item(self, train: Record, test: Record, before: list[Record]) -> Record:
        if isinstance(train, Scope) and isinstance(test, Scope):
            for name in train.args.keys() & test.args.keys():
                own = train.args[name]
                given = self.arg(own, test.args[name], before)
                if given is not own and any(a not in atoms(own) for a in atoms(given)):
                    train.given[name] = given
            outer = {
                v: self.twins[v]
                for v in atoms(tuple(test.args.values()))
                if isinstance(v, Value) and v in self.twins
            }
            self.pair(tuple(train.args.values()), tuple(test.args.values()))
            self.scope(train, test)
            self.twins |= outer  # inside, an argument is the callee's own value
            self.pair(train.result, test.result)
        elif isinstance(train, Op) and isinstance(test, Op):
            if test.state is not None and train.state is None:
                train.state, train.kind = test.state, test.kind
            option = RANDOM_OPTION.get(train.name, ("", None))[0]
            for name in sorted(train.args.keys() | test.args.keys()):
                if name == option:
                    continue
                if name == "training" and train.state is not None:
                    continue
                a, b = train.args.get(name), test.args.get(name)
                if a is None and b is None:
                    continue
                if name not in train.args or name not in test.args:
                    a = train.args.get(name, not b if isinstance(b, bool) else None)
                    b = test.args.get(name, not a if isinstance(a, bool) else None)
                train.args[name] = self.arg(a, b, before)
            self.mode_of_dropout(train, test)
            self.pair(train.result, test.result)
        elif isinstance(train, Write) and isinstance(test, Write):
            train.value = self.arg(train.value, test.value, before)
        return train

    def mode_of_dropout(self, train: Op, test: Op) -> None:
        """F.dropout(x, training=...) asks its state; one that is never off says so."""
        layer = train.owner == ".".join(train.state or ())
        if train.kind != "DropoutState" or layer:
            return
        default = train.name not in _OFF_BY_DEFAULT
        on = train.args.pop("training", default), test.args.get("training", default)
        option, off = RANDOM_OPTION.get(train.name, ("", None))
        if option:
            on = (train.args.get(option, off) != off, test.args.get(option, off) != off)
        if on == (True, True):
            train.kind = "AlwaysDropoutState"
        if on == (False, False):
            train.kind, train.state = "", None
            if train.name == "rrelu":
                return  # with the mean slope
            train.name, train.args = "identity", {"input": train.args["input"]}

    def translate(self, key: Any) -> Any:
        if isinstance(key, Value):
            return self.twins.get(key, key)
        if isinstance(key, Dim):
            args = tuple(self.translate(a) for a in key.args)
            return Dim(key.text, args, key.value, key.witness)
        return key

    def arg(self, a: Arg, b: Arg, before: list[Record]) -> Arg:
        """One argument for both modes; where they differ, a join or the mode flag."""
        if (
            isinstance(a, Structure)
            and isinstance(b, Structure)
            and len(a.fields) == len(b.fields)
        ):
            pairs = zip(a.fields, b.fields, strict=True)
            return Structure(
                a.name, tuple((k, self.arg(v, w, before)) for (k, v), (_, w) in pairs)
            )
        if type(a) in (tuple, list) and type(b) is type(a) and len(a) == len(b):
            return type(a)(self.arg(x, y, before) for x, y in zip(a, b, strict=True))
        if type(a) is dict and type(b) is dict and a.keys() == b.keys():
            return {k: self.arg(v, b[k], before) for k, v in a.items()}
        if isinstance(a, Dim) and isinstance(b, Dim) and a.text == b.text:
            pairs = zip(a.args, b.args, strict=True)
            args = tuple(self.arg(x, y, before) for x, y in pairs)
            return Dim(a.text, args, a.value, a.witness)
        b = map_arg(self.translate, b)
        if isinstance(a, (Leaf, Node, Value, Dim)) or isinstance(
            b, (Leaf, Node, Value, Dim)
        ):
            return a if a == b else self.join(a, b, before)
        if a == b or (a != a and b != b):
            return a
        flag = Leaf((*self.path, "training"), "st", "bool", ())
        if (a, b) == (True, False):
            return flag
        if (a, b) == (False, True):
            return Dim("not _0", (flag,), False)
        return Dim(
            "_0 if _1 else _2", (a, flag, b), a if isinstance(a, (int, float)) else 0
        )

    def join(self, a: Arg, b: Arg, before: list[Record]) -> Value:
        """A value that is `a` in training and `b` in testing, made by a branch before."""
        b = self.tests.get(b, b) if isinstance(b, Value) else b
        branch = self.home((a, b), before)
        for value, left, right in branch.joins:
            if left is a and right is b:
                return value
        like = a if isinstance(a, (Value, Leaf)) else b
        value = Value(like.dtype)
        if isinstance(like, (Value, Leaf)):
            value = Value(like.dtype, like.shape, like.witness)
        branch.joins.append((value, a, b))
        self.tests[value] = b
        if isinstance(b, Value):
            self.twins[b] = value
        return value

    def either(self, train: Scope, test: Arg, before: list[Record]) -> Value:
        """The model's result where its structure depends on the mode."""
        test = map_arg(self.translate, test)
        value = Either("", training=train.result, testing=test)
        self.home((train.result, test), before).joins.append(
            (value, train.result, test)
        )
        train.names[value] = ["result"]
        return value

    def home(self, sides: tuple[Arg, Arg], before: list[Record]) -> Branch:
        """The branch that made one of the sides, or one at the end of `before`."""
        homes = (self.homes.get(v) for v in atoms(sides) if isinstance(v, Value))
        branch = next((h for h in homes if h is not None), None)
        if branch is None and before and isinstance(before[-1], Branch):
            branch = before[-1]
        return branch or self.branch([], [], before)


def _translated(item: Record, merging: _Merge) -> Record:
    """A step of the test run alone, in terms of the train run's values."""
    if isinstance(item, Op):
        item.args = {k: map_arg(merging.translate, v) for k, v in item.args.items()}
    elif isinstance(item, Scope):
        item.args = {k: map_arg(merging.translate, v) for k, v in item.args.items()}
        item.items = [_translated(i, merging) for i in item.items]
        item.result = map_arg(merging.translate, item.result)
    elif isinstance(item, Write):
        item.value = map_arg(merging.translate, item.value)
    return item


__all__ = ["merge", "Guard", "items_in"]
