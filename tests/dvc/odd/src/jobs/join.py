from . import names

with open("../data/joined.csv", "w") as joined:
    for name in names.PARTS:
        with open(f"../data/parts/{name}.csv") as part:
            joined.write(part.read())
