"""TOML syntax errors in plain words: the parser's place, what people usually did, and how to mend it."""

import re
import tomllib

from hub.settings.problems import Problem

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PAIR = re.compile(r"""\s*([A-Za-z0-9_.\-"']+)\s*=\s*(.*?)\s*$""")


def syntax_problem(file: str, text: str, error: Exception) -> Problem:
    """The Problem for a TOMLDecodeError of `text` (or a RecursionError: nested too deeply).

    The text itself is never repeated beyond a key's name: the line may hold a secret.
    """
    lines = text.splitlines() or [""]
    if not isinstance(error, tomllib.TOMLDecodeError):
        return Problem(file, "", "the file is nested too deeply to be read", "take the nesting out")
    found = _AT.search(str(error))
    is_at_end = found is None or found[1] is None
    line, column = (len(lines), len(lines[-1]) + 1) if is_at_end else (int(found[1]), int(found[2]))  # type: ignore[index]
    reason = _AT.sub("", str(error))
    said_line = lines[line - 1] if line <= len(lines) else ""
    message, fix = _words(reason, said_line, lines[: line - 1], is_at_end)
    return Problem(f"{file}:{line}:{column}", "", message, fix, line, column)


def _words(reason: str, line: str, before: list[str], is_at_end: bool) -> tuple[str, str]:
    pair = _PAIR.match(line)
    key = pair[1] if pair else ""
    value = pair[2] if pair else ""
    if reason == "Cannot overwrite a value" and line.lstrip().startswith("["):
        return f"{line.strip()} cannot be a section: it has a value already", "rename the section, or remove the value"
    if reason == "Cannot overwrite a value" and key:
        first = next((n for n, other in enumerate(before, 1) if _same_key(other, key)), 0)
        where = f", first on line {first}" if first else ""
        return f"{key} is set twice{where}", "keep one of the two lines"
    if reason.startswith("Cannot declare"):
        first = next((n for n, other in enumerate(before, 1) if other.strip() == line.strip()), 0)
        where = f", first on line {first}" if first else ""
        return f"the section {line.strip()} appears twice{where}", "put its keys into one section"
    if reason == "Invalid value" and key and re.match(r"[^\W\d]", value) and not value.startswith("'"):
        return f"the value of {key} is a text without quotes", f'write it in quotes: {key} = "..."'
    if reason == "Invalid value" and key and not value:
        return f"{key} has no value", f'write one after the "=", such as {key} = "...", or remove the line'
    is_cut = is_at_end and reason.startswith(("Expected '", 'Expected "', "Unterminated"))
    if is_cut or "Illegal character '\\n'" in reason:
        return "a text is not closed", "put the missing quote at its end"
    if reason == "Unclosed array":
        return "a list is not closed", 'put the missing "]" at its end'
    if "Unescaped '\\'" in reason or "hex" in reason.lower():
        return "a backslash in double quotes begins an escape", r"use single quotes: 'C:\mail\archive.mbox'"
    if "at the end of a table declaration" in reason or reason.startswith("Expected ']"):
        return 'a section name is not closed by "]"', "write it as [section] on a line of its own"
    if reason.startswith("Expected newline or end of document"):
        return "there is something more behind the value", "put each setting on a line of its own, and text in quotes"
    if reason == "Invalid statement" or reason.startswith("Expected '=' after"):
        return "this is neither a [section] nor key = value", 'write key = value, or "#" before a comment'
    return f"this is not valid TOML: {reason[:1].lower()}{reason[1:]}", "correct this line"


def _same_key(line: str, key: str) -> bool:
    pair = _PAIR.match(line)
    return bool(pair) and pair[1] == key  # type: ignore[index]
