//! A message by mail: who sends it to whom, over which server, and how its way is kept from being read.

mod guard;
mod letter;
mod session;

use std::net::IpAddr;

use camino::Utf8PathBuf;
use lettre::message::Mailbox;

use crate::error::{DeliveryError, Failure};
use crate::{Message, Secret, WrongPlace, tls};

/// Mail over a server that takes it by SMTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The server.
    pub host: String,
    /// Its port, if not the usual one: 587 for `starttls`, 465 for `tls`, 25 for `none`.
    pub port: Option<u16>,
    /// How the way there is kept from being read.
    pub encryption: Encryption,
    /// Whether `none` is meant, although the server is another machine.
    pub plaintext_allowed: bool,
    /// Who logs in, if somebody must.
    pub user: Option<String>,
    /// The password of the user.
    pub password: Option<Secret>,
    /// Who sends it: `name@example.org` or `Name <name@example.org>`.
    pub from: String,
    /// Who gets it, one address each.
    pub to: Vec<String>,
    /// A file of authorities to trust beside those of this machine.
    pub ca: Option<Utf8PathBuf>,
}

/// How the way to a mail server is kept from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encryption {
    /// By TLS, which begins after a few words. A server that offers none gets nothing.
    #[default]
    StartTls,
    /// By TLS from the first byte on.
    Tls,
    /// Not at all: for a server on this machine.
    None,
}

/// A longer address is none: RFC 5321, 4.5.3.1.
const ADDRESS: usize = 320;

impl Mail {
    /// Mail over this server, with `starttls` and without a login.
    #[must_use]
    pub fn new(host: impl Into<String>, from: impl Into<String>, to: Vec<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            encryption: Encryption::StartTls,
            plaintext_allowed: false,
            user: None,
            password: None,
            from: from.into(),
            to,
            ca: None,
        }
    }

    /// All that is wrong with it, before anything is sent.
    #[must_use]
    pub fn check(&self) -> Vec<WrongPlace> {
        let mut wrong = Vec::new();
        if !is_host(&self.host) {
            wrong.push(WrongPlace::Host { host: self.host.clone() });
        } else if self.encryption == Encryption::None && !self.plaintext_allowed && !is_loopback(&self.host) {
            wrong.push(WrongPlace::Plaintext { host: self.host.clone() });
        }
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => {
                for (field, text) in [("user", user.as_str()), ("password", password.expose())] {
                    if text.is_empty() || text.chars().any(char::is_control) {
                        wrong.push(WrongPlace::Login { field });
                    }
                }
            }
            (None, None) => {}
            _ => wrong.push(WrongPlace::HalfLogin),
        }
        wrong.extend(mailbox("from", &self.from).err());
        wrong.extend(self.to.iter().filter_map(|to| mailbox("to", to).err()));
        if self.to.is_empty() {
            wrong.push(WrongPlace::NoRecipient);
        }
        wrong.extend(self.ca.as_deref().and_then(|path| tls::authorities(path).err()));
        wrong
    }

    /// Delivers a message, once: to all whom the server takes, or to nobody if it asks to wait for one of them.
    ///
    /// # Errors
    /// If it did not arrive, or not at everyone; the error tells whether another try may help.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryError> {
        self.send(message).await.map_err(|failure| failure.at(self.place()))
    }

    pub(crate) fn place(&self) -> String {
        format!("the mail server {}:{}", crate::text::one_line(&self.host, 255), self.port())
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let wrong = self.check();
        if !wrong.is_empty() {
            let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            return Err(Failure::refused(wrong.join("; ")));
        }
        session::send(self, &letter::letter(self, message)?).await
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.encryption {
            Encryption::StartTls => 587,
            Encryption::Tls => 465,
            Encryption::None => 25,
        })
    }
}

/// An address with or without a name. A line break in it would begin a header of its own.
fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, WrongPlace> {
    let wrong = || WrongPlace::Address { field, address: crate::text::one_line(text, 100) };
    if text.chars().any(char::is_control) {
        return Err(wrong());
    }
    let mailbox: Mailbox = text.trim().parse().map_err(|_| wrong())?;
    let address: &str = mailbox.email.as_ref();
    match address.len() <= ADDRESS && !address.contains(char::is_whitespace) {
        true => Ok(mailbox),
        false => Err(wrong()),
    }
}

fn is_host(host: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    host.parse::<IpAddr>().is_ok() || ((1..=255).contains(&host.len()) && host.chars().all(fit))
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail::new("smtp.example.org", "Tidemill <mill@example.org>", vec!["ann@example.org".to_owned()])
    }

    fn said(mail: &Mail) -> Vec<String> {
        mail.check().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_place_passes() {
        assert_eq!(mail().check(), []);
        let login = Mail { user: Some("mill".to_owned()), password: Some(Secret::new("hush")), ..mail() };
        assert_eq!(login.check(), []);
        assert!(!format!("{login:?}").contains("hush"));
        assert_eq!(login.place(), "the mail server smtp.example.org:587");
        assert_eq!(Mail { encryption: Encryption::Tls, ..mail() }.port(), 465);
        assert_eq!(Mail { port: Some(2525), ..mail() }.port(), 2525);
    }

    #[test]
    fn plain_mail_stays_on_this_machine() {
        let plain = |host: &str| Mail { host: host.to_owned(), encryption: Encryption::None, ..mail() };
        for here in
            ["localhost", "LOCALHOST.", "mail.localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
        {
            assert_eq!(plain(here).check(), [], "{here}");
        }
        for there in ["smtp.example.org", "localhost.example.org", "10.0.0.1", "127.0.0.1.nip.io", "::2"] {
            assert_eq!(
                said(&plain(there)),
                [format!("its `encryption` is `none`, but {there} is another machine")]
            );
        }
        assert_eq!(Mail { plaintext_allowed: true, ..plain("10.0.0.1") }.check(), []);
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let wrong = Mail {
            host: "smtp.example.org:587".to_owned(),
            user: Some("mill".to_owned()),
            from: "mill".to_owned(),
            to: vec!["ann@example.org".to_owned(), "a@b.c, d@e.f".to_owned(), String::new()],
            ca: Some("/no/such/file".into()),
            ..mail()
        };
        let found = wrong.check();
        let fields: Vec<_> = found.iter().map(WrongPlace::field).collect();
        assert_eq!(fields, ["host", "user", "from", "to", "to", "ca"]);
        assert!(found.iter().all(|wrong| !wrong.hint().is_empty()));
        assert_eq!(Mail { to: vec![], ..mail() }.check(), [WrongPlace::NoRecipient]);
        let broken = Mail { user: Some("mill".to_owned()), password: Some(Secret::new("hush\n")), ..mail() };
        assert_eq!(said(&broken), ["its `password` contains a character that no login can"]);
    }

    #[test]
    fn an_address_cannot_begin_a_header() {
        for wrong in [
            "ann@example.org\r\nBcc: eve@example.org",
            "Ann\r\nBcc: eve@example.org\r\n <ann@example.org>",
            "ann@example.org>\r\nRCPT TO:<eve@example.org",
            "\"a\r\nb\"@example.org",
            "ann@example.org\0",
            "ann@example.org, eve@example.org",
            "<ann@example.org> <eve@example.org>",
            "ann@exa mple.org",
        ] {
            assert!(mailbox("to", wrong).is_err(), "{wrong:?}");
        }
        for right in
            ["ann@example.org", "Ann Ä. <ann@example.org>", "ann@localhost", "\"Doe, Ann\" <ann@x.org>"]
        {
            assert!(mailbox("to", right).is_ok(), "{right:?}");
        }
    }
}
