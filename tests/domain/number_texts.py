"""Texts that are numbers, and texts that only look like numbers."""

from __future__ import annotations

NUMBERS = {"12": 12, "-0.5": -0.5, "+7": 7, ".5": 0.5, "5.": 5, "1e-3": 0.001, "007": 7, "  12 ": 12, "9" * 40: 1e40}
TEXTS = (
    "1_000", "1,000", "\uff11\uff12", "\u0661", "\xa07", "7\u202f", "0x10", "nan", "inf", "-Infinity", "1e400", "", " ",
    "12\n", "\t12", "1.2.3", "--1", "1e", "1 000", "\u00b2", "true", "9" * 5_000, "1e99999",
)  # fmt: skip
