"""Addresses, ids, dates and subjects out of headers, the hostile ones included."""

import time
from datetime import UTC, datetime

import pytest

from hub.api.mail import (
    addresses,
    date,
    date_and_zone,
    decode_text,
    decode_words,
    decoded,
    is_forward_subject,
    message_id,
    message_ids,
    normal_subject,
    parameters,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ann@example.com", [("", "ann@example.com")]),
        ("Ann Ash <ann@example.com>", [("Ann Ash", "ann@example.com")]),
        ('"Ash, Ann" <ann@example.com>, bob@example.org', [("Ash, Ann", "ann@example.com"), ("", "bob@example.org")]),
        ("ann@example.com (Ann Ash)", [("Ann Ash", "ann@example.com")]),
        ("=?utf-8?q?J=C3=B6rg_M?= <j@example.com>", [("Jörg M", "j@example.com")]),
        ("Team: ann@example.com, Bob <bob@example.org>;", [("", "ann@example.com"), ("Bob", "bob@example.org")]),
        ("undisclosed-recipients:;", []),
        ('"a"@b@c', []),
        ("", []),
        ("<>", []),
        ("nobody", []),
        ('"ceo@example.com" <evil@example.net>', [("", "evil@example.net")]),
        ("ann@example.com; bob@example.org", [("", "ann@example.com"), ("", "bob@example.org")]),
        ("<@relay.example:ann@example.com>", [("", "ann@example.com")]),
        ("Ann <ann(her box)@example.com>", [("Ann", "ann@example.com")]),
        ("=?utf-8?q?Ann_=3Cann=40example=2Ecom=3E?=", [("Ann", "ann@example.com")]),
        ('"Un closed <ann@example.com>', [("Un closed", "ann@example.com")]),
        ("Ann\r\n Ash <ann@\r\n example.com>", [("Ann Ash", "ann@example.com")]),
        ("=?utf-8?q?Ann=0D=0ABcc=3A_x?= <ann@example.com>", [("Ann Bcc: x", "ann@example.com")]),
    ],
)
def test_addresses(value: str, expected: list[tuple[str, str]]) -> None:
    assert addresses([value]) == expected


def test_addresses_are_capped() -> None:
    many = ", ".join(f"u{i}@example.com" for i in range(200_000))
    assert len(addresses([many])) == 2000


@pytest.mark.parametrize("bomb", ['"', "(", "<", '"\\"', "=?utf-8?q?", "a:", ",", "<a", "@"])
def test_address_bombs_are_linear(bomb: str) -> None:
    started = time.process_time()
    addresses([bomb * 100_000])
    assert time.process_time() - started < 2


def test_message_ids() -> None:
    assert message_ids("<a@x>\r\n <b@y> text") == ["a@x", "b@y"]
    assert message_ids("<a\r\n @x>") == ["a@x"]
    assert message_ids("CAbare@mail.example") == ["CAbare@mail.example"]
    assert message_ids("CAbare@mail.example", bare=False) == []
    assert message_ids("Message from Ann of Monday") == []
    assert message_ids("<a@x> c@z") == ["a@x"]
    assert len(message_ids("<a@b> " * 50_000)) == 1000


def test_own_message_id() -> None:
    assert message_id(" <Ab@X> ") == "Ab@X"
    assert message_id("<a b@x>") == "ab@x"
    assert message_id("no-brackets@x") == "no-brackets@x"
    assert message_id("") == ""
    assert message_id("<" + "a" * 5000 + ">").startswith("sha256-")


@pytest.mark.parametrize(
    ("value", "at", "zone"),
    [
        ("Mon, 1 Mar 2021 10:00:00 +0100", datetime(2021, 3, 1, 9, tzinfo=UTC), "+01:00"),
        ("1 Mar 2021 10:00:00 -0330 (NST)", datetime(2021, 3, 1, 13, 30, tzinfo=UTC), "-03:30"),
        ("Mon, 1 Mar 2021 10:00:00 -0000", datetime(2021, 3, 1, 10, tzinfo=UTC), ""),
        ("Mon, 1 Mar 2021 (a (nested) note) 10:00:00 GMT", datetime(2021, 3, 1, 10, tzinfo=UTC), "+00:00"),
        ("2021-03-01T10:00:00+02:00", datetime(2021, 3, 1, 8, tzinfo=UTC), "+02:00"),
        ("Mon, 31 Dec 1979 16:00:00 -0800 (PST)", None, ""),
        ("Sat, 1 Jan 10000 00:00:00 +0000", None, ""),
        ("Fri, 1 Jan 2099 00:00:00 +0000", None, ""),
        ("Mon, 1 Mar 2021 10:00:00 +9999", None, ""),
        ("Wed, 21 Aug 2002 20:31:57 -1600", None, ""),
        ("yesterday", None, ""),
        ("", None, ""),
        ("Mon, 99 Foo 2021 77:99:00", None, ""),
    ],
)
def test_dates(value: str, at: datetime | None, zone: str) -> None:
    assert date_and_zone(value) == (at, zone)
    assert date(value) == at


def test_decoded_is_one_safe_line() -> None:
    assert decoded("=?utf-8?q?a=0D=0ABcc:_evil@example.com?=") == "a Bcc: evil@example.com"
    assert decoded("file\u202egpj.exe") == "file gpj.exe"
    assert decoded("a\x00b\ud800c") == "a b c"
    assert len(decoded("x" * 100_000)) == 4000


def test_encoded_words() -> None:
    assert decode_words("=?utf-8?q?a?= =?utf-8?q?b?= c") == "ab c"
    assert decode_words("=?utf-8?b?w7w=?=") == "ü"
    assert decode_words("=?utf-8?b?w7w?=") == "ü"  # padding left out
    assert decode_words("=?utf-8?q?=C3?= =?utf-8?q?=BC?=") == "ü"  # a character cut in two
    assert decode_words("=?no-such-charset?q?caf=E9?=") == "café"
    assert decode_words("=?utf-8?b?!!!?=") in {"", "=?utf-8?b?!!!?="}
    assert decode_words("price =? really") == "price =? really"


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"plain", "", "plain"),
        ("ü".encode(), "utf-8", "ü"),
        ("ü".encode(), "", "ü"),
        (b"\xfc", "", "ü"),
        (b"\xfc\x93", "iso-8859-1", "ü“"),
        ("ü".encode(), "iso-8859-1", "ü"),  # mislabelled
        (b"\xfc", "x-nonsense", "ü"),
        (b"a+b", "punycode", "a+b"),
        ("漢".encode("gb18030"), "gb2312", "漢"),
        ("漢".encode("iso2022_jp"), "ISO-2022-JP", "漢"),
        (b"\xff\xfe", "utf-8", "\ufffd\ufffd"),
        (b"+2AA-", "utf-7", "?"),  # a lone surrogate
    ],
)
def test_charsets(data: bytes, charset: str, text: str) -> None:
    assert decode_text(data, charset) == text
    decode_text(data, charset).encode()


def test_parameters() -> None:
    assert parameters('TEXT/Plain; Charset="utf-8" ; format=flowed') == (
        "text/plain", {"charset": "utf-8", "format": "flowed"}
    )  # fmt: skip
    assert parameters("attachment; filename*=utf-8''%e2%82%ac.txt")[1] == {"filename": "€.txt"}
    split = "attachment; filename*0*=utf-8''a%20; filename*1=b; filename*2*=%C3%BC.txt"
    assert parameters(split)[1] == {"filename": "a bü.txt"}
    assert parameters("text/plain; name=my file.txt")[1] == {"name": "my file.txt"}
    assert parameters('a; x="say \\"hi\\""')[1] == {"x": 'say "hi"'}


def test_subjects() -> None:
    assert normal_subject("Re: [list] AW: Fwd: RE[2]: Hello  World") == "hello world"
    assert normal_subject("=?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=") == "grüße"
    assert normal_subject("Re: " * 500 + "x") == "x"
    assert normal_subject("Regarding: x") == "regarding: x"
    assert is_forward_subject("Fwd: x")
    assert is_forward_subject("WG: x")
    assert not is_forward_subject("Re: Fwd: x")
