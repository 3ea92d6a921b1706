//! What a client of the protocol gets when it asks as it should.

use serde_json::{Value, json};
use tidemill_server::Source;

use crate::support::{Folder, Running, model};

fn serve(folder: &Folder) -> Running {
    let path = folder.write("model.onnx", &model(2.0));
    Running::start(Source::File { path, name: "double".to_owned(), version: 3 })
}

fn request(x: &Value, rows: usize) -> Value {
    json!({ "inputs": [
        { "name": "x", "shape": [rows, 1], "datatype": "FP64", "data": x },
        { "name": "label", "shape": [rows, 1], "datatype": "BYTES", "data": vec!["a"; rows] },
    ]})
}

#[test]
fn health_and_metadata_are_as_the_protocol_says() {
    let folder = Folder::new();
    let server = serve(&folder);
    assert_eq!(server.get("/v2/health/live").json(), json!({ "live": true }));
    assert_eq!(server.get("/v2/health/ready").json(), json!({ "ready": true, "live": true }));
    let about = server.get("/v2").json();
    assert_eq!((&about["name"], &about["extensions"]), (&json!("tidemill"), &json!(["binary_tensor_data"])));
    let metadata = json!({
        "name": "double",
        "versions": ["3"],
        "platform": "onnx_onnxv1",
        "inputs": [
            { "name": "x", "datatype": "FP64", "shape": [-1, 1] },
            { "name": "label", "datatype": "BYTES", "shape": [-1, 1] },
        ],
        "outputs": [
            { "name": "y", "datatype": "FP64", "shape": [-1, 1] },
            { "name": "name", "datatype": "BYTES", "shape": [-1, 1] },
        ],
    });
    for path in ["/v2/models/double", "/v2/models/double/versions/3"] {
        assert_eq!(server.get(path).json(), metadata);
        assert_eq!(server.get(&format!("{path}/ready")).json(), json!({ "name": "double", "ready": true }));
    }
}

#[test]
fn flat_and_nested_data_give_the_same_answer() {
    let folder = Folder::new();
    let server = serve(&folder);
    for data in [json!([1.5, -2]), json!([[1.5], [-2]])] {
        let answer = server.infer("double", &request(&data, 2));
        let expected = json!({
            "model_name": "double",
            "model_version": "3",
            "outputs": [
                { "name": "y", "shape": [2, 1], "datatype": "FP64", "data": [3.0, -4.0] },
                { "name": "name", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "a"] },
            ],
        });
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
}

#[test]
fn the_id_comes_back_and_only_the_wanted_outputs() {
    let folder = Folder::new();
    let server = serve(&folder);
    let mut body = request(&json!([1]), 1);
    body["id"] = json!("seven");
    body["outputs"] = json!([{ "name": "name" }]);
    let path = "/v2/models/double/versions/3/infer";
    let answer = server.post(path, body.to_string(), None).json();
    assert_eq!(answer["id"], "seven");
    assert_eq!(answer["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(answer["outputs"][0]["name"], "name");
}

#[test]
fn other_numbers_are_taken_if_nothing_is_lost() {
    let folder = Folder::new();
    let server = serve(&folder);
    let answer = |datatype: &str, value: Value| {
        let mut body = request(&json!([value]), 1);
        body["inputs"][0]["datatype"] = json!(datatype);
        server.infer("double", &body).json()["outputs"][0]["data"][0].clone()
    };
    assert_eq!(answer("INT32", json!(-7)), json!(-14.0));
    assert_eq!(answer("UINT8", json!(255)), json!(510.0));
    assert_eq!(answer("FP32", json!(0.1)), json!(2.0 * f64::from(0.1_f32)));
    assert_eq!(answer("FP64", json!(0.1)), json!(0.2));
    // A missing value stays missing.
    assert_eq!(answer("FP64", Value::Null), Value::Null);
}

#[test]
fn tensors_travel_as_binary_data() {
    let folder = Folder::new();
    let server = serve(&folder);
    let head = json!({
        "parameters": { "binary_data_output": true },
        "inputs": [
            { "name": "label", "shape": [2, 1], "datatype": "BYTES", "parameters": { "binary_data_size": 13 } },
            { "name": "x", "shape": [2, 1], "datatype": "FP32", "parameters": { "binary_data_size": 8 } },
        ],
    })
    .to_string();
    let texts = [&3u32.to_le_bytes()[..], b"one", &2u32.to_le_bytes()[..], "ö".as_bytes()].concat();
    let floats = [1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat();
    let body = [head.as_bytes(), &texts, &floats].concat();
    let answer = server.post("/v2/models/double/infer", body, Some(head.len()));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let (head, binary) = answer.body.split_at(answer.json_length.unwrap());
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!(head["outputs"][0]["parameters"], json!({ "binary_data_size": 16 }));
    assert_eq!(head["outputs"][0].get("data"), None);
    assert_eq!(binary[..16], [3f64.to_le_bytes(), (-4f64).to_le_bytes()].concat());
    assert_eq!(binary[16..], texts);
}

#[test]
fn one_output_may_be_binary_and_the_other_not() {
    let folder = Folder::new();
    let server = serve(&folder);
    let mut body = request(&json!([1]), 1);
    body["outputs"] = json!([{ "name": "name" }, { "name": "y", "parameters": { "binary_data": true } }]);
    let answer = server.infer("double", &body);
    let (head, binary) = answer.body.split_at(answer.json_length.unwrap());
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!(head["outputs"][0]["data"], json!(["a"]));
    assert_eq!(binary, 2f64.to_le_bytes());
}

#[test]
fn answers_are_counted() {
    let folder = Folder::new();
    let server = serve(&folder);
    server.infer("double", &request(&json!([1]), 1));
    server.infer("double", &json!({}));
    let answer = server.get("/metrics");
    let text = String::from_utf8(answer.body).unwrap();
    for code in ["200", "400"] {
        let line = format!(
            "tidemill_inference_requests_total{{model=\"double\",version=\"3\",code=\"{code}\"}} 1\n"
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("tidemill_inference_duration_seconds_count{model=\"double\",version=\"3\"} 2\n"));
}
