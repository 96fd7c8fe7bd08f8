"""Rules of LU factors and of torch's older triangular solution."""

from __future__ import annotations

from luxgen.targets.numpy.rules.op import Op, Refused, Rule, helper


def pivoted(op: Op, call: str) -> str:
    """`call` of a matrix whose rows are swapped: torch's only form on the CPU, too."""
    if not op.const("pivot", True):
        raise Refused(f"{op.name} without pivoting", "leave out pivot=False")
    return call


def lu(op: Op) -> str:
    name = "lu_factor_ex" if op.const("get_infos", False) else "lu_factor"
    return pivoted(op, f"{name}(A)")


def right_side(op: Op, name: str, matrix: str) -> str:
    """NumPy 1 takes a right side with one dim less for vectors."""
    return f"{name}[None]" if op.ndim(name) == op.ndim(matrix) - 1 else name


def linalg_lu_solve(op: Op) -> str:
    """From the right it is from the left for the conjugate transposes."""
    left, adjoint = op.const("left", True), op.const("adjoint", False)
    turned = ".swapaxes(-1, -2)"
    if op.dtype("B").startswith("complex"):
        turned += ".conj()"
    b = right_side(op, "B", "LU")
    option = ", transposed=True" if adjoint == left else ""
    if left:
        return f"lu_solve({b}, LU, pivots{option})"
    return f"lu_solve({b}{turned}, LU, pivots{option}){turned}"


def lu_solve(op: Op) -> str:
    b = right_side(op, "input", "LU_data")
    return f"lu_solve({b}, LU_data, LU_pivots)"


def triangular_solve(op: Op) -> str:
    text = helper(op)
    b = right_side(op, "input", "A")
    return text.replace("(input", f"({b}", 1)


RULES: dict[str, Rule] = {
    "lu": lu,
    "linalg_lu": lambda op: pivoted(op, "lu_unpack(*lu_factor(A))"),
    "linalg_lu_factor": lambda op: pivoted(op, "lu_factor(A)"),
    "linalg_lu_factor_ex": lambda op: pivoted(op, "lu_factor_ex(A)"),
    "lu_unpack": lambda op: helper(op, x="LU_data", pivots="LU_pivots"),
    "lu_solve": lu_solve,
    "linalg_lu_solve": linalg_lu_solve,
    "triangular_solve": triangular_solve,
}
