"""The campaign of bytes from outside: libFuzzer tries each parser for some time of a processor, and what reaches new code is kept."""

import os
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "fuzz" / "corpus"
# The parsers, and what is to be said of each.
PARSERS = {
    "pipeline": "a pipeline file, read and expanded to its graph",
    "template": "a text with `${…}`",
    "expression": "a `when` or a `gate`",
    "project_file": "`tidemill.toml`",
    "manifest": "the manifest of a folder",
    "recipe": "a recipe",
    "result": "a result",
    "index": "an index of a store",
    "pack_table": "the table of a pack",
    "chunk_list": "the list of a content's chunks",
    "stored_record": "a result in a store",
    "inference_request": "the body of a request to a model",
    "model": "a model file, read and run on a row",
    "event": "a request with events",
    "webhook": "a message to a webhook",
    "schedule": "a schedule and its time zone",
}
# Seconds on the clock after which a round ends and the time of the processor is looked at.
ROUND = 60
# What an input may take: seconds, and MiB of memory in all.
SLOW, LARGE = 10, 1024
# How many inputs are kept of a parser, and bytes of them in all.
INPUTS, BYTES = 400, 100_000


def need():
    """What is missing for it; nothing if all is there."""
    if shutil.which("cargo-fuzz") is None:
        return "cargo-fuzz is missing; install it with: cargo install --locked cargo-fuzz"
    return None


def build():
    """The folder with the programs. Nothing in them is unsafe, so they need no sanitizer, and with that no nightly toolchain."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz"
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "fuzz", "build", "--sanitizer", "none"], cwd=ROOT, env=environment, check=True)
    return next(target.glob("*/release/pipeline")).parent


def parser(campaign, programs, name, minutes):
    """Tries one parser for so many minutes of a processor."""
    with tempfile.TemporaryDirectory(prefix="tidemill-fuzz-") as folder:
        folder = pathlib.Path(folder)
        work, found = folder / "corpus", folder / "found"
        found.mkdir()
        begin(programs, name, work)
        known = set()
        seed = campaign.random(name)
        spent, tried, edges = 0.0, 0, 0
        while spent < 60 * minutes and not campaign.is_over() and not campaign.findings:
            before = processor()
            answer = subprocess.run(
                [programs / name, work, f"-seed={seed.randrange(1, 1 << 31)}", f"-max_total_time={ROUND}", f"-timeout={SLOW}",
                 f"-rss_limit_mb={LARGE}", "-max_len=4096", f"-artifact_prefix={found}/", "-print_final_stats=1",
                 "-use_value_profile=1"],
                capture_output=True, text=True, errors="replace", check=False,
            )
            spent += processor() - before
            tried += int(figure(r"stat::number_of_executed_units: (\d+)", answer.stderr))
            edges = max(edges, int(figure(r"(?s).*cov: (\d+)", answer.stderr)))
            for file in sorted(found.iterdir()):
                if file not in known:
                    known.add(file)
                    campaign.findings.append({"series": name, "point": file.name, "kind": file.name.split("-")[0],
                                              "text": file.read_bytes()[:1000].hex() + "\n" + answer.stderr[-2000:]})
                    print(f"\n{campaign.name}: FOUND {file.name}\n{answer.stderr[-2000:]}", flush=True)
            if answer.returncode != 0 and not known:
                raise RuntimeError(f"{name} ended with {answer.returncode}\n{answer.stderr[-2000:]}")
        campaign.note("minutes of a processor", round(spent / 60, 1))
        campaign.count("inputs", tried)
        campaign.count("edges", edges)
        campaign.count("kept", keep(programs, name, work, folder / "merged", found))


def begin(programs, name, work):
    """What a fuzzer begins with: what was kept the last time, and examples."""
    subprocess.run([programs / name, "-runs=0"], env={**os.environ, "TIDEMILL_FUZZ_SEEDS": str(work)}, check=True, capture_output=True)
    for number, line in enumerate(kept(name)):
        (work / f"kept-{number}").write_bytes(bytes.fromhex(line))
    if name == "pipeline":
        for number, file in enumerate(sorted([*ROOT.glob("pipelines/**/*.toml"), *ROOT.glob("tests/mistakes/**/*.toml")])):
            shutil.copy(file, work / f"example-{number}")


def kept(name):
    """The inputs that were kept for a parser, as lines of hexadecimal digits."""
    file = KEPT / f"{name}.hex"
    return file.read_text(encoding="ascii").splitlines() if file.exists() else []


def keep(programs, name, work, merged, found):
    """Keeps few inputs that reach much of the code that was reached, the shortest first, and whatever was found; how many they are."""
    merged.mkdir()
    subprocess.run([programs / name, "-set_cover_merge=1", f"-timeout={SLOW}", merged, work], capture_output=True, check=True)
    inputs = sorted((file.read_bytes() for file in merged.iterdir()), key=lambda input: (len(input), input))
    lines, size = [], 0
    for input in inputs:
        size += len(input)
        if len(lines) == INPUTS or size > BYTES:
            break
        lines.append(input.hex())
    lines += [file.read_bytes().hex() for file in sorted(found.iterdir())]
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.hex").write_text("".join(f"{line}\n" for line in lines if line), encoding="ascii")
    return len(lines)


def processor():
    """Seconds of a processor that children have spent."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def figure(pattern, text):
    match = re.search(pattern, text)
    return match.group(1) if match else "0"
