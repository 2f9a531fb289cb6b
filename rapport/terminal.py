"""Output of untrusted text on a terminal, with control characters escaped.

Names, details and dead letters come from producers and callers. Printed as they are, their escape sequences would move
the cursor, set the title or hide lines, characters that turn the direction of text would disguise one text as
another, and ``[/x]`` would be markup. So all output goes through this module (``tests/architecture`` checks it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

if TYPE_CHECKING:
    from rich.text import Text

_LAYOUT: Final = frozenset("\n\t")


def visible(text: str) -> str:
    r"""Escape the invisible characters of a text: ``\x1b`` stands for an escape; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in _LAYOUT else _escape(character) for character in text
    )


def echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print a text, and a line break unless ``nl`` is false."""
    click.echo(visible(text), nl=nl, err=err)


def echo_row(*cells: str) -> None:
    """Print one line of cells with tabs between them; no cell can fake another cell or line."""
    click.echo(
        "\t".join(
            "".join(character if character.isprintable() else _escape(character) for character in cell)
            for cell in cells
        )
    )


def make_console(*, stderr: bool = False, markup: bool = False, soft_wrap: bool = False) -> Console:
    """Make a console that prints texts as they are; set ``markup`` only to print your own texts."""
    return _VisibleConsole(stderr=stderr, markup=markup, emoji=False, highlight=False, soft_wrap=soft_wrap)


class _VisibleConsole(Console):
    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - handed on
        return super().render_str(visible(text), **options)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
