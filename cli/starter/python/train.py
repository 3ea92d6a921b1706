"""Fits a line to the last column of a CSV file by gradient descent, and measures it on another one."""

import argparse
import csv
import json
import math
import statistics

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("train")
parser.add_argument("test")
parser.add_argument("model")
parser.add_argument("metrics")
parser.add_argument("--rounds", type=int, default=400)
parser.add_argument("--rate", type=float, default=0.1)
arguments = parser.parse_args()


def read(path):
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    rows = [[float(value) for value in row] for row in rows]
    return head, [row[:-1] for row in rows], [row[-1] for row in rows]


head, features, target = read(arguments.train)
columns = list(zip(*features))
means = [statistics.fmean(column) for column in columns]
spreads = [statistics.pstdev(column) or 1.0 for column in columns]


def scaled(row):
    return [(value - mean) / spread for value, mean, spread in zip(row, means, spreads)]


weights, base = [0.0] * len(columns), statistics.fmean(target)
rows = [scaled(row) for row in features]
for _ in range(arguments.rounds):
    errors = [base + math.fsum(map(float.__mul__, weights, row)) - truth for row, truth in zip(rows, target)]
    base -= arguments.rate * statistics.fmean(errors)
    for place, column in enumerate(zip(*rows)):
        weights[place] -= arguments.rate * statistics.fmean(map(float.__mul__, errors, column))

with open(arguments.model, "w") as file:
    json.dump({"columns": head[:-1], "means": means, "spreads": spreads, "weights": weights, "base": base}, file, indent=1)

_, features, target = read(arguments.test)
errors = [base + math.fsum(map(float.__mul__, weights, scaled(row))) - truth for row, truth in zip(features, target)]
squares = math.fsum(error * error for error in errors)
mean = statistics.fmean(target)
total = math.fsum((truth - mean) ** 2 for truth in target)
metrics = {"rmse": math.sqrt(squares / len(errors)), "r2": 1 - squares / total, "rows": len(errors)}
with open(arguments.metrics, "w") as file:
    json.dump(metrics, file, indent=1)
print(f"rmse {metrics['rmse']:.2f}, r2 {metrics['r2']:.3f}")
