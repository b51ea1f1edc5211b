"""One call to receivers that do not behave."""

import asyncio
import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from receiving import Receiver

from hub.api import Clock, FakeClock
from hub.hooks import Answer, Sender
from hub.hooks.sender import KEPT, redacted

NOW = dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC)


def post(url: str, *, timeout_s: float = 5.0, hide: tuple[str, ...] = (), **kwargs: Any) -> Answer:
    async def work() -> Answer:
        sender = Sender(kwargs.pop("clock", FakeClock(NOW)), timeout_s=timeout_s, **{"allow_loopback": True, **kwargs})
        try:
            return await sender.post(url, b"{}", {"webhook-id": "evt_1"}, hide)
        finally:
            await sender.aclose()

    return asyncio.run(work())


def test_a_receiver_that_takes_it(receiver: Receiver) -> None:
    receiver.answer = lambda _: (202, {}, b"thanks")
    answer = post(receiver.url)
    assert (answer.is_ok, answer.status, answer.text, answer.error) == (True, 202, "thanks", "")
    headers, body = receiver.got[0]
    assert body == b"{}"
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == "evt_1"
    assert headers["host"] == receiver.url.removeprefix("http://").removesuffix("/in")
    assert headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: (status, {"location": receiver.url}, b"")
    answer = post(receiver.url)
    assert (answer.is_ok, answer.status, answer.error) == (False, status, "a redirect, which is not followed")
    assert len(receiver.got) == 1


def test_a_redirect_to_the_metadata_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = lambda _: (302, {"location": "http://169.254.169.254/latest/meta-data/"}, b"")
    assert post(receiver.url).error == "a redirect, which is not followed"


def test_one_that_stalls_costs_no_more_than_the_time_allowed(receiver: Receiver) -> None:
    enough = threading.Event()
    receiver.answer = lambda _: 200 if enough.wait(5) else 500
    answer = post(receiver.url, timeout_s=0.2, clock=Clock())
    enough.set()
    assert (answer.status, answer.error) == (None, "no answer in 0.2 s")
    assert 150 <= answer.ms < 3000


def test_one_that_answers_without_end_is_heard_no_further(receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, {"content-length": "500000000"}, b"words and more words " * 20_000)
    answer = post(receiver.url)
    assert answer.is_ok
    assert answer.text.startswith("words and more words")
    assert len(answer.text) <= KEPT


def test_one_that_is_not_there() -> None:
    answer = post("http://127.0.0.1:9/in")
    assert answer.status is None
    assert answer.error.startswith("no connection")


def test_one_that_hangs_up(receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, {"content-length": "100", "connection": "close"}, b"half")
    answer = post(receiver.url)
    assert answer.status is None
    assert answer.error.startswith("cut off")


def test_a_name_that_leads_inside_is_never_connected_to(receiver: Receiver) -> None:
    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    port = receiver.url.rpartition(":")[2].removesuffix("/in")
    answer = post(f"https://hooks.example:{port}/in", allow_loopback=False, resolver=inside)
    assert answer.error.startswith("refused: 127.0.0.1 is not a public address")
    assert receiver.got == []


@pytest.mark.parametrize(("given", "seconds"), [
    ("120", 120.0), ("0", 0.0), ("1e9", 86400.0), ("Mon, 02 Nov 2026 10:00:00 GMT", 3600.0), ("-1", None), ("nan", None),
    ("inf", None), ("soon", None), ("", None), ("Mon, 99 Nov 2026 10:00:00 GMT", None), ("Mon, 02 Nov 2020 10:00:00 GMT", None),
])  # fmt: skip
def test_when_to_come_again(receiver: Receiver, given: str, seconds: float | None) -> None:
    receiver.answer = lambda _: (503, {"retry-after": given}, b"")
    assert post(receiver.url).retry_after_s == seconds


def test_what_is_kept_of_an_answer_holds_no_secret(receiver: Receiver) -> None:
    mine = "whsec_bm90IGEgc2VjcmV0IG9mIGFueWJvZHk="
    told = f'{mine} Bearer abcdefgh "token": "s3cr3tvalue" ana@kestrel.example {"a1" * 30} \x1b[31mred\x00 ok'
    receiver.answer = lambda _: (400, {}, told.encode() + b"\xff")
    text = post(receiver.url, hide=(mine,)).text
    for secret in (mine, "abcdefgh", "s3cr3tvalue", "ana@kestrel", "a1a1a1a1", "\x1b", "\x00"):
        assert secret not in text
    assert "ok" in text
    assert redacted("plain words, nothing else") == "plain words, nothing else"


# --- over TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, ssl.SSLContext, list[str]]]:
    """A receiver that is hooks.example, and who trusts it; names asked for in TLS, and in Host."""
    key, folder = ec.generate_private_key(ec.SECP256R1()), tmp_path_factory.mktemp("tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
        .not_valid_after(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, private = made.public_bytes(serialization.Encoding.PEM), folder / "key.pem"
    (folder / "cert.pem").write_bytes(pem)
    private.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(str(self.headers["host"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:  # a caller that does not trust it
            pass

    context = _serving(folder / "cert.pem", private, asked)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_port, ssl.create_default_context(cadata=pem.decode()), asked
        server.shutdown()


def _serving(cert: Path, key: Path, asked: list[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.sni_callback = lambda sock, name, _: asked.append(f"tls {name}")
    return context


def here(host: str, port: int):
    async def ask() -> list[str]:
        return ["127.0.0.1"]

    return ask()


def test_the_address_is_pinned_and_the_name_is_proven(secure: tuple[int, ssl.SSLContext, list[str]]) -> None:
    port, trust, asked = secure
    asked.clear()
    assert post(f"https://hooks.example:{port}/in", resolver=here, tls=trust).status == 204
    assert asked == ["tls hooks.example", f"hooks.example:{port}"]


def test_a_certificate_of_another_name_is_not_believed(secure: tuple[int, ssl.SSLContext, list[str]]) -> None:
    port, trust, asked = secure
    asked.clear()
    answer = post(f"https://other.example:{port}/in", resolver=here, tls=trust)
    assert answer.status is None
    assert "certificate" in answer.error.lower()
    assert asked == ["tls other.example"]  # and nothing was sent
    assert post(f"https://hooks.example:{port}/in", resolver=here).status is None  # by nobody we know
