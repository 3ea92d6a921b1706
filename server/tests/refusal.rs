//! What a client gets when it does not ask as it should: a status, a reason, and nothing more.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use tidemill_server::Source;

use crate::support::{Folder, Running, TOKEN, model};

fn serve(folder: &Folder) -> Running {
    let path = folder.write("model.onnx", &model(2.0));
    Running::start(Source::File { path, name: "double".to_owned(), version: 3 })
}

fn x(change: &Value) -> Value {
    let mut x = json!({ "name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1] });
    for (field, value) in change.as_object().unwrap() {
        match value {
            Value::Null => x.as_object_mut().unwrap().remove(field),
            value => x.as_object_mut().unwrap().insert(field.clone(), value.clone()),
        };
    }
    x
}

#[test]
fn every_mistake_has_its_reason() {
    let folder = Folder::new();
    let server = serve(&folder);
    let label = json!({ "name": "label", "shape": [1, 1], "datatype": "BYTES", "data": ["a"] });
    let cases = [
        (json!({ "name": "z" }), "unknown input \"z\"; the model takes x, label"),
        (json!({ "name": "label" }), "input \"label\" has a datatype that cannot become BYTES"),
        (json!({ "shape": [1] }), "input \"x\" has the shape [1], but the model takes [-1, 1]"),
        (json!({ "shape": [1, 2] }), "input \"x\" has the shape [1, 2]"),
        (json!({ "shape": [2, 1] }), "input \"x\" has 1 values, but its shape [2, 1] holds 2"),
        (json!({ "shape": [u64::MAX, 1] }), "input \"x\" has 1 values"),
        (json!({ "shape": [2, 1], "data": [1, 2] }), "input \"label\" has 1 rows, but input \"x\" has 2"),
        (json!({ "data": [[1, 2]] }), "input \"x\" has a row of 2 entries where its shape says 1"),
        (json!({ "data": [[[1]]] }), "input \"x\" holds [1], which is no FP64"),
        (json!({ "data": ["1"] }), "input \"x\" holds \"1\", which is no FP64"),
        (json!({ "data": 1 }), "input \"x\" has data that is no array"),
        (json!({ "data": null }), "input \"x\" has no data"),
        (json!({ "datatype": "INT8", "data": [128] }), "input \"x\" holds 128, which is no INT8"),
        (json!({ "datatype": "INT8", "data": [0.5] }), "input \"x\" holds 0.5, which is no INT8"),
        (json!({ "datatype": "INT64", "data": [9_007_199_254_740_993_i64] }), "no FP64 without loss"),
        (json!({ "datatype": "BOOL", "data": [true] }), "cannot become FP64"),
        (json!({ "datatype": "FP16" }), "is FP16, which is taken as binary data only"),
        (json!({ "datatype": "FP8" }), "unknown variant `FP8`"),
        (json!({ "parameters": { "binary_data_size": 8 } }), "both data and binary_data_size"),
        (json!({ "data": null, "parameters": { "binary_data_size": 8 } }), "announces 8 bytes"),
        (json!({ "parameters": { "shared_memory_region": "r" } }), "shared memory"),
    ];
    for (change, reason) in cases {
        let answer = server.infer("double", &json!({ "inputs": [x(&change), label] }));
        assert_eq!(answer.status, 400, "{change}");
        assert!(answer.error().contains(reason), "{change}: {}", answer.error());
    }
}

#[test]
fn a_request_as_a_whole_may_be_wrong() {
    let folder = Folder::new();
    let server = serve(&folder);
    let label = json!({ "name": "label", "shape": [1, 1], "datatype": "BYTES", "data": ["a"] });
    let inputs = json!([x(&json!({})), label]);
    let infer = |outputs: Value| json!({ "inputs": inputs, "outputs": outputs });
    let cases = [
        (json!({}), "missing field `inputs`"),
        (json!({ "inputs": [] }), "input \"x\" is missing"),
        (json!({ "inputs": [label] }), "input \"x\" is missing"),
        (json!({ "inputs": [label, label] }), "input \"label\" is given twice"),
        (infer(json!([{ "name": "z" }])), "unknown output \"z\"; the model gives y, name"),
        (infer(json!([{ "name": "y" }, { "name": "y" }])), "output \"y\" is asked for twice"),
        (infer(json!([{ "name": "y", "parameters": { "binary_data": 1 } }])), "neither true nor false"),
        (infer(json!([{ "name": "y", "parameters": { "classification": 1 } }])), "not supported"),
    ];
    for (body, reason) in cases {
        let answer = server.infer("double", &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.error().contains(reason), "{body}: {}", answer.error());
    }
    for body in ["", "{", "[]", "\u{0}"] {
        let answer = server.post("/v2/models/double/infer", body, None);
        assert_eq!((answer.status, answer.error().contains("no inference request")), (400, true));
    }
    let deep = "[".repeat(100_000);
    assert_eq!(server.post("/v2/models/double/infer", deep, None).status, 400);
    let answer = server.post("/v2/models/double/infer", "{}", Some(3));
    assert!(answer.error().contains("Inference-Header-Content-Length"), "{}", answer.error());
    let body = infer(json!([])).to_string();
    let answer = server.post("/v2/models/double/infer", format!("{body}more"), Some(body.len()));
    assert!(answer.error().contains("4 bytes of binary data belong to no input"), "{}", answer.error());
}

#[test]
fn what_is_not_there_is_not_found() {
    let folder = Folder::new();
    let server = serve(&folder);
    for path in [
        "/v2/models/other",
        "/v2/models/other/ready",
        "/v2/models/double/versions/4",
        "/v2/models/double/versions/03",
        "/v2/models/%ff",
        "/v2/models",
        "/v3",
        "/",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.error().is_empty(), "{path}");
    }
    assert_eq!(server.infer("other", &json!({})).status, 404);
    let wrong_method = server.get("/v2/models/double/infer");
    assert_eq!(wrong_method.status, 405);
    assert!(!wrong_method.error().is_empty());
}

#[test]
fn who_has_no_token_learns_nothing() {
    let folder = Folder::new();
    let server = serve(&folder);
    let wrong = format!("Bearer {TOKEN}0");
    let basic = format!("Basic {TOKEN}");
    let mut bodies = std::collections::BTreeSet::new();
    for path in ["/v2", "/v2/models/double", "/v2/models/other", "/v2/models/double/infer", "/metrics", "/x"]
    {
        for authorization in [None, Some("Bearer "), Some(wrong.as_str()), Some(basic.as_str())] {
            let answer = server.get_with(path, authorization);
            assert_eq!(answer.status, 401, "{path} {authorization:?}");
            bodies.insert(answer.body);
        }
    }
    // The same words whatever exists and whatever was tried.
    assert_eq!(bodies.len(), 1);
    for path in ["/v2/health/live", "/v2/health/ready"] {
        assert_eq!(server.get_with(path, None).status, 200);
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let folder = Folder::new();
    let server = serve(&folder);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let length = (64 << 20) + 1;
    write!(
        stream,
        "POST /v2/models/double/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("{\"error\":\"the body is larger than 64 MiB\"}"), "{answer}");
}

#[test]
fn a_body_without_a_length_is_refused_where_it_gets_too_large() {
    let folder = Folder::new();
    let server = serve(&folder);
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v2/models/double/infer HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    // The server closes the connection at some point.
    for _ in 0..65 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // What had been sent beyond the limit may reset the connection after the answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Whatever became of that one, the server goes on.
    assert_eq!(server.get("/v2/health/live").status, 200);
}
