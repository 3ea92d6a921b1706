//! What the name and the value of an attribute may be (`spec.md`, Naming Conventions and Type System).

use jiff::Timestamp;

use super::error::EventError;
use super::media::MediaType;
use super::uri;

/// The attributes that the specification defines. All others are extensions.
pub(super) const CORE: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];

/// # Errors
/// If an attribute may not have this name.
pub(super) fn name(name: &str) -> Result<(), EventError> {
    let known = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if name.is_empty() || !known {
        return Err(EventError::attribute(name, "has a name of other than lower-case letters and digits"));
    }
    if name == "data" {
        return Err(EventError::attribute(name, "has a name that is reserved"));
    }
    Ok(())
}

/// # Errors
/// If a text may not be the value of this attribute: a core one is never empty.
pub(super) fn text(name: &str, value: &str) -> Result<(), EventError> {
    if value.is_empty() && CORE.contains(&name) {
        return Err(EventError::attribute(name, "is empty"));
    }
    if let Some(wrong) = value.chars().find(|&letter| !is_allowed(letter)) {
        let reason = format!("has the character U+{:04X}, which no attribute may have", u32::from(wrong));
        return Err(EventError::attribute(name, reason));
    }
    match name {
        "source" if !uri::is_reference(value) => {
            Err(EventError::attribute(name, "is no URI-reference (RFC 3986)"))
        }
        "dataschema" if !uri::is_absolute(value) => {
            Err(EventError::attribute(name, "is no absolute URI (RFC 3986)"))
        }
        "datacontenttype" if MediaType::parse(value).is_none() => {
            Err(EventError::attribute(name, "is no media type (RFC 2046)"))
        }
        "specversion" if value != "1.0" => {
            Err(EventError::attribute(name, format!("is `{value}`; only `1.0` is read here")))
        }
        _ => Ok(()),
    }
}

/// Neither a control character nor a noncharacter.
fn is_allowed(letter: char) -> bool {
    let code = u32::from(letter);
    !letter.is_control() && !(0xFDD0..=0xFDEF).contains(&code) && code & 0xFFFE != 0xFFFE
}

/// A time as RFC 3339 writes it. Its offset is not kept, and of its second nine digits are.
///
/// # Errors
/// If it is not written so.
pub(crate) fn time(value: &str) -> Result<Timestamp, EventError> {
    rfc3339(value).ok_or_else(|| EventError::attribute("time", "is no time as RFC 3339 writes it"))
}

fn rfc3339(value: &str) -> Option<Timestamp> {
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, mark)| match mark {
                b'0' => byte.is_ascii_digit(),
                b'+' => byte == b'+' || byte == b'-',
                _ => byte.eq_ignore_ascii_case(&mark),
            })
    };
    let (moment, rest) = value.split_at_checked("2018-04-05T17:31:00".len())?;
    let (fraction, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-'])?);
    let digits = match fraction.strip_prefix('.') {
        Some(digits) if !digits.is_empty() => digits,
        None if fraction.is_empty() => "0",
        _ => return None,
    };
    let well = shaped(moment, "0000-00-00T00:00:00")
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (shaped(offset, "Z") || shaped(offset, "+00:00"));
    if !well {
        return None;
    }
    format!("{moment}.{}{offset}", &digits[..digits.len().min(9)]).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (right, same) in [
            ("2018-04-05T17:31:00Z", "2018-04-05T17:31:00Z"),
            ("2018-04-05t17:31:00.5z", "2018-04-05T17:31:00.5Z"),
            ("2018-04-05T19:31:00+02:00", "2018-04-05T17:31:00Z"),
            ("2018-04-05T17:31:00-00:00", "2018-04-05T17:31:00Z"),
            ("2018-04-05T17:31:00.123456789999Z", "2018-04-05T17:31:00.123456789Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ] {
            assert_eq!(time(right).unwrap().to_string(), same, "{right}");
        }
        for wrong in [
            "2018-04-05",
            "2018-04-05T17:31Z",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31:00",
            "20180405T173100Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00,5Z",
            "2018-02-30T00:00:00Z",
            "2018-04-05T17:31:00+0200",
            "2018-04-05T17:31:00Z[UTC]",
            "2018-04-05T25:31:00Z",
            "",
            "é",
            "2018-04-05T17:31:0éZ",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_have_no_control_characters() {
        assert_eq!(text("subject", "ein Größenwähler 😀"), Ok(()));
        for wrong in ["a\nb", "\u{7f}", "\u{9f}", "\u{fdd0}", "\u{ffff}", "\u{1fffe}"] {
            assert!(text("subject", wrong).is_err(), "{wrong:?}");
        }
        assert!(text("subject", "").is_err());
        assert_eq!(text("myextension", ""), Ok(()));
    }

    #[test]
    fn names_are_lower_case() {
        assert_eq!(name("traceparent2"), Ok(()));
        for wrong in ["", "data", "data_base64", "Trace", "trace-parent", "größe"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
