//! A media type (RFC 2046, with the syntax of RFC 9110, section 8.3.1) and what it says of the form of data.

use super::error::EventError;

/// What a media type says, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaType {
    /// Type and subtype in lower case.
    pub(super) essence: String,
    charset: Option<String>,
}

/// How data of a media type is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a JSON value: `*/json` and `*/*+json` (JSON format, section 3.1.1).
    Json,
    /// As text.
    Text,
    /// As bytes.
    Binary,
}

/// The charsets that are read: both are UTF-8.
const CHARSETS: [&str; 3] = ["utf-8", "utf8", "us-ascii"];

impl MediaType {
    /// The media type that is written so.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        let mut parts = parts(text)?.into_iter();
        let essence = parts.next()?.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let mut charset = None;
        for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let value = match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
                Some(quoted) => quoted,
                None if is_token(value) => value,
                None => return None,
            };
            if !is_token(name) {
                return None;
            }
            if name.eq_ignore_ascii_case("charset") && charset.replace(value.to_ascii_lowercase()).is_some() {
                return None;
            }
        }
        Some(Self { essence, charset })
    }

    /// How its data is held.
    pub(super) fn form(&self) -> Form {
        let (kind, subtype) = self.essence.split_once('/').unwrap_or_default();
        let is = |name: &str| {
            subtype == name || subtype.strip_suffix(name).is_some_and(|before| before.ends_with('+'))
        };
        if is("json") {
            Form::Json
        } else if kind == "text" || is("xml") || is("yaml") {
            Form::Text
        } else {
            Form::Binary
        }
    }

    /// Whether it names a charset.
    pub(super) fn has_charset(&self) -> bool {
        self.charset.is_some()
    }

    /// # Errors
    /// If it names a charset that is not read.
    pub(super) fn check_charset(&self) -> Result<(), EventError> {
        match &self.charset {
            Some(charset) if !CHARSETS.contains(&charset.as_str()) => Err(EventError::Unsupported {
                content_type: format!("{}; charset={charset}", self.essence),
                reason: "text has to be in UTF-8",
            }),
            _ => Ok(()),
        }
    }
}

/// The type and its parameters: what semicolons outside of quotes separate.
fn parts(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_tell_the_form() {
        for (text, form) in [
            ("application/json", Form::Json),
            ("Application/JSON ; charset=\"UTF-8\"", Form::Json),
            ("text/json", Form::Json),
            ("application/vnd.a+json; x=\"a;b\\\"\"", Form::Json),
            ("text/plain;", Form::Text),
            ("image/svg+xml", Form::Text),
            ("application/yaml", Form::Text),
            ("application/jsonl", Form::Binary),
            ("application/xjson", Form::Binary),
            ("application/octet-stream", Form::Binary),
        ] {
            assert_eq!(MediaType::parse(text).unwrap().form(), form, "{text}");
        }
        for wrong in [
            "",
            "json",
            "/json",
            "a/",
            "a b/c",
            "a/b; x",
            "a/b; x=\"",
            "a/b;charset=x;charset=y",
            "a/b; x=\"é\"",
            "a/b/c",
        ] {
            assert_eq!(MediaType::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_utf_8_is_read() {
        let check = |text| MediaType::parse(text).unwrap().check_charset();
        assert_eq!(check("text/plain; charset=Utf-8"), Ok(()));
        assert_eq!(check("text/plain"), Ok(()));
        assert_eq!(check("text/plain; charset=latin1").unwrap_err().status(), 415);
    }
}
