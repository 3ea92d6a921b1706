import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("rows")
parser.add_argument("model")
parser.add_argument("--degree", type=int)
parser.add_argument("--rounds", type=int)
parser.add_argument("--rate", type=float)
a = parser.parse_args()
with open(a.rows) as file:
    rows = [tuple(map(float, line.split(","))) for line in file.readlines()[1:]]
base, slope = 0.0, 0.0
for _ in range(a.rounds):
    errors = [(base + slope * x - y, x) for x, y in rows]
    base -= a.rate * sum(error for error, _ in errors) / len(errors)
    if a.degree:
        slope -= a.rate * sum(error * x for error, x in errors) / sum(x * x for _, x in errors)
os.makedirs(os.path.dirname(a.model), exist_ok=True)
with open(a.model, "w") as file:
    json.dump({"base": base, "slope": slope}, file)
