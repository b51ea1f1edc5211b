"""Which passwords may be chosen, and how they are kept."""

import time
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access import Invalid, Passwords

CHEAP = Passwords(memory_kib=8, passes=1)
WHO = ("ana.silva@kestrel.example", "Ana Silva")


@pytest.mark.parametrize("good", [
    "four quiet otters row", "Tr0ub4dor&3xyz", "ääääñ ñandú über alles", "x7#kQ9!mZ2pL", "日本語のとても長い合言葉です",
    "my own kestrel flies at dawn",
    "  spaces count, too  ", "a" * 11 + "bcdef" * 9,
])  # fmt: skip
def test_good_ones(good: str) -> None:
    CHEAP.check(good, *WHO)


@pytest.mark.parametrize(("bad", "said"), [
    ("short", "has 5 characters.*at least 12"), ("", "has 0 characters"), ("x" * 11, "has 11"), ("ab1!" * 65, "at most 256"),
    ("e\u0301" * 600, "at most 256"), ("aaaaaaaaaaaaaaaa", "repeats itself"), ("abcabcabcabcab", "repeats itself"),
    ("password1234", "first that are tried"), ("P@ssw0rd2026", "first that are tried"), ("WelcomeAdmin1", "first that are tried"),
    ("correct horse battery staple", "first that are tried"), ("qwertyuiopas", "row of keys"), ("987654321098", "row of keys"),
    ("interaction-hub", "first that are tried"), ("ana.silva2026!", "own address or name"), ("kestrel-ana-99", "own address or name"),
    ("ana.silva@kestrel.example", "own address or name"), ("Silva, Ana 1987", "own address or name"),
    ("lone \ud800 surrogate", "no text"),
])  # fmt: skip
def test_bad_ones(bad: str, said: str) -> None:
    with pytest.raises(Invalid, match=f"password .*{said}") as caught:
        CHEAP.check(bad, *WHO)
    assert caught.value.field == "password"
    assert caught.value.fix
    assert not bad or bad not in str(caught.value)


def test_the_shipped_parameters_are_the_owasp_minimum_or_better() -> None:
    kept = Passwords().hash("four quiet otters row")
    assert kept.startswith("$argon2id$v=19$")
    parameters = dict(pair.split("=") for pair in kept.split("$")[3].split(","))
    memory, passes = int(parameters["m"]), int(parameters["t"])
    assert any(memory >= m and passes >= t for m, t in [(47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5)])
    assert len(kept) <= 256  # the column


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_only_the_password_itself_fits(chosen: str, other: str) -> None:
    import unicodedata

    kept = CHEAP.hash(chosen)
    assert CHEAP.fits(kept, chosen)
    assert CHEAP.fits(kept, unicodedata.normalize("NFD", chosen))  # another keyboard, the same letters
    assert CHEAP.fits(kept, other) == (unicodedata.normalize("NFKC", chosen) == unicodedata.normalize("NFKC", other))
    assert not CHEAP.fits(None, chosen)


def test_nonsense_does_not_fit_and_does_not_break() -> None:
    kept = CHEAP.hash("four quiet otters row")
    for odd in ("", "\ud800", "x" * 100_000, "\0"):
        assert not CHEAP.fits(kept, odd)
    for broken in ("", "plain text", "$argon2id$v=19$m=8,t=1,p=1$AAAA", "$2b$12$abcdefghijklmnopqrstuv"):
        assert not CHEAP.fits(broken, "four quiet otters row")


def test_a_hash_of_other_parameters_is_outdated_and_still_fits() -> None:
    other = Passwords(memory_kib=16, passes=1)
    kept = CHEAP.hash("four quiet otters row")
    assert other.is_outdated(kept)
    assert not CHEAP.is_outdated(kept)
    assert other.fits(kept, "four quiet otters row")


def test_no_account_costs_as_much_as_a_wrong_password() -> None:
    passwords = Passwords(memory_kib=8192, passes=2)
    kept = passwords.hash("four quiet otters row")

    def cpu(of: str | None) -> float:
        before = time.process_time()
        passwords.fits(of, "something else")
        return time.process_time() - before

    wrong, nobody = (median(cpu(of) for _ in range(7)) for of in (kept, None))
    assert 0.5 < nobody / wrong < 2
