//! A request that tells a channel of a chat, in the form that Slack, Mattermost and others take.

use camino::Utf8PathBuf;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::error::{DeliveryError, Failure};
use crate::text::lines;
use crate::{Message, Secret, WrongPlace, http, tls};

/// A channel of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slack {
    /// Its address, which lets in whoever knows it.
    pub url: Secret,
    /// A file of authorities to trust beside those of this machine.
    pub ca: Option<Utf8PathBuf>,
}

/// How long a text may be, in units of UTF-16.
const TEXT: usize = 40_000;
const SECTION: usize = 3_000;
const HEADER: usize = 150;
const FIELD: usize = 2_000;
/// How many fields a section may have, and how many such sections are shown; the text has them all.
const FIELDS: usize = 10;
const SECTIONS: usize = 5;

impl Slack {
    /// The channel that has this address.
    #[must_use]
    pub fn new(url: Secret) -> Self {
        Self { url, ca: None }
    }

    /// All that is wrong with it, before anything is sent.
    #[must_use]
    pub fn check(&self) -> Vec<WrongPlace> {
        let ca = self.ca.as_deref().and_then(|path| tls::authorities(path).err());
        http::address(&self.url).err().into_iter().chain(ca).collect()
    }

    /// Delivers a message, once.
    ///
    /// # Errors
    /// If it did not arrive; the error tells whether another try may help.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryError> {
        self.send(message).await.map_err(|failure| failure.at(self.place()))
    }

    pub(crate) fn place(&self) -> String {
        http::place("the chat", &self.url)
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let url = http::address(&self.url).map_err(|wrong| Failure::refused(wrong.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let body = json!({"text": text(message), "blocks": blocks(message)}).to_string();
        http::post(&url, self.ca.as_deref(), headers, body.into_bytes(), &[]).await
    }
}

/// All that is said, for whoever shows no blocks. A long text gives way to the facts and the link.
fn text(message: &Message) -> String {
    let mut text = escaped(&format!("{} {}", message.level.sign(), message.headline()), TEXT / 2);
    let link = message.link().map(|link| format!("\n<{}>", escaped(&link, SECTION))).unwrap_or_default();
    let mut end = String::new();
    for (name, value) in message.facts() {
        let fact = escaped(&format!("\n{name}: {value}"), FIELD);
        if length(&end) + length(&fact) > TEXT / 2 {
            end.push_str("\n…");
            break;
        }
        end.push_str(&fact);
    }
    end.push_str(&link);
    let said = lines(&message.text);
    if !said.trim().is_empty() {
        let room = TEXT - length(&text) - length(&end) - 1;
        text = format!("{text}\n{}", escaped(said.trim_end(), room));
    }
    text + &end
}

fn blocks(message: &Message) -> Vec<Value> {
    let head = format!("{} {}", message.level.sign(), message.headline());
    let mut blocks =
        vec![json!({"type": "header", "text": {"type": "plain_text", "text": escaped(&head, HEADER)}})];
    let said = lines(&message.text);
    if !said.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": marked(&escaped(said.trim(), SECTION))}));
    }
    for facts in message.facts().chunks(FIELDS).take(SECTIONS) {
        let field = |(name, value): &(String, String)| {
            let name = escaped(name, FIELD / 2);
            let value = escaped(value, FIELD - length(&name) - "**\n".len());
            marked(&format!("*{name}*\n{value}"))
        };
        blocks.push(json!({"type": "section", "fields": facts.iter().map(field).collect::<Vec<_>>()}));
    }
    if let Some(link) = message.link() {
        let link = escaped(&link.replace('|', "%7C"), SECTION - 20);
        blocks.push(json!({"type": "section", "text": marked(&format!("<{link}|Show more>"))}));
    }
    blocks
}

/// A text whose addresses and names of channels are left as they are.
fn marked(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

/// A text whose characters steer nothing and that wakes nobody up, cut to a length that counts what escaping adds.
fn escaped(text: &str, limit: usize) -> String {
    let mut text = text.to_owned();
    for all in ["channel", "here", "all", "everyone"] {
        // With an empty space in between, a chat does not call everyone.
        text = text.replace(&format!("@{all}"), &format!("@\u{200b}{all}"));
    }
    cut(&text, limit, |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    })
}

fn cut(text: &str, limit: usize, written: impl Fn(char) -> String) -> String {
    // Up to where an ellipsis still fits behind.
    let (mut whole, mut used, mut short) = (String::new(), 0, 0);
    for c in text.chars() {
        let c = written(c);
        used += length(&c);
        if used > limit {
            whole.truncate(short);
            whole.push('…');
            return whole;
        }
        whole.push_str(&c);
        if used < limit {
            short = whole.len();
        }
    }
    whole
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::example;

    fn crowded() -> Message {
        Message {
            subject: "<&>".repeat(100),
            text: "&".repeat(100_000),
            facts: (0..60).map(|n| (format!("name {n}"), "<".repeat(5_000))).collect(),
            ..example()
        }
    }

    #[test]
    fn characters_that_steer_are_escaped() {
        assert_eq!(escaped("a < b && c > <!channel>", 100), "a &lt; b &amp;&amp; c &gt; &lt;!channel&gt;");
        assert_eq!(escaped("ask @channel or @all", 100), "ask @\u{200b}channel or @\u{200b}all");
    }

    #[test]
    fn a_cut_counts_what_escaping_adds_and_splits_nothing() {
        assert_eq!(escaped("abc", 3), "abc");
        assert_eq!(escaped("abcd", 3), "ab…");
        assert_eq!(escaped("a&bc", 7), "a&amp;…");
        assert_eq!(escaped("a&b", 6), "a…");
        assert_eq!(escaped("😀😀", 3), "😀…");
    }

    #[test]
    fn the_text_alone_says_all() {
        let said = text(&example());
        let expected = "❌ churn: evaluate failed\nThe step evaluate failed.\nstep: evaluate\nexit code: 3\n<https://tidemill.example.org/runs/7>";
        assert_eq!(said, expected);
    }

    #[test]
    fn nothing_is_longer_than_allowed() {
        let said = text(&crowded());
        assert!(length(&said) <= TEXT, "{}", length(&said));
        assert!(said.ends_with("\n<https://tidemill.example.org/runs/7>"));
        let blocks = blocks(&crowded());
        assert!(blocks.len() <= 50);
        for block in &blocks {
            let limit = if block["type"] == "header" { HEADER } else { SECTION };
            if let Some(text) = block["text"]["text"].as_str() {
                assert!((1..=limit).contains(&length(text)));
            }
            let fields = block["fields"].as_array().cloned().unwrap_or_default();
            assert!(fields.len() <= FIELDS);
            for field in fields {
                assert!((1..=FIELD).contains(&length(field["text"].as_str().unwrap())));
            }
        }
    }

    #[test]
    fn a_message_of_little_has_few_blocks() {
        let bare = Message {
            subject: String::new(),
            text: " \n".to_owned(),
            facts: vec![],
            link: Some("file:///etc/passwd".to_owned()),
            ..example()
        };
        assert_eq!(text(&bare), "❌ failure");
        assert_eq!(blocks(&bare).len(), 1);
    }

    #[test]
    fn the_address_is_a_secret() {
        let slack = Slack::new(Secret::new("https://hooks.slack.com/services/T00/B00/XXXX"));
        assert_eq!(slack.place(), "the chat at hooks.slack.com");
        assert!(!format!("{slack:?}").contains("T00"));
        assert_eq!(slack.check(), []);
        let wrong = Slack { url: Secret::new("T00/B00/XXXX"), ca: Some("/no/such".into()) };
        assert_eq!(wrong.check().iter().map(WrongPlace::field).collect::<Vec<_>>(), ["url", "ca"]);
        assert!(!format!("{:?}", wrong.check()).contains("T00"));
    }
}
