"""Sending over SMTP (RFC 5321, RFC 6409). Blocking; run in a thread.

A 2xx after the data is acceptance, not delivery. Once the data has been handed over and no answer came, nobody knows:
that is said as `Transient(is_unknown=True)`, and nothing is sent again on that ground.
"""

import contextlib
import smtplib
import ssl
from email.message import EmailMessage

from hub.api import AuthError, HubError, RateLimited, RecordRejected, Transient
from hub_imap.errors import CROWDED_S, untrusted, words
from hub_imap.settings import ImapSettings
from hub_imap.wire import tls_context

NAME = "[127.0.0.1]"  # how we say hello: this machine's own name is nobody's business


def prove(settings: ImapSettings, token: str) -> None:
    """Connect, sign in, do nothing. Raises the hub's errors."""
    _closed(_opened(settings, token))


def send(settings: ImapSettings, token: str, mail: EmailMessage, recipients: list[str]) -> None:
    """Hand over one message to all its recipients. Bcc is taken out of what is sent.

    Raises RecordRejected when it is refused for good, by the server or for one recipient.
    """
    sender = str(mail["From"].addresses[0].addr_spec)
    outgoing = _without_bcc(mail)
    server = _opened(settings, token)
    is_handed_over = False
    try:
        code, text = server.mail(sender, _options(server, outgoing))
        _must_accept("MAIL", code, text)
        for recipient in recipients:
            code, text = server.rcpt(recipient)
            _must_accept("RCPT", code, text)
        is_handed_over = True
        code, text = server.data(outgoing)
        _must_accept("DATA", code, text)
    except smtplib.SMTPDataError as exc:  # refused before the data went out
        raise _refused("DATA", exc.smtp_code, exc.smtp_error) from None
    except (smtplib.SMTPServerDisconnected, OSError) as exc:
        what = f"the line to the SMTP server broke ({type(exc).__name__})"
        raise Transient(what, connector="imap", is_unknown=is_handed_over) from None
    finally:
        _closed(server)


def _without_bcc(mail: EmailMessage) -> bytes:
    bcc = mail["Bcc"]
    del mail["Bcc"]
    try:
        return mail.as_bytes()
    finally:
        if bcc is not None:
            mail["Bcc"] = bcc


def _options(server: smtplib.SMTP, data: bytes) -> list[str]:
    options = [f"SIZE={len(data)}"] if server.has_extn("size") else []
    return [*options, "BODY=8BITMIME"] if not data.isascii() and server.has_extn("8bitmime") else options


def _opened(s: ImapSettings, token: str) -> smtplib.SMTP:
    try:
        if s.smtp_security == "tls":
            context = tls_context(s.ca_file)
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                s.smtp_host, s.mail_port, NAME, timeout=s.timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(s.smtp_host, s.mail_port, NAME, timeout=s.timeout_s)
    except (smtplib.SMTPException, OSError) as exc:
        raise _of_connecting(exc) from None
    try:
        if s.smtp_security == "starttls":
            server.starttls(context=tls_context(s.ca_file))
        _sign_in(server, s, token)
    except smtplib.SMTPAuthenticationError as exc:
        server.close()
        if exc.smtp_code < 500:
            raise Transient("the SMTP server cannot sign us in now", connector="imap") from None
        raise AuthError("the SMTP server refuses the sign-in", connector="imap") from None
    except (smtplib.SMTPException, OSError) as exc:
        server.close()
        raise _of_connecting(exc) from None
    return server


def _sign_in(server: smtplib.SMTP, s: ImapSettings, token: str) -> None:
    server.ehlo_or_helo_if_needed()
    if not server.has_extn("auth"):
        if s.smtp_security == "plain":
            return  # a relay on this very machine
        raise AuthError("the SMTP server offers no sign-in on this line", connector="imap")
    server.user = s.sign_in_name
    if token:
        first = f"user={s.sign_in_name}\x01auth=Bearer {token}\x01\x01"
        server.auth("XOAUTH2", lambda challenge=None: "" if challenge else first)
    else:
        server.login(s.sign_in_name, s.password.get_secret_value())


def _of_connecting(exc: Exception) -> HubError:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return untrusted("SMTP")
    code = getattr(exc, "smtp_code", 0)
    if code == 421:
        return RateLimited("the SMTP server is busy", connector="imap", retry_after_s=CROWDED_S)
    return Transient(f"no line to the SMTP server ({type(exc).__name__})", connector="imap")


def _must_accept(command: str, code: int, text: bytes) -> None:
    if not 200 <= code < 300:
        raise _refused(command, code, text)


def _refused(command: str, code: int, text: bytes | str) -> HubError:
    said = words(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
    if 400 <= code < 500:
        return Transient(f"{command}: {code} {said}", connector="imap")
    return RecordRejected(f"{command}: {code} {said}", connector="imap")


def _closed(server: smtplib.SMTP) -> None:
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()
