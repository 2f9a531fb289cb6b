"""Grammar of formulas, from the loosest operator to the tightest."""

from __future__ import annotations

from typing import Final

KEYWORDS: Final = frozenset({"and", "or", "not", "true", "false", "null"})
ESCAPES: Final = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "r": "\r", "t": "\t"}
"""Meaning of the letter after a backslash in a text; ``\\uXXXX`` is a character by its code."""

GRAMMAR: Final = r"""
?start: conditional

?conditional: disjunction
    | disjunction "?" conditional ":" conditional

?disjunction: conjunction
    | disjunction OR conjunction -> binary

?conjunction: negation
    | conjunction AND negation -> binary

?negation: comparison
    | NOT negation -> negated

?comparison: sum
    | sum COMPARISON sum -> binary

?sum: product
    | sum (PLUS | MINUS) product -> binary

?product: unary
    | product FACTOR unary -> binary

?unary: value
    | MINUS unary -> negative
    | BANG unary -> negated

?value: NUMBER -> number
    | TEXT -> text
    | TRUE -> true
    | FALSE -> false
    | NULL -> null
    | NAME -> name
    | QUOTED_NAME -> quoted_name
    | "(" conditional ")"
    | FUNCTION "(" [conditional ("," conditional)*] ")" -> call

OR.3: /\|\||or(?![\w.])/
AND.3: /&&|and(?![\w.])/
NOT.3: /not(?![\w.])/
TRUE.3: /true(?![\w.])/
FALSE.3: /false(?![\w.])/
NULL.3: /null(?![\w.])/
COMPARISON: /[=!<>]=|[<>]/
PLUS: "+"
MINUS: "-"
BANG: "!"
FACTOR: /[*\/%]/
FUNCTION.2: /(?!(?:and|or|not|true|false|null)(?![\w.]))[^\W\d]\w*(?=\s*\()/
NAME: /(?!(?:and|or|not|true|false|null)(?![\w.]))[^\W\d]\w*(?:\.\w+)*/
QUOTED_NAME: /`[^`\r\n]+`/
NUMBER: /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])/
TEXT: /"(?:[^"\\\r\n]|\\[^\r\n])*"|'(?:[^'\\\r\n]|\\[^\r\n])*'/

%ignore /\s+/
"""
