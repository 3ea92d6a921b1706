import json
import os
import pickle
import sys

model, features = sys.argv[1:]
with open(model, "rb") as file:
    model = pickle.load(file)
os.makedirs("eval/plots/roc", exist_ok=True)
metrics = {}
for name in ["train", "test"]:
    with open(os.path.join(features, f"{name}.json")) as file:
        rows = json.load(file)["rows"]
    scores = [(sum(a * b for a, b in zip(row, model["weights"])), label) for label, row in rows]
    metrics[name] = {"accuracy": sum((score > 0) == bool(label) for score, label in scores) / len(scores)}
    points = []
    for edge in sorted({score for score, _ in scores}, reverse=True):
        above = [label for score, label in scores if score >= edge]
        points.append({"fpr": above.count(0) / max(1, sum(label == 0 for _, label in scores)),
                       "tpr": above.count(1) / max(1, sum(label == 1 for _, label in scores))})
    with open(f"eval/plots/roc/{name}.json", "w") as file:
        json.dump(points, file)
with open("eval/plots/importance.csv", "w") as file:
    file.write("word,weight\n")
    file.writelines(f"{word},{weight:.6f}\n" for word, weight in zip(model["words"], model["weights"]))
with open("eval/metrics.json", "w") as file:
    json.dump(metrics, file, indent=1)
