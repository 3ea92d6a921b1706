import os
import sys

source, target = sys.argv[1:]
os.makedirs(os.path.dirname(target), exist_ok=True)
with open(source) as rows, open(target, "w") as kept:
    kept.writelines(row for row in rows if "bad" not in row)
