"""Chooses the pipeline's boosting parameters: the smallest error on the validation rows. It never sees a test row.

    python choose.py TRAIN.parquet VALIDATION.parquet

The built-in step grows nearly the same trees; the same search with it ends with the same parameters.
"""

import itertools
import sys

import pandas
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error

from reference import columns

ROUNDS = [50, 100, 150, 200, 250, 300, 400, 500]
LEARNING_RATES = [0.02, 0.05, 0.1, 0.2]
MAX_DEPTHS = [1, 2, 3, 4]


def main(train, validation):
    (x, y), (x_validation, y_validation) = (columns(pandas.read_parquet(path)) for path in (train, validation))
    found = []
    for learning_rate, max_depth in itertools.product(LEARNING_RATES, MAX_DEPTHS):
        model = HistGradientBoostingRegressor(
            max_iter=max(ROUNDS), learning_rate=learning_rate, max_depth=max_depth, early_stopping=False
        ).fit(x, y)
        for rounds, predicted in enumerate(model.staged_predict(x_validation), start=1):
            if rounds in ROUNDS:
                found.append((root_mean_squared_error(y_validation, predicted), rounds, learning_rate, max_depth))
    for rmse, rounds, learning_rate, max_depth in sorted(found)[:5]:
        print(f"validation RMSE {rmse:.4f}: rounds {rounds}, learning_rate {learning_rate}, max_depth {max_depth}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
