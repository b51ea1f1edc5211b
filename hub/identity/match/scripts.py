"""Other scripts in plain Latin letters, near enough to be compared: "ბარაკ", "バラク" and "बराक" are all "barak" or a slip away.

Cyrillic is read by `strings.fold`. Syllabaries say their sound in the names that Unicode gives their characters; alphabets have a
table here; for Chinese there are the characters that names are mostly written with. What is in no table stays as it is, and
still equals itself.
"""

import unicodedata
from functools import lru_cache
from importlib.resources import files

_ALPHABETS = (
    "αa βv γg δd εe ζz ηi θth ιi κk λl μm νn ξx οo πp ρr σs ςs τt υy φf χkh ψps ωo "
    "אa בb גg דd הh וv זz חh טt יi כk ךk לl מm םm נn ןn סs עa פp ףf צts ץts קk רr שsh תt "
    "اa أa إi آa ءa ؤu ئi ٱa بb پp تt ثth جj چch حh خkh دd ذdh رr زz ژzh سs شsh صs ضd طt ظz عa غgh فf قq كk کk گg لl مm نn "
    "هh ةa وu یi يi ىa ھh ہh ےe ں_ ٹt ڈd ڑr "
    "աa բb գg դd եe զz էe ըe թt ժzh իi լl խkh ծts կk հh ձdz ղgh ճch մm յy նn շsh ոo չch պp ջj ռr սs վv տt րr ցts ւu փp քk "
    "օo ֆf ևev "
    "აa ბb გg დd ეe ვv ზz თt იi კk ლl მm ნn ოo პp ჟzh რr სs ტt უu ფp ქk ღgh ყq შsh ჩch ცts ძdz წts ჭch ხkh ჯj ჰh"
)
_TABLE = {ord(pair[0]): pair[1:].replace("_", "n") for pair in _ALPHABETS.split()}
_TABLE |= {ord(ch): "" for ch in "ーッっ々\u200c\u200d"} | {ord("・"): " ", ord("’"): "'"}
_SYLLABLES = ("HANGUL SYLLABLE ", "KATAKANA LETTER ", "HIRAGANA LETTER ", "ETHIOPIC SYLLABLE ")
_INDIC_NAMES = "DEVANAGARI BENGALI GUJARATI GURMUKHI TAMIL TELUGU KANNADA MALAYALAM ORIYA SINHALA"
_INDIC = frozenset(_INDIC_NAMES.split())
_HAN = range(0x4E00, 0xA000)
_HANGUL = range(0xAC00, 0xD7A4)
# How these families spell themselves, rather than how the syllable is transcribed.
_KOREAN = {
    "gim": "kim", "i": "lee", "bag": "park", "coe": "choi", "jeong": "jung", "gang": "kang", "jo": "cho", "yun": "yoon",
}  # fmt: skip
# Families of two characters; all others have one.
_DOUBLE_WORDS = "欧阳 歐陽 司马 司馬 上官 诸葛 諸葛 司徒 东方 夏侯 皇甫 尉迟 公孙 慕容 令狐 长孙 宇文"
_DOUBLE = frozenset(_DOUBLE_WORDS.split())


@lru_cache(maxsize=50_000)
def latin(text: str) -> str:
    """The text with what can be read as Latin letters replaced; ASCII, Cyrillic and Chinese as they are."""
    if text.isascii() or max(text) < "\u0370":
        return text
    return "".join(_letters(unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=50_000)
def family_first(text: str) -> tuple[str, str]:
    """Family and given name of a person written in Chinese or Korean characters alone: "王小明" -> ("wang", "xiaoming").

    ("", "") for any other text, and for characters that are in no table.
    """
    if text.isascii():
        return "", ""
    chars = "".join(text.split())
    if 2 <= len(chars) <= 5 and all(ord(ch) in _HANGUL for ch in chars):
        family = _sound(chars[0])
        return _KOREAN.get(family, family), "".join(map(_sound, chars[1:]))
    at = 2 if chars[:2] in _DOUBLE else 1
    read = chinese()
    if at < len(chars) <= at + 3 and all(ch in read for ch in chars):
        return "".join(read[ch] for ch in chars[:at]), "".join(read[ch] for ch in chars[at:])
    return "", ""


def _letters(text: str) -> list[str]:
    out: list[str] = []
    for ch in text:
        code = ord(ch)
        if code < 0x370 or 0x400 <= code < 0x530 or code in _HAN:
            out.append(ch)
        elif code in _TABLE:
            out.append(_TABLE[code])
        else:
            _syllable(ch, out)
    return out


def _syllable(ch: str, out: list[str]) -> None:
    """Indic consonants bring an a of their own, which a vowel sign or a virama takes away again."""
    script, _, rest = unicodedata.name(ch, "").partition(" ")
    if script in _INDIC and rest.startswith(("VOWEL SIGN ", "SIGN VIRAMA")):
        if out and out[-1].endswith("a"):
            out[-1] = out[-1][:-1]
        out.append(rest[11:].split()[-1].lower() if rest.startswith("VOWEL") else "")
    elif script in _INDIC and rest.startswith("LETTER "):
        out.append(rest.split()[-1].lower())
    else:
        base = unicodedata.normalize("NFKD", ch)[0].lower()
        out.append(_sound(ch) or _TABLE.get(ord(base[0]), ch))


@lru_cache(maxsize=4096)
def _sound(ch: str) -> str:
    """What the name of a syllable's character says of its sound; "" for what is no syllable."""
    name = unicodedata.name(ch, "")
    return next((name.split()[-1].lower() for start in _SYLLABLES if name.startswith(start)), "")


@lru_cache(maxsize=1)
def chinese() -> dict[str, str]:
    """Character -> how names read it, without tones."""
    text = (files("hub.identity.match") / "data" / "chinese.txt").read_text("utf-8")
    return {ch: line.split()[0] for line in text.splitlines() for ch in line.split()[1]}
