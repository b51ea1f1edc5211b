"""What an IMAP server's refusals mean for the hub.

In: a tagged NO or BAD, a BYE, or a line that broke. Out: one of `hub.api.errors`. Source: response codes of RFC 5530,
RFC 3501 and RFC 7162, and the wording of servers that give none. Only a refusal's own short text is passed on; what
stands around it on the line may be mail.
"""

import imaplib
import re
import ssl

from imapclient.exceptions import LoginError  # type: ignore[import-untyped]

from hub.api import AuthError, ConfigError, ContractBroken, Gone, HubError, RateLimited, ScopeError, Transient

SLOW_DOWN_S = 10.0
CROWDED_S = 30.0
QUOTA_S = 3600.0

_CODE = re.compile(r"\[([A-Z][A-Z0-9-]*)[^\]]{0,200}\]")
_CROWDED = re.compile(r"too many|maximum number of connections|simultaneous|connection limit", re.I)
_SLOW = re.compile(r"throttl|rate limit|slow down|bandwidth|too fast", re.I)
_FOR_NOW = re.compile(
    r"temporar|try again|unavailable|internal error|shutting down|restart|timed? ?out|server busy|backend", re.I
)
_ABSENT = re.compile(
    r"doesn.?t exist|does not exist|no such (?:mailbox|folder)|unknown mailbox|mailbox not found", re.I
)
_WORDS = re.compile(r"[^\x20-\x7e]+")

_AUTH = {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "CONTACTADMIN", "WEBALERT"}
_BUSY = {"INUSE", "UNAVAILABLE", "SERVERBUG", "CORRUPTION", "LIMIT", "THROTTLED", "CLOSED"}
_MISSING = {"NONEXISTENT", "TRYCREATE"}


def of_refusal(text: str, command: str) -> HubError:
    """The error for a tagged NO. text: what the server says, its response code included."""
    code = code_of(text)
    said = f"{command}: {words(text)}"
    is_sign_in = command in {"LOGIN", "AUTHENTICATE"}
    if code == "PRIVACYREQUIRED":
        return ConfigError(f"security: the server wants an encrypted line ({said})")
    if code == "OVERQUOTA" and command == "APPEND":
        return ConfigError(f"the mailbox is full: nothing can be written to it ({said})")
    if code in _AUTH:
        return AuthError(f"sign-in is refused, renew the password or connect again ({said})")
    if pressed := _pressed(code, text, said):
        return pressed
    if code in {"NOPERM", "ACL"}:
        return ScopeError(f"a right is missing ({said})")
    if code in _MISSING or _ABSENT.search(text):
        return Gone(f"not on the server ({said})")
    if code in _BUSY or _FOR_NOW.search(text):
        return Transient(f"the server cannot now ({said})")
    if is_sign_in:
        return AuthError(f"sign-in is refused, renew the password or connect again ({said})")
    return ContractBroken(f"the server refused ({said})")


def of_break(exc: BaseException, command: str) -> HubError:
    """The error for whatever imaplib and the socket raise. The outcome of `command` is unknown unless it said NO."""
    if isinstance(exc, LoginError) and isinstance(exc.__context__, imaplib.IMAP4.error):
        exc = exc.__context__  # imapclient calls a line that broke during the sign-in a failed sign-in
        if not isinstance(exc, imaplib.IMAP4.abort) and not _is_bad(str(exc)):
            return of_refusal(_tail(str(exc)), command)
    if isinstance(exc, imaplib.IMAP4.abort):
        return _of_bye(str(exc), command)
    if isinstance(exc, imaplib.IMAP4.readonly):
        return ScopeError(f"{command}: the folder may only be read")
    if isinstance(exc, imaplib.IMAP4.error):
        text = str(exc)
        if _is_bad(text):
            return ContractBroken(f"{command}: the server did not understand")
        return of_refusal(_tail(text), command)
    if isinstance(exc, ssl.SSLCertVerificationError):
        return untrusted("IMAP")
    if isinstance(exc, TimeoutError):
        return Transient(f"{command}: no answer in time", is_unknown=True)
    if isinstance(exc, OSError):
        name = type(exc).__name__
        return Transient(f"{command}: the line broke ({name})", is_unknown=command != "CONNECT")
    return ContractBroken(f"{command}: the server's answer is not IMAP ({type(exc).__name__})")


def untrusted(server: str) -> ConfigError:
    """Somebody else answers, or a server with a certificate of its own: trying again does not help."""
    return ConfigError(f"ca_file: the {server} server's certificate is not trusted; mend `host` or name its issuer")


def _of_bye(text: str, command: str) -> HubError:
    """imaplib's abort: a BYE or a broken line. It may quote what it read, so none of it is repeated."""
    code = code_of(text)
    if pressed := _pressed(code, text, f"{command}: the server said goodbye"):
        return pressed
    if "unexpected response" in text:
        return ContractBroken(f"{command}: the server's answer is not IMAP")
    return Transient(f"{command}: the server hung up", is_unknown=command != "CONNECT")


def _pressed(code: str, text: str, said: str) -> RateLimited | None:
    if code == "OVERQUOTA":
        return RateLimited(f"the provider's quota is spent ({said})", retry_after_s=QUOTA_S)
    if _CROWDED.search(text):
        return RateLimited(f"too many connections to this mailbox ({said})", retry_after_s=CROWDED_S)
    if _SLOW.search(text) or code in {"LIMIT", "THROTTLED"}:
        return RateLimited(f"the server asks for patience ({said})", retry_after_s=SLOW_DOWN_S)
    return None


def code_of(text: str) -> str:
    """The response code of a server's text, upper case, "" for none."""
    found = _CODE.search(text[:400].upper())
    return found[1] if found else ""


def words(text: str) -> str:
    """A server's own words, short and printable."""
    return _WORDS.sub(" ", text).strip()[:160]


def _is_bad(text: str) -> bool:
    """imaplib's words for a tagged BAD."""
    return " command error: BAD " in text[:60]


def _tail(text: str) -> str:
    """imapclient writes "fetch failed: <the server's words>", imaplib "FETCH command error: BAD [b'...']"."""
    if text.startswith(("b'", 'b"')):  # bytes that went through str()
        text = text[2:-1]
    head, found, tail = text.partition(" failed: ")
    return tail if found and len(head) < 40 else text
