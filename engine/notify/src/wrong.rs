//! What can be wrong with a place before anything is sent: which field, what, and how to put it right.

use camino::Utf8PathBuf;

/// Something wrong with a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongPlace {
    /// The address of a request cannot be read. It may hold a secret, so it is not told.
    #[error("its `url` is no address: {reason}")]
    Url {
        /// Why.
        reason: String,
    },
    /// The address of a request is not one of the web.
    #[error("its `url` begins with `{scheme}:`, which is not the web")]
    Scheme {
        /// How it begins.
        scheme: String,
    },
    /// A header that cannot be sent.
    #[error("`{name}` is no header, or its value cannot be one")]
    Header {
        /// Its name.
        name: String,
    },
    /// A header that belongs to the delivery itself.
    #[error("the header `{name}` is set by the delivery itself")]
    ReservedHeader {
        /// Its name.
        name: String,
    },
    /// A secret that nothing can be signed with.
    #[error("its `secret` cannot sign: {reason}")]
    SigningSecret {
        /// Why.
        reason: String,
    },
    /// The name of a mail server that is none.
    #[error("its `host` {host:?} is no name of a machine")]
    Host {
        /// What is given.
        host: String,
    },
    /// Mail would cross the network readable.
    #[error("its `encryption` is `none`, but {host} is another machine")]
    Plaintext {
        /// The mail server.
        host: String,
    },
    /// A user without a password, or a password without a user.
    #[error("a login takes both `user` and `password`")]
    HalfLogin,
    /// A login that no mail server could read.
    #[error("its `{field}` contains a character that no login can")]
    Login {
        /// Where it stands.
        field: &'static str,
    },
    /// An address of mail that is none.
    #[error("{address:?} in `{field}` is no mail address")]
    Address {
        /// Where it stands.
        field: &'static str,
        /// What is given.
        address: String,
    },
    /// Mail to nobody.
    #[error("its `to` is empty")]
    NoRecipient,
    /// A file of authorities that cannot be used.
    #[error("its `ca` {path} cannot be used: {reason}")]
    Ca {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        reason: String,
    },
}

impl WrongPlace {
    /// The field that it is about.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Url { .. } | Self::Scheme { .. } => "url",
            Self::Header { .. } | Self::ReservedHeader { .. } => "headers",
            Self::SigningSecret { .. } => "secret",
            Self::Host { .. } => "host",
            Self::Plaintext { .. } => "encryption",
            Self::HalfLogin => "user",
            Self::Login { field } | Self::Address { field, .. } => field,
            Self::NoRecipient => "to",
            Self::Ca { .. } => "ca",
        }
    }

    /// How to put it right.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Url { .. } | Self::Scheme { .. } => "write it as https://host/path",
            Self::Header { .. } => "a name is of letters, digits and `-`, and a value has no line breaks",
            Self::ReservedHeader { .. } => {
                "leave it out; add only headers of your own, such as `Authorization`"
            }
            Self::SigningSecret { .. } => {
                "make one with `echo whsec_$(openssl rand -base64 32)` and give it to the receiver too"
            }
            Self::Host { .. } => {
                "write only the name of the mail server, such as smtp.example.org; the port has its own field"
            }
            Self::Plaintext { .. } => "use `starttls` (usually port 587) or `tls` (usually port 465)",
            Self::HalfLogin => "give both, or neither",
            Self::Login { .. } => "look for a line break at its end, such as one that was read from a file",
            Self::Address { .. } => "write `name@example.org` or `Name <name@example.org>`, one address each",
            Self::NoRecipient => "name whom the mail goes to",
            Self::Ca { .. } => "name a file with certificates in PEM form",
        }
    }
}
