import collections
import json
import os
import sys

from common import params

prepared, features = sys.argv[1:]
os.makedirs(features, exist_ok=True)


def read(name):
    with open(os.path.join(prepared, f"{name}.tsv")) as file:
        return [line.rstrip("\n").split("\t") for line in file]


counts = collections.Counter(word for _, _, title in read("train") for word in title.split())
kept = sorted(counts, key=lambda word: (-counts[word], word))[: int(params("featurize")["max_features"])]
for name in ["train", "test"]:
    rows = [[int(label), [title.split().count(word) for word in kept]] for _, label, title in read(name)]
    with open(os.path.join(features, f"{name}.json"), "w") as file:
        json.dump({"words": kept, "rows": rows}, file)
