//! Mail to a real server, encrypted in each way, and to servers that are not what they seem.

use serde_json::Value;
use tidemill_notify::{DeliveryError, Encryption, Kind, Mail, Message, Secret};

use crate::support::{Receiver, Script, ca, message};

fn server(mode: &str, options: &[&str]) -> Receiver {
    Receiver::start(Script::Mail, &[mode], options)
}

fn mail(server: &Receiver, encryption: Encryption) -> Mail {
    let to = vec!["Ann <ann@example.org>".to_owned()];
    Mail {
        port: Some(server.port),
        encryption,
        ca: ca(server),
        ..Mail::new("localhost", "Tidemill <mill@example.org>", to)
    }
}

fn header<'a>(taken: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = taken["headers"].as_array().unwrap().iter();
    headers.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
}

fn refused(error: &DeliveryError, words: &str) {
    assert_eq!(error.kind, Kind::Refused, "{error}");
    assert!(error.reason.contains(words), "{error}");
}

fn again(error: &DeliveryError, words: &str) {
    assert_eq!(error.kind, Kind::Again { after: None }, "{error}");
    assert!(error.reason.contains(words), "{error}");
}

#[tokio::test]
async fn each_encryption_delivers() {
    for (mode, encryption) in
        [("plain", Encryption::None), ("starttls", Encryption::StartTls), ("tls", Encryption::Tls)]
    {
        let mut server = server(mode, &[]);
        mail(&server, encryption).deliver(&message()).await.unwrap();
        let taken = server.line();
        assert_eq!(taken["encrypted"], mode != "plain");
        assert_eq!(taken["sender"], "mill@example.org");
        assert_eq!(taken["recipients"], serde_json::json!(["ann@example.org"]));
        assert_eq!(header(&taken, "Message-ID"), ["<run-7-failed@example.org>"]);
        assert_eq!(header(&taken, "Auto-Submitted"), ["auto-generated"]);
        assert_eq!(header(&taken, "Date"), ["Mon, 30 Nov 2026 12:00:00 +0000"]);
        assert_eq!(header(&taken, "Subject"), ["churn: evaluate failed"]);
        let text = "The step evaluate failed.\n\nstep:      evaluate\nexit code: 3\n\nhttps://tidemill.example.org/runs/7\n";
        assert_eq!(taken["text"], text);
        assert_eq!(header(&taken, "MIME-Version"), ["1.0"]);
    }
}

#[tokio::test]
async fn any_letter_and_any_length_arrive() {
    let mut server = server("starttls", &[]);
    let text = format!("Prüfung ✓ 検査 😀\n.\n..\nFrom here\n{}", "längere Zeile ".repeat(8_000));
    let sent = Message {
        subject: "Prüfung ✓ 検査 😀 ".repeat(12).trim().to_owned(),
        text: text.clone(),
        facts: vec![],
        link: None,
        ..message()
    };
    let mut place = mail(&server, Encryption::StartTls);
    place.to = vec!["Änne Ø. <ann@example.org>".to_owned(), "Bo <bo@example.org>".to_owned()];
    place.deliver(&sent).await.unwrap();
    let taken = server.line();
    assert_eq!(header(&taken, "Subject"), [sent.subject.as_str()]);
    assert_eq!(header(&taken, "To"), ["\"Änne Ø.\" <ann@example.org>, Bo <bo@example.org>"]);
    assert_eq!(taken["text"], format!("{}\n", text.trim_end()));
    assert!(text.len() > 100_000 && taken["longest"].as_u64().unwrap() <= 998);
    // An address of other letters than ASCII takes a server that knows them, as this one does.
    place.to = vec!["änne@example.org".to_owned()];
    place.deliver(&message()).await.unwrap();
    assert_eq!(server.line()["recipients"][0], "änne@example.org");
}

#[tokio::test]
async fn nothing_in_a_message_adds_a_header() {
    let mut server = server("plain", &[]);
    let place = mail(&server, Encryption::None);
    let evil = "x\r\nBcc: eve@example.org\r\nX-Evil: yes\r\n\r\nbody";
    let sent = Message { subject: evil.to_owned(), id: evil.to_owned(), ..message() };
    place.deliver(&sent).await.unwrap();
    let taken = server.line();
    assert_eq!(header(&taken, "Subject"), ["x Bcc: eve@example.org X-Evil: yes body"]);
    assert!(header(&taken, "Bcc").is_empty() && header(&taken, "X-Evil").is_empty());
    assert_eq!(header(&taken, "Message-ID").len(), 1);
    assert_eq!(taken["recipients"].as_array().unwrap().len(), 1);
    for wrong in [
        Mail { from: "mill@example.org\r\nBcc: eve@example.org".to_owned(), ..place.clone() },
        Mail { to: vec!["ann@example.org>\r\nRCPT TO:<eve@example.org".to_owned()], ..place.clone() },
    ] {
        refused(&wrong.deliver(&message()).await.unwrap_err(), "is no mail address");
    }
    assert_eq!(server.rest(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_login_is_made_and_its_password_not_told() {
    for (mode, encryption) in
        [("starttls", Encryption::StartTls), ("tls", Encryption::Tls), ("plain", Encryption::None)]
    {
        let mut server = server(mode, &["--login", "mill:correct-horse"]);
        let place = mail(&server, encryption);
        let login = |password: &str| Mail {
            user: Some("mill".to_owned()),
            password: Some(Secret::new(password)),
            ..place.clone()
        };
        login("correct-horse").deliver(&message()).await.unwrap();
        assert_eq!(server.line()["login"], "mill");
        let error = login("wrong-battery").deliver(&message()).await.unwrap_err();
        refused(&error, "the login of mill failed: it answered 535");
        assert!(!error.to_string().contains("wrong-battery"), "{error}");
        refused(&place.deliver(&message()).await.unwrap_err(), "it answered 530");
    }
}

#[tokio::test]
async fn recipients_that_are_not_taken() {
    let mut server = server("plain", &[]);
    let sound = mail(&server, Encryption::None);
    let place = |to: &[&str]| Mail { to: to.iter().map(|&to| to.to_owned()).collect(), ..sound.clone() };
    let (some, none, later) = (
        place(&["ann@example.org", "refused@example.org"]),
        place(&["refused@example.org"]),
        place(&["ann@example.org", "deferred@example.org"]),
    );
    let error = some.deliver(&message()).await.unwrap_err();
    refused(
        &error,
        "it does not take mail to refused@example.org: it answered 550: 5.1.1 no such user here; everyone",
    );
    assert_eq!(server.line()["recipients"], serde_json::json!(["ann@example.org"]));
    refused(&none.deliver(&message()).await.unwrap_err(), "it answered 550");
    again(&later.deliver(&message()).await.unwrap_err(), "it answered 451: 4.7.1 greylisted");
    let full = Message { subject: "full".to_owned(), ..message() };
    again(&place(&["ann@example.org"]).deliver(&full).await.unwrap_err(), "it answered 452");
    assert_eq!(server.rest().len(), 1, "nobody else got anything");
}

#[tokio::test]
async fn a_wrong_certificate_gets_nothing() {
    for (mode, encryption) in [("starttls", Encryption::StartTls), ("tls", Encryption::Tls)] {
        let other = server(mode, &["--name", "other.example.org"]);
        let error = mail(&other, encryption).deliver(&message()).await.unwrap_err();
        refused(&error, "its certificate is for another name");
        assert_eq!(error.place, format!("the mail server localhost:{}", other.port));
        let unknown = Mail { ca: None, ..mail(&other, encryption) };
        refused(
            &unknown.deliver(&message()).await.unwrap_err(),
            "an authority that this machine does not know",
        );
        assert_eq!(other.rest(), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_sent() {
    let server = server("plain", &["--login", "mill:correct-horse"]);
    let place = Mail {
        user: Some("mill".to_owned()),
        password: Some(Secret::new("correct-horse")),
        ..mail(&server, Encryption::StartTls)
    };
    refused(
        &place.deliver(&message()).await.unwrap_err(),
        "it offers no STARTTLS, so nothing was sent, not even a login",
    );
    assert_eq!(server.rest(), Vec::<Value>::new());
}

#[tokio::test]
async fn servers_that_are_not_what_they_seem() {
    let inject = server("inject", &[]);
    let error = mail(&inject, Encryption::StartTls).deliver(&message()).await.unwrap_err();
    refused(&error, "more than one answer came before TLS began");
    let heard: Vec<_> = inject.rest().iter().map(|line| line["line"].as_str().unwrap().to_owned()).collect();
    assert_eq!(heard[..2], ["EHLO example.org", "STARTTLS"]);
    assert!(heard.iter().all(|line| !line.starts_with("MAIL")), "{heard:?}");

    let deliver = async |mode: &str, encryption| {
        let server = server(mode, &[]);
        mail(&server, encryption).deliver(&message()).await.unwrap_err()
    };
    again(&deliver("busy", Encryption::StartTls).await, "it answered 454: TLS is not available now");
    again(&deliver("handshake-cut", Encryption::StartTls).await, "TLS did not begin");
    again(&deliver("cut", Encryption::None).await, "it ended the connection");
    again(&deliver("cut", Encryption::Tls).await, "no connection");
    refused(&deliver("web", Encryption::StartTls).await, "it does not speak SMTP");
    refused(&deliver("plain", Encryption::Tls).await, "it does not speak TLS on this port");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let mut server = server("silent", &[]);
    for (encryption, words) in [
        (Encryption::StartTls, "it says nothing for 15 seconds; a port such as 465 waits for `tls`"),
        (Encryption::Tls, "it did not take the mail within 30 seconds"),
    ] {
        let place = mail(&server, encryption);
        let delivery = tokio::spawn(async move { place.deliver(&message()).await });
        server = tokio::task::spawn_blocking(move || {
            assert_eq!(server.line()["event"], "connected");
            server
        })
        .await
        .unwrap();
        // From now on nothing but time can pass.
        tokio::time::pause();
        again(&delivery.await.unwrap().unwrap_err(), words);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn nobody_is_there() {
    let place = Mail {
        port: Some(1),
        encryption: Encryption::None,
        ..Mail::new("localhost", "mill@example.org", vec!["ann@example.org".to_owned()])
    };
    again(&place.deliver(&message()).await.unwrap_err(), "no connection");
}
