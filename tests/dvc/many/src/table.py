import argparse
import json
import os

parser = argparse.ArgumentParser()
parser.add_argument("scores")
parser.add_argument("--title")
parser.add_argument("--decimals", type=int)
parser.add_argument("--out")
a = parser.parse_args()
print(a.title)
with open(a.out, "w") as table:
    table.write("name,rmse\n")
    for name in sorted(os.listdir("scores")):
        with open(os.path.join(a.scores, name)) as file:
            table.write(f"{name},{json.load(file)['rmse']:.{a.decimals}f}\n")
