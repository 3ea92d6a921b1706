"""What the stages share: the parameters of one stage, without a library for YAML."""


def params(stage):
    values, inside = {}, False
    with open("params.yaml") as file:
        for line in file:
            if not line.startswith(" "):
                inside = line.strip() == f"{stage}:"
            elif inside:
                name, value = line.strip().split(":")
                values[name] = float(value)
    return values
