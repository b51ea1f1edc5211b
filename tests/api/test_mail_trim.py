"""Replies split into new text, quote and signature."""

import time

import pytest

from hub.api.mail import split_reply

ATTRIBUTIONS = {
    "en": "On Tue, Apr 3, 2012 at 4:55 PM, Ann Ash <ann@example.com> wrote:",
    "en folded": "On Tue, Apr 3, 2012 at 4:55 PM, Ann Ash with a long name\n<ann@example.com\n> wrote:",
    "en no date": "Ann Ash <ann@example.com> wrote:",
    "de": "Am 03.04.2012 um 16:55 schrieb Ann Ash <ann@example.com>:",
    "de webmail": "Ann Ash <ann@example.com> schrieb am Di., 3. Apr. 2012\num 16:55 Uhr:",
    "fr": "Le mar. 3 avr. 2012 à 16:55, Ann Ash <ann@example.com> a écrit :",
    "es": "El mar, 3 abr 2012 a las 16:55, Ann Ash (<ann@example.com>) escribió:",
    "it": "Il giorno mar 3 apr 2012 alle ore 16:55 Ann Ash <ann@example.com> ha scritto:",
    "nl": "Op di 3 apr. 2012 om 16:55 schreef Ann Ash <ann@example.com>:",
    "pt": "Em ter., 3 de abr. de 2012 às 16:55, Ann Ash <ann@example.com> escreveu:",
    "sv": "Den tis 3 apr. 2012 kl 16:55 skrev Ann Ash <ann@example.com>:",
    "da": "Den tirs. 3. apr. 2012 kl. 16.55 skrev Ann Ash <ann@example.com>:",
    "pl": "wt., 3 kwi 2012 o 16:55 Ann Ash <ann@example.com> napisał(a):",
    "iso": "2012-04-03 16:55 GMT+02:00 Ann Ash <ann@example.com>:",
}


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_attributions(name: str) -> None:
    top = split_reply(f"Yes please.\n\n{ATTRIBUTIONS[name]}\n\n> Shall we?\n> Ann\n")
    assert top.new == "Yes please."
    assert "Shall we?" in top.quoted
    below = split_reply(f"{ATTRIBUTIONS[name]}\n> Shall we?\n\nYes please.\n")
    assert below.new == "Yes please."


BLOCKS = {
    "en": "From: Ann <ann@example.com>\nSent: Tuesday, April 3, 2012 4:55 PM\nTo: Bob\nSubject: x",
    "en bold": "*From:* Ann\n*Sent:* Tuesday\n*To:* Bob\n*Subject:* x",
    "de": "Von: Ann <ann@example.com>\nGesendet: Dienstag, 3. April 2012 16:55\nAn: Bob\nBetreff: x",
    "fr": "De : Ann <ann@example.com>\nEnvoyé : mardi 3 avril 2012 16:55\nÀ : Bob\nObjet : x",
    "es": "De: Ann\nEnviado el: martes, 3 de abril\nPara: Bob\nAsunto: x",
    "it": "Da: Ann\nInviato: martedì 3 aprile\nA: Bob\nOggetto: x",
    "nl": "Van: Ann\nVerzonden: dinsdag 3 april\nAan: Bob\nOnderwerp: x",
    "pt": "De: Ann\nEnviada em: terça-feira\nPara: Bob\nAssunto: x",
    "sv": "Från: Ann\nSkickat: den 3 april\nTill: Bob\nÄmne: x",
    "da": "Fra: Ann\nSendt: 3. april\nTil: Bob\nEmne: x",
    "pl": "Od: Ann\nWysłano: 3 kwietnia\nDo: Bob\nTemat: x",
}


@pytest.mark.parametrize("name", BLOCKS)
def test_header_blocks(name: str) -> None:
    got = split_reply(f"Yes please.\n\n________________________________\n{BLOCKS[name]}\n\nShall we?\n")
    assert got.new == "Yes please."
    assert "Shall we?" in got.quoted
    forward = split_reply(f"FYI\n\n{BLOCKS[name]}\n\nShall we?\n", is_forward=True)
    assert "Shall we?" in forward.new
    assert forward.quoted == ""


@pytest.mark.parametrize(
    "marker",
    [
        "-----Original Message-----", "-----Ursprüngliche Nachricht-----", "-----Message d'origine-----",
        "-----Mensaje original-----", "-----Messaggio originale-----", "-----Oorspronkelijk bericht-----",
        "-----Mensagem original-----", "-----Ursprungligt meddelande-----", "-----Oprindelig meddelelse-----",
        "-----Wiadomość oryginalna-----", "-------- Original Message --------",
    ],
)  # fmt: skip
def test_original_message(marker: str) -> None:
    assert split_reply(f"Yes.\n\n{marker}\nold words").new == "Yes."


@pytest.mark.parametrize(
    "marker",
    [
        "---------- Forwarded message ---------", "Begin forwarded message:", "----- Weitergeleitete Nachricht -----",
        "---------------------- Forwarded by Ann Ash on 03/04/2012 04:55 PM ----------------------",
    ],
)  # fmt: skip
def test_forwards_are_content(marker: str) -> None:
    got = split_reply(f"FYI\n\n{marker}\nFrom: Ann\nDate: Tue\nTo: Bob\nSubject: x\n\n> inner\nthe news\n")
    assert got.new.startswith("FYI")
    assert got.new.endswith("the news")
    assert got.quoted == ""


def test_signatures() -> None:
    assert split_reply("Hi\n\n-- \nAnn Ash\n+1 555 0100").signature == "-- \nAnn Ash\n+1 555 0100"
    assert split_reply("Hi\n\nSent from my iPhone").new == "Hi"
    assert split_reply("Hi\n\nVon meinem Mobiltelefon gesendet").new == "Hi"
    assert split_reply("Hi\n\nSent from my iPhone\n\nOn 3 Apr 2012, at 16:55, Ann wrote:\n\n> x").new == "Hi"
    assert split_reply("Sent from here it looks fine.\nBut more follows.").signature == ""
    footer = "_______________________________________________\nUsers mailing list -- users@lists.example\nUnsubscribe"
    assert split_reply(f"Hi\n{footer}").new == "Hi"


def test_a_quote_answered_in_between_stays() -> None:
    text = "> First?\n\nYes.\n\n> Second?\n\nNo.\n\n> Third\n"
    got = split_reply(f"On 3 Apr 2012 at 16:55, Ann wrote:\n{text}")
    assert got.new == "> First?\n\nYes.\n\n> Second?\n\nNo."
    assert "Third" in got.quoted


@pytest.mark.parametrize(
    "text",
    [
        "On the other hand, as he wrote:\nthis is mine.",
        "From: the bottom of my heart\nthank you.",
        "Table:\n-----\na | b\n-----\nc | d\nend",
        "Time: 10:00\nPlace: here\nBring: cake",
        "She wrote: hello\nand more",
        "Nothing special.\n\nReally.",
    ],
)
def test_ordinary_text_is_kept(text: str) -> None:
    assert split_reply(text).new == text


def test_only_a_quote_has_no_new_text() -> None:
    assert split_reply("> all\n> quoted\n").new == ""


@pytest.mark.parametrize(
    "bomb",
    [
        "On a " * 100_000,
        "On a \n" * 100_000,
        "\nOn " + " " * 200_000 + "wrote:",
        "On 2020-01-01 10:00 x <a@b> wrote:\n> a\n" * 20_000,
        "wrote:\n" * 50_000,
        "-----\nabc\n\n" * 50_000,
        "From: x\n" * 50_000,
        "From: x\nTo: y\n\n\n" * 30_000,
        ">" * 1_000_000,
        "> a\n\nb\n" * 100_000,
        "-- \n" * 100_000,
        "=" * 1_000_000,
        ("----" + "a " * 40 + "\n") * 10_000,
        "Sent from x\n" * 100_000,
        "a" * 5_000_000,
    ],
)
def test_bombs_are_linear(bomb: str) -> None:
    started = time.process_time()
    split_reply(bomb)
    assert time.process_time() - started < 1.5


def test_nothing_is_lost() -> None:
    text = "Hi\n\n-- \nAnn\n\nOn 3 Apr 2012 at 16:55, Bob wrote:\n> q1\n> q2\n"
    got = split_reply(text)
    kept = "\n".join((got.new, got.signature, got.quoted))
    assert all(line in kept for line in text.split("\n"))
