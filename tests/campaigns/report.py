"""Writes docs/campaign.md from the lines that the campaigns have left: what each does, with which seed, how often, on what, and what it found."""

import json
import pathlib

from .fuzz import PARSERS
from .ledger import REPORT

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "campaign.md"
FINDINGS = pathlib.Path(__file__).parent / "findings.md"

HEAD = """\
# The long campaigns

`tests/campaign` tries the promises of [the cache](cache.md), of [executors](executors.md) and of [triggers](triggers.md) for as long as one likes: runs are killed, the machine fails them, and many
share one state.
It needs a built `tidemill` (`--tidemill`), Python 3.11 or newer, Linux, and for some parts strace and root; all projects lie in temporary folders. What
it draws comes from `--seed`; when a process is killed at a moment, the machine has a say, too.

```console
$ tests/campaign crash              # 500 kills at random moments; then one before each named point
$ tests/campaign faults             # calls that fail; small disks, read-only places, limits, times that jump
$ tests/campaign concurrency        # 1,000 rounds of eight runs at once
$ tests/campaign fuzz               # 30 minutes of a processor for each parser of bytes from outside
$ tests/campaign remote             # 100 kills of runs whose steps run on Slurm, over SSH and on Ray
$ tests/campaign executors          # engines that take too long to get for the test command
$ tests/campaign daemon             # 1,000 events while the daemon is killed 100 times; then its runs too
$ tests/campaign api                # the daemon's interface: who may ask, made-up requests, load, and nothing to do
$ tests/campaign schedules          # 200,000 schedules against an independent reckoning
$ tests/campaign report             # writes this page
```

`tests/run` plays a sample of each (`tests/campaign sample --seed 7`). Something found ends a campaign with exit code 1, and its project is kept.

## The mixed pipeline

Crashes and faults meet one pipeline of ten steps: small files, a folder with an executable file, a link and an empty folder in it, a matrix and the step
that collects it, 3 MiB in one file that are made from a large input, a step whose children sleep and write in pieces while another one of its children
left its session and would go on for minutes, metrics with a gate, and an effect that appends a line to a log outside of the project. Most outputs are
published. Each step leaves a mark outside of the project whenever it begins. Parameters are drawn from a few, so that some steps run and some are cached; in a
seventh of the rounds the gate says no.

After each mishap all of this must hold:

- The next `tidemill run` finishes by itself and exits with 0, or with 3 behind a closed gate. Nothing is unlocked, removed or repaired by hand.
- What is published is byte by byte what a clean run in a fresh project publishes.
- A step that the history of the run with the mishap tells as done has its result in the cache, and no later run begins it again.
- What succeeded once is never begun again; what did not is begun once more per mishap at most.
- The effect was done at least once per change, at most once more per mishap, and not at all behind a closed gate or when nothing changed. **More is not
  promised:** an effect that is killed between the deed and its record is done again, for nobody else can tell whether it was done. After its success is recorded,
  it is not.
- No process of a step is left alive: not after the engine or the warden was killed alone; if both were killed in one moment, not after the next run that
  executes something.
- `tidemill cache verify` finds nothing damaged, `displaced/` is not there, and `work/` is empty.

## The pipeline elsewhere

Kills of runs whose steps run on an engine meet another one, in a fresh project each time: eleven steps, of which eight run there. A chain that is there, here, there,
and ends there; a matrix of three there that is collected here; a step there with a checkpoint, and one that fails there the first time and is retried. Each execution leaves a mark outside of the project. The engine is a real one, started by a script in `tests/engines`, and nothing happens to it. The run is
killed with SIGKILL at a random moment of its time, in a fifth of the cases in its first 300 ms, alone or with all its descendants, once, twice or three times in a row.
Sometimes a while goes by then, in which what runs there ends and nobody looks; sometimes `tidemill status --json` is asked, and answers.

Then all of this must hold:

- The next `tidemill run` ends by itself and exits with 0. No other command is needed.
- Every step that runs there was executed **exactly once**, the one that fails once exactly twice. It makes no difference how often the run was killed. A step that runs here
  was executed once, and once more per kill at most.
- What is published is byte by byte what a clean run publishes whose steps all run here.
- One more run executes nothing.
- `.tidemill/remote/` is empty, and the engine knows nothing more of what was handed to it: no job, no folder of a job.
- No process of a step is left alive, and `tidemill cache verify` finds nothing damaged.
"""

WHAT = {
    "crash: random": """\
SIGKILL at a random moment, from before a run does anything to after it ended, to the engine alone, to the warden alone, to both in one moment, or to the
engine and all its descendants; one to three times before the next run. A project lives for twenty rounds.""",
    "crash: points": """\
The named points: strace kills the engine before the first, second, third, fifth, eighth … call of each kind that changes files or processes, by the thread that
comes to so many first, up to the last one of a whole run. Once in the first run of a project, and once in a later run of a project that has results.""",
    "crash: warden": """\
The same for the warden, which starts the steps and watches them: strace is attached to it when it is there. The run goes on with a new warden and exits with 0.""",
    "faults: injected": """\
strace lets the calls of the engine fail at the same points, once or from there on, with each error that such a call may give: no space, quota, input/output
error, read-only file system, no permission, too many open files, no memory, no processes. Questions may fail as well as changes. A run under a fault succeeds, or ends with a
documented exit code and a message that says what failed; then the same must hold as after a crash. Not counted are faults before the program has begun.""",
    "faults: places": """\
Real ones: the state, or the whole project, on disks in memory that run out at different places, by size and by number of files; a cache and a project that are mounted
read-only; a cache of another user; a user who may start only so many processes, or open so many files; all times of the project's or of the state's files in the future or in
the past, and edits under the same size with whatever time.""",
    "concurrency": """\
Eight runs at once in one project, or in two checkouts with one state folder; random DAGs of 3 to 12 steps, of which some have equal commands and inputs, and so the
same key; all with the same parameter, or each with its own. Each execution leaves a mark under a name that is made of what the key is made of. Each key is
executed exactly once, in whatever pipeline of the state it occurs; all eight exit with 0; what is published is what `--jobs 1` in a fresh project publishes, and what a
reckoning in the script gives. In some of the rounds one of the eight is killed: what it was executing may be executed once more.""",
    "remote: slurm": """\
The pipeline elsewhere, on a real Slurm with two nodes and a folder as the store.""",
    "remote: ssh": """\
The same in another user's account, over OpenSSH; the store is a real S3 server.""",
    "remote: ray": """\
The same on a real Ray with two nodes and a folder as the store.""",
    "remote: kubernetes": """\
The same on a real control plane with two nodes that are played, and a folder as the store.""",
    "executors: kubernetes": """\
What every engine promises, and what only Kubernetes does, on a real control plane with two nodes that are played: etcd, API server, controllers and scheduler, built
from the source package of Debian once. They are ignored tests of the crate of the executors, and the story of two pipelines whose training runs there; the other engines are part of the test command.""",
    "daemon: kills": """\
Events over HTTP by several connections, about a third of them told again, before or after they were acknowledged; the daemon is killed with SIGKILL at random moments and started
again at once. Each event must lead to exactly one run that succeeded, nothing else to any, and no process or file may be left over.""",
    "daemon: runs": """\
The same, and the runs are killed, too, in a third of the cases all of them with the daemon, as a machine does that fails. Each event must have exactly one run that ended.""",
    "api: tokens": """\
Every path of the interface, and some that are not there, without a token, with wrong, old, small and foreign ones, by every method: the answer is 401 or 403, and is the same for what
exists and what does not.""",
    "api: schemathesis": """\
schemathesis makes requests up from the interface's own OpenAPI document, fitting and not: no answer may be a server's error, take too long, or be other than the document says.""",
    "api: load": """\
So many reads of runs, queue and triggers, and a tenth of it events, in each second for a minute.""",
    "api: idle": """\
A daemon with a schedule, a watched folder and an event to wait for, and nothing to do.""",
    "schedules": """\
Random expressions, time zones and times: the next five due times, and how many there are in between, must be those of croniter on civil times with zoneinfo's zones.""",
}

FUZZ = """
## Fuzz

libFuzzer (through cargo-fuzz) tries each parser of bytes that come from outside. None may panic, take more than ten seconds or a GiB of memory, nor break its laws:
what is read is canonical, no path leads out, places lie in what they are places of, a mistake can be shown where it is. Behind a digest, what is tried is sealed first, so
that the fuzzer comes to what lies behind it. What reaches other code than the rest is kept in `fuzz/corpus`, and all found cases with it; the unit tests of each crate
(`src/fuzz.rs`) try all of it again.

"""


def fuzzed(newest):
    rows = "| parser | what it reads | minutes of a processor | inputs | edges of the code | kept | found |\n|---|---|---|---|---|---|---|\n"
    for name, what in PARSERS.items():
        line = newest.get(f"fuzz: {name}")
        if line is None or "inputs" not in line["counts"]:
            rows += f"| `{name}` | {what} | not played yet | | | | |\n"
            continue
        counts = line["counts"]
        spent = line["notes"].get("minutes of a processor", 0)
        rows += f"| `{name}` | {what} | {spent} | {counts['inputs']:,} | {counts['edges']:,} | {counts['kept']:,} | {found(line['findings'])} |\n"
    return rows


def write():
    newest = {}
    for line in REPORT.read_text(encoding="utf-8").splitlines():
        line = json.loads(line)
        newest[line["campaign"]] = line
    text = HEAD
    for name, what in WHAT.items():
        text += f"\n## {name.capitalize()}\n\n{what}\n\n"
        text += table(newest[name]) if name in newest else "Not played yet.\n"
    text += FUZZ + fuzzed(newest)
    text += "\n" + FINDINGS.read_text(encoding="utf-8")
    PAGE.write_text(text, encoding="utf-8")
    return 0


def table(line):
    head = f"Last played on {line['date']} with seed {line['seed']}: {line['version']}, {minutes(line['seconds'])}, {line['machine']}.\n\n"
    rows = "| what | how many |\n|---|---|\n"
    for what, number in [*line["notes"].items(), *sorted(line["counts"].items())]:
        rows += f"| {what} | {listed(number)} |\n"
    rows += f"| **found** | {found(line['findings'])} |\n"
    for what, number in sorted(line["unclear"].items(), key=lambda item: -item[1]):
        rows += f"| a message without the machine's reason: `{what.replace('|', '/')}` | {number} |\n"
    for what in line["not_done"]:
        rows += f"\nNot done: {what}\n"
    return head + rows


def minutes(seconds):
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def listed(value):
    if isinstance(value, dict):
        return ", ".join(f"`{name}` {number:,}" for name, number in value.items())
    return f"{value:,}"


def found(findings):
    if not findings:
        return "nothing"
    kinds = {}
    for finding in findings:
        kinds[finding["kind"]] = kinds.get(finding["kind"], 0) + 1
    return f"{len(findings)}: " + ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())) + "; see below"
