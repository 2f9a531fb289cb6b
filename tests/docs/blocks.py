"""Commands in documents: their text, the statuses they promise, and the shape of their answers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BLOCK: Final = re.compile(r"^```bash\n(.*?)^```(?:\s*^```json\n(.*?)^```)?", re.DOTALL | re.MULTILINE)
_STATUS: Final = re.compile(r"#\s(\d{3})\s*$", re.MULTILINE)
_PATH: Final = re.compile(r"\$RAPPORT_URL(/[^\"?\s]*)")
_METHOD: Final = re.compile(r"\s-X (\w+)")
_DATA: Final = re.compile(r"\s(-d|--data-binary) ")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands.

    Attributes:
        script: Its text.
        answer: The JSON block that follows immediately: the shape of the last answer. Empty if there is none.
    """

    script: str
    answer: str

    @property
    def statuses(self) -> list[int | None]:
        """List the status that each curl announces by ``# 409`` behind it; None: any success."""
        found = [_STATUS.search(command) for command in self._curls]
        return [int(match.group(1)) if match else None for match in found]

    @property
    def requests(self) -> list[tuple[str, str]]:
        """List method and path of each curl to Rapport's API."""
        found = []
        for command in self._curls:
            if (path := _PATH.search(command)) is not None:
                method = _METHOD.search(command)
                found.append((method.group(1) if method else "POST" if _DATA.search(command) else "GET", path.group(1)))
        return found

    @property
    def _curls(self) -> list[str]:
        return re.split(r"\bcurl(?= )", self.script)[1:]


def bash_blocks(page: Path) -> list[Block]:
    """List the blocks of a page, in order."""
    return [Block(script, answer or "") for script, answer in _BLOCK.findall(page.read_text("utf-8"))]


def last_json(text: str) -> Any:
    """Parse the last of several consecutive JSON values."""
    decoder, value, position = json.JSONDecoder(), None, 0
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        while position < len(text) and text[position].isspace():
            position += 1
    return value


def differences(documented: object, actual: object, place: str = "$") -> Iterator[str]:
    """List the documented fields that an answer lacks or has with another type; null may stand for anything."""
    if documented is None or actual is None:
        return
    if isinstance(documented, dict) and isinstance(actual, dict):
        for name, value in documented.items():
            if name in actual:
                yield from differences(value, actual[name], f"{place}.{name}")
            else:
                yield f"{place}.{name} is missing"
    elif isinstance(documented, list) and isinstance(actual, list):
        yield from _first_difference(documented, actual, place)
    elif _kind(documented) is not _kind(actual):
        yield f"{place} is {actual!r}, documented as {documented!r}"


def _first_difference(documented: Sequence[object], actual: Sequence[object], place: str) -> Iterator[str]:
    if documented and not actual:
        yield f"{place} is empty"
    elif documented:
        yield from differences(documented[0], actual[0], f"{place}[0]")


def _kind(value: object) -> type:
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
