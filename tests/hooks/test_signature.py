"""Signatures as the Standard Webhooks specification has them."""

import base64
import hashlib
import hmac

import pytest

from hub.hooks import signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


def test_the_vector_of_the_specification() -> None:
    assert signature.headers([SECRET], MESSAGE, AT, BODY) == {
        "webhook-id": MESSAGE, "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip


def test_a_secret_without_its_prefix_is_the_same_secret() -> None:
    assert signature.headers([SECRET.removeprefix("whsec_")], MESSAGE, AT, BODY) == signature.headers(
        [SECRET], MESSAGE, AT, BODY
    )


def test_each_live_secret_signs() -> None:
    other = signature.new_secret()
    both = signature.headers([other, SECRET], MESSAGE, AT, BODY)["webhook-signature"].split(" ")
    alone = [signature.headers([s], MESSAGE, AT, BODY)["webhook-signature"] for s in (other, SECRET)]
    assert both == alone


def test_new_secrets_are_as_long_as_the_specification_asks_and_never_the_same() -> None:
    made = {signature.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(base64.b64decode(s.removeprefix("whsec_"), validate=True)) for s in made} == {32}


@pytest.mark.parametrize("message", ["msg_1.1614265330", ".", "a.b"])
def test_an_id_with_a_dot_is_refused(message: str) -> None:
    """Else id `A.<time>` with one body would carry the signature of id `A` with another."""
    with pytest.raises(ValueError, match="dots"):
        signature.headers([SECRET], message, AT, BODY)


def test_no_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="secret"):
        signature.headers([], MESSAGE, AT, BODY)


def test_a_secret_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="base64"):
        signature.headers(["whsec_not base64!"], MESSAGE, AT, BODY)


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As a receiver does it, by the specification's words."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mine = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(mine, given) for given in headers["webhook-signature"].split(" "))


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp"])
def test_whatever_is_changed_on_the_way_is_noticed(change: str) -> None:
    secret = signature.new_secret()
    headers, body = signature.headers([secret], MESSAGE, AT, BODY), BODY
    assert verified(secret, headers, body)
    if change == "body":
        body += b" "
    else:
        headers[change] += "0"
    assert not verified(secret, headers, body)
