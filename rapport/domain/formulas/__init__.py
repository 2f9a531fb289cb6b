"""The formula language of computed values and scores: a text becomes a function of a candidate's fields.

A formula is parsed into a typed tree and compiled into closures once; evaluating it is a walk of Python calls and
executes no text. docs/formulas.md defines the language.
"""

from rapport.domain.formulas.errors import FormulaError
from rapport.domain.formulas.formula import Formula, compile_formula
from rapport.domain.formulas.printer import print_expression

__all__ = ["Formula", "FormulaError", "compile_formula", "print_expression"]
