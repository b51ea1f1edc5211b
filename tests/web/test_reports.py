"""Reports as pages: every one of the catalogue, its form, its chart, its file, and who may."""

import re

import pytest
from pages import HOSTILE, Site, text_of

from hub import reports
from hub.api import Identifier, Organization


@pytest.mark.parametrize("name", reports.REPORTS)
def test_every_report_has_a_page_a_form_and_a_file(site: Site, name: str) -> None:
    browser, report = site.client("viewer"), reports.REPORTS[name]
    page = browser.get(f"/reports/{name}")
    assert page.status_code == 200, text_of(page)
    assert len(page.content) < 150_000
    assert report.sentence in text_of(page)
    assert all(line in text_of(page) for line in report.left_out)
    for parameter in report.parameters:
        assert re.search(rf'<(input|select) id="p-{parameter.name}" name="{parameter.name}"', page.text), parameter.name
    assert not re.search(r"<style|<[^>]*\s(style|on[a-z]+)=|<script(?! type=\"module\" src=)", page.text)
    file = browser.get(f"/reports/{name}.csv")
    assert file.headers["content-type"].startswith("text/csv")
    assert file.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    assert file.text.removeprefix("\ufeff").splitlines()[0] == ",".join(c.name for c in report.columns)
    assert f'href="/reports/{name}"' in browser.get("/reports").text


def test_what_is_asked_for_is_in_the_form_and_in_the_file(site: Site) -> None:
    browser, kay = site.client(), site.party("Kay Hill")
    page = browser.get(f"/reports/volume?account={kay}&top=1")
    assert 'role="img"' in page.text  # the chart
    assert page.text.count(f'href="/customers/{kay}"') == 1  # one week, one channel
    assert f'value="{kay}"' in page.text
    assert f'href="/reports/volume.csv?account={kay}&amp;top=1"' in page.text
    assert browser.get(f"/reports/volume.csv?account={kay}&top=1").text.count(kay) == 1
    assert "Fresh as of 2026-11-02" in text_of(page)


def test_what_does_not_fit_is_said_on_the_page(site: Site) -> None:
    for query, told in (
        ("days=0", "Days does not fit"), ("days=x%22%3E", "a whole number from 1 to 3650"), ("nonsense=1", "has no such parameter"),
        ("who=nobody", "one of known, all"),
    ):  # fmt: skip
        page = site.client().get(f"/reports/activity?{query}")
        assert page.status_code == 422, query
        assert told in text_of(page)
        assert "Activity coverage" in text_of(page)
    assert 'value="x&#34;&gt;"' in site.client().get("/reports/activity?days=x%22%3E").text
    assert site.client().get("/reports/nothing").status_code == 404


def test_two_that_belong_together_are_on_one_page(site: Site) -> None:
    page = site.client().get("/reports/activity")
    assert "Capture coverage" in text_of(page)
    ids = re.findall(r'\bid="([^"]+)"', page.text)
    assert len(ids) == len(set(ids))


def test_names_from_outside_are_text(own_site: Site) -> None:
    domain = Identifier("domain", "kestrel.example")
    own_site.world.vendors["desk"].put(
        "parties", "o1", Organization(external_id="o1", identifiers=(domain,), name=HOSTILE)
    )
    own_site.world.sync("desk")
    page = own_site.client().get("/reports/activity")
    assert HOSTILE not in page.text
    assert "&lt;script&gt;alert(" in page.text


def test_the_first_day(empty_site: Site) -> None:
    browser = empty_site.client()
    for name, report in reports.REPORTS.items():
        page = text_of(browser.get(f"/reports/{name}"))
        assert "Nothing to show" in page, name
        assert report.empty in page
    assert "Nothing is connected yet" in text_of(browser.get("/reports/volume"))
