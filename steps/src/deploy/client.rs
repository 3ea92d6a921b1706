//! The client's side of the Open Inference Protocol, as far as a smoke test needs it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

/// The longest that one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one server.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: String,
}

/// What a server tells of a model.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) versions: Vec<String>,
    pub(super) inputs: Vec<TensorMetadata>,
    pub(super) outputs: Vec<TensorMetadata>,
}

/// A tensor that a model takes or gives.
#[derive(Debug, Deserialize)]
pub(super) struct TensorMetadata {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<i64>,
}

/// A tensor on the wire.
#[derive(Debug, Deserialize)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) data: Vec<Json>,
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Output>,
}

impl Client {
    /// A client of the server at this address.
    pub(super) fn new(address: SocketAddr, token: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Self { agent, base: format!("http://{address}/v2"), authorization: format!("Bearer {token}") }
    }

    /// Whether the server is ready.
    pub(super) fn ready(&self) -> Result<(), String> {
        self.get::<Json>("health/ready").map(|_| ())
    }

    /// What the server tells of a model.
    pub(super) fn metadata(&self, model: &str) -> Result<Metadata, String> {
        self.get(&format!("models/{model}"))
    }

    /// These of the model's answers to these inputs.
    pub(super) fn infer(
        &self,
        model: &str,
        inputs: &[Json],
        outputs: &[&str],
    ) -> Result<Vec<Output>, String> {
        let path = format!("models/{model}/infer");
        let outputs: Vec<Json> = outputs.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({ "inputs": inputs, "outputs": outputs });
        let request = self.agent.post(format!("{}/{path}", self.base));
        let sent = request.header("authorization", &self.authorization).send_json(body);
        read::<Answer>(&path, sent).map(|answer| answer.outputs)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let request = self.agent.get(format!("{}/{path}", self.base));
        read(path, request.header("authorization", &self.authorization).call())
    }
}

type Sent = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn read<T: DeserializeOwned>(path: &str, sent: Sent) -> Result<T, String> {
    let mut response = sent.map_err(|error| format!("/v2/{path}: {error}"))?;
    let status = response.status();
    if !status.is_success() {
        let body: Json = response.body_mut().read_json().unwrap_or_default();
        let error = body.get("error").and_then(Json::as_str).unwrap_or("no reason given");
        return Err(format!("/v2/{path} answered {}: {error}", status.as_u16()));
    }
    response.body_mut().read_json().map_err(|error| format!("/v2/{path}: {error}"))
}
