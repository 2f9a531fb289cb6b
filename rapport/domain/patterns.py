"""Users' patterns, in RE2's dialect: a search takes time linear in the text and the pattern.

Python's own engine backtracks: ``^(a|a)*$`` takes years over 60 letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import re2

MAX_LENGTH: Final = 200
MAX_SIZE: Final = 3_000
"""Most instructions of a compiled pattern; a search takes at most that many steps per character."""
MAX_TEXT: Final = 1_000
"""Characters of a value that are searched; the rest is ignored."""
_MAX_BYTES: Final = 512 * 1024
"""Memory of a compiled pattern with its cache of states."""


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Compiled pattern."""

    text: str
    _compiled: Any

    def is_in(self, text: str) -> bool:
        """Say whether the pattern occurs in the first 1,000 characters of a text."""
        try:
            return self._compiled.search(text[:MAX_TEXT]) is not None
        except UnicodeEncodeError:  # half a character: JSON can say it, UTF-8 cannot
            return self._compiled.search(text[:MAX_TEXT].encode(errors="replace").decode()) is not None


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern.

    Raises:
        PatternError: It is too long, no pattern of the dialect, or too large.
    """
    if len(text) > MAX_LENGTH:
        raise PatternError(f"a pattern has at most {MAX_LENGTH} characters, not {len(text)}")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_BYTES
    try:
        compiled = re2.compile(text, options)
    except UnicodeEncodeError:
        raise PatternError(f"{text!r} has half a character in it") from None
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        if "too large" in why:
            raise _make_size_error(text) from error
        raise PatternError(
            f"{text!r} is no pattern of RE2 (https://github.com/google/re2/wiki/Syntax), "
            f"which has no look-around and no back-references: {why}"
        ) from error
    if compiled._regexp.ProgramSize() > MAX_SIZE:  # noqa: SLF001 - the wrapper does not offer it
        raise _make_size_error(text)
    return Pattern(text, compiled)


def _make_size_error(text: str) -> PatternError:
    return PatternError(f"{text!r} is too large: repeat less often than its {{n,m}} say, or smaller groups")
