"""Splits the rows of a CSV file into a part to learn from and a part to test on."""

import argparse
import csv
import random

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("table")
parser.add_argument("train")
parser.add_argument("test")
parser.add_argument("--test", dest="share", type=float, default=0.25)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()

with open(arguments.table, newline="") as file:
    head, *rows = csv.reader(file)
random.Random(arguments.seed).shuffle(rows)
held_back = round(len(rows) * arguments.share)

for path, part in [(arguments.test, rows[:held_back]), (arguments.train, rows[held_back:])]:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *part])
print(f"{len(rows) - held_back} rows to learn from, {held_back} to test on")
