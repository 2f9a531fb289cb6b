"""Parser of formulas: text becomes a syntax tree."""

from __future__ import annotations

import difflib
import math
import re
from functools import cache
from typing import Final, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken, v_args

from rapport.domain.formulas.expressions import (
    Binary,
    Call,
    Conditional,
    Expression,
    Name,
    Negative,
    Not,
    Null,
    Number,
    Operator,
    Text,
    Truth,
)
from rapport.domain.formulas.functions import FUNCTIONS
from rapport.domain.formulas.grammar import ESCAPES, GRAMMAR
from rapport.domain.formulas.syntax_faults import explain_characters, explain_token, make_error

_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_SAME: Final = {"&&": "and", "||": "or"}


def parse(text: str) -> Expression:
    """Parse a text into a syntax tree of any size.

    Raises:
        FormulaError: The text is no formula.
    """
    try:
        return cast("Expression", _make_parser().parse(text))
    except UnexpectedToken as error:
        raise explain_token(text, error) from error
    except UnexpectedCharacters as error:
        raise explain_characters(text, error) from error


@cache
def _make_parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", transformer=_Builder())


@v_args(inline=True)
class _Builder(Transformer[Token, Expression]):
    """Builds expressions while the parser reads, so that deep texts cost no recursion."""

    def number(self, token: Token) -> Expression:
        value = float(token)
        if math.isinf(value):
            raise make_error(token, "this number is too large; the largest is about 1.8e308")
        return Number(value)

    def text(self, token: Token) -> Expression:
        def meaning(match: re.Match[str]) -> str:
            escape = match[1]
            if len(escape) > 1:
                return chr(int(escape[1:], 16))
            if escape not in ESCAPES:
                known = ", ".join(f"\\{letter}" for letter in ESCAPES)
                raise make_error(
                    token, f"\\{escape} means nothing in a text; write {known} or \\uXXXX", match.start() + 1
                )
            return ESCAPES[escape]

        return Text(_ESCAPE.sub(meaning, token[1:-1]))

    def true(self, _token: Token) -> Expression:
        return Truth(True)

    def false(self, _token: Token) -> Expression:
        return Truth(False)

    def null(self, _token: Token) -> Expression:
        return Null()

    def name(self, token: Token) -> Expression:
        return Name(str(token))

    def quoted_name(self, token: Token) -> Expression:
        return Name(token[1:-1])

    def negative(self, _minus: Token, operand: Expression) -> Expression:
        return Negative(operand)

    def negated(self, _not: Token, operand: Expression) -> Expression:
        return Not(operand)

    def binary(self, left: Expression, token: Token, right: Expression) -> Expression:
        return Binary(cast("Operator", _SAME.get(token, str(token))), left, right)

    def conditional(self, condition: Expression, then: Expression, otherwise: Expression) -> Expression:
        return Conditional(condition, then, otherwise)

    def call(self, token: Token, *arguments: Expression | None) -> Expression:
        name = str(token)
        given = tuple(argument for argument in arguments if argument is not None)
        function = FUNCTIONS.get(name)
        if function is None:
            close = difflib.get_close_matches(name.lower(), FUNCTIONS, n=1)
            right = f"did you mean {close[0]}?" if close else f"there are {', '.join(FUNCTIONS)}"
            raise make_error(token, f"there is no function {name}; {right}")
        if not function.takes(len(given)):
            raise make_error(token, f"{name} takes {function.arity}, not {len(given)}: {function.usage}")
        if name == "if":
            return Conditional(given[0], given[1], given[2] if len(given) > 2 else Null())
        return Call(name, given)
