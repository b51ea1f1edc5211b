"""Bytes of a message part to text: transfer encodings, character sets, RFC 2047 words, RFC 2231 parameters.

Nothing here raises on bad input: what cannot be decoded as declared is decoded as best as possible. All
patterns are linear in their input.
"""

import binascii
import codecs
import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

# Names seen in mail that Python does not know, or knows as a narrower set than the senders meant.
_ALIASES = {
    "ascii": "cp1252", "us-ascii": "cp1252", "ansi_x3.4-1968": "cp1252", "iso-8859-1": "cp1252",
    "latin-1": "cp1252", "latin1": "cp1252", "iso8859-1": "cp1252", "iso_8859-1": "cp1252",
    "gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "ks_c_5601-1987": "cp949", "euc-kr": "cp949",
    "x-sjis": "cp932", "shift_jis": "cp932", "shift-jis": "cp932", "windows-31j": "cp932", "windows-874": "cp874",
    "iso-2022-jp": "iso2022_jp_ext", "unicode-1-1-utf-7": "utf-7", "unicode-1-1-utf-8": "utf-8",
    "iso-8859-8-i": "iso-8859-8", "iso-8859-8-e": "iso-8859-8", "iso-8859-6-i": "iso-8859-6",
    "x-mac-roman": "mac-roman", "macintosh": "mac-roman", "x-mac-cyrillic": "mac-cyrillic",
    "x-windows-1252": "cp1252", "ansi": "cp1252", "utf8mb4": "utf-8", "x-unicode-2-0-utf-8": "utf-8",
}  # fmt: skip
# Codecs that are no character sets: slow on purpose-made input, or decode escapes.
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_GUESS = ""


@lru_cache(maxsize=512)
def _codec(charset: str) -> str:
    """The Python codec for a declared charset, "" (guess) for an unknown one."""
    name = charset.strip(" \t\"'").lower()
    name = _ALIASES.get(name, name)
    try:
        info = codecs.lookup(name)
        b"".decode(name)
    except (LookupError, ValueError, UnicodeError):
        return _GUESS
    return _GUESS if info.name in _REFUSED else info.name


def decode_text(data: bytes, charset: str = "") -> str:
    """Text of `data`, declared as `charset` (may be empty, unknown or wrong). Never raises.

    A single-byte Latin declaration over bytes that are valid multi-byte UTF-8 is read as UTF-8: some senders
    mislabel, and some APIs hand out re-coded bodies under their old label.
    """
    if data.isascii() and b"\x1b" not in data and b"+" not in data and b"\x00" not in data:
        return data.decode("ascii")
    codec = _codec(charset[:60]) if charset else _GUESS
    if codec == _GUESS or codec == "cp1252":
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return _western(data)
    text = data.decode(codec, "replace")
    if codec in {"utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32"}:
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding. Broken base64 gives what can be read of it."""
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _uu(data)
    return data


def decoded_size(data: bytes, encoding: str) -> int:
    """Bytes that `decode_transfer` would give, without the work for well-formed base64."""
    if encoding == "base64":
        count = len(data) - sum(data.count(c) for c in (b"\n", b"\r", b" ", b"\t", b"="))
        return count * 3 // 4
    if encoding in {"quoted-printable", "x-uuencode", "uuencode", "x-uue", "uue"}:
        return len(decode_transfer(data, encoding))
    return len(data)


_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def _base64(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        clean = _NOT_BASE64.sub(b"", data)
        if len(clean) % 4 == 1:
            clean = clean[:-1]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def _uu(data: bytes) -> bytes:
    out = []
    inside = False
    for line in data.splitlines():
        if not inside:
            inside = line.startswith(b"begin ")
        elif line.strip() == b"end":
            break
        else:
            try:
                out.append(binascii.a2b_uu(line))
            except binascii.Error:
                # some encoders pad wrongly: the first character says how many bytes are meant
                length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
                try:
                    out.append(binascii.a2b_uu(line[:length]))
                except binascii.Error:
                    continue
    return b"".join(out)


_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\r\n]*)\?=")


def decode_words(value: str) -> str:
    """RFC 2047 encoded words to text. Neighbours of one charset are joined before decoding.

    A word that cannot be decoded stays as written. Control characters are not removed here.
    """
    if "=?" not in value:
        return value
    out: list[str] = []
    held = b""
    held_charset = ""
    end = 0
    for match in _WORD.finditer(value):
        between = value[end : match.start()]
        charset, encoding, text = match.groups()
        charset = charset.split("*", 1)[0].lower()
        data = _word_bytes(encoding, text)
        if data is None:
            continue
        if held and not between.strip() and charset == held_charset:
            held += data
        else:
            if held:
                out.append(decode_text(held, held_charset))
            if between.strip() or not end:
                out.append(between)
            held, held_charset = data, charset
        end = match.end()
    if held:
        out.append(decode_text(held, held_charset))
    out.append(value[end:])
    return "".join(out)


def _word_bytes(encoding: str, text: str) -> bytes | None:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return None


_PARAM = re.compile(r";\s*([^=;\s\"]{1,100})\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;]*)", re.S)
_MAX_PARAMETERS_CHARS = 8000
_ESCAPED = re.compile(r"\\(.)", re.S)


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A structured header value: its first token in lower case, and its parameters (RFC 2231 undone).

    >>> parameters('text/plain; charset="utf-8"')
    ('text/plain', {'charset': 'utf-8'})
    """
    value = value[:_MAX_PARAMETERS_CHARS]
    head, semicolon, _ = value.partition(";")
    token = head.strip().lower()
    if not semicolon:
        return token, {}
    plain: dict[str, str] = {}
    split: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAM.finditer(value, len(head)):
        name, text = match.group(1).lower(), match.group(2).strip()
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = _ESCAPED.sub(r"\1", text[1:-1])
        if "*" not in name:
            plain.setdefault(name, text)
            continue
        base, _, rest = name.partition("*")
        number = rest.rstrip("*")
        index = int(number) if number.isdecimal() and len(number) < 5 else 0
        split.setdefault(base, {}).setdefault(index, (text, rest.endswith("*") or not rest))
    for base, pieces in split.items():
        plain[base] = _rfc2231(pieces)
    return token, plain


def _rfc2231(pieces: dict[int, tuple[str, bool]]) -> str:
    charset = ""
    out: list[bytes] = []
    for index in sorted(pieces):
        text, is_encoded = pieces[index]
        if is_encoded:
            if not out and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            out.append(unquote_to_bytes(text))
        else:
            out.append(text.encode("utf-8", "replace"))
    return decode_text(b"".join(out), charset)
