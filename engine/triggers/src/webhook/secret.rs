//! What a sender and this receiver know, and no one else.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;

/// A secret that is shared with a sender. It is never shown, also not by `Debug`.
#[derive(Clone)]
pub struct Secret {
    text: String,
    signing: Option<Vec<u8>>,
}

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It could be guessed.
    #[error("a webhook secret has at least 16 bytes")]
    TooShort,
    /// It says that it is a signing secret of Standard Webhooks, and is none.
    #[error("a webhook secret that begins with `whsec_` is followed by at least 16 bytes in Base64")]
    NotBase64,
    /// It cannot sign as Standard Webhooks does.
    #[error("Standard Webhooks need a secret of at least 16 bytes in Base64, such as `whsec_…`")]
    NotSigning,
}

/// The prefix of Standard Webhooks, Signature scheme.
const PREFIX: &str = "whsec_";

/// The fewest bytes. Standard Webhooks ask senders for 24; less is known to be in use.
const LEAST: usize = 16;

/// The libraries of Standard Webhooks read secrets with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Secret {
    /// The secret that is written so. White space around it is not a part of it, since files end with a line feed.
    ///
    /// # Errors
    /// If it is too short, or if it begins with `whsec_` and is not Base64 from there on.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let (encoded, is_marked) = text.strip_prefix(PREFIX).map_or((text, false), |encoded| (encoded, true));
        let signing = BASE64.decode(encoded).ok().filter(|key| key.len() >= LEAST);
        if is_marked && signing.is_none() {
            Err(SecretError::NotBase64)
        } else if text.len() < LEAST {
            Err(SecretError::TooShort)
        } else {
            Ok(Self { text: text.to_owned(), signing })
        }
    }

    /// Whether it says that it is a signing secret of Standard Webhooks.
    pub(super) fn is_marked(&self) -> bool {
        self.text.starts_with(PREFIX)
    }

    /// The key whose bytes are those of the text.
    pub(super) fn plain(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.text.as_bytes())
    }

    /// The key that the text has in Base64, with the prefix or without.
    pub(super) fn signing(&self) -> Result<hmac::Key, SecretError> {
        let key = self.signing.as_ref().ok_or(SecretError::NotSigning)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Whether this is the text of the secret. Takes the same time wherever they differ.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        same(self.text.as_bytes(), given)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ: their HMACs under one key are compared,
/// for `ring` offers this comparison for HMACs only.
pub(super) fn same(expected: &[u8], given: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, expected);
    hmac::verify(&key, given, hmac::sign(&key, expected).as_ref()).is_ok()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_not_shown() {
        let secret = Secret::new("0123456789abcdef\n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert!(secret.is(b"0123456789abcdef"));
        assert!(!secret.is(b"0123456789abcdeg"));
        assert!(!secret.is(b"0123456789abcde"));
        assert!(!secret.is(b""));
        assert_eq!(Secret::new("0123456789abcde").unwrap_err(), SecretError::TooShort);
        assert_eq!(Secret::new("whsec_!!!!!!!!!!!!!!!!!!!!!!").unwrap_err(), SecretError::NotBase64);
        assert_eq!(Secret::new("whsec_AAAAAAAAAAAAAAAA").unwrap_err(), SecretError::NotBase64);
    }

    #[test]
    fn a_signing_secret_needs_no_prefix_and_no_padding() {
        for text in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(Secret::new(text).unwrap().signing().is_ok());
        }
        for text in ["whsec_MDEyMzQ1Njc4OTAxMjM0NQ==", "whsec_MDEyMzQ1Njc4OTAxMjM0NQ"] {
            assert!(Secret::new(text).unwrap().signing().is_ok(), "{text}");
        }
        assert_eq!(
            Secret::new("It's no Base64 at all").unwrap().signing().unwrap_err(),
            SecretError::NotSigning
        );
    }
}
