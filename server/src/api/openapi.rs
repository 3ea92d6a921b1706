//! The OpenAPI 3.1 document of the interface, made from the table of its paths.

use axum::Json;
use serde_json::{Map, Value, json};

use super::endpoints::{Body, ENDPOINTS, Endpoint, Guard, Holds};

/// The document.
pub(super) async fn document() -> Json<Value> {
    Json(value())
}

fn value() -> Value {
    let mut paths = Map::new();
    for endpoint in ENDPOINTS {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs, triggers, events and outputs of the projects that a daemon serves.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": problem_schema() },
        },
    })
}

/// RFC 9457.
fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({
        "summary": endpoint.about,
        "operationId": operation_id(endpoint),
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    match endpoint.guard {
        Guard::Open | Guard::Signed => operation["security"] = json!([]),
        Guard::Token => {}
        Guard::Scope(scope) => {
            operation["description"] = json!(format!("Needs the scope `{}`.", scope.as_str()));
        }
    }
    if let Some(body) = body(endpoint.body) {
        operation["requestBody"] = body;
    }
    operation
}

/// A name for the operation: its method and the words of its path.
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.trim_start_matches("/api/v1/").split(['/', '.']);
    let words: Vec<&str> = words.map(|word| word.trim_matches(['{', '}'])).collect();
    format!("{}_{}", endpoint.method, words.join("_"))
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let mut parameters: Vec<Value> = endpoint
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }))
        .collect();
    for (name, schema, about) in endpoint.query {
        parameters.push(json!({ "name": name, "in": "query", "schema": schema(), "description": about }));
    }
    if endpoint.path.ends_with("/runs") && endpoint.method == "post" || endpoint.path.ends_with("/fire") {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
            "description": "Tells this request from another one: sent again, it leads to the same run.",
        }));
    }
    parameters
}

fn body(body: Body) -> Option<Value> {
    Some(match body {
        Body::None => return None,
        Body::Json(schema, required) => {
            json!({ "required": required, "content": { "application/json": { "schema": schema() } } })
        }
        Body::Event => json!({
            "required": true,
            "content": {
                "application/cloudevents+json": { "schema": event_schema() },
                "application/cloudevents-batch+json": { "schema": { "type": "array", "maxItems": 100, "items": event_schema() } },
            },
        }),
        Body::Signed => json!({
            "required": true,
            "content": { "application/json": { "schema": { "type": "object" } } },
        }),
    })
}

/// The JSON format of CloudEvents 1.0.2, as far as a schema can say it.
fn event_schema() -> Value {
    json!({
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1 },
            "source": { "type": "string", "format": "uri-reference", "minLength": 1 },
            "type": { "type": "string", "minLength": 1 },
            "subject": { "type": "string", "minLength": 1 },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "type": "string", "minLength": 1 },
            "dataschema": { "type": "string", "format": "uri", "minLength": 1 },
            "data": {},
            "data_base64": { "type": "string", "contentEncoding": "base64" },
        },
    })
}

fn responses(endpoint: &Endpoint) -> Value {
    let mut responses = Map::new();
    let (status, holds) = endpoint.answer;
    let content = match holds {
        Holds::Json => json!({ "application/json": { "schema": { "type": "object" } } }),
        Holds::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Holds::Events => json!({ "text/event-stream": {} }),
        Holds::Bytes => json!({
            "application/octet-stream": { "schema": { "type": "string", "format": "binary" } },
            "application/json": { "schema": { "type": "object" } },
        }),
    };
    responses.insert(status.to_string(), json!({ "description": "As asked for.", "content": content }));
    let mut refused = |status: u16, about: &str| {
        let content =
            json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        responses.insert(status.to_string(), json!({ "description": about, "content": content }));
    };
    let common: &[u16] = match endpoint.guard {
        Guard::Open => &[],
        Guard::Signed => &[401, 429, 503],
        Guard::Token => &[401, 429, 503],
        Guard::Scope(_) => &[401, 403, 429, 503],
    };
    // A part of a path that is no text.
    let unreadable: &[u16] = if endpoint.path.contains('{') { &[400] } else { &[] };
    for status in common.iter().chain(unreadable).chain(endpoint.others) {
        let about = match status {
            400 => "The request is wrong.",
            401 => "No token, or one that is not known; or no signature that fits.",
            403 => "The token has not this scope.",
            404 => "There is no such thing.",
            408 => "The message did not come in time.",
            409 => "It cannot be done from here.",
            410 => "It is not there any more.",
            413 => "The body is too large.",
            415 => "The form of the event is not known.",
            422 => {
                "A parameter that there is not, a value of another type, or an event that lacks what the trigger takes from it."
            }
            429 => "Too many requests.",
            _ => "Not now.",
        };
        refused(*status, about);
    }
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_stands_in_the_document_once() {
        let document = value();
        let count: usize =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(count, ENDPOINTS.len());
        let mut ids: Vec<String> = ENDPOINTS.iter().map(operation_id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ENDPOINTS.len());
    }
}
