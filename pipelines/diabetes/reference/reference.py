"""Computes what scikit-learn makes of the same rows: the reference that the built-in steps are held against.

    python reference.py TRAIN.parquet VALIDATION.parquet TEST.parquet > reference.json

The three files are the parts that `preprocess` writes (`tidemill get preprocess.train --output train.parquet` and so on).
The parameters are read from ../pipeline.toml.

Ridge: StandardScaler fitted on the training rows, then Ridge with the pipeline's alpha.

Boosting: HistGradientBoostingRegressor with the pipeline's rounds, learning rate and depth. As long as every split looks at
all features it uses no chance at all, so that one fit is all there is ("test", "validation"). For a range over twenty seeds,
every split looks at a random 80 % of the features ("seeds").
"""

import json
import pathlib
import sys
import tomllib

import numpy
import pandas
import sklearn
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TARGET = "progression"
MAX_FEATURES = 0.8
SEEDS = 20


def fingerprint(table):
    """A number that changes with every value and the order of the rows: whether two machines speak of the same rows."""
    values = table.to_numpy(float)
    rows, columns = numpy.arange(1, len(values) + 1), numpy.arange(1, values.shape[1] + 1)
    return float((values * rows[:, None] * columns).sum())


def columns(table):
    return table.drop(columns=TARGET).to_numpy(float), table[TARGET].to_numpy(float)


def scores(model, x, y):
    predicted = model.predict(x)
    return {
        "rmse": float(numpy.sqrt(mean_squared_error(y, predicted))),
        "mae": float(mean_absolute_error(y, predicted)),
        "r2": float(r2_score(y, predicted)),
    }


def main(paths):
    params = tomllib.loads(pathlib.Path(__file__).with_name("..").joinpath("pipeline.toml").read_text())["params"]
    parts = {name: pandas.read_parquet(path) for name, path in paths.items()}
    x, y = columns(parts["train"])

    def held_back(model):
        return {name: scores(model, *columns(parts[name])) for name in ("validation", "test")}

    def boosting(max_features=1.0, seed=None):
        return HistGradientBoostingRegressor(
            max_iter=params["boosting"]["rounds"],
            learning_rate=params["boosting"]["learning_rate"],
            max_depth=params["boosting"]["max_depth"],
            early_stopping=False,
            max_features=max_features,
            random_state=seed,
        ).fit(x, y)

    ridge = make_pipeline(StandardScaler(), Ridge(alpha=params["ridge"]["alpha"], solver="cholesky")).fit(x, y)
    by_seed = [scores(boosting(MAX_FEATURES, seed), *columns(parts["test"]))["rmse"] for seed in range(SEEDS)]
    reference = {
        "scikit_learn": sklearn.__version__,
        "rows": {name: len(part) for name, part in parts.items()},
        "fingerprint": {name: fingerprint(part) for name, part in parts.items()},
        "ridge": {**params["ridge"], **held_back(ridge)},
        "boosting": {
            **params["boosting"],
            **held_back(boosting()),
            "seeds": {
                "count": SEEDS,
                "max_features": MAX_FEATURES,
                "rmse_min": min(by_seed),
                "rmse_max": max(by_seed),
                "rmse": by_seed,
            },
        },
    }
    json.dump(reference, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(dict(zip(("train", "validation", "test"), sys.argv[1:])))
