"""Clients that read contact profiles as XML or CSV, by the documented rules."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import msgspec

PERSON: Final = "profile."


class RefusedError(ValueError):
    """The document declares entities."""


def read_xml(text: bytes) -> tuple[str, Any]:
    """The root element's name and its value; documents with a DTD are refused."""
    root = _parse(text)
    return root.tag, _value(root)


def read_csv(text: bytes) -> list[dict[str, Any]]:
    """One entity a row."""
    header, *rows = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
    entities = []
    for row in rows:
        entity: dict[str, Any] = {"profile": {}}
        for name, cell in zip(map(_without_apostrophes, header), row, strict=True):
            if cell:
                home = entity["profile"] if name.startswith(PERSON) else entity
                home[name.removeprefix(PERSON)] = _cell(cell)
        entities.append(entity)
    return entities


def _parse(text: bytes) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_arguments: Any) -> None:
        raise RefusedError

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(text, True)
    return builder.close()


def _value(element: Element) -> Any:
    text = element.text or ""
    match element.get("type"):
        case None:
            return text
        case "null":
            return None
        case "boolean" | "number" | "json":
            return json.loads(text)
        case "array":
            return [_value(item) for item in element]
        case "object":
            return {
                child.get("name", "") if child.tag == "field" and "name" in child.attrib else child.tag: _value(child)
                for child in element
            }
        case other:
            raise ValueError(other)


def _without_apostrophes(cell: str) -> str:
    """A cell without the apostrophes that keep spreadsheets from reading formulas."""
    parts, end = [], 0
    cell = cell.removeprefix("'")
    for run in re.finditer(r"[;|\s\x00-\x1f\"'\u200b-\u200f\u2060\ufeff]+", cell):
        is_before_sign = cell.startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"), run.end())
        if is_before_sign and run[0].endswith("'") and (run.start() == 0 or re.search(r"[;|\t\r\n]", run[0])):
            parts.append(cell[end : run.end() - 1])
            end = run.end()
    return "".join([*parts, cell[end:]])


def _cell(cell: str) -> Any:
    cell = _without_apostrophes(cell)
    try:
        return msgspec.json.decode(cell)
    except msgspec.DecodeError:
        return cell
