"""A volume formula: arithmetic over named inputs, exact, and nothing else that Python can do.

`leader_lots * min(1, equity / leader_equity)` is parsed once into nodes we know; names, numbers, + - * / and min, max.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from cmam.domain.profiles.reading import number

CHARACTERS_MAX = 300
DEPTH_MAX = 30
BITS_MAX = 4_000
"""A value that needs more digits than this is no volume."""

NAMES = (
    "leader_lots",
    "leader_units",
    "leader_balance",
    "leader_equity",
    "leader_free_margin",
    "balance",
    "equity",
    "free_margin",
    "price",
    "lot_units",
)
"""What a formula may name: money in the follower's currency, price and lot of the follower's symbol."""


class BadFormula(ValueError):
    """A formula that cannot be: says what was found."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was checked, with the inputs it names."""

    text: str
    names: tuple[str, ...]

    def value(self, inputs: Mapping[str, Fraction]) -> Fraction | None:
        """Its value in lots, or None where it divides by zero or grows out of all measure."""
        try:
            return _value(ast.parse(self.text, mode="eval").body, inputs)
        except (ZeroDivisionError, KeyError, OverflowError):
            return None

    @property
    def has_no_value(self) -> bool:
        """Whether it divides by a zero that stands there as numbers: then it has no value, whatever its inputs are."""
        return any(
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_zero(node.right)
            for node in ast.walk(ast.parse(self.text, mode="eval"))
        )


def _is_zero(node: ast.expr) -> bool:
    """Whether an expression without names is zero."""
    try:
        return _value(node, {}) == 0
    except (ZeroDivisionError, KeyError, OverflowError):
        return False


def formula(text: str) -> Formula:
    """Check a formula; raises BadFormula."""
    clean = text.strip()
    if len(clean) > CHARACTERS_MAX:
        raise BadFormula(f"more than {CHARACTERS_MAX} characters")
    try:
        body = ast.parse(clean, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise BadFormula("no arithmetic expression") from error
    names: list[str] = []
    _check(body, names, 0)
    return Formula(clean, tuple(sorted(set(names))))


def _check(node: ast.expr, names: list[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise BadFormula("nested too deeply")
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            try:
                _constant(node)
            except ValueError as error:
                raise BadFormula("a number of more than 15 digits before the point or 12 after it") from error
        case ast.Name(id=name) if name in NAMES:
            names.append(name)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
            _check(node.left, names, depth + 1)
            _check(node.right, names, depth + 1)
        case ast.UnaryOp(op=ast.USub()):
            _check(node.operand, names, depth + 1)
        case ast.Call(func=ast.Name(id="min" | "max"), args=[_, *_], keywords=[]):
            for argument in node.args:
                _check(argument, names, depth + 1)
        case _:
            raise BadFormula(f"{ast.unparse(node)[:60]!r} is not allowed")


def _value(node: ast.expr, inputs: Mapping[str, Fraction]) -> Fraction:
    match node:
        case ast.Constant():
            return _constant(node)
        case ast.Name():
            return inputs[node.id]
        case ast.UnaryOp():
            return -_value(node.operand, inputs)
        case ast.BinOp():
            return _bounded(_operate(node.op, _value(node.left, inputs), _value(node.right, inputs)))
        case ast.Call(func=ast.Name(id=name)):
            values = [_value(argument, inputs) for argument in node.args]
            return min(values) if name == "min" else max(values)
        case _:
            raise KeyError(type(node).__name__)


def _constant(node: ast.Constant) -> Fraction:
    """A number as it was written: what Python would show as 1e-05 is 0.00001; raises ValueError beyond all measure."""
    return number(format(Decimal(ast.unparse(node)), "f"))


def _operate(operator: ast.operator, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case _:
            return left / right


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() > BITS_MAX or value.denominator.bit_length() > BITS_MAX:
        raise OverflowError
    return value
