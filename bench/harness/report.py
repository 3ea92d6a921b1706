"""The table: every line with what is compared, the ratio, and the target."""

from .measure import median


class Report:
    """Prints lines as they come, and keeps all single measurements."""

    def __init__(self, facts):
        self.facts = facts
        self.lines = []
        self.name = ""

    def head(self):
        for name, value in self.facts.items():
            print(f"{name:<12} {value}")

    def group(self, name):
        self.name = name
        print(f"\n{name}\n{'work':<52} {'tidemill':>10} {'peer':>10} {'ratio':>7} {'target':>9}  peak", flush=True)

    def line(self, work, ours, theirs=None, peer="", target=None, limit=None):
        """A line: our runs beside those of a peer. `target`: the ratio to reach; `limit`: seconds to reach."""
        wall = median(ours)
        ratio = wall / median(theirs) if theirs else None
        wanted = f"{target:.2f}" if target else f"{shown(limit)}" if limit else ""
        met = ratio <= target if target and ratio is not None else wall <= limit if limit else None
        mark = {True: "yes", False: "NO", None: ""}[met]
        peak = max(run.peak for run in ours) / 2**20
        print(
            f"{work:<52} {shown(wall):>10} {shown(median(theirs)) if theirs else '':>10} "
            f"{f'{ratio:.2f}' if ratio else '':>7} {wanted:>5} {mark:>3}  {peak:.0f} MiB {peer}",
            flush=True,
        )
        self.lines.append({
            "group": self.name, "work": work, "peer": peer, "wall": wall, "ratio": ratio, "target": target, "limit": limit,
            "met": met, "peak_mib": peak, "ours": [vars(run) for run in ours], "theirs": [vars(run) for run in theirs or []],
        })

    def note(self, text):
        print(f"  {text}", flush=True)

    def whole(self):
        return {"facts": self.facts, "lines": self.lines}


def shown(seconds):
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
