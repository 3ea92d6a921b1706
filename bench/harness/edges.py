"""Where costs like to grow with the square: large matrices, joins, fan-in, many-to-many, many mistakes at once."""

from .measure import once

HEAD = '[pipeline]\nname = "large"\n\n'


def plan(report, options, program, peers, folder):
    """Planning a matrix of which nothing is known yet."""
    for side in [100, 316] + ([1000] if options.all else []):
        values = numbers(side)
        text = (
            f"[steps.cell]\nmatrix = {{ i = [{values}], j = [{values}] }}\n"
            'run = "echo ${matrix.i} ${matrix.j} > ${outputs.o}"\noutputs.o = "o.txt"\n'
        )
        limit = 3 if side == 1000 else None
        measure(report, program, folder / f"plan-{side}", f"plan of a matrix of {side * side:,} steps", text, limit)
        report.grows("plan of a matrix", side * side)


def edges(report, options, program, peers, folder):
    """Each work at three sizes, ten times as large each time."""
    sizes = [1_000, 10_000, 100_000] if options.all else [100, 1_000, 10_000]
    for size in sizes:
        measure(report, program, folder / f"join-{size}", f"plan of two matrices joined by their values, {size:,} each", (
            f"[steps.left]\nmatrix = {{ i = [{numbers(size)}] }}\n"
            'run = "echo ${matrix.i} > ${outputs.o}"\noutputs.o = "o.txt"\n\n'
            f"[steps.right]\nmatrix = {{ i = [{numbers(size)}] }}\n"
            'run = "cat ${inputs.a} > ${outputs.o}"\ninputs.a = "${left.o}"\noutputs.o = "o.txt"\n'
        ))
        report.grows("join", size)
    for size in sizes:
        measure(report, program, folder / f"fan-in-{size}", f"plan of {size:,} steps that one collects", (
            f"[steps.part]\nmatrix = {{ i = [{numbers(size)}] }}\n"
            'run = "echo ${matrix.i} > ${outputs.o}"\noutputs.o = "o.txt"\n\n'
            '[steps.all]\nrun = "ls ${inputs.parts} > ${outputs.o}"\ninputs.parts = { collect = "${part.o}" }\noutputs.o = "o.txt"\n'
        ))
        report.grows("fan-in", size)
    for size in [size // 100 for size in sizes]:
        measure(report, program, folder / f"many-{size}", f"plan of {size:,} steps that each of {size:,} others collects", (
            f"[steps.part]\nmatrix = {{ i = [{numbers(size)}] }}\n"
            'run = "echo ${matrix.i} > ${outputs.o}"\noutputs.o = "o.txt"\n\n'
            f"[steps.each]\nmatrix = {{ j = [{numbers(size)}] }}\n"
            'run = "echo ${matrix.j}; ls ${inputs.parts} > ${outputs.o}"\ninputs.parts = { collect = "${part.o}" }\noutputs.o = "o.txt"\n'
        ))
        report.grows("many-to-many", size)
    for size in [size // 10 for size in sizes]:
        wrong = "".join(f'[steps.s{number}]\nrun = "true"\nouputs.o = "o"\n\n' for number in range(size))
        measure(report, program, folder / f"wrong-{size}", f"check of a file with {size:,} mistakes", wrong, command="check")
        report.grows("mistakes", size)


def measure(report, program, place, work, text, limit=None, command="plan"):
    place.mkdir()
    (place / "pipeline.toml").write_text(HEAD + text)
    runs = [once([program, command], place, check=command == "plan") for _ in range(3)]
    report.line(work, runs, limit=limit)


def numbers(count):
    return ",".join(map(str, range(count)))
