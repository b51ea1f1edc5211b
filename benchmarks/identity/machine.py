"""How fast this machine is at this moment, beside the one that the floors were measured on.

Two small operations that do not change with our code; the faster of several tries, since other programs only slow them down.
"""

import timeit

import phonenumbers
from rapidfuzz.distance import JaroWinkler

THERE = (2_100_000, 24_000)  # a second: a Jaro-Winkler comparison; a telephone number read, judged and written


def speed() -> str:
    """For people: both rates, beside those of the other machine."""
    rates = [n / min(timeit.repeat(op, number=n, repeat=7)) for op, n in ((_compare, 20_000), (_dial, 500))]
    words, numbers = (mine / theirs for mine, theirs in zip(rates, THERE, strict=True))
    return (
        f"{rates[0] / 1e6:.1f}M comparisons of words and {rates[1] / 1e3:.0f}k telephone numbers a second, {words:.1f} and {numbers:.1f} "
        "of what the machine of the floors did"
    )


def _compare() -> None:
    JaroWinkler.similarity("christopher", "kristofer")


def _dial() -> None:
    number = phonenumbers.parse("+49 30 5550100", None)
    phonenumbers.is_valid_number(number)
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
