"""The campaign of engines that take too long to get for the test command: the ignored tests of the executors, played on the real ones."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESULT = re.compile(r"^test (\S+) \.\.\. (ok|FAILED)$", re.MULTILINE)


def kubernetes(campaign):
    """Everything that is tried on a real control plane, which is built first if it never was."""
    command = ["cargo", "test", "--release", "--locked", "--workspace", "--all-targets", "--", "--ignored", "kubernetes"]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    results = RESULT.findall(answer.stdout)
    if not results:
        raise RuntimeError(f"{' '.join(command)} ended with {answer.returncode}\n{answer.stdout[-4000:]}")
    for name, result in results:
        campaign.count("tests played")
        if result != "ok":
            campaign.findings.append({"series": "kubernetes", "point": name, "kind": "failed", "text": answer.stdout[-4000:]})
            print(f"\n{campaign.name}: FOUND a test that failed, {name}\n{answer.stdout[-4000:]}", flush=True)
