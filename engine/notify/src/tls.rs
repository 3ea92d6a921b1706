//! What mail and requests share about TLS: authorities of one's own, and what a failed handshake means.

use std::error::Error;

use camino::Utf8Path;
use rustls::{AlertDescription, CertificateError};

use crate::WrongPlace;
use crate::error::Failure;

/// The certificates in a file of authorities, as PEM.
pub(crate) fn authorities(path: &Utf8Path) -> Result<Vec<u8>, WrongPlace> {
    let wrong = |reason: String| WrongPlace::Ca { path: path.to_owned(), reason };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(pem),
        _ => Err(wrong("it holds no certificate".to_owned())),
    }
}

/// The failure of a handshake, if there is one among the causes.
pub(crate) fn handshake(error: &(dyn Error + 'static)) -> Option<Failure> {
    cause(error).map(told)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error is silent about what it wraps: its source is already the source of that.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|wrapped| cause(wrapped)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn told(error: &rustls::Error) -> Failure {
    match error {
        rustls::Error::InvalidCertificate(wrong) => certificate(wrong),
        rustls::Error::NoCertificatesPresented => Failure::refused("it shows no certificate"),
        rustls::Error::InvalidMessage(_) => {
            Failure::refused("it does not speak TLS on this port; look at the port and at how it encrypts")
        }
        rustls::Error::PeerIncompatible(_) => {
            Failure::refused(format!("it speaks no TLS that is safe: {error}"))
        }
        rustls::Error::AlertReceived(
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity
            | AlertDescription::UnrecognisedName
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            | AlertDescription::UnknownCA,
        ) => Failure::refused(format!("it refused the TLS handshake: {error}")),
        _ => Failure::again(format!("the TLS handshake failed: {error}")),
    }
}

/// What is wrong with a certificate. One that is out of date is renewed some day; the others stay wrong.
fn certificate(wrong: &CertificateError) -> Failure {
    match wrong {
        CertificateError::UnknownIssuer => Failure::refused(
            "its certificate is from an authority that this machine does not know; name the authority's file as `ca`",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::refused("its certificate is for another name")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Failure::again("its certificate has expired, or the clock here is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Failure::again("its certificate is not valid yet, or the clock here is wrong")
        }
        other => Failure::refused(format!("its certificate is not to be trusted: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::Kind;

    fn wrapped(error: rustls::Error) -> io::Error {
        io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn a_wrong_certificate_is_found_below_other_errors() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let failure = handshake(&wrapped(unknown)).unwrap();
        assert_eq!(failure.kind, Kind::Refused);
        assert!(failure.reason.contains("`ca`"));
        let expired = rustls::Error::InvalidCertificate(CertificateError::Expired);
        assert_eq!(handshake(&wrapped(expired)).unwrap().kind, Kind::Again { after: None });
        let busy = rustls::Error::AlertReceived(AlertDescription::InternalError);
        assert_eq!(handshake(&wrapped(busy)).unwrap().kind, Kind::Again { after: None });
        assert_eq!(handshake(&io::Error::from(io::ErrorKind::UnexpectedEof)), None);
    }

    #[test]
    fn a_file_of_authorities_holds_some() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("ca.pem");
        assert!(matches!(authorities(&path), Err(WrongPlace::Ca { .. })));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(authorities(&path).unwrap_err().to_string().ends_with("it holds no certificate"));
    }
}
