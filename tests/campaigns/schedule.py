"""Schedules against an independent reckoning: random expressions, zones and times; the engine's due times and croniter's with zoneinfo's."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# The share of cases whose times of the day lie around changes of the clocks, by part of the campaign.
PARTS = [("any time, 1970 to 2040", "1970-2040", 0.0), ("around changes of the clocks", "1970-2040", 1.0), ("offsets with seconds, 1890 to 1969", "1890-1969", 0.0)]


def compared(campaign, number):
    """So many cases, half of them from any time, the others from where clocks do odd things."""
    engine = pathlib.Path(campaign.program).parent / "examples" / "due_times"
    if not engine.exists():
        return campaign.not_done(f"there is no {engine}: cargo build --release --workspace --all-targets builds it")
    setup = subprocess.run([ROOT / "tests" / "setup", "events"], stdout=subprocess.PIPE, text=True, check=True)
    for place, (about, years, nights) in enumerate(PARTS):
        if campaign.is_over():
            return None
        cases = number // 2 if place == 0 else number // 4
        command = [setup.stdout.strip(), ROOT / "tests" / "campaigns" / "schedules.py", "--cases", str(cases), "--seed", str(campaign.seed + place), "--years", years, "--nights", str(nights)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as expected:
            found = subprocess.run([engine], stdin=expected.stdout, stdout=subprocess.PIPE, text=True, check=False)
        campaign.count(f"{about}: cases", cases)
        *differences, last = found.stdout.strip().splitlines() or ["nothing was said"]
        if found.returncode != 0 or expected.returncode != 0 or last != f"{cases} cases, 0 differences":
            text = "\n".join([*differences, last])
            campaign.findings.append({"series": "schedules", "point": about, "kind": "another time", "text": text[:4000]})
            print(f"\n{campaign.name}: FOUND another time, {about}\n{text[:4000]}", flush=True)
    return None
