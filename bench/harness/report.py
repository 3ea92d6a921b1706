"""The table: every line with what is compared, the ratio, and the target; and how the costs grow."""

import math
import pathlib

from .measure import median

BEGIN, END = "<!-- the table of bench/run begins -->", "<!-- the table of bench/run ends -->"


class Report:
    """Prints lines as they come, and keeps all single measurements."""

    def __init__(self, facts):
        self.facts = facts
        self.lines = []
        self.notes = []
        self.curves = {}
        self.name = ""

    def head(self):
        for name, value in self.facts.items():
            print(f"{name:<12} {value}")

    def group(self, name):
        self.name = name
        print(f"\n{name}\n{'work':<58} {'tidemill':>10} {'peer':>10} {'ratio':>7} {'target':>9}  peak", flush=True)

    def line(self, work, ours, theirs=None, peer="", target=None, limit=None, most_mib=None):
        """A line: our runs beside those of a peer. `target`: the ratio to reach; `limit`: seconds; `most_mib`: peak memory."""
        wall = median(ours)
        other = median(theirs) if theirs else None
        ratio = wall / other if theirs else None
        peak = max(run.peak for run in ours) / 2**20
        asked = [ratio <= target if target and theirs else None, wall <= limit if limit else None]
        asked += [peak <= most_mib if most_mib else None]
        answers = [answer for answer in asked if answer is not None]
        line = {
            "group": self.name, "work": work, "peer": peer if theirs else "", "wall": wall, "other": other, "ratio": ratio,
            "target": target if theirs else None, "limit": limit, "most_mib": most_mib,
            "met": all(answers) if answers else None, "peak_mib": peak,
            "ours": [vars(run) for run in ours], "theirs": [vars(run) for run in theirs or []],
        }
        self.lines.append(line)
        print(
            f"{work:<58} {shown(wall):>10} {shown(other) if theirs else '':>10} {f'{ratio:.2f}' if ratio else '':>7} "
            f"{wanted(line):>5} {mark(line):>3}  {peak:.0f} MiB {line['peer']}",
            flush=True,
        )

    def grows(self, curve, size):
        """The last line is a point of this curve."""
        self.curves.setdefault(curve, []).append((size, self.lines[-1]["wall"]))

    def note(self, text):
        self.notes.append(text)
        print(f"  {text}", flush=True)

    def growth(self):
        print("\nhow costs grow: time at each size, and the power of the size with which it grew at last")
        for curve, points in self.curves.items():
            if len(points) > 1:
                print(f"{curve:<34} {shown_curve(points)}  ^{power(points):.2f}")

    def whole(self):
        return {"facts": self.facts, "lines": self.lines, "notes": self.notes, "curves": self.curves}

    def write_table(self, path):
        """Puts the table into a document, between its two marks."""
        path = pathlib.Path(path)
        text = path.read_text()
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        path.write_text(f"{before}{BEGIN}\n{self.markdown()}{END}{after}")

    def markdown(self):
        facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.facts.items() if name != "command")
        rows = [f"`{self.facts['command']}`: {facts}.", ""]
        rows += ["| work | Tidemill | peer | ratio | target | met | peak |", "|---|---|---|---|---|---|---|"]
        for line in self.lines:
            ratio = f"{line['ratio']:.2f}" if line["ratio"] else ""
            other = f"{line['peer']} {shown(line['other'])}" if line["other"] else ""
            rows.append(
                f"| {line['work']} | {shown(line['wall'])} | {other} | {ratio} | {wanted(line)} | {mark(line).lower()} | "
                f"{line['peak_mib']:.0f} MiB |"
            )
        rows += ["", *(f"- {note}" for note in self.notes), ""]
        rows += ["How costs grow (the power of the size with which the time grew between the last two sizes):", ""]
        rows += ["| cost | time at each size | power |", "|---|---|---|"]
        rows += [
            f"| {curve} | {shown_curve(points)} | {power(points):.2f} |"
            for curve, points in self.curves.items() if len(points) > 1
        ]
        return "\n".join(rows) + "\n"


def wanted(line):
    parts = [f"{line['target']:.2f}"] if line["target"] else []
    parts += [shown(line["limit"])] if line["limit"] else []
    parts += [f"{line['most_mib']:.0f} MiB"] if line["most_mib"] else []
    return ", ".join(parts)


def mark(line):
    return {True: "yes", False: "NO", None: ""}[line["met"]]


def shown_curve(points):
    return ", ".join(f"{size:,}: {shown(wall)}" for size, wall in points)


def power(points):
    """The exponent of growth between the last two points."""
    (small, fast), (large, slow) = points[-2:]
    return math.log(slow / fast) / math.log(large / small) if large > small else math.nan


def shown(seconds):
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
