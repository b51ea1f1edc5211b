"""Cutting a multipart request body into its parts, byte for byte."""

import re
from itertools import pairwise
from typing import NamedTuple

from hub_gmail.emulator.errors import malformed

_BOUNDARY = re.compile(r'multipart/\w+\s*;.*?boundary=(?:"([^"]+)"|([^\s;]+))', re.I | re.S)
_BLANK = re.compile(rb"\r?\n\r?\n")


class Part(NamedTuple):
    """headers: lower-case names."""

    headers: dict[str, str]
    content: bytes


def split(content_type: str, body: bytes) -> list[Part]:
    """The parts. Raises Refused (400) without a boundary, without parts or without the closing delimiter."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise malformed("Failed to parse batch request, error: Missing or malformed boundary in Content-Type")
    # A delimiter starts a line; what stands before the first and after the closing one is no part.
    name = re.escape((found[1] or found[2]).encode())
    marks = list(re.compile(rb"(?:\A|\r?\n)--" + name + rb"(--)?[ \t]*(?:\r?\n|\Z)").finditer(body))
    pieces = [body[a.end() : b.start()] for a, b in pairwise(marks) if not a[1]]
    if not pieces or not marks[-1][1]:
        raise malformed("Failed to parse batch request, error: The body has no parts or is not closed")
    return [Part(fields(head), content) for head, content in map(cut, pieces)]


def cut(data: bytes) -> tuple[bytes, bytes]:
    """(header block, content) at the first blank line."""
    found = _BLANK.search(data)
    return (data[: found.start()], data[found.end() :]) if found else (data, b"")


def fields(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in lines}
