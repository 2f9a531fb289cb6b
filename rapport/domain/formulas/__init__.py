"""The language of computed values and score formulas: text in, a function of a candidate's fields out.

A formula is parsed into a typed tree and compiled into closures once; evaluating it is a walk of Python calls and
executes no text. docs/formulas.md says what the language means.
"""

from rapport.domain.formulas.errors import FormulaError
from rapport.domain.formulas.formula import Formula, compile_formula
from rapport.domain.formulas.printer import print_expression

__all__ = ["Formula", "FormulaError", "compile_formula", "print_expression"]
