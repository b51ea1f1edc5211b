"""Passwords: which may be chosen, and how they are kept (argon2id).

Rules after NIST SP 800-63B: length and not being guessable, no rules of composition, no expiry. Parameters at least the
OWASP minimum; a hash made with other ones is replaced at the next sign-in.
"""

import re
import secrets
import threading
import unicodedata
from typing import Any

from hub.access.errors import Invalid

SHORTEST, LONGEST = 12, 256
_READ = 4 * LONGEST  # signs that are looked at, before several become one
_TRIED_FIRST = """
password passw passwort motdepasse contrasena senha parola qwerty qwertz azerty letmein welcome willkommen bonjour hello
iloveyou dragon monkey football baseball superman batman princess sunshine shadow master trustno admin administrator root
login guest secret changeme default test testing temp temporary abc asdf asdfgh asdfghjkl zxcvbn zxcvbnm qazwsx
qwertyuiop qwertzuiop summer winter spring autumn company interactionhub ihub customer customers nopassword mypassword
thepassword correcthorsebatterystaple
"""
_ROWS = (
    "0123456789012345678901234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
)
_LOOKS_LIKE = str.maketrans("013457@$!", "oieastasi")
_ONLY_COMMON = re.compile(f"({'|'.join(_TRIED_FIRST.split())})+")
_AT_ONCE = threading.BoundedSemaphore(4)  # each takes its memory; more at once would be a way to take all of it


class Passwords:
    """memory_kib, passes, lanes: argon2id's parameters. Tests take cheaper ones."""

    def __init__(self, memory_kib: int = 47_104, passes: int = 2, lanes: int = 1) -> None:
        self._memory_kib, self._passes, self._lanes = memory_kib, passes, lanes
        self._made: Any = None
        nobody = f"m={memory_kib},t={passes},p={lanes}$" + "A" * 22 + "$" + "A" * 43
        self._nobody = f"$argon2id$v=19${nobody}"  # the same work as a real one, and no password fits it

    @property
    def _hasher(self) -> Any:
        if self._made is None:
            from argon2 import PasswordHasher, Type  # no command that does not need it waits for it

            self._made = PasswordHasher(
                self._passes, self._memory_kib, self._lanes, hash_len=32, salt_len=16, type=Type.ID
            )
        return self._made

    def hash(self, password: str) -> str:
        with _AT_ONCE:
            return str(self._hasher.hash(_plain(password)))

    def fits(self, kept: str | None, password: str) -> bool:
        """Whether it is the password that was kept; as much work where none was."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            given = _plain(password[:_READ])
        except UnicodeEncodeError:
            given = secrets.token_bytes(16)
        with _AT_ONCE:
            try:
                return bool(self._hasher.verify(kept or self._nobody, given)) and kept is not None
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made with other parameters than are used now."""
        return bool(self._hasher.check_needs_rehash(kept))

    def check(self, password: str, email: str, name: str) -> None:
        """Raises Invalid for one that may not be chosen."""
        text = unicodedata.normalize("NFKC", password)
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise Invalid("holds signs that are no text", field="password", fix="choose another") from exc
        if len(text) < SHORTEST:
            raise Invalid(
                f"has {len(text)} characters", field="password", fix=f"take at least {SHORTEST}, such as four words"
            )
        if len(text) > LONGEST or len(password) > _READ:
            raise Invalid(f"has {len(text)} characters", field="password", fix=f"take at most {LONGEST}")
        if reason := _guessable(text.casefold(), email, name):
            raise Invalid(
                reason,
                field="password",
                fix="choose another, such as four words that have nothing to do with each other",
            )


def _plain(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode()


def _guessable(text: str, email: str, name: str) -> str:
    """Why it would be guessed, going on after "password"; "" for one that would not."""
    if re.fullmatch(r"(.{1,4}?)\1+.{0,3}", text, re.DOTALL):
        return "repeats itself"
    if any(text in row or text in row[::-1] for row in _ROWS):
        return "is a row of keys, letters or numbers"
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text)
    both = (text, bare, text.translate(_LOOKS_LIKE), bare.translate(_LOOKS_LIKE))
    if any(_ONLY_COMMON.fullmatch(re.sub(r"[\W_]", "", spelling)) for spelling in both):
        return "is one of the first that are tried"
    letters = re.sub(r"[\W_]", "", text)
    local, _, domain = email.casefold().partition("@")
    parts = (email, local, domain, domain.partition(".")[0], name, *re.split(r"\W+", f"{local} {name}"))
    known = {own for own in (re.sub(r"[\W_]", "", part.casefold()) for part in parts) if len(own) > 2}
    rest = letters
    for own in sorted(known, key=len, reverse=True):
        rest = rest.replace(own, "")
    if len(rest) < len(letters) and len(rest.strip("0123456789")) < 4:
        return "is the account's own address or name"
    return ""
