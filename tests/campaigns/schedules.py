"""Random schedules with the due times that the documented rules give, for comparison with the engine.

Independent of the engine: croniter (PyPI, pinned in CRONITER) finds the civil times of an expression without any zone, and zoneinfo of
the standard library maps civil times to instants. The rules are those of the documentation of `schedule`:

* neither the minute nor the hour begins with `*`: each civil time is due once, at its first occurrence; one that clocks skip is due at
  the first instant after the gap;
* otherwise a civil time is due at each instant at which the clocks show it, none, one or two.

Usage: schedules.py [--cases N] [--seed N] [--jobs N] [--years 1970-2040] [--nights 0.3] > cases.jsonl

Every line is {"cron", "zone", "from", "next"}: five instants after `from`, in seconds since 1970. All zones of the system take turns.
zoneinfo reads the same /usr/share/zoneinfo as jiff does (TZPATH is set here, so that a tzdata package of pip is not used instead).

Where croniter is not Vixie's cron, the expression is rewritten for it; what the engine reads is the original:

* a day must match both day fields if one of them *begins* with `*`, also `*/2` (crontab(5); DOM_STAR and DOW_STAR in entry.c), which
  croniter only does if asked to (`implement_cron_bug`);
* only the first character of a field counts, so `5,*/10` restricts; croniter takes a day field that has a `*` anywhere for
  unrestricted if its other half names all days, so a `*/n` that is not the first item is written out as a list;
* `a-a` is the one value a (croniter: the whole field), so it is written `a`;
* days of the week go from 0 to 7 and a range may end at 7 (croniter: 0 to 6), so ranges there are written out as lists;
* names at the end of a range and a Sunday there (`fri-sun`) are likewise written as numbers.
"""

import argparse
import importlib.metadata
import json
import multiprocessing
import pathlib
import random
import zoneinfo
from datetime import datetime, timedelta, timezone

from croniter import CroniterBadDateError, croniter

CRONITER = "7.0.0"
SYSTEM = ["/usr/share/zoneinfo"]
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1)
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
BOUNDS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
WANTED = 5


# --- Expressions


def random_value(rng, field):
    low, high = BOUNDS[field]
    value = rng.randint(low, high)
    if field == 1 and rng.random() < 0.5:
        value = rng.randint(0, 3)
    return value


def written(rng, field, value):
    """A value as a number or a name."""
    if rng.random() < 0.3:
        name = {3: MONTHS, 4: DAYS}.get(field)
        if name:
            name = name[value - 1] if field == 3 else name[value % 7]
            return rng.choice([name, name.upper(), name.capitalize()])
    return rng.choice([str(value), str(value), f"{value:02}"])


def random_item(rng, field):
    """One item and its form for croniter."""
    low, high = BOUNDS[field]
    kind = rng.random()
    if kind < 0.55:
        value = random_value(rng, field)
        return written(rng, field, value), str(value % 7 if field == 4 else value)
    a, b = sorted((random_value(rng, field), random_value(rng, field)))
    step = rng.choice([None, None, 1, 2, 3, 5, 7, rng.randint(1, high)])
    if step is not None and step > high:
        step = None
    if kind < 0.75 and step is not None:
        text = f"*/{step}"
        return text, text
    first = str(a)
    last = str(b)
    if field == 3 and rng.random() < 0.4:
        first, last = MONTHS[a - 1], MONTHS[b - 1]
    if field == 4 and rng.random() < 0.4 and 0 < a and a < b:
        first, last = DAYS[a], DAYS[b % 7]
    text = f"{first}-{last}" + (f"/{step}" if step else "")
    values = sorted({value % 7 if field == 4 else value for value in range(a, b + 1, step or 1)})
    if a == b or field == 4:
        return text, ",".join(map(str, values))
    return text, f"{a}-{b}" + (f"/{step}" if step else "")


def random_field(rng, field):
    star = [0.25, 0.35, 0.5, 0.6, 0.5][field]
    if rng.random() < star:
        return "*", "*"
    count = rng.choice([1, 1, 1, 1, 2, 2, 3])
    items = [random_item(rng, field) for _ in range(count)]
    ours = ",".join(item[0] for item in items)
    theirs = ",".join([items[0][1]] + [written_out(field, item[1]) for item in items[1:]])
    return ours, theirs


def written_out(field, item):
    """`*/n` as a list of numbers."""
    if not item.startswith("*"):
        return item
    low, high = BOUNDS[field]
    values = range(low, high + 1, int(item[2:]))
    return ",".join(map(str, sorted({value % 7 if field == 4 else value for value in values})))


NICKNAMES = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}


def random_expression(rng):
    """(as the engine reads it, as croniter reads it)"""
    if rng.random() < 0.02:
        return rng.choice(list(NICKNAMES.items()))
    fields = [random_field(rng, field) for field in range(5)]
    if rng.random() < 0.3:
        # Such as are much used: fewer restricted days.
        for field in (2, 3, 4):
            if rng.random() < 0.7:
                fields[field] = ("*", "*")
    return " ".join(field[0] for field in fields), " ".join(field[1] for field in fields)


def random_night(rng):
    """Times of the day only, in the hours in which clocks are mostly changed."""
    hours = [0, 1, 1, 2, 2, 3, 22, 23]
    many = lambda choose, most: ",".join(str(choose()) for _ in range(rng.randint(1, most)))
    minute = rng.choice(["*", "*/30", "*/15", "0", "30", *[many(lambda: rng.randint(0, 59), 3)] * 5])
    hour = rng.choice(["*", "*/2", *[many(lambda: rng.choice(hours), 3)] * 6])
    return (f"{minute} {hour} * * *",) * 2


# --- Civil times to instants


def unix(instant):
    return round((instant.astimezone(UTC).replace(tzinfo=None) - EPOCH).total_seconds())


def local(second, zone):
    return (EPOCH + timedelta(seconds=second)).replace(tzinfo=UTC).astimezone(zone)


def offset(second, zone):
    return round(local(second, zone).utcoffset().total_seconds())


def occurrences(civil, zone):
    """The instants at which clocks show this civil time."""
    found = set()
    for fold in (0, 1):
        second = unix(civil.replace(tzinfo=zone, fold=fold))
        if local(second, zone).replace(tzinfo=None) == civil:
            found.add(second)
    return sorted(found)


def after_gap(civil, zone):
    """The first instant after the gap in which a civil time lies: where clocks jump over it."""
    a = unix(civil.replace(tzinfo=zone, fold=0))
    b = unix(civil.replace(tzinfo=zone, fold=1))
    low, high = min(a, b) - 1, max(a, b) + 1
    # Clocks show less at `low` and more at `high`.
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle, zone).replace(tzinfo=None) < civil:
            low = middle
        else:
            high = middle
    return high


def due(civil, zone, fixed):
    shown = occurrences(civil, zone)
    if not fixed:
        return shown
    return shown[:1] if shown else [after_gap(civil, zone)]


def expected(theirs, fixed, zone, start):
    """The next instants. Civil times are tried from the least that clocks near the start may show."""
    near = [offset(start + hours * 3600, zone) for hours in range(-50, 51)]
    begin = EPOCH + timedelta(seconds=start + min(near) - 1)
    times = croniter(theirs, begin, ret_type=datetime, day_or=True, implement_cron_bug=True)
    found, end = set(), None
    while True:
        civil = times.get_next()
        if end is not None and civil > end:
            return sorted(found)[:WANTED]
        found.update(second for second in due(civil, zone, fixed) if second > start)
        if len(found) >= WANTED:
            # A civil time that is later may be due earlier where clocks go back: as far as the offsets near it differ.
            last = sorted(found)[WANTED - 1]
            near = [offset(last + hours * 3600, zone) for hours in range(-50, 51)]
            end = EPOCH + timedelta(seconds=last + max(near))


# --- Cases


def transition_near(rng, zone, second):
    """An instant at which the clocks change, not far after a given one, if there is one within three years."""
    step = 7 * 86400
    here = offset(second, zone)
    for week in range(1, 160):
        later = second + week * step
        there = offset(later, zone)
        if there != here:
            low, high = later - step, later
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle, zone) == here else (low, middle)
            return high
    return None


# Transitions that are not by an hour: (zone, UTC).
ODD = [
    ("Pacific/Apia", (2011, 12, 30, 10)), ("Pacific/Fakaofo", (2011, 12, 30, 11)), ("Pacific/Kwajalein", (1993, 8, 21, 12)),
    ("Pacific/Kwajalein", (1969, 10, 1, 0)), ("Pacific/Enderbury", (1994, 12, 31, 11)), ("Pacific/Kiritimati", (1994, 12, 31, 10)),
    ("Asia/Pyongyang", (2015, 8, 14, 15)), ("Asia/Pyongyang", (2018, 5, 4, 15)), ("America/Caracas", (2007, 12, 9, 7)),
    ("America/Caracas", (2016, 5, 1, 7)), ("Asia/Kathmandu", (1985, 12, 31, 18)), ("Africa/Monrovia", (1972, 1, 7, 0)),
    ("America/Sao_Paulo", (2017, 10, 15, 3)), ("Africa/Cairo", (2023, 4, 27, 22)), ("Australia/Lord_Howe", (2023, 9, 30, 15)),
    ("Australia/Lord_Howe", (2024, 4, 6, 15)), ("Antarctica/Troll", (2024, 3, 31, 1)), ("Antarctica/Casey", (2010, 3, 4, 15)),
    ("Africa/Casablanca", (2024, 3, 10, 2)), ("Asia/Dhaka", (2009, 6, 19, 17)), ("America/Juneau", (1983, 10, 30, 10)),
    ("Asia/Manila", (1978, 3, 21, 16)), ("Europe/Istanbul", (2016, 9, 6, 21)), ("America/St_Johns", (2011, 3, 13, 3)),
    ("Asia/Gaza", (2023, 4, 28, 23)), ("Asia/Singapore", (1981, 12, 31, 16)), ("America/Danmarkshavn", (1996, 1, 1, 3)),
]


def case(rng, number, zones, years, nights):
    while True:
        name = zones[number % len(zones)]
        ours, theirs = random_expression(rng)
        first = int((datetime(years[0], 1, 1) - EPOCH).total_seconds())
        last = int((datetime(years[1] + 1, 1, 1) - EPOCH).total_seconds())
        start = rng.randrange(first, last)
        odd = None
        if rng.random() < 0.05:
            name, odd = rng.choice(ODD)
            odd = int((datetime(*odd) - EPOCH).total_seconds())
        zone = zoneinfo.ZoneInfo(name)
        if rng.random() < 0.5 or odd is not None:
            change = odd if odd is not None else transition_near(rng, zone, start)
            if change is not None:
                start = change - rng.choice([0, 1, rng.randrange(1, 7200), rng.randrange(-90000, 90000)])
                if nights and rng.random() < nights:
                    ours, theirs = random_night(rng)
        fields = theirs.split()
        fixed = not fields[0].startswith("*") and not fields[1].startswith("*")
        try:
            found = expected(theirs, fixed, zone, start)
        except CroniterBadDateError:
            continue
        return {"cron": ours, "zone": name, "from": start, "next": found}


def system_zones():
    """All zones of the system, without those that only a package of pip has."""
    names = zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"}
    return sorted(name for name in names if pathlib.Path(SYSTEM[0], name).is_file())


def cases(work):
    seed, numbers, years, nights = work
    zones = system_zones()
    rng = random.Random(seed)
    return [json.dumps(case(rng, number, zones, years, nights)) for number in numbers]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--years", default="1970-2040")
    parser.add_argument("--nights", type=float, default=0.3, help="of the starts near a change, so many with times of the day only")
    options = parser.parse_args()
    years = tuple(map(int, options.years.split("-")))
    size = 500
    work = [
        (options.seed * 1_000_003 + first, range(first, min(first + size, options.cases)), years, options.nights)
        for first in range(0, options.cases, size)
    ]
    with multiprocessing.Pool(options.jobs, zoneinfo.reset_tzpath, (SYSTEM,)) as pool:
        for lines in pool.imap(cases, work):
            print("\n".join(lines), flush=True)


if __name__ == "__main__":
    assert importlib.metadata.version("croniter") == CRONITER, f"croniter {CRONITER} is wanted"
    zoneinfo.reset_tzpath(SYSTEM)
    main()
