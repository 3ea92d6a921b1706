"""Reads the flights of one month, and writes what a model may see of them: flights to learn from, and flights to measure models on.

    month.py MONTH.csv LEARN.csv MEASURE.csv COUNTS.json

A flight that was cancelled or diverted has no delay at its arrival: it is left out, and counted. All flights of every fifth day are for
measuring. So a flight stays on its side for ever, whichever months come later, and no model has learned from a day that it is measured on.
"""

import csv
import datetime
import io
import json
import sys

# What is known when a flight has left the gate, and what is to be predicted.
COLUMNS = ["dep_delay", "departs", "planned", "distance", "weekday", "carrier", "origin", "dest", "arr_delay"]
READ = ["year", "month", "day", "dep_time", "sched_dep_time", "sched_arr_time", "dep_delay", "arr_delay", "distance", "carrier", "origin", "dest"]
# What stands in the file where there is nothing to say.
MISSING = "NA"


def main(source, learn, measure, counts):
    number = {"flights": 0, "cancelled": 0, "diverted": 0, "learn": 0, "measure": 0}
    with open(learn, "w", encoding="utf-8") as one, open(measure, "w", encoding="utf-8") as other:
        writers = {"learn": csv.writer(one, lineterminator="\n"), "measure": csv.writer(other, lineterminator="\n")}
        for writer in writers.values():
            writer.writerow(COLUMNS)
        for flight in flights(source):
            number["flights"] += 1
            if flight["dep_time"] == MISSING:
                number["cancelled"] += 1
            elif flight["arr_delay"] == MISSING:
                number["diverted"] += 1
            else:
                side = "measure" if int(flight["day"]) % 5 == 0 else "learn"
                writers[side].writerow(seen(flight))
                number[side] += 1
    for side in ("learn", "measure"):
        if number[side] == 0:
            sys.exit(f"{source}: there is no flight to {side} from")
    with open(counts, "w", encoding="utf-8") as file:
        json.dump(number, file)
    print(", ".join(f"{count} {name}" for name, count in number.items()))


def flights(source):
    """The flights of the file; if it is cut off or has another form, this ends it."""
    with open(source, encoding="utf-8", newline="") as file:
        content = file.read()
    if not content.endswith("\n"):
        sys.exit(f"{source}: it ends in the middle of a line")
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    if missing := [name for name in READ if name not in reader.fieldnames]:
        sys.exit(f"{source}: there is no column {', '.join(missing)}")
    for flight in reader:
        # A line that is too short has nothing in its last columns, one that is too long has something without a name.
        if None in flight or None in flight.values():
            sys.exit(f"{source}, line {reader.line_num}: it has not {len(reader.fieldnames)} fields")
        yield flight


def seen(flight):
    """The columns of a flight."""
    departs, arrives = minutes(flight["sched_dep_time"]), minutes(flight["sched_arr_time"])
    day = datetime.date(int(flight["year"]), int(flight["month"]), int(flight["day"]))
    # By the clocks of both airports: what it means in minutes of flight, the destination tells.
    planned = (arrives - departs) % (24 * 60)
    return [flight["dep_delay"], departs, planned, flight["distance"], day.isoweekday(), flight["carrier"], flight["origin"], flight["dest"], flight["arr_delay"]]


def minutes(clock):
    """Minutes since midnight of a time that is written as 517 or 2359."""
    return int(clock) // 100 * 60 + int(clock) % 100


if __name__ == "__main__":
    main(*sys.argv[1:])
