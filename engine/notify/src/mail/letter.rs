//! A message as a letter: headers that nothing in the message can add to, and plain text in UTF-8.

use std::time::SystemTime;

use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};

use super::{Mail, mailbox};
use crate::Message;
use crate::error::{Failure, root};

/// The letter. It is the same for the same message, so that a repeated delivery can be recognised by its Message-ID.
pub(super) fn letter(mail: &Mail, message: &Message) -> Result<lettre::Message, Failure> {
    let read = |field, text: &str| mailbox(field, text).map_err(|wrong| Failure::refused(wrong.to_string()));
    let from = read("from", &mail.from)?;
    let domain = match from.email.domain() {
        domain if domain.is_ascii() => domain,
        // A Message-ID is of ASCII characters; this name belongs to nobody.
        _ => "tidemill.invalid",
    };
    let id = format!("<{}@{domain}>", message.handle());
    // Says that no person wrote it, so that no absence note answers it: RFC 3834.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mut letter = lettre::Message::builder()
        .message_id(Some(id))
        .date(SystemTime::from(message.time))
        .subject(message.headline())
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .from(from);
    for to in &mail.to {
        letter = letter.to(read("to", to)?);
    }
    letter
        .body(message.plain())
        .map_err(|error| Failure::refused(format!("no letter can be made: {}", root(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::example;

    fn mail() -> Mail {
        let to = vec!["Ann Ä. <ann@example.org>".to_owned(), "bo@example.org".to_owned()];
        Mail::new("localhost", "Tidemill <mill@example.org>", to)
    }

    fn written(message: &Message) -> String {
        String::from_utf8(letter(&mail(), message).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_letter_is_the_same_each_time() {
        let first = written(&example());
        assert_eq!(first, written(&example()));
        for line in [
            "Message-ID: <run-7-failed@example.org>",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "Subject: churn: evaluate failed",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "From: Tidemill <mill@example.org>",
            "exit code: 3",
        ] {
            assert!(first.lines().any(|found| found == line), "{line} in\n{first}");
        }
    }

    #[test]
    fn a_subject_adds_no_header() {
        let subject = "x\r\nBcc: eve@example.org\r\n\r\nbody".to_owned();
        let written = written(&Message { subject, id: "a\r\nX: y".to_owned(), ..example() });
        let (headers, _) = written.split_once("\r\n\r\n").unwrap();
        assert!(headers.lines().all(|line| !line.starts_with("Bcc") && !line.starts_with("X:")), "{headers}");
        assert!(headers.contains("Subject: x Bcc: eve@example.org body\r\n"), "{headers}");
    }

    #[test]
    fn other_letters_are_encoded() {
        let text = "Größe: 5 µm\n.\nend".to_owned();
        let written = written(&Message { subject: "Prüfung ✓ 検査".to_owned(), text, ..example() });
        assert!(written.is_ascii());
        assert!(written.contains("Subject: =?utf-8?"));
    }
}
