"""Asks ONNX Runtime for what a model predicts, and compares it with the predictions that `evaluate` wrote.

    python check_onnx.py MODEL.onnx PREDICTIONS.parquet

Fails if a prediction differs by more than 1e-9, relative to the larger of it and one.
"""

import sys

import numpy
import onnx
import onnxruntime
import pandas

TOLERANCE = 1e-9
ELEMENTS = {
    "tensor(double)": lambda column: column.to_numpy(numpy.float64),
    "tensor(float)": lambda column: column.to_numpy(numpy.float32),
    "tensor(int64)": lambda column: column.to_numpy(numpy.int64),
    "tensor(bool)": lambda column: column.to_numpy(bool),
    "tensor(string)": lambda column: column.fillna("").to_numpy(object),
}


def main(model, predictions):
    onnx.checker.check_model(model, full_check=True)
    table = pandas.read_parquet(predictions)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    inputs = {
        each.name: ELEMENTS[each.type](table[each.name]).reshape(-1, *[1] * (len(each.shape) - 1))
        for each in session.get_inputs()
    }
    theirs = session.run(["prediction"], inputs)[0].reshape(-1)
    ours = table["prediction"].to_numpy()
    difference = numpy.max(numpy.abs(theirs - ours) / numpy.maximum(numpy.abs(ours), 1.0))
    print(f"{len(ours)} rows, largest relative difference {difference:.3g} (ONNX Runtime {onnxruntime.__version__})")
    if not difference <= TOLERANCE:
        sys.exit(f"more than {TOLERANCE}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
