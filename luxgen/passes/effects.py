"""What each function reads and changes: `ps`, `st`, new state.

function f { dropout(x, st.drop) }  ->  f reads st, f updates
"""

from __future__ import annotations

from luxgen.ir.program import Branch, Call, Function, Op, Write, args_of, items_in
from luxgen.ir.values import Leaf, Node, atoms


def mark(function: Function) -> None:
    """Set reads_ps, reads_st and updates; its callees are marked already."""
    function.reads_ps = function.reads_st = function.updates = False
    for item in items_in(function.body):
        for arg in args_of(item):
            if isinstance(arg, (Leaf, Node)):
                _reads(function, arg.kind)
        if isinstance(item, (Op, Write)):
            changes = isinstance(item, Write) or item.state is not None
            function.updates |= changes
            function.reads_st |= changes
        elif isinstance(item, Call):
            function.reads_ps |= item.function.reads_ps
            function.reads_st |= item.function.reads_st
            function.updates |= item.function.updates
        elif isinstance(item, Branch):
            kinds = ("st",) if item.condition is None else item.condition.kinds
            for kind in kinds:
                _reads(function, kind)
    for arg in atoms(function.result):
        if isinstance(arg, (Leaf, Node)):
            _reads(function, arg.kind)


def _reads(function: Function, kind: str) -> None:
    if kind == "ps":
        function.reads_ps = True
    else:
        function.reads_st = True
