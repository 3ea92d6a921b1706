"""The projects: the same DAG as a pipeline of Tidemill, and as a file of each peer."""

import itertools
import json

LAYERS = 10


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


def tidemill(place, edges, way, edition):
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
    inputs(place)


def ninja(place, edges, edition):
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
    inputs(place)


def snakemake(place, edges):
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
    inputs(place)


def dvc(place, edges):
    (place / "out").mkdir(parents=True, exist_ok=True)
    stages = {}
    for layer, number, before in edges:
        source, target = f"out/{before[0]}-{before[1]}.txt" if before else "in.txt", f"out/{layer}-{number}.txt"
        command = f"cat {source} > {target}; echo {layer} {number} >> {target}"
        stages[f"s{layer}-{number}"] = {"cmd": command, "deps": [source], "outs": [target]}
    # JSON is YAML.
    (place / "dvc.yaml").write_text(json.dumps({"stages": stages}, indent=1))
    inputs(place)


def inputs(place):
    for name, content in [("in.txt", "hello\n"), ("leaf.txt", "leaf\n")]:
        if not (place / name).exists():
            (place / name).write_text(content)


def fan_tidemill(place, steps, own):
    """Steps side by side, of which the first ones read a file of their own."""
    place.mkdir()
    text = ['[pipeline]\nname = "bench"\n']
    for number in range(steps):
        source = f"{number}.txt" if number < own else "in.txt"
        text.append(
            f'[steps.s{number}]\nrun = "cat ${{inputs.a}} > ${{outputs.o}}; echo {number} >> ${{outputs.o}}"\n'
            f'inputs.a = "{source}"\noutputs.o = "o.txt"\n'
        )
    (place / "pipeline.toml").write_text("\n".join(text))
    fan_inputs(place, own)


def fan_ninja(place, steps, own):
    place.mkdir()
    text = ["rule step\n  command = cat $from > $out; echo $words >> $out\n"]
    for number in range(steps):
        source = f"{number}.txt" if number < own else "in.txt"
        text.append(f"build out/{number}.txt: step {source}\n  from = {source}\n  words = {number}\n")
    (place / "build.ninja").write_text("\n".join(text))
    fan_inputs(place, own)


def fan_inputs(place, own):
    inputs(place)
    for number in range(own):
        (place / f"{number}.txt").write_text("0\n")
