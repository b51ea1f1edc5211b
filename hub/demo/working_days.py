"""The calendar of the made-up company: mail is written on working days between about 07:00 and 18:00."""

from datetime import date, datetime, time, timedelta
from random import Random

from hub.demo.mime import LOCAL

_REFERENCE_DAYS = 63
"""Working days in the 90-day window the conversations were written for; other windows stretch or squeeze them."""


class Calendar:
    """Turns "k working days before the end" into instants and keeps answers inside working hours.

    end: aware datetime, the last instant mail may carry; days: length of the window in calendar days.
    """

    def __init__(self, end: datetime, days: int) -> None:
        self.end = end.astimezone(LOCAL).replace(microsecond=0)
        self.start = self.end - timedelta(days=days)
        self._days: list[date] = []
        day = self.end.date()
        while True:
            day -= timedelta(days=1)
            if day <= self.start.date():
                break
            if day.weekday() < 5:
                self._days.append(day)

    def back(self, k: int, clock: time) -> datetime:
        """`clock` on the k-th working day before the end's date (1: the last one). The far past is scaled."""
        last = len(self._days)
        if k > 5:
            k = 5 + round((k - 5) * (last - 5) / (_REFERENCE_DAYS - 5))
        return datetime.combine(self._days[min(max(k, 1), last) - 1], clock, LOCAL)

    def random_clock(self, rng: Random) -> time:
        return time(rng.randint(7, 15), rng.randint(0, 59), rng.randint(0, 59))

    def later(self, at: datetime, delay: timedelta, working_days: int, rng: Random) -> datetime:
        """`delay` or `working_days` after `at`, with some play, moved into the next working hours."""
        if working_days:
            day = self.plus(at.date(), working_days)
            return datetime.combine(day, self.random_clock(rng), LOCAL)
        at = at + delay * rng.uniform(0.75, 1.25)
        at = at.replace(microsecond=0)
        if at.hour >= 18 or at.weekday() >= 5:
            next_day = self.plus(at.date(), 1)
            return datetime.combine(next_day, time(rng.randint(7, 9), rng.randint(0, 59), at.second), LOCAL)
        return at

    @staticmethod
    def plus(day: date, working_days: int) -> date:
        """The date so many working days after `day`."""
        while working_days:
            day += timedelta(days=1)
            if day.weekday() < 5:
                working_days -= 1
        return day
