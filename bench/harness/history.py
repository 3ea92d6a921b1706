"""A history of many recorded runs: the questions that people ask of it."""

import subprocess

from . import peers
from .measure import in_turn, once

QUESTIONS = [
    ["runs"],
    ["runs", "--sort", "time:desc"],
    ["runs", "--where", "evaluate.metric00 < 10", "--sort", "evaluate.metric00"],
    ["runs", "churn", "--where", "evaluate.metric00 < 10", "--where", "outcome = done", "--sort", "evaluate.metric00:desc"],
    ["metrics", "diff"],
]


def make(folder, runs):
    """A project with so many finished runs of fifty metrics each."""
    folder.mkdir()
    (folder / "pipeline.toml").write_text('[pipeline]\nname = "churn"\n\n[steps.one]\nrun = "true"\n')
    target = peers.build("--package", "tidemill-engine", "--example", "many_runs").parent
    subprocess.run([target / "examples" / "many_runs", folder / ".tidemill", str(runs), "50"], check=True)
    # Runs with metrics let the index know when they end; here it is to be made from the journals.
    for index in (folder / ".tidemill").glob("history.db*"):
        index.unlink()


def history(report, options, program, installed, folder):
    """The index made anew, and each question."""
    for runs in [1_000, 100_000] if options.all else [100, 10_000]:
        place = folder / f"history-{runs}"
        make(place, runs)
        report.line(f"the index of {runs:,} runs made anew", [once([program, "runs"], place)])
        report.grows("history indexed", runs)
        for question in QUESTIONS:
            asked = in_turn(options.tries, lambda: once([program, *question], place))
            report.line(f"{' '.join(question)[:44]}, {runs:,} runs", *asked, limit=0.2)
        report.grows("history asked", runs)
