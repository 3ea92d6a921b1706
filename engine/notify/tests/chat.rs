//! Messages to a channel of a chat, as its receiver sees them.

use serde_json::{Value, json};
use tidemill_notify::{Kind, Message, Place, Secret, Slack};

use crate::support::{Receiver, Script, message};

#[tokio::test]
async fn a_channel_gets_text_and_blocks() {
    let mut receiver = Receiver::start(Script::Webhook, &[], &[]);
    let url = |path: &str| Secret::new(format!("http://localhost:{}{path}", receiver.port));
    let place = Place::Slack(Slack::new(url("/services/T00000/B00000/XXXXXXXX")));
    assert_eq!(place.to_string(), format!("the chat at localhost:{}", receiver.port));
    let sent = Message { text: "a < b & <!channel>\n@here".to_owned(), ..message() };
    place.deliver(&sent).await.unwrap();
    let gone = Place::Slack(Slack::new(url("/status/410/B00000")));
    let error = gone.deliver(&sent).await.unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(!format!("{error:?} {place:?}").contains("B00000"), "{error:?}");

    let taken = receiver.line();
    assert_eq!(taken["path"], "/services/T00000/B00000/XXXXXXXX");
    let body: Value = serde_json::from_str(taken["body"].as_str().unwrap()).unwrap();
    let text = "❌ churn: evaluate failed\na &lt; b &amp; &lt;!channel&gt;\n@\u{200b}here\nstep: evaluate\nexit code: 3\n\
                <https://tidemill.example.org/runs/7>";
    assert_eq!(body["text"], text);
    let kinds: Vec<_> = body["blocks"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["header", "section", "section", "section"]);
    let link = json!({"type": "mrkdwn", "text": "<https://tidemill.example.org/runs/7|Show more>", "verbatim": true});
    assert_eq!(body["blocks"][3]["text"], link);
}
