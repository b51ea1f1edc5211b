"""Texts as search knows them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.store.words import fold, pattern, places, words

ANY = st.text(max_size=60) | st.text("aé ßǄ①½ﬁ東京\u00ad\u200b\u0301İı한हिन्ทยЖж-_.@", max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe GRÖSSE grosse", ["grosse"] * 3),
        ("café cafe\u0301 CAFÉ", ["cafe"] * 3),
        ("Łódź Søren Đorđe Ægir ısı İzmir", ["lodz", "soren", "dorde", "aegir", "isi", "izmir"]),
        ("ﬁnal ① x² ½", ["final", "1", "x2", "1", "2"]),
        ("“hi”—there don’t re\u00adnew", ["hi", "there", "don", "t", "renew"]),
        ("kay@kestrel.example, 4711-B_7", ["kay", "kestrel", "example", "4711", "b", "7"]),
        ("東京都です 한국어", ["東", "京", "都", "て", "す", "한국어"]),
        ("Ольга ΣΊΣΥΦΟΣ σίσυφος", ["ольга", "σισυφοσ", "σισυφοσ"]),
        ("x" * 80, ["x" * 60]),
        (" \t…!", []),
    ],
)
def test_what_is_the_same_word(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(ANY)
def test_a_folded_text_says_the_same(text: str) -> None:
    folded = fold(text)
    assert words(folded) == words(text)
    assert re.findall(r"[0-9a-z\x80-\U0010ffff]+", folded.lower()) == [w for w in words(text) if len(w) < 60]


@given(ANY, ANY)
def test_a_word_is_found_where_it_stands(before: str, after: str) -> None:
    text = f"{before} Straße {after}"
    found = [text[begin:end] for begin, end in places(text, [pattern(["strasse"])])]
    assert "Straße" in found
    assert all(words(piece) == ["strasse"] for piece in found)
    assert places(text, [pattern(["str"], is_begun=True)])
    assert not pattern(["tras"]).search(fold("Straße").lower())
