from __future__ import annotations


class FormulaError(ValueError):
    """A text that is no formula.

    Attributes:
        message: States what is wrong and what would have been right.
        line: Line of the fault, from 1.
        column: Column of the fault, in characters from 1.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.message = message
        self.line = line
        self.column = column
