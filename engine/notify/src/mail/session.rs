//! The conversation with a mail server, step by step, so that a failure can be told from the step at which it came.

use std::io::ErrorKind;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::guard::Guard;
use super::{Encryption, Mail};
use crate::error::{Failure, Kind, root};
use crate::http::{CONNECT, WHOLE};
use crate::text::{one_line, without};
use crate::tls;

/// For the first words of the server; one that waits for other first words says none.
const GREETING: Duration = Duration::from_secs(15);
/// For a farewell, which nothing depends on.
const FAREWELL: Duration = Duration::from_secs(2);
/// How much of an answer is told, in characters.
const TOLD: usize = 300;

/// Sends a letter, once.
pub(super) async fn send(mail: &Mail, letter: &Message) -> Result<(), Failure> {
    let late = || Failure::again(format!("it did not take the mail within {} seconds", WHOLE.as_secs()));
    let talk = async {
        let mut connection = connect(mail, letter).await?;
        let sent = converse(mail, letter, &mut connection).await;
        Ok((sent, connection))
    };
    let (sent, mut connection) = timeout(WHOLE, Box::pin(talk)).await.map_err(|_| late())??;
    // Whatever it says to that, the letter is where it is.
    drop(timeout(FAREWELL, connection.abort()).await);
    sent
}

async fn connect(mail: &Mail, letter: &Message) -> Result<AsyncSmtpConnection, Failure> {
    let hello = hello(letter);
    if mail.encryption == Encryption::Tls {
        let address = (mail.host.as_str(), mail.port());
        let connection = Box::pin(AsyncSmtpConnection::connect_tokio1(
            address,
            Some(CONNECT),
            &hello,
            Some(parameters(mail)?),
            None,
        ));
        return connection.await.map_err(|error| told(mail, "no connection", &error));
    }
    let stream = timeout(CONNECT, TcpStream::connect((mail.host.as_str(), mail.port())));
    let stream = match stream.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure::again(format!("no connection: {}", root(&error)))),
        Err(_) => return Err(Failure::again(format!("no connection in {} seconds", CONNECT.as_secs()))),
    };
    let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(Guard::new(stream)), &hello);
    let mut connection = match timeout(GREETING, Box::pin(greeting)).await {
        Ok(greeted) => greeted.map_err(|error| told(mail, "no greeting", &error))?,
        Err(_) => {
            let seconds = GREETING.as_secs();
            return Err(Failure::again(format!(
                "it says nothing for {seconds} seconds; a port such as 465 waits for `tls`"
            )));
        }
    };
    if mail.encryption == Encryption::StartTls {
        if !connection.server_info().supports_feature(Extension::StartTls) {
            return Err(Failure::refused(
                "it offers no STARTTLS, so nothing was sent, not even a login; use a port that does, or `tls`",
            ));
        }
        let started = Box::pin(connection.starttls(parameters(mail)?, &hello)).await;
        started.map_err(|error| told(mail, "TLS did not begin", &error))?;
    }
    Ok(connection)
}

/// From the login to the end of the letter.
async fn converse(
    mail: &Mail,
    letter: &Message,
    connection: &mut AsyncSmtpConnection,
) -> Result<(), Failure> {
    if let (Some(user), Some(password)) = (&mail.user, &mail.password) {
        let known = [Mechanism::Plain, Mechanism::Login];
        if connection.server_info().get_auth_mechanism(&known).is_none() {
            return Err(Failure::refused("it offers no login with a password (PLAIN or LOGIN)"));
        }
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        let login = Box::pin(connection.auth(&known, &credentials)).await;
        login.map_err(|error| told(mail, &format!("the login of {user} failed"), &error))?;
    }
    let envelope = letter.envelope();
    let mut parameters = Vec::new();
    let bytes = letter.formatted();
    if !bytes.is_ascii() {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::refused("it takes no addresses with other letters than ASCII (SMTPUTF8)"));
        }
        parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
    }
    let sender = connection.command(MailFrom::new(envelope.from().cloned(), parameters)).await;
    sender.map_err(|error| told(mail, "it does not take mail from this sender", &error))?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        if let Err(error) = connection.command(Rcpt::new(to.clone(), vec![])).await {
            let failure = told(mail, &format!("it does not take mail to {to}"), &error);
            match failure.kind {
                // All or nobody, lest the others get it again with each further try.
                Kind::Again { .. } => return Err(failure),
                Kind::Refused => refused.push(failure.reason),
            }
        }
    }
    if refused.len() == envelope.to().len() {
        return Err(Failure::refused(refused.join("; ")));
    }
    let data = connection.command(Data).await;
    data.map_err(|error| told(mail, "it does not take the letter", &error))?;
    // The mark behind its end begins with the end of its last line.
    let taken = Box::pin(connection.message(bytes.strip_suffix(b"\r\n").unwrap_or(&bytes))).await;
    taken.map_err(|error| told(mail, "it did not take the letter", &error))?;
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Failure::refused(format!("{}; everyone else got it", refused.join("; ")))),
    }
}

/// By what name this machine greets: the sender's domain. The machine's own name is often none that others know.
fn hello(letter: &Message) -> ClientId {
    match letter.envelope().from().map(lettre::Address::domain) {
        Some(domain) if domain.is_ascii() => ClientId::Domain(domain.to_owned()),
        _ => ClientId::default(),
    }
}

fn parameters(mail: &Mail) -> Result<TlsParameters, Failure> {
    let impossible = |error: Error| Failure::refused(format!("TLS cannot begin: {}", root(&error)));
    let mut parameters = TlsParameters::builder(mail.host.clone());
    if let Some(path) = &mail.ca {
        let pem = tls::authorities(path).map_err(|wrong| Failure::refused(wrong.to_string()))?;
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(impossible)?);
    }
    parameters.build().map_err(impossible)
}

/// What went wrong at a step, and whether another try may help.
fn told(mail: &Mail, step: &str, error: &Error) -> Failure {
    if let Some(failure) = tls::handshake(error) {
        return failure;
    }
    let secrets: Vec<&str> = mail.password.iter().map(|password| password.expose()).collect();
    let words = one_line(&without(&root(error), &secrets), TOLD);
    if let Some(code) = error.status() {
        let reason = format!("{step}: it answered {code}: {words}");
        return if error.is_transient() { Failure::again(reason) } else { Failure::refused(reason) };
    }
    // What ends in the middle was cut; what is complete and yet no answer is something else than a mail server.
    let cut = words == "incomplete response";
    match () {
        () if cut => Failure::again(format!("{step}: it ended the connection")),
        () if error.is_response() => Failure::refused(format!("{step}: it does not speak SMTP: {words}")),
        () if error.is_client() || forged(error) => Failure::refused(format!("{step}: {words}")),
        () => Failure::again(format!("{step}: {words}")),
    }
}

/// Whether something came that can be no answer.
fn forged(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::InvalidData)
        {
            return true;
        }
        next = error.source();
    }
    false
}
