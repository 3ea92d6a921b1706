"""The same DAG for every program: cold, with nothing to do, with one leaf changed, and back again."""

import itertools
import shutil
import subprocess

from .measure import in_turn, once

JOBS = "2"
LAYERS = 10


def dag(report, options, program, peers, folder):
    """Cold runs, no-ops and changes, for every shape and size."""
    # Nothing is removed before the end: on some file systems that would slow down what is made afterwards.
    for shape, steps in itertools.product(options.shapes, options.steps):
        name = f"{shape}-{steps}"
        edges = list(shaped(shape, steps))
        ninja, other_place = None, None
        if "ninja" in options.peers and peers.ninja:
            ninja = [peers.ninja, "-j", JOBS]
            other_place = folder / f"{name}-ninja"
            write_ninja(other_place, edges, 0)
            theirs = once(ninja, other_place)
        for way in ["one", "matrix", "published"]:
            if way == "matrix" and shape != "layered":
                continue
            place = folder / f"{name}-{way}"
            write_tidemill(place, edges, way, 0)
            ours = once([program, "run", "-q", "-j", JOBS], place)
            report.line(f"cold, {shape}, {steps:,} steps, {way}", [ours], [theirs] if ninja else None, "ninja", 1.6)
            times = max(3, options.tries if steps <= 10_000 else 3)
            run = lambda: once([program, "run", "-q", "-j", JOBS], place)
            # What was written in the last moment of the cold run is looked at once more.
            run()
            expect(program, place, 0)
            other = lambda: once(ninja, other_place)
            target = 1.5 if way == "published" else 1.0
            pair(report, f"no-op, {shape}, {steps:,} steps, {way}", times, run, ninja and other, target)
            if way == "one":
                leaf(report, options, program, other_place, place, edges, ninja, f"{shape}, {steps:,} steps")
        if "snakemake" in options.peers and steps <= 100 and (snakemake := peers.snakemake()):
            write_snakemake(folder / f"{name}-snakemake", edges)
            command = [snakemake, "--quiet", "--cores", JOBS]
            report.note(f"snakemake, cold: {once(command, folder / f'{name}-snakemake').wall:.2f} s")
            report.note(f"snakemake, no-op: {once(command, folder / f'{name}-snakemake').wall:.2f} s")


def leaf(report, options, program, other_place, place, edges, ninja, name):
    """One leaf changed: by a file that only it reads, and by its command, for which the pipeline is parsed anew."""
    counter = itertools.count(1)

    def by_file(where, command):
        (where / "leaf.txt").write_text(f"{next(counter)}\n")
        return once(command, where)

    def by_command(where, write, command):
        write(where, next(counter))
        return once(command, where)

    ours, theirs = [program, "run", "-q", "-j", JOBS], ninja
    pair(
        report, f"leaf changed by its file, {name}", options.tries, lambda: by_file(place, ours),
        theirs and (lambda: by_file(other_place, theirs)), 1.0,
    )
    pair(
        report, f"leaf changed by its command, {name}", options.tries,
        lambda: by_command(place, lambda where, number: write_tidemill(where, edges, "one", number), ours),
        theirs and (lambda: by_command(other_place, lambda where, number: write_ninja(where, edges, number), theirs)), 1.0,
    )
    write_tidemill(place, edges, "one", 0)
    (place / "leaf.txt").write_text("leaf\n")
    report.line(f"back again, from the cache, {name}", [once(ours, place)])
    expect(program, place, 0)


def plan(report, options, program, peers, folder):
    """Planning a matrix of which nothing is known yet."""
    for side in [100, 316] + ([1000] if options.all else []):
        place = folder / "plan"
        place.mkdir()
        values = ",".join(map(str, range(side)))
        (place / "pipeline.toml").write_text(
            f'[pipeline]\nname = "large"\n\n[steps.cell]\nmatrix = {{ i = [{values}], j = [{values}] }}\n'
            'run = "echo ${matrix.i} ${matrix.j} > ${outputs.o}"\noutputs.o = "o.txt"\n'
        )
        limit = 3 if side == 1000 else None
        report.line(f"plan of a matrix of {side * side:,} steps", [once([program, "plan"], place)], limit=limit)
        shutil.rmtree(place)


def pair(report, work, tries, ours, theirs, target):
    if theirs:
        report.line(work, *in_turn(tries, ours, theirs), "ninja", target)
    else:
        report.line(work, *in_turn(tries, ours))


def expect(program, place, executed):
    """Holds that a run does what the table says."""
    answer = subprocess.run([program, "run", "-j", JOBS], cwd=place, capture_output=True, text=True)
    if f"{executed} steps executed" not in answer.stdout:
        raise SystemExit(f"a run in {place} did something else than it should:\n{answer.stdout}")


def shaped(shape, steps):
    """The steps of a DAG: a layer, a place in it, and the step before or none. The last one also reads `leaf.txt`."""
    if shape == "chain":
        yield from ((layer, 0, (layer - 1, 0) if layer else None) for layer in range(steps))
    elif shape == "wide":
        yield from ((0, place, None) for place in range(steps))
    else:
        width = steps // LAYERS
        for layer, place in itertools.product(range(LAYERS), range(width)):
            yield layer, place, (layer - 1, place) if layer else None


def write_tidemill(place, edges, way, edition):
    """The DAG as a pipeline: one table per step, one matrix per layer, or one table per step with every output published."""
    place.mkdir(exist_ok=True)
    text = ['[pipeline]\nname = "bench"\n']
    if way == "matrix":
        width = 1 + max(number for _, number, _ in edges)
        values = ",".join(map(str, range(width)))
        for layer in range(LAYERS):
            source = f'"${{layer{layer - 1}.o}}"' if layer else '"in.txt"'
            text.append(
                f'[steps.layer{layer}]\nmatrix = {{ i = [{values}] }}\n'
                f'run = "cat ${{inputs.a}} > ${{outputs.o}}; echo {layer} ${{matrix.i}} >> ${{outputs.o}}"\n'
                f'inputs.a = {source}\noutputs.o = "o.txt"\n'
            )
    else:
        for layer, number, before in edges:
            source = f'"${{s{before[0]}-{before[1]}.o}}"' if before else '"in.txt"'
            is_leaf = (layer, number) == edges[-1][:2]
            publish = f'{{ path = "o.txt", publish = "out/{layer}-{number}.txt" }}' if way == "published" else '"o.txt"'
            text.append(
                f'[steps.s{layer}-{number}]\n'
                f'run = "cat ${{inputs.a}} > ${{outputs.o}}; echo {layer} {number} {edition if is_leaf else 0} >> ${{outputs.o}}"\n'
                f'inputs.a = {source}\n' + ('inputs.leaf = "leaf.txt"\n' if is_leaf else "") + f'outputs.o = {publish}\n'
            )
    (place / "pipeline.toml").write_text("\n".join(text))
    write_inputs(place)


def write_ninja(place, edges, edition):
    place.mkdir(exist_ok=True)
    text = ["rule step\n  command = cat $from > $out; echo $words >> $out\n"]
    for layer, number, before in edges:
        source = f"out/{before[0]}-{before[1]}.txt" if before else "in.txt"
        is_leaf = (layer, number) == edges[-1][:2]
        extra = " leaf.txt" if is_leaf else ""
        text.append(
            f"build out/{layer}-{number}.txt: step {source}{extra}\n  from = {source}\n"
            f"  words = {layer} {number} {edition if is_leaf else 0}\n"
        )
    (place / "build.ninja").write_text("\n".join(text))
    write_inputs(place)


def write_snakemake(place, edges):
    place.mkdir(exist_ok=True)
    last = {layer: 1 + number for layer, number, _ in edges}
    targets = ", ".join(f'"out/{layer}-{number}.txt"' for layer, count in last.items() for number in range(count))
    text = [f"rule all:\n    input: {targets}\n"]
    for layer, number, before in edges:
        source = f"out/{before[0]}-{before[1]}.txt" if before else "in.txt"
        text.append(
            f'rule s{layer}_{number}:\n    input: "{source}"\n    output: "out/{layer}-{number}.txt"\n'
            f'    shell: "cat {{input}} > {{output}}; echo {layer} {number} >> {{output}}"\n'
        )
    (place / "Snakefile").write_text("\n".join(text))
    write_inputs(place)


def write_inputs(place):
    for name, content in [("in.txt", "hello\n"), ("leaf.txt", "leaf\n")]:
        if not (place / name).exists():
            (place / name).write_text(content)
