//! What is written is read back, and nothing that comes in breaks anything.

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use super::tests::headers;
use super::{CloudEvent, Data, ExtensionValue, Limits, received};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{1,20}", "[ -~]{1,20}", "[\"%\\\\ é😀]{1,8}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn data() -> impl Strategy<Value = Option<(&'static str, Data)>> {
    prop_oneof![
        Just(None),
        value().prop_map(|value| Some(("application/vnd.x+json", Data::Json(value)))),
        any::<String>().prop_map(|text| Some(("text/plain; charset=\"utf-8\"", Data::Text(text)))),
        any::<Vec<u8>>().prop_map(|bytes| Some(("text/html", Data::Binary(bytes)))),
        any::<Vec<u8>>().prop_map(|bytes| Some(("application/json", Data::Binary(bytes)))),
        any::<Vec<u8>>().prop_map(|bytes| Some(("application/x", Data::Binary(bytes)))),
    ]
}

fn extension() -> impl Strategy<Value = ExtensionValue> {
    prop_oneof![
        any::<bool>().prop_map(ExtensionValue::Boolean),
        any::<i32>().prop_map(ExtensionValue::Integer),
        prop_oneof![Just(String::new()), text()].prop_map(ExtensionValue::Text),
    ]
}

prop_compose! {
    fn event()(
        (id, kind, subject) in (text(), text(), prop::option::of(text())),
        source in "(/|urn:x:|https://a[.]b/)[a-z][a-zA-Z0-9._~:@!$&'()*+,;=/-]{0,9}(%[0-9A-F]{2})?([?][a-z/?]{0,3})?(#[a-z]{0,3})?",
        time in prop::option::of((-60_000_000_000_i64..250_000_000_000, 0..1_000_000_000)),
        schema in prop::option::of("[a-z]{1,5}:[a-z0-9/]{0,9}"),
        extensions in prop::collection::btree_map("x[a-z0-9]{1,19}", extension(), 0..3),
        data in data(),
    ) -> CloudEvent {
        let mut event = CloudEvent::new(&id, &source, &kind).unwrap();
        if let Some(subject) = subject { event = event.with_subject(&subject).unwrap(); }
        if let Some((second, nanosecond)) = time {
            event = event.with_time(Timestamp::new(second, nanosecond).unwrap()).unwrap();
        }
        if let Some(schema) = schema { event = event.with_dataschema(&schema).unwrap(); }
        for (name, value) in extensions { event = event.with_extension(&name, value).unwrap(); }
        if let Some((kind, data)) = data { event = event.with_data(kind, data).unwrap(); }
        event
    }
}

proptest! {
    #[test]
    fn the_structured_form_is_the_event(event in event()) {
        let body = event.to_structured();
        let headers = headers(&[("content-type", "application/cloudevents+json")]);
        prop_assert_eq!(received(&headers, &body, &Limits::default()).unwrap(), vec![event.clone()]);
        prop_assert_eq!(serde_json::from_slice::<CloudEvent>(&body).unwrap(), event.clone());
        prop_assert_eq!(serde_json::to_vec(&event).unwrap(), body);
        prop_assert_eq!(serde_json::from_value::<CloudEvent>(event.as_value()).unwrap(), event);
    }

    /// Headers tell no types, and an empty body is no data.
    #[test]
    fn binary_mode_is_the_event(event in event()) {
        let (headers, body) = event.to_binary();
        let again = received(&headers, &body, &Limits::default());
        if let (Some("application/json"), Some(Data::Binary(bytes))) = (event.datacontenttype(), event.data())
            && !bytes.is_empty()
        {
            // This was never JSON.
            prop_assert_eq!(again.unwrap_err().status(), 400);
            return Ok(());
        }
        let again = again.unwrap().remove(0);
        prop_assert_eq!(again.data(), event.data().filter(|_| !body.is_empty()));
        let texts = |event: &CloudEvent| {
            let texts = event.extensions().iter().map(|(name, value)| (name.clone(), value.to_string()));
            texts.collect::<Vec<_>>()
        };
        prop_assert_eq!(texts(&again), texts(&event));
        prop_assert_eq!((again.identity(), again.kind()), (event.identity(), event.kind()));
        prop_assert_eq!((again.subject(), again.time()), (event.subject(), event.time()));
        prop_assert_eq!((again.datacontenttype(), again.dataschema()), (event.datacontenttype(), event.dataschema()));
        prop_assert_eq!(again.to_binary(), (headers, body));
    }

    #[test]
    fn nothing_that_comes_in_breaks_anything(
        kind in prop_oneof![
            Just("application/cloudevents+json".to_owned()), Just("application/cloudevents-batch+json".to_owned()),
            Just("text/plain".to_owned()), "[ -~]{0,30}",
        ],
        pairs in prop::collection::vec(("ce-(id|type|source|time|specversion|[a-z]{1,3})", any::<Vec<u8>>()), 0..6),
        body in prop_oneof![any::<Vec<u8>>(), value().prop_map(|value| value.to_string().into_bytes())],
    ) {
        let mut headers = headers(&[("content-type", &kind)]);
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::try_from(name).unwrap(), value);
            }
        }
        if let Err(error) = received(&headers, &body, &Limits::default()) {
            prop_assert!([400, 413, 415].contains(&error.status()));
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_text_is_either_refused_or_kept(id in any::<String>(), source in any::<String>(), kind in any::<String>()) {
        if let Ok(event) = CloudEvent::new(&id, &source, &kind) {
            prop_assert_eq!(serde_json::from_slice::<CloudEvent>(&event.to_structured()).unwrap(), event);
        }
    }
}
