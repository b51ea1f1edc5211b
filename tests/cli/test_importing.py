"""`ihub import mail`: a timeline out of a file, without any settings."""

from pathlib import Path

from hub.demo import Company


def test_from_a_takeout_file_to_a_brief_without_settings(empty, mbox: Path, company: Company) -> None:
    shown = empty("import", "mail", mbox)
    assert "ines_mail  healthy" in shown.out
    assert f"Taken to be you, by the mail marked as sent: {company.domain}" in shown.out
    brief = empty("brief", company.hero.person.address)
    assert company.hero.last_subject in brief.out
    answers = empty("brief", company.hero.person.address, "--json").json
    assert answers["relationship"]["by_direction"].keys() >= {"inbound", "outbound"}
    assert not Path("hub.toml").exists()
    assert not Path("config").exists()


def test_again_changes_nothing_and_other_commands_know_it(begun, mbox: Path) -> None:
    begun("import", "mail", mbox)
    value = begun("state-hash").out
    assert begun("import", "mail", mbox, "--json").json["streams"][0]["seen"] == 0
    assert begun("state-hash").out == value
    assert "(imported file)" in begun("health").out
    assert begun("health", "--json").json["imports"][0]["connection"] == "ines_mail"
    assert "No connection is set up yet" in begun("sync").out
    assert begun("sync", "ines_mail", "--json").json["connections"][0]["status"] == "healthy"


def test_two_files_become_one_timeline(begun, mbox: Path, write_mbox, tmp_path: Path) -> None:
    write_mbox(tmp_path / "everything.mbox", None)
    begun("import", "mail", mbox)
    document = begun("import", "mail", tmp_path / "everything.mbox", "--json").json
    assert document["streams"][0]["duplicate"] > 20
    assert begun("replay", "--all", "--json").json["exit_code"] == 0


def test_the_same_name_for_another_file_gets_a_number(begun, mbox: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / mbox.name
    other.write_bytes(mbox.read_bytes())
    begun("import", "mail", mbox)
    assert begun("import", "mail", other, "--json").json["connection"] == "ines_mail_2"
    assert begun("import", "mail", other, "--name", "ines_mail", "--json").json["connection"] == "ines_mail"


def test_me_decides_who_is_own(begun, tmp_path: Path, write_mbox, company: Company) -> None:
    plain = write_mbox(tmp_path / "plain.mbox", company.mailboxes[0])
    plain.write_bytes(b"\n".join(x for x in plain.read_bytes().split(b"\n") if not x.startswith(b"X-Gmail-Labels")))
    shown = begun("import", "mail", plain)
    assert "Nobody is known to be you" in shown.out
    assert company.mailboxes[0] in shown.out
    document = begun("--data-dir", "second", "import", "mail", plain, "--me", company.domain, "--json").json
    assert document["mine"] == [company.domain]
    assert document["busiest"] == []
    assert document["streams"][0]["rules"]["excluded:internal"] > 0


def test_what_is_no_mail_is_refused_and_not_remembered(empty, tmp_path: Path) -> None:
    (tmp_path / "letter.mbox").write_bytes(b"\x00\x01\x02 not mail at all")
    assert "holds no mail" in empty("import", "mail", "letter.mbox", code=2).err
    assert "does not exist" in empty("import", "mail", "nowhere.mbox", code=2).err
    assert empty("health", "--json").json["imports"] == []


def test_wrong_options(empty, mbox: Path) -> None:
    assert "--name takes lower-case" in empty("import", "mail", mbox, "--name", "My Mail", code=2).err
    assert "--me takes an address" in empty("import", "mail", mbox, "--me", "ana", code=2).err
    assert "the following arguments are required" in empty("import", code=2).err
    Path("hub.toml").write_text('[connections.ines]\nconnector = "mailfile"\n')
    assert 'have a connection "ines" already' in empty("import", "mail", mbox, "--name", "ines", code=2).err


def test_an_import_beside_a_configured_mailbox_gives_no_second_copy(synced, mbox: Path) -> None:
    before = synced("report", "summary", "--json").json
    document = synced("import", "mail", mbox, "--json").json
    books = document["streams"][0]
    assert books["duplicate"] > 10
    assert synced("report", "summary", "--json").json["interactions"] == before["interactions"] + books["new"]
    assert synced("sync", "--no-census", "--json").json["exit_code"] == 0
