"""`ihub search`: entries by their words."""

from hub.demo import Company


def test_entries_are_found_by_their_words(synced, company: Company) -> None:
    words = company.hero.last_subject.split()
    quoted = f'"{company.hero.last_subject}"'
    page = synced("search", quoted, "--limit", 2, "--json").json
    assert company.hero.last_subject in {e["subject"] for e in page["entries"]}
    assert set(page["entries"][0]["party"]) == {"public_id", "name", "kind"}
    assert {key for piece in page["entries"][0]["excerpt"] for key in piece} == {"text", "hit"}
    shown = synced("search", *words, "--with", company.hero.person.address)
    assert company.hero.last_subject[:30] in shown.out
    assert all(len(line) <= 80 for line in shown.out.splitlines())


def test_pages_go_on_where_the_one_before_ended(synced) -> None:
    first = synced("search", "the", "--limit", 2, "--json").json
    second = synced("search", "the", "--limit", 2, "--before", first["next"], "--json").json
    assert len({e["public_id"] for e in first["entries"] + second["entries"]}) == 4
    assert f"--before {first['next']}" in synced("search", "the", "--limit", 2).out


def test_nothing_found_and_strange_marks(synced) -> None:
    assert "nothing says 'zyzzyva'" in synced("search", "zyzzyva", code=1).err
    assert synced("search", "zyzzyva", "--json", code=1).json == {"entries": [], "next": None}
    assert "--before takes the mark" in synced("search", "the", "--before", "x", code=2).err
    assert "nobody matches" in synced("search", "the", "--with", "nobody-at-all", code=1).err
