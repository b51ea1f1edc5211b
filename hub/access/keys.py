"""Random values that open something: made here, given out once, kept as their SHA-256."""

import hashlib
import re
import secrets
import zlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CODE_SIGNS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is taken for another
_TOKEN = re.compile(r"ihub_([0-9A-Za-z]{8})_[0-9A-Za-z]{38}")


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_secret() -> str:
    """256 bits, as 43 signs that an address or a cookie takes."""
    return secrets.token_urlsafe(32)


def new_code() -> str:
    """A code to be typed: 125 bits, in five groups of five."""
    signs = "".join(secrets.choice(_CODE_SIGNS) for _ in range(25))
    return "-".join(signs[i : i + 5] for i in range(0, 25, 5))


def read_code(text: str) -> str:
    """The code as it was made, however it was typed."""
    signs = "".join(sign for sign in text.upper() if sign in _CODE_SIGNS)
    return "-".join(signs[i : i + 5] for i in range(0, len(signs), 5))


def new_token() -> tuple[str, str]:
    """(its id, the token): ihub_<id, 8>_<secret, 32><checksum, 6>. What scans code for leaked secrets knows the form."""
    number = "".join(secrets.choice(_DIGITS) for _ in range(8))
    start = f"ihub_{number}_" + "".join(secrets.choice(_DIGITS) for _ in range(32))
    return number, start + _checksum(start)


def read_token(text: str) -> str | None:
    """The id of a token; None for what is none, as its form and checksum say."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found and _checksum(text[:-6]) == text[-6:] else None


def _checksum(start: str) -> str:
    number, signs = zlib.crc32(start.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        signs = _DIGITS[digit] + signs
    return signs
