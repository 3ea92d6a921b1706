"""Asks a running `tidemill serve` through NVIDIA's client of the protocol and compares with predictions in a Parquet file.

    python3 -m venv venv && venv/bin/pip install 'tritonclient[http]' pyarrow
    tidemill serve --port 8080 &
    venv/bin/python server/tests/triton_client.py --url 127.0.0.1:8080 --model diabetes \
        --token-file .tidemill/serve/token --predictions predictions.parquet

Every input of the model is a column of the file; a column with the name of an output (`prediction`, or `label` for
classes) holds what is expected. All rows are sent twice, as binary tensors (the client's default) and as JSON. The result is one line of JSON on standard output; the exit
code is 1 if an answer differs by more than the tolerance.
"""

import argparse
import json
import sys
import time

import numpy as np
import pyarrow.parquet as parquet
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="host and port, without http://")
    parser.add_argument("--model", required=True, help="the name of the endpoint")
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--predictions", required=True, help="Parquet: the model's inputs and what is expected")
    parser.add_argument("--tolerance", type=float, default=1e-9, help="largest relative difference")
    parser.add_argument("--patience", type=float, default=30.0, help="seconds to wait until the server is ready")
    return parser.parse_args()


def wait_until_ready(client, patience):
    deadline = time.monotonic() + patience
    while True:
        try:
            if client.is_server_live() and client.is_server_ready():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            sys.exit("the server did not get ready")
        time.sleep(0.05)


def tensor(table, spec, binary):
    """A model's input, from the column of its name."""
    column = table.column(spec["name"])
    if spec["datatype"] == "BYTES":
        values = np.array(["" if value is None else value for value in column.to_pylist()], dtype=object)
    else:
        values = column.to_numpy(zero_copy_only=False).astype(triton_to_np_dtype(spec["datatype"]))
    values = values.reshape(spec["shape"])
    result = triton.InferInput(spec["name"], list(values.shape), spec["datatype"])
    result.set_data_from_numpy(values, binary_data=binary)
    return result


def ask(client, model, name, headers, metadata, table, binary):
    """One of the model's outputs for all rows."""
    answer = client.infer(
        model,
        [tensor(table, spec, binary) for spec in metadata["inputs"]],
        outputs=[triton.InferRequestedOutput(name, binary_data=binary)],
        request_id="rows",
        # A copy: the client writes its own headers into the dictionary, and would send them again with the next request.
        headers=dict(headers),
    )
    assert answer.get_response()["id"] == "rows"
    assert answer.get_response()["model_name"] == model
    return answer.as_numpy(name).reshape(-1)


def difference(given, expected):
    """The largest relative difference; texts are equal or not."""
    if given.dtype.kind in "fiub":
        given, expected = given.astype(float), expected.astype(float)
        return float(np.max(np.abs(given - expected) / np.maximum(np.abs(expected), 1e-6)))
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in given]
    return 0.0 if texts == [str(value) for value in expected] else float("inf")


def main():
    options = arguments()
    with open(options.token_file, encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}"}
    client = triton.InferenceServerClient(url=options.url)
    wait_until_ready(client, options.patience)

    try:
        client.get_model_metadata(options.model)
        sys.exit("the server answered without a token")
    except InferenceServerException as refusal:
        assert "401" in str(refusal.status()), refusal
    try:
        client.get_model_metadata("no-such-model", headers=headers)
        sys.exit("the server described a model that does not exist")
    except InferenceServerException as refusal:
        assert "no-such-model" in refusal.message(), refusal

    assert "binary_tensor_data" in client.get_server_metadata(headers=headers)["extensions"]
    assert client.is_model_ready(options.model, headers=headers)
    metadata = client.get_model_metadata(options.model, headers=headers)
    table = parquet.read_table(options.predictions)
    names = [output["name"] for output in metadata["outputs"] if output["name"] in table.column_names]
    assert names, "the file has no column for any output of the model"
    expected = table.column(names[0]).to_numpy(zero_copy_only=False)

    result = {
        "model": options.model,
        "version": metadata["versions"][0],
        "output": names[0],
        "rows": len(expected),
    }
    for form, binary in (("binary", True), ("json", False)):
        given = ask(client, options.model, names[0], headers, metadata, table, binary)
        assert len(given) == len(expected), f"{len(given)} answers to {len(expected)} rows"
        result[form] = difference(given, expected)
    print(json.dumps(result))
    sys.exit(max(result["binary"], result["json"]) > options.tolerance)


if __name__ == "__main__":
    main()
