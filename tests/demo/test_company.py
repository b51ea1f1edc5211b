"""The demo company: the same bytes every time, sound mail, consistent threads, and every promised oddity."""

import mailbox
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from hub.demo import Company, DemoMail, Letter
from hub.demo.letter import copies

END = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
ADDRESS = re.compile(rb"[\w.+-]+@([\w-]+(?:\.[\w-]+)*)")


@pytest.fixture(scope="module")
def company() -> Company:
    return Company.build(end=END)


@cache
def parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def parse(mail: DemoMail) -> EmailMessage:
    return parsed(mail.raw)


def only(company: Company, tag: str) -> Letter:
    (letter,) = company.tagged(tag)
    return letter


def held(company: Company, letter: Letter) -> dict[str, DemoMail]:
    return {m.mailbox: m for m in copies(letter, company.end)}


def fingerprint(company: Company) -> str:
    digest = sha256()
    for mail in (*company.messages(), *company.second_day()):
        digest.update(repr((mail.mailbox, mail.labels, mail.received_at.isoformat())).encode() + mail.raw)
    return digest.hexdigest() + sha256(repr(company.hubspot_seed()).encode()).hexdigest()


def test_same_arguments_give_the_same_bytes_in_another_process(company: Company) -> None:
    program = (
        "from datetime import UTC, datetime\nfrom hashlib import sha256\nfrom hub.demo import Company\n"
        "c = Company.build(end=datetime(2026, 11, 20, 17, 0, tzinfo=UTC))\nd = sha256()\n"
        "for m in (*c.messages(), *c.second_day()):\n"
        "    d.update(repr((m.mailbox, m.labels, m.received_at.isoformat())).encode() + m.raw)\n"
        "print(d.hexdigest() + sha256(repr(c.hubspot_seed()).encode()).hexdigest())\n"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint(company)


def test_another_seed_gives_other_mail(company: Company) -> None:
    assert fingerprint(Company.build(8, end=END)) != fingerprint(company)


def test_building_everything_is_quick() -> None:
    started = time.process_time()
    company = Company.build(end=END)
    assert company.messages()
    assert company.second_day()
    assert company.hubspot_seed()
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(("offset", "days"), [*((day, 90) for day in range(7)), (2, 30), (5, 365)])
def test_any_window_holds_the_whole_story(offset: int, days: int) -> None:
    end = END + timedelta(days=offset, hours=5 * offset)
    company = Company.build(end=end, days=days)
    assert 350 <= len(company.letters) <= 450
    assert all(end - timedelta(days=days) < x.sent_at <= end for x in company.letters)
    assert len(company.conversations["hero-training-halden"]) == 4
    assert company.second_day()


def test_window_is_checked() -> None:
    with pytest.raises(ValueError, match="aware"):
        Company.build(end=datetime(2026, 11, 20))
    with pytest.raises(ValueError, match="days"):
        Company.build(end=END, days=7)


def test_size_of_the_company(company: Company) -> None:
    assert len(company.own) == 3
    assert len(company.mailboxes) == 4
    assert company.shared_mailbox in company.mailboxes
    assert all(len(p.aliases) == 1 for p in company.own)
    assert len(company.customers) == 10
    assert 28 <= len(company.contacts) <= 32
    phones = [p.phone for p in (*company.contacts, *company.own)]
    assert len(set(phones)) == len(phones)
    writing = {p.address for x in company.letters for p in (x.sender, *x.recipients)}
    assert {p.address for p in company.contacts} <= writing
    counts = Counter(m.mailbox for m in company.messages())
    assert set(counts) == set(company.mailboxes)
    assert min(counts.values()) > 40


def test_three_personal_mailboxes_hold_every_letter(company: Company) -> None:
    personal = {m.letter.key for m in company.messages() if m.mailbox != company.shared_mailbox}
    shared_only = {m.letter.key for m in company.messages()} - personal
    desk = {x.key for x in company.letters if x.sender.address == company.shared_mailbox}
    assert shared_only <= desk, "only what the shared mailbox itself sent may be missing"


def test_every_address_lies_under_a_reserved_domain(company: Company) -> None:
    for mail in (*company.messages(), *company.second_day()):
        unwrapped = mail.raw.replace(b"=\r\n", b"")
        for host in ADDRESS.findall(unwrapped):
            assert host.endswith(b".example"), (mail.letter.key, host)
        for link in re.findall(rb"https?://([\w.-]+)", unwrapped):
            assert link.endswith(b".example")


def test_every_message_parses_and_says_what_the_letter_says(company: Company) -> None:
    for mail in (*company.messages(), *company.second_day()):
        letter = mail.letter
        if "malformed" in letter.tags:
            continue
        message = parse(mail)
        assert not message.defects, letter.key
        assert message["Subject"] == letter.subject
        assert message["Date"].datetime == letter.sent_at
        assert (message["Message-ID"] or "").strip() == letter.message_id
        assert getaddresses([message["From"]]) == [(letter.sender.name, letter.sender.address)]
        seen = {a for _, a in getaddresses([*message.get_all("To", []), *message.get_all("Cc", [])])}
        assert seen == {p.address for p in (*letter.to, *letter.cc)}
        assert timedelta() <= mail.received_at - letter.sent_at < timedelta(minutes=1)
        assert mail.received_at.utcoffset() == timedelta()
        body = message.get_body(("plain",))
        if body is not None and "wrong_charset" not in letter.tags:
            text = body.get_content()
            assert letter.text.split("\n")[-1].strip() in text
            assert "{" not in letter.text
            assert "|" not in letter.text
        for part in message.walk():
            assert not part.defects, (letter.key, part.get_content_type())
        assert all(len(line) <= 998 for line in mail.raw.split(b"\r\n"))
        assert b"\n" not in mail.raw.replace(b"\r\n", b"")


def test_copies_of_a_letter_share_the_id_and_differ_in_bytes(company: Company) -> None:
    by_letter: dict[str, list[DemoMail]] = {}
    for mail in company.messages():
        by_letter.setdefault(mail.letter.key, []).append(mail)
    assert set(by_letter) == {x.key for x in company.letters}
    several = [mails for mails in by_letter.values() if len(mails) > 1]
    assert len(several) > 150
    for mails in by_letter.values():
        assert len({m.mailbox for m in mails}) == len(mails), "one mailbox, one copy"
        assert len({m.raw for m in mails}) == len(mails)
        assert sum("SENT" in m.labels for m in mails) == (mails[0].letter.sender.address.endswith(f"@{company.domain}")
                                                          and "bounce" not in mails[0].letter.tags)  # fmt: skip


def test_ids_are_unique_and_threads_hang_together(company: Company) -> None:
    ids = Counter(x.message_id for x in company.letters if x.message_id)
    assert max(ids.values()) == 1
    by_id = {x.message_id: x for x in company.letters}
    replies = 0
    for mail in company.messages():
        if "malformed" in mail.letter.tags:
            continue
        message = parse(mail)
        answered = message["In-Reply-To"]
        if not answered:
            assert not message["References"]
            continue
        replies += 1
        parent = by_id[f"<{answered.strip('<> ')}>"]
        assert parent.sent_at < mail.letter.sent_at
        assert parent.thread == mail.letter.thread
        chain = tuple((message["References"] or "").split())
        if chain:
            assert chain == (*parent.references, parent.message_id) == mail.letter.references
            assert set(chain) <= set(by_id)
    assert replies > 400


def test_second_day_continues_the_open_thread_with_a_new_person(company: Company) -> None:
    mails = company.second_day()
    assert all(company.end < m.received_at <= company.end + timedelta(hours=6) for m in mails)
    assert {m.letter.key for m in mails}.isdisjoint({m.letter.key for m in company.messages()})
    assert {m.letter.message_id for m in mails}.isdisjoint({x.message_id for x in company.letters})
    answer = next(m.letter for m in mails if m.letter.sender == company.hero.person)
    assert answer.references[-1] == company.conversations["hero-training-halden"][-1].message_id
    known = {a for x in company.letters for a in x.addresses}
    new = {a for m in mails for a in m.letter.addresses} - known
    assert new == {"oskar.brandt@haldenbakeries.example"}


def test_namesakes_work_for_different_customers(company: Company) -> None:
    names = Counter(p.name for p in company.contacts)
    (name,) = [n for n, k in names.items() if k > 1]
    twins = [p for p in company.contacts if p.name == name]
    assert len({p.organization for p in twins}) == 2
    assert all(any(x.sender.address == p.address for x in company.letters) for p in twins)


def test_free_mail_domain_can_be_chosen(company: Company) -> None:
    assert {p.address.partition("@")[2] for x in company.tagged("freemail") for p in (x.sender, *x.to)} == {
        "freemail.example", company.domain,
    }  # fmt: skip
    other = Company.build(end=END, freemail="post.example")
    senders = {x.sender.address for x in other.letters}
    assert "piet.moran@post.example" in senders
    assert "piet.moran@freemail.example" not in senders


def test_addresses_with_a_tag_roles_and_aliases(company: Company) -> None:
    senders = {x.sender.address for x in company.letters}
    assert {"jonas.adler+orders@quillon.example", "jonas.adler@quillon.example", "info@saltmere.example"} <= senders
    own_aliases = {a for aliases in company.aliases.values() for a in aliases}
    assert own_aliases <= senders
    assert own_aliases & {p.address for x in company.letters for p in x.recipients}


def test_thread_with_several_parties_puts_a_customer_in_copy(company: Company) -> None:
    letters = company.tagged("multi_party")
    domains = {a.partition("@")[2] for x in letters for a in x.addresses}
    assert domains == {company.domain, "corvane.example", "roadbeam.example"}
    assert any(p.address == "beatrix.lund@corvane.example" for x in letters for p in x.cc)


def test_internal_and_self_addressed_mail(company: Company) -> None:
    assert len(company.tagged("internal")) >= 10
    for letter in company.tagged("internal"):
        assert all(a.endswith(f"@{company.domain}") for a in letter.addresses)
    (copy,) = held(company, only(company, "self")).values()
    assert {"SENT", "INBOX"} <= set(copy.labels)
    both = {m.letter.key for m in company.messages() if {"SENT", "INBOX"} <= set(m.labels)}
    assert both == {only(company, "self").key}


def test_private_mail_carries_the_canary_and_the_label_and_nothing_else_does(company: Company) -> None:
    canary = company.canary.encode()
    for mail in (*company.messages(), *company.second_day()):
        is_private = "private" in mail.letter.tags
        assert (canary in mail.raw) == is_private
        assert (company.private_label in mail.labels) == is_private
    first = company.tagged("private")[0]
    assert company.canary in first.subject
    assert company.canary in first.sender.name
    assert company.canary in first.text
    (copy,) = held(company, first).values()
    (attachment,) = parse(copy).iter_attachments()
    assert company.canary in (attachment.get_filename() or "")
    assert company.canary in attachment.get_content()
    assert company.canary not in repr(company.hubspot_seed())


def test_machine_mail_carries_the_standard_headers(company: Company) -> None:
    def messages(tag: str) -> list[EmailMessage]:
        found = [parse(m) for x in company.tagged(tag) for m in held(company, x).values() if "INBOX" in m.labels]
        assert found, tag
        return found

    for message in messages("newsletter"):
        assert message["List-Unsubscribe"]
        assert message["List-Id"]
        assert message["Precedence"] == "bulk"
    assert len(company.tagged("newsletter")) == 13
    for message in messages("notification"):
        assert message["Auto-Submitted"] == "auto-generated"
    for message in messages("auto_reply"):
        assert message["Auto-Submitted"] == "auto-replied"
        assert message["Return-Path"] == "<>"
        assert message["Subject"].startswith("Automatische Antwort: ")
    (bounce,) = messages("bounce")
    assert bounce.get_content_type() == "multipart/report"
    assert bounce["Return-Path"] == "<>"
    assert [p.get_content_type() for p in bounce.iter_parts()] == [
        "text/plain", "message/delivery-status", "text/rfc822-headers",
    ]  # fmt: skip
    assert only(company, "undeliverable").message_id in bounce.as_string()


def test_list_rewrites_the_sender_and_keeps_the_true_one(company: Company) -> None:
    letters = company.tagged("list")
    rewritten = [x for x in letters if x.sender.name.endswith(" via fleet-users")]
    assert len(rewritten) == 3
    for letter in rewritten:
        message = parse(held(company, letter)["tomas@brindlepost.example"])
        assert message["X-Original-From"] == message["Reply-To"]
        assert message["Precedence"] == "list"
        assert getaddresses([message["Reply-To"]])[0][1] in {"clara.voss@corvane.example", "rhea@greypeak.example"}


def test_blind_copy_is_seen_by_the_sender_only(company: Company) -> None:
    copies = held(company, only(company, "bcc"))
    assert "nadia@brindlepost.example" in parse(copies["ines@brindlepost.example"])["Bcc"]
    assert parse(copies["nadia@brindlepost.example"])["Bcc"] is None


def test_mail_with_missing_or_poor_headers(company: Company) -> None:
    (copy,) = held(company, only(company, "missing_id")).values()
    assert parse(copy)["Message-ID"] is None
    bare = parse(next(iter(held(company, only(company, "bare_reply_id")).values())))
    assert "<" not in bare["In-Reply-To"]
    assert bare["References"] is None
    chainless = parse(next(iter(held(company, only(company, "no_references")).values())))
    assert chainless["In-Reply-To"]
    assert chainless["References"] is None
    (broken,) = held(company, only(company, "malformed")).values()
    message = message_from_bytes(broken.raw)
    parts = [p for p in message.walk() if p.defects]
    assert message.defects or parts
    assert message["Date"] is None or "yesterday" in str(message["Date"])


def test_html_only_mail_attachments_and_two_languages(company: Company) -> None:
    html = [parse(m) for x in company.tagged("html_only") for m in held(company, x).values()]
    assert len(html) > 5
    assert all(m.get_body(("plain",)) is None and m.get_body(("html",)) for m in html)
    files: Counter[str] = Counter()
    for letter in company.tagged("attachment"):
        for part in parse(next(iter(held(company, letter).values()))).iter_attachments():
            files[part.get_content_type()] += 1
            if part.get_content_type() == "application/pdf":
                assert part.get_content().startswith(b"%PDF-1.4")
                assert part.get_content().endswith(b"%%EOF\n")
    assert files["application/pdf"] > 15
    assert files["text/csv"] >= 4
    bodies = "\n".join(x.body for x in company.letters)
    for sign in ("wrote:", "schrieb", "-----Original Message-----", "-----Ursprüngliche Nachricht-----", "\n-- \n"):
        assert sign in bodies


def test_hero_has_a_rich_history_and_four_answers(company: Company) -> None:
    hero = company.hero
    mine = [x for x in company.letters if hero.person.address in x.addresses]
    own = {p.name for x in mine for p in (x.sender, *x.to) if p.address.endswith(f"@{company.domain}")}
    assert len(mine) >= 20
    assert {"Ines Karlow", "Tomás Reyer"} <= own
    assert mine[-1].subject == hero.last_subject
    assert mine[-1].sent_at == hero.last_at
    seed = company.hubspot_seed()
    contact = next(o for o in seed["objects"] if o["properties"].get("email") == hero.person.address)
    linked = [o for o in seed["objects"] if {"to_ref": contact["ref"]} in o["associations"]]
    kinds = Counter(o["type"] for o in linked)
    assert kinds["meetings"] == kinds["deals"] == kinds["calls"] == kinds["notes"] == 1
    (task,) = [o["properties"] for o in linked if o["type"] == "tasks"]
    assert task["hs_task_subject"] == hero.next_step
    assert task["hs_task_status"] == "NOT_STARTED"
    assert datetime.fromisoformat(task["hs_timestamp"]) == hero.due_at > company.end
    owner = next(o for o in seed["owners"] if o["id"] == contact["properties"]["hubspot_owner_id"])
    assert owner["email"] == hero.owner.address


def test_crm_seed_is_sound(company: Company) -> None:
    seed = company.hubspot_seed()
    assert {o["email"] for o in seed["owners"]} == {p.address for p in company.own}
    assert [o["email"] for o in seed["owners"] if o["archived"]] == ["nadia@brindlepost.example"]
    objects = seed["objects"]
    refs = [o["ref"] for o in objects]
    assert len(set(refs)) == len(refs)
    owner_ids = {o["id"] for o in seed["owners"]}
    for entry in objects:
        assert set(entry) == {"type", "ref", "properties", "associations"}
        assert all(isinstance(v, str) and v for v in entry["properties"].values())
        assert {a["to_ref"] for a in entry["associations"]} <= set(refs)
        assert entry["properties"]["hubspot_owner_id"] in owner_ids
        for key, value in entry["properties"].items():
            if key.endswith(("date", "_timestamp", "_time")):
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", value), key
    kinds = Counter(o["type"] for o in objects)
    assert kinds["companies"] < len(company.customers)
    assert kinds["contacts"] < len(company.contacts)
    assert 5 <= kinds["tasks"] <= 8
    assert kinds["deals"] == 6
    assert all(host.endswith(b".example") for host in ADDRESS.findall(repr(objects).encode()))
    assert any(o["properties"].get("firstname") == "Jon" for o in objects)


def test_crm_seed_holds_open_overdue_and_done_tasks_and_a_silent_deal(company: Company) -> None:
    objects = company.hubspot_seed()["objects"]
    tasks = [o["properties"] for o in objects if o["type"] == "tasks"]
    done = [t for t in tasks if t["hs_task_status"] == "COMPLETED"]
    late = [t for t in tasks if t not in done and datetime.fromisoformat(t["hs_timestamp"]) < company.end]
    assert len(done) == 2
    assert len(late) == 2
    assert len(tasks) > 4
    silent = next(o for o in objects if o["ref"] == "d-vantry")
    assert silent["properties"]["dealstage"] not in ("closedwon", "closedlost")
    last = max(x.sent_at for x in company.letters if any(a.endswith("@vantrylinen.example") for a in x.addresses))
    touched = datetime.fromisoformat(silent["properties"]["hs_lastmodifieddate"])
    assert company.end - max(last, touched) > timedelta(days=14)


def test_mbox_holds_every_letter_once_or_one_mailbox(company: Company, tmp_path: Path) -> None:
    whole, one = tmp_path / "company.mbox", tmp_path / "ines.mbox"
    assert company.write_mbox(whole) == len(company.letters)
    mails = [m for m in company.messages() if m.mailbox == "ines@brindlepost.example"]
    assert company.write_mbox(one, "ines@brindlepost.example") == len(mails)
    for path, count in ((whole, len(company.letters)), (one, len(mails))):
        box = mailbox.mbox(path)
        found = list(box)
        box.close()
        assert len(found) == count
        assert all(m["X-Gmail-Labels"] for m in found)
    ids = [m["Message-ID"] for m in found]
    assert ids == [m.letter.message_id or None for m in mails]
    text = whole.read_bytes()
    assert text.count(b"X-Gmail-Labels: Inbox,Private\n") == 1
    assert b"\r\n" not in text
    more = company.write_mbox(tmp_path / "more.mbox", second_day=True)
    assert more == len(company.letters) + len({m.letter.key for m in company.second_day()})
    with pytest.raises(ValueError, match="no mailbox"):
        company.write_mbox(whole, "nobody@brindlepost.example")


def test_mbox_quotes_lines_that_look_like_separators(company: Company, tmp_path: Path) -> None:
    company.write_mbox(tmp_path / "c.mbox")
    separators = re.findall(rb"(?m)^From \S+ [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$",
                            (tmp_path / "c.mbox").read_bytes())  # fmt: skip
    assert len(separators) == len(company.letters)
    assert not re.findall(rb"(?m)^From (?!\S+ [A-Z])", (tmp_path / "c.mbox").read_bytes())
