//! The bearer token: who knows it may ask.

use std::fs;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use rand::Rng as _;

/// A secret that every request must bring. It is never shown, also not by `Debug`.
#[derive(Clone)]
pub struct Token {
    text: String,
    file: Option<Utf8PathBuf>,
}

/// A token that could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file system said no.
    #[error("cannot access the token in {path}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A token must be hard to guess and fit into a header.
    #[error("the token in {place} is no token: at least 16 visible ASCII characters are needed")]
    Unfit {
        /// Where it was.
        place: String,
    },
}

impl Token {
    /// The token of a project: made once, kept in `serve/token` of the state folder, readable by its owner only.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn of_project(state: &Utf8Path) -> Result<Self, TokenError> {
        let folder = state.join("serve");
        let path = folder.join("token");
        if !path.exists() {
            let io = |source| TokenError::Io { path: path.clone(), source };
            fs::create_dir_all(&folder).map_err(io)?;
            // A temporary file is readable by its owner only from its first moment on.
            let mut file = tempfile::Builder::new().prefix(".token-").tempfile_in(&folder).map_err(io)?;
            writeln!(file, "{}", generate()).and_then(|()| file.as_file().sync_all()).map_err(io)?;
            match file.persist_noclobber(&path) {
                Ok(_) => {}
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(error.error)),
            }
        }
        Self::from_file(&path)
    }

    /// The token that this file holds.
    ///
    /// # Errors
    /// If it cannot be read or is no token.
    pub fn from_file(path: &Utf8Path) -> Result<Self, TokenError> {
        let text =
            fs::read_to_string(path).map_err(|source| TokenError::Io { path: path.to_owned(), source })?;
        let token = Self::parse(&text, path.as_str())?;
        Ok(Self { file: Some(path.to_owned()), ..token })
    }

    /// A token that was handed over, such as by an environment variable.
    ///
    /// # Errors
    /// If it is no token.
    pub fn handed_over(text: &str) -> Result<Self, TokenError> {
        Self::parse(text, "the environment")
    }

    /// The file that holds it.
    #[must_use]
    pub fn file(&self) -> Option<&Utf8Path> {
        self.file.as_deref()
    }

    fn parse(text: &str, place: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() < 16 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unfit { place: place.to_owned() });
        }
        Ok(Self { text: text.to_owned(), file: None })
    }

    /// Whether an `Authorization` header brings this token. Takes the same time wherever they differ.
    pub(crate) fn admits(&self, header: Option<&[u8]>) -> bool {
        let Some((scheme, given)) = header.and_then(|header| header.split_at_checked("Bearer ".len())) else {
            return false;
        };
        let expected = self.text.as_bytes();
        let difference = expected.iter().zip(given).fold(0u8, |sum, (left, right)| sum | (left ^ right));
        scheme.eq_ignore_ascii_case(b"Bearer ")
            && expected.len() == given.len()
            && std::hint::black_box(difference) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// 256 random bits.
fn generate() -> String {
    let bits: [u8; 32] = rand::rng().random();
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_exact_token_is_admitted() {
        let token = Token::handed_over("0123456789abcdef").unwrap();
        assert!(token.admits(Some(b"Bearer 0123456789abcdef")));
        assert!(token.admits(Some(b"bearer 0123456789abcdef")));
        for wrong in ["Bearer 0123456789abcdeg", "Bearer 0123456789abcde", "Bearer ", "0123456789abcdef", ""]
        {
            assert!(!token.admits(Some(wrong.as_bytes())), "{wrong:?}");
        }
        assert!(!token.admits(Some(b"Bearer 0123456789abcdef0")));
        assert!(!token.admits(None));
        assert!(Token::handed_over("short").is_err());
    }

    #[test]
    fn a_project_keeps_its_token_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(folder.path()).unwrap();
        let token = Token::of_project(state).unwrap();
        let again = Token::of_project(state).unwrap();
        assert_eq!(token.text, again.text);
        let path = token.file().unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
