import json
import math
import os
import pickle
import sys

from common import params

features, model = sys.argv[1:]
with open(os.path.join(features, "train.json")) as file:
    train = json.load(file)
smooth = params("train")["smooth"]
weights = []
for place in range(len(train["words"])):
    seen = [smooth + sum(row[place] for label, row in train["rows"] if label == wanted) for wanted in (0, 1)]
    weights.append(math.log(seen[1]) - math.log(seen[0]))
with open(model, "wb") as file:
    pickle.dump({"words": train["words"], "weights": weights}, file, protocol=4)
