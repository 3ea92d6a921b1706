"""What it costs to keep steps from what they did not declare: small steps under each level of the sandbox, beside steps without one."""

from .measure import in_turn, median, once

LEVELS = ["off", "default", "strict", "trace"]


def fences(report, options, program, peers, folder):
    """Cold runs of steps that read a file and write one."""
    steps = 1000 if options.all else 300
    numbers = ",".join(map(str, range(steps)))
    made = 0

    def cold(level):
        nonlocal made
        made += 1
        place = folder / f"fence-{made}"
        place.mkdir()
        (place / "input.txt").write_text("1\n")
        (place / "pipeline.toml").write_text(
            f'[pipeline]\nname = "fences"\n\n[steps.small]\nsandbox = "{level}"\nmatrix = {{ i = [{numbers}] }}\n'
            'run = "cat ${inputs.data} > ${outputs.out}; echo ${matrix.i} >> ${outputs.out}"\n'
            'inputs.data = "input.txt"\noutputs.out = "out.txt"\n'
        )
        return once([program, "run", "-q"], place)

    works = [lambda level=level: cold(level) for level in LEVELS]
    runs = dict(zip(LEVELS, in_turn(min(options.tries, 5), *works)))
    for level in LEVELS[1:]:
        more = (median(runs[level]) - median(runs["off"])) / steps
        report.line(f"cold, {steps:,} small steps, sandbox = \"{level}\"", runs[level], runs["off"], "sandbox = \"off\"")
        report.note(f"per step: {1e6 * more:.0f} µs more than without")
