//! Events are read and written as the specification says.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::{CloudEvent, Data, EventError, ExtensionValue, Limits, received};

pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        })
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
}

fn structured(body: &str) -> Result<CloudEvent, EventError> {
    let headers = headers(&[("content-type", "application/cloudevents+json; charset=UTF-8")]);
    received(&headers, body.as_bytes(), &Limits::default()).map(|events| events.into_iter().next().unwrap())
}

/// An event with these members more, or instead.
fn with(members: &Value) -> Result<CloudEvent, EventError> {
    let mut event = json!({"specversion": "1.0", "type": "t", "source": "/s", "id": "1"});
    for (name, value) in members.as_object().unwrap() {
        event[name] = value.clone();
    }
    structured(&event.to_string())
}

fn binary(pairs: &[(&str, &str)], body: &[u8]) -> Result<CloudEvent, EventError> {
    let mut all = vec![("ce-specversion", "1.0"), ("ce-type", "t"), ("ce-source", "/s"), ("ce-id", "1")];
    all.extend(pairs);
    received(&headers(&all), body, &Limits::default()).map(|events| events.into_iter().next().unwrap())
}

/// The examples of the JSON format, section 3.2.
#[test]
fn the_examples_of_the_json_format() {
    let common = r#""specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"A234-1234-1234",
        "time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"unsetextension":null"#;
    let read = |rest: &str| structured(&format!("{{{common},{rest}}}")).unwrap();
    let event = read(r#""subject":null,"datacontenttype":"application/json","data":{"appinfoA":"abc"}"#);
    assert_eq!(event.identity(), ("/mycontext", "A234-1234-1234"));
    assert_eq!(event.time().unwrap().to_string(), "2018-04-05T17:31:00Z");
    assert_eq!(event.extensions()["comexampleothervalue"], ExtensionValue::Integer(5));
    assert_eq!((event.extensions().len(), event.subject()), (2, None));
    assert_eq!(event.data(), Some(&Data::Json(json!({"appinfoA": "abc"}))));

    let event = read(r#""datacontenttype":"application/vnd.apache.thrift.binary","data_base64":"AAEC/w==""#);
    assert_eq!(event.data(), Some(&Data::Binary(vec![0, 1, 2, 255])));

    let event = read(r#""datacontenttype":"application/xml","data":"<much wow=\"xml\"/>""#);
    assert_eq!(event.data(), Some(&Data::Text(r#"<much wow="xml"/>"#.to_owned())));
    let (headers, body) = event.to_binary();
    assert_eq!(
        (&headers["ce-comexampleothervalue"], &headers["content-type"]),
        (&"5".parse().unwrap(), &"application/xml".parse().unwrap())
    );
    assert_eq!(body, br#"<much wow="xml"/>"#);

    let event = read(r#""data":"I'm just a string""#);
    assert_eq!(event.datacontenttype(), Some("application/json"));
    assert_eq!(event.to_binary().1, br#""I'm just a string""#);
}

/// The example of the HTTP binding, section 3.1.4.
#[test]
fn the_example_of_the_http_binding() {
    let event = binary(
        &[
            ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("content-type", "application/json; charset=utf-8"),
        ],
        b" {\"a\": 1} ",
    )
    .unwrap();
    assert_eq!(event.subject(), Some("Euro € 😀"));
    assert_eq!(event.data(), Some(&Data::Json(json!({"a": 1}))));
    let value = event.as_value();
    assert_eq!(value["data"]["a"], 1);
    assert_eq!(event.to_binary().0["ce-subject"], "Euro%20%E2%82%AC%20%F0%9F%98%80");
}

#[test]
fn the_form_of_data_follows_its_media_type() {
    let data = |kind: &str, body: &[u8]| binary(&[("content-type", kind)], body).unwrap().data().cloned();
    assert_eq!(data("application/json", b""), None);
    assert_eq!(data("application/json", b"null"), Some(Data::Json(Value::Null)));
    assert_eq!(data("text/csv", b"a,b"), Some(Data::Text("a,b".to_owned())));
    assert_eq!(data("text/csv", b"\xff"), Some(Data::Binary(vec![255])));
    assert_eq!(data("image/png", b"\xff"), Some(Data::Binary(vec![255])));
    assert_eq!(binary(&[], b"{}").unwrap().data(), Some(&Data::Json(json!({}))));
    assert_eq!(binary(&[], b"{").unwrap().data(), Some(&Data::Binary(b"{".to_vec())));
    for (kind, body, status) in [
        ("application/json", &b"{"[..], 400),
        ("application/json; charset=utf-16", b"{}", 415),
        ("text/plain; charset=latin1", b"a", 415),
        ("text/plain; charset=utf-8", b"\xff", 400),
        ("text", b"a", 400),
        ("application/cloudevents+avro", b"a", 415),
        ("application/cloudevents", b"{}", 415),
        ("application/cloudevents-batch+xml", b"{}", 415),
        ("application/cloudevents+json; charset=latin1", b"{}", 415),
    ] {
        assert_eq!(binary(&[("content-type", kind)], body).unwrap_err().status(), status, "{kind}");
    }
}

#[test]
fn what_the_specification_forbids_is_refused() {
    for wrong in [
        json!({"id": null}),
        json!({"id": ""}),
        json!({"id": 5}),
        json!({"type": ""}),
        json!({"source": ""}),
        json!({"source": "a b"}),
        json!({"specversion": "0.3"}),
        json!({"specversion": "1.0.1"}),
        json!({"specversion": null}),
        json!({"time": "yesterday"}),
        json!({"subject": ""}),
        json!({"dataschema": "/x"}),
        json!({"datacontenttype": "json"}),
        json!({"Upper": 1}),
        json!({"with_line": 1}),
        json!({"": 1}),
        json!({"ext": 1.5}),
        json!({"ext": 1e3}),
        json!({"ext": 2_147_483_648_i64}),
        json!({"ext": {}}),
        json!({"ext": []}),
        json!({"ext": "a\nb"}),
        json!({"data": 1, "data_base64": "AA=="}),
        json!({"data_base64": "A"}),
        json!({"data_base64": "AB=="}),
        json!({"data_base64": 5}),
        json!({"datacontenttype": "text/plain", "data": {}}),
        json!({"datacontenttype": "text/plain", "data": null}),
        json!({"id": "x".repeat(1025)}),
    ] {
        assert_eq!(with(&wrong).unwrap_err().status(), 400, "{wrong}");
    }
    assert!(with(&json!({"id": "é".repeat(1024), "ext": true, "data": null, "data_base64": null})).is_ok());
    let twice = r#"{"specversion":"1.0","type":"t","source":"/s","id":"1","id":"2"}"#;
    assert_eq!(
        structured(twice).unwrap_err().to_string(),
        "the body is not the JSON of an event: member `id` is there more than once at line 1 column 59"
    );
    assert!(
        structured(r#"{"specversion":"1.0","type":"t","source":"/s","id":"1","data":{"a":1,"a":2}}"#)
            .is_err()
    );
    assert!(structured("[]").is_err() && structured("{} {}").is_err() && structured("").is_err());
    assert!(structured(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).is_err());
    for wrong in [
        ("ce-datacontenttype", "text/plain"),
        ("ce-data", "x"),
        ("ce-a-b", "x"),
        ("ce-id", "2"),
        ("ce-subject", "é"),
        ("ce-subject", "%"),
        ("ce-subject", "%0A"),
        ("ce-subject", "%ff"),
        ("ce-", "x"),
        ("content-type", "é"),
    ] {
        assert_eq!(binary(&[wrong], b"").unwrap_err().status(), 400, "{wrong:?}");
    }
    let none = received(&headers(&[("content-type", "application/json")]), b"{}", &Limits::default());
    assert_eq!(none.unwrap_err(), EventError::Missing { name: "specversion" });
}

#[test]
fn a_batch_is_accepted_as_a_whole() {
    let kind = headers(&[("content-type", "application/cloudevents-batch+json")]);
    let limits = Limits { batch: 2, body: 400, ..Limits::default() };
    let one = r#"{"specversion":"1.0","type":"t","source":"/s","id":"1"}"#;
    let read = |events: &[&str]| received(&kind, format!("[{}]", events.join(",")).as_bytes(), &limits);
    assert_eq!(read(&[]).unwrap(), []);
    assert_eq!(read(&[one, one]).unwrap().len(), 2);
    assert_eq!(read(&[one, one, one]).unwrap_err().status(), 413);
    assert_eq!(read(&[one; 9]).unwrap_err(), EventError::BodyTooLarge { bytes: 505, limit: 400 });
    let error = read(&[one, "{}"]).unwrap_err();
    assert_eq!(error.to_string(), "event 2 of the batch: required attribute `specversion` is missing");
    assert_eq!(error.status(), 400);
    assert!(received(&kind, one.as_bytes(), &limits).is_err());
}

#[test]
fn what_is_accepted_can_be_kept() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let json = [("content-type", "application/json")];
    let event = binary(&json, nested(64).as_bytes()).unwrap();
    let kept = format!("{{\"events\":[{}]}}", String::from_utf8(event.to_structured()).unwrap());
    let again: std::collections::BTreeMap<String, Vec<CloudEvent>> = serde_json::from_str(&kept).unwrap();
    assert_eq!(again["events"], [event]);
    let error = binary(&json, nested(65).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
    // How much is accepted may have become less since.
    let long = json!({"specversion": "1.0", "type": "t", "source": "/s", "id": "x".repeat(5000)});
    assert!(serde_json::from_value::<CloudEvent>(long).is_ok());
    let wrong = json!({"specversion": "1.0", "type": "t", "source": "/s"});
    let error = serde_json::from_value::<CloudEvent>(wrong).unwrap_err();
    assert_eq!(error.to_string(), "required attribute `id` is missing");
}
