"""HTML to text."""

import time

import pytest

from hub.api.mail import clean_text, html_to_text, unflow


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One</p><p>Two<br>Three</p>", "One\n\nTwo\nThree"),
        ("<div>One</div><div><br></div><div>Two</div>", "One\n\nTwo"),
        ("a &amp; b&nbsp;&lt;c&gt; &#x41;&#0;", "a & b <c> A\ufffd"),
        ("x<script>alert('<b>')</script>y<style>p{}</style><!-- c --><title>t</title>z", "xyz"),
        ('<a href="https://example.com/x">here</a>', "here <https://example.com/x>"),
        ('<a href="https://example.com/">https://example.com</a>', "https://example.com"),
        ('<a href="mailto:ann@example.com">ann@example.com</a>', "ann@example.com"),
        ('<a href="javascript:x()">click</a>', "click"),
        ("<blockquote>q1<blockquote>q2</blockquote></blockquote>new", "> q1\n> > q2\nnew"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>a\n  b</pre>c", "a\n  b\nc"),
        ("<p style='display:none'>no</p>yes<span hidden>no</span>", "yes"),
        ("<div style='display:none'>never closed", "never closed"),
        ("<style>never closed", "never closed"),
        ("a < b and c > d", "a < b and c > d"),
        ('<img src="https://example.com/pixel.gif"><img alt="Logo" src="cid:1">', "[Logo]"),
        ("one\n   two<b>three</b>", "one twothree"),
        ("<o:p>&nbsp;</o:p>word", "word"),
        ("<div>a<hr>b</div>", f"a\n{'_' * 32}\nb"),
        ("<p onclick='a>b' title=\"x>y\">t</p>", "t"),
        ("", ""),
    ],
)
def test_html_to_text(markup: str, text: str) -> None:
    assert html_to_text(markup).strip() == text


@pytest.mark.parametrize("tag", ["div", "blockquote", "b", "table><tr><td", "ul><li", "p style='display:none'"])
def test_deep_nesting_keeps_the_text(tag: str) -> None:
    started = time.process_time()
    assert html_to_text(f"<{tag}>" * 25_000 + "deep").endswith("deep")
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "bomb",
    ["<", "<a ", '<a "', "<a '\"", "<!--", "<style>", "<!", "&#", "<a href='http://x.example'>", "</", "<p> </p>"],
)
def test_html_bombs_are_linear(bomb: str) -> None:
    started = time.process_time()
    html_to_text(bomb * 30_000)
    assert time.process_time() - started < 3


def test_clean_text() -> None:
    assert clean_text("a\r\nb\rc\x00\x07\td\xa0e\ud800") == "a\nb\nc\td e"
    assert clean_text("it\x92s \x80 5\x81") == "it’s € 5"


def test_unflow() -> None:
    assert unflow("a \nb\nc") == "a b\nc"
    assert unflow("a \nb", delete_space=True) == "ab"
    assert unflow(" >not a quote\n>> x \n>> y\n-- \nsig \nend") == ">not a quote\n>> x y\n-- \nsig end"
