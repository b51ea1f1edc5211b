"""Normalisers: what each makes of what it is given, how an outside package brings its own, and whatever junk is thrown at them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub import plugins
from hub.api import ConfigError, Normalised, Normaliser
from hub.identity import normal
from hub.identity.match.record import prepare
from hub.identity.normalisers import KINDS, LONGEST, NOTHING, Normalisers, hub_normalisers, installed

BUILT_IN = Normalisers(hub_normalisers())


@pytest.mark.parametrize(
    ("given", "value", "sharing"),
    [
        ("Ana <Ana.B+news@Kestrel.Example>", "ana.b@kestrel.example", "personal"),
        ("mailto:ana@kestrel.example", "ana@kestrel.example", "personal"),
        (" ana@kestrel.example. ", "ana@kestrel.example", "personal"),
        ("ana@münchen.example", "ana@xn--mnchen-3ya.example", "personal"),
        ("ana@[192.0.2.7]", "ana@[192.0.2.7]", "personal"),
        ('"a@b"@kestrel.example', '"a@b"@kestrel.example', "personal"),
        ("a.n.a+x@googlemail.com", "ana@gmail.com", "personal"),
        ("Info@kestrel.example", "info@kestrel.example", "role"),
        ("info+berlin@kestrel.example", "info@kestrel.example", "role"),
        ("bounces+12=3@kestrel.example", "bounces+12=3@kestrel.example", "no_reply"),
        ("ana@mailinator.com", "ana@mailinator.com", "disposable"),
        ("ana@eu.mailinator.com", "ana@eu.mailinator.com", "disposable"),
        ("ana@evil-mailinator.com", "ana@evil-mailinator.com", "personal"),
        ("none@none", "none@none", ""),
        ("a@b@kestrel.example", "a@b@kestrel.example", ""),
        ("ana at kestrel.example", "", ""),
        ("ana@", "", ""),
        ("@kestrel.example", "", ""),
        ("a" * 65 + "@kestrel.example", "", ""),
        ("ana@kestrel\0.example", "", ""),
    ],
)  # fmt: skip
def test_addresses(given: str, value: str, sharing: str) -> None:
    found = BUILT_IN("email", given)
    assert (found.value, found.sharing) == (value, sharing)


def test_settings_for_addresses_and_domains() -> None:
    plain = BUILT_IN.configured(strip_plus=False, gmail_dots=False, role_localparts=frozenset({"front"}))
    assert plain("email", "a.na+x@gmail.com").value == "a.na+x@gmail.com"
    assert plain("email", "front@kestrel.example").sharing == "role"
    assert plain("email", "info@kestrel.example").sharing == "personal"
    some = BUILT_IN.configured(plus_counts_at=frozenset({"kestrel.example"}), free_domains=frozenset({"post.example"}))
    assert some("email", "ana+x@kestrel.example").value == "ana+x@kestrel.example"
    assert some("email", "ana+x@merlin.example").value == "ana@merlin.example"
    assert some("domain", "mail.post.example").sharing == "free_domain"
    assert some("domain", "gmail.com").sharing == ""


@pytest.mark.parametrize(
    ("given", "region", "value"),
    [
        ("+49 (0)30 1234567", "", "+49301234567"), ("030 1234567", "DE", "+49301234567"), ("030 1234567", "", "0301234567"),
        ("tel +1 212 555 0123 ext. 9", "", "+12125550123;ext=9"), ("12345", "DE", ""), ("n/a", "DE", ""),
        ("9" * 300, "", "9" * 64), ("ring Ana first", "US", ""),
    ],
)  # fmt: skip
def test_phones(given: str, region: str, value: str) -> None:
    found = BUILT_IN("phone", given, region)
    assert found == Normalised(value)


@pytest.mark.parametrize(
    ("given", "value", "sharing"),
    [
        ("kestrel.example", "kestrel.example", ""), ("https://www.Kestrel.EXAMPLE/contact?x", "kestrel.example", ""),
        ("mail.eu.kestrel.co.uk", "kestrel.co.uk", ""), ("co.uk", "", ""), ("ana@mail.kestrel.example", "kestrel.example", ""),
        ("kestrel.example.", "kestrel.example", ""), ("kestrel.example:8080", "kestrel.example", ""),
        ("münchen.example", "xn--mnchen-3ya.example", ""), ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example", ""),
        ("пример.рф", "xn--e1afmkfd.xn--p1ai", ""), ("kestrel。example", "kestrel.example", ""),
        ("evil-kestrel.example", "evil-kestrel.example", ""), ("kestrel.example.evil.example", "evil.example", ""),
        ("kestrel.github.io", "kestrel.github.io", ""), ("github.io", "", ""), ("kestrel.uk.com", "kestrel.uk.com", ""),
        ("192.0.2.7", "", ""), ("[192.0.2.7]", "", ""), ("http://[2001:db8::1]/", "", ""), ("localhost", "", ""),
        ("GMAIL.com", "gmail.com", "free_domain"), ("mail.gmx.de", "gmx.de", "free_domain"), ("notgmail.com", "notgmail.com", ""),
        ("x.mailinator.com", "mailinator.com", "disposable"), ("http://[", "", ""), ("a" * 300 + ".example", "", ""),
    ],
)  # fmt: skip
def test_domains(given: str, value: str, sharing: str) -> None:
    found = BUILT_IN("domain", given)
    assert (found.value, found.sharing) == (value, sharing)


@pytest.mark.parametrize(
    ("given", "scheme", "value"),
    [
        ("https://www.linkedin.com/in/Ana-Berg/?x=1", "", "linkedin:ana-berg"),
        ("linkedin.com/company/Kestrel", "", "linkedin:company.kestrel"), ("@AnaBerg", "x", "x:anaberg"),
        ("https://twitter.com/AnaBerg", "x", "x:anaberg"), ("https://twitter.com/AnaBerg", "linkedin", ""),
        ("https://youtube.com/@AnaBerg", "", "youtube:anaberg"), ("@AnaBerg", "", ""),
        ("https://x.com.evil.example/ana", "", ""), ("https://linkedin.com/feed/", "", ""), ("https://x.com/", "", ""),
        ("x:ana", "", "x:ana"), ("http://[", "", ""), ("ana berg", "x", ""),
    ],
)  # fmt: skip
def test_handles_are_what_anybody_may_write(given: str, scheme: str, value: str) -> None:
    found = BUILT_IN("social_handle", given, scheme=scheme)
    assert found == (Normalised(value, "public_handle") if value else NOTHING)


def test_names() -> None:
    assert BUILT_IN("person_name", "Berg, Dr. Ana Maria").value == "ana|maria|berg"
    assert BUILT_IN("person_name", "ana|maria|berg").value == "ana|maria|berg"
    assert BUILT_IN("person_name", "||").value == ""
    assert BUILT_IN("company_name", "The Kestrel GmbH & Co. KG").value == "kestrel"


def test_free_disposable_and_own_domains_imply_no_employer() -> None:
    own = frozenset({"kestrel.example", "lab.finch.example"})
    for address in (
        "ana@GMAIL.com.",
        "ana@mail.gmx.de",
        "ana@mailinator.com",
        "ana@Eu.Kestrel.example",
        "ana@192.0.2.7",
        "ana@co.uk",
        "ana@eu.lab.finch.example",
    ):
        assert "employer" not in prepare("1", {"email": address}, own=own).fields, address
    for address, employer in (
        ("ana@evil-kestrel.example", "evilkestrel"), ("ana@kestrel.example.co.uk", "example"), ("ana@notgmail.com", "notgmail"),
        ("ana@mail.merlin.co.uk", "merlin"), ("ana@münchen.example", "munchen"), ("ana@finch.example", "finch"),
        ("ana@xn--zzzzzzzzzzz999999999.example", "xnzzzzzzzzzzz999999999"),
    ):  # fmt: skip
        assert prepare("1", {"email": address}, own=own).fields["employer"] == (employer,), address


# What a hostile record may hold, besides any text at all.
HOSTILE = ["\0", "a\0@b.example", "\ud800", "\u202eana@kestrel.example", "@" * 500, "(" * 500, "<" * 500 + ">", "+" * 300, "." * 400,
           "a@" + "b." * 200, "://" * 100, "|" * 400, "ﷺ" * 28, "xn--" * 60, "1;ext=" * 80, "é" * 512, "//[" + "1" * 400, "İ", "ß|x|"]  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=60),
    st.text("aZé.@+-|<>()[]:/ 0123456789ßİ王김バПъ,;'\"", max_size=40),
    st.sampled_from(HOSTILE),
    st.emails(),
)


@pytest.mark.parametrize(("kind", "scheme"), [*((kind, "") for kind in sorted(KINDS)), ("social_handle", "x")])
def test_what_is_normal_stays_as_it_is_and_no_junk_comes_out(kind: str, scheme: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(TEXT, st.sampled_from(["", "DE", "US", "AR", "??"]))
    @example("Anna via-via B | C", "").via("a name that looks like two")
    @example("000000000000", "").via("a number that looks like an international one")
    def holds(text: str, region: str) -> None:
        found = BUILT_IN(kind, text, region, scheme)
        assert BUILT_IN(kind, found.value, region, scheme).value == found.value
        assert len(found.value) <= LONGEST
        assert found.value.isprintable()
        if not found.value:
            assert found == NOTHING

    holds()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_hostile_text_is_junk_and_so_is_what_is_too_long(kind: str) -> None:
    for text in HOSTILE:
        found = BUILT_IN(kind, text)
        assert found.value.isprintable()
        assert BUILT_IN(kind, found.value).value == found.value, text
    assert BUILT_IN(kind, "a" * (LONGEST + 1)) == NOTHING
    assert BUILT_IN(kind, "ana@kestrel.example " * 1_000_000) == NOTHING


def test_a_kind_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        BUILT_IN("fax", "030 1234567")


def upper(text: str, _region: str) -> Normalised:
    return Normalised(text.upper())


OURS = Normaliser("hub.phone", "phone", upper)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Normaliser("acme.phone", "phone", upper),
         "both hub.phone and acme.phone, which names none to replace, want to normalise phone: uninstall one"),
        (Normaliser("acme.phone", "phone", upper, replaces="zeta.phone"),
         "both hub.phone and acme.phone, which names zeta.phone to replace, want to normalise phone: uninstall one"),
        (Normaliser("hub.phone", "email", upper), "two normalisers are called hub.phone: names must be unique"),
        (Normaliser("acme.x", "social_handle", upper, scheme="x", replaces="hub.x"),
         "acme.x replaces hub.x, and no normaliser of social_handle x is called so"),
        (Normaliser("acme.fax", "fax", upper),  # type: ignore[arg-type]
         'the normaliser acme.fax is for "fax"; there are company_name, domain, email, person_name, phone, social_handle'),
        (Normaliser("acme.phone", "phone", upper, scheme="de"),
         "the normaliser acme.phone names a scheme, which only those of social_handle have"),
    ],
)  # fmt: skip
def test_a_claim_that_is_no_ones_to_make_is_one_clear_error(second: Normaliser, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Normalisers([OURS, second])
    assert str(caught.value) == message


def test_of_two_that_replace_the_same_none_wins() -> None:
    first, second = (Normaliser(f"{who}.phone", "phone", upper, replaces="hub.phone") for who in ("acme", "zeta"))
    assert Normalisers([OURS, first]).names() == {"phone": "acme.phone"}
    with pytest.raises(ConfigError, match=r"both acme\.phone and zeta\.phone, which names hub\.phone to replace"):
        Normalisers([OURS, first, second])


def fails(_text: str, _region: str) -> Normalised:
    raise RuntimeError


@pytest.mark.parametrize(
    "answer",
    [fails, lambda t, r: None, lambda t, r: Normalised(3), lambda t, r: Normalised("a\0b"), lambda t, r: Normalised("a\nb"),
     lambda t, r: Normalised("a" * 600), lambda t, r: Normalised("a", "everybody")],
)  # fmt: skip
def test_a_normaliser_that_breaks_its_promise_gives_nothing(answer: Callable[[str, str], Normalised]) -> None:
    assert Normalisers([Normaliser("acme.phone", "phone", answer)])("phone", "030 1234567") == NOTHING


MODULE = """
from hub.api import Normalised, Normaliser, hookimpl

def plain(text, region):
    return Normalised({value})

@hookimpl
def hub_normalisers():
    return [Normaliser("acme.{kind}", "{kind}", plain{replaces})]
"""
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """install(name, code): a distribution `dist-<name>` with one module and one entry point for normalisers."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _install(name: str, code: str) -> None:
        (tmp_path / f"norm_{name}.py").write_text(code)
        info = tmp_path / f"dist_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{plugins.NORMALISERS}]\n{name} = norm_{name}\n")
        monkeypatch.delitem(sys.modules, f"norm_{name}", raising=False)

    return _install


def found_now() -> Normalisers:
    return Normalisers(plugins.load_normalisers())


def test_the_built_in_ones_come_the_way_of_all_others() -> None:
    assert installed().names() == BUILT_IN.names()
    assert {name for kind, name in installed().names().items() if " " not in kind} == {f"hub.{kind}" for kind in KINDS}


def test_an_outside_package_replaces_one(install: Install) -> None:
    install("acme", MODULE.format(kind="phone", value="text[-4:]", replaces=', replaces="hub.phone"'))
    by = found_now()
    assert by.names()["phone"] == "acme.phone"
    assert by("phone", "030 1234567").value == "4567"
    assert by.configured(strip_plus=False).names() == by.names()
    assert prepare("1", {"phone": "030 1234567"}, normalisers=by).fields["phone"] == ("4567",)


def test_an_outside_package_reads_names(install: Install) -> None:
    value = "'|'.join([text.split()[-1].lower(), '', text.split()[0].lower()])"
    install("acme", MODULE.format(kind="person_name", value=value, replaces=', replaces="hub.person_name"'))
    by = found_now()
    assert prepare("1", {"full_name": "Berg Ana"}, normalisers=by).fields["name"] == ("ana||berg",)
    assert prepare("1", {"first_name": "Berg", "last_name": "Ana"}, normalisers=by).fields["name"] == ("ana||berg",)
    assert prepare("1", {"email": "ana@kestrel.example"}, normalisers=by).fields.get("name") is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (MODULE.format(kind="phone", value="text", replaces=""), r"both hub\.phone and acme\.phone, which names none"),
        ("def hub_normalisers(:", r'the normalisers of "acme" \(dist-acme\) cannot be used: it cannot be imported: SyntaxError'),
        ("pass", r"norm_acme has no hook: write a function hub_normalisers with @hookimpl; without them other records"),
        ("from hub.api import hookimpl\n@hookimpl\ndef hub_normalisers():\n    return 3\n", "must return a list of Normaliser objects"),
        ("from hub.api import hookimpl\n@hookimpl\ndef hub_normalisers():\n    return [3]\n", "returned 3, which is not a Normaliser"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_used_is_one_clear_error(install: Install, code: str, reason: str) -> None:
    install("acme", code)
    with pytest.raises(ConfigError, match=reason):
        found_now()


def test_the_shipped_list_of_disposable_domains() -> None:
    domains = normal.disposable_domains()
    assert len(domains) > 5000
    assert not domains & normal.free_domains()
    assert all(domain == normal.host(domain) for domain in domains)
