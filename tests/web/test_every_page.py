"""What holds for every route there is: strangers are sent to sign in, forms bring a token, pages hold the policy's promises."""

import re
from collections.abc import Iterator

import pytest
from pages import Site
from starlette.routing import Route

OPEN = {"/sign-in", "/sign-in/code", "/sign-in/with/{provider}", "/sign-in/with/{provider}/back"}


def routes(site: Site, method: str) -> Iterator[str]:
    for route in site.app.app.routes:  # type: ignore[attr-defined]
        if isinstance(route, Route) and method in (route.methods or ()):
            yield route.path


def filled(path: str) -> str:
    """A path with something in the place of its names."""
    return re.sub(r"\{\w+(:int)?\}", lambda m: "1" if m[1] else "nothing", path)


def test_a_stranger_sees_the_sign_in_and_nothing_else(site: Site) -> None:
    stranger = site.stranger()
    for path in routes(site, "GET"):
        answer = stranger.get(filled(path))
        if path not in OPEN:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in"), path
    for path in routes(site, "POST"):
        if path not in OPEN:
            assert site.stranger().post(filled(path)).headers["location"] == "/sign-in", path


def test_a_form_without_its_token_does_nothing(site: Site) -> None:
    browser = site.client()
    for path in routes(site, "POST"):
        for form, headers in (({"csrf": ""}, {}), ({}, {"origin": "https://evil.example"})):
            assert browser.post(filled(path), form, **headers).status_code == 403, path


def test_nothing_on_a_page_runs_that_the_policy_forbids(site: Site) -> None:
    """Also what a page says of things that are not there; 500 is no answer."""
    browser = site.client()
    for path in routes(site, "GET"):
        if path in OPEN:
            continue
        answer = browser.get(filled(path))
        assert answer.status_code < 500, (path, answer.status_code)
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", answer.text), path
            assert len(answer.content) < 150_000, path
            assert answer.text.count("<h1") == 1 or path.endswith("/text"), path


@pytest.mark.parametrize(
    "query",
    [
        "?before=%00&limit=-1&after=1e9&since=x&q=%F0%9F%92%A5&a=%22&b=%27&state=x&page=0",
        f"?before={'9' * 40}&after=-1&week=x",
    ],
)
def test_odd_questions_have_an_answer(site: Site, query: str) -> None:
    browser = site.client()
    for path in routes(site, "GET"):
        assert browser.get(filled(path) + query).status_code < 500, path
