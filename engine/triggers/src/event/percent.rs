//! How the value of an attribute is written in a header (HTTP binding, section 3.1.3.2).

/// The value as a header has it: space, `"`, `%` and all that is not printable ASCII are percent-encoded.
pub(super) fn encoded(value: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' => {}
            b'!'..=b'~' => {
                text.push(char::from(byte));
                continue;
            }
            _ => {}
        }
        text.push('%');
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The value that a header has: quotes are taken off first, then it is percent-decoded once.
///
/// # Errors
/// If it is not written so; says why not, as a predicate.
pub(super) fn decoded(header: &[u8]) -> Result<String, &'static str> {
    if !header.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("has other than printable ASCII characters in its header");
    }
    let mut bytes = unquoted(header)?.into_iter();
    let mut value = Vec::with_capacity(header.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            value.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("has a `%` in its header that two hexadecimal digits do not follow");
        };
        value.push(u8::try_from(high * 16 + low).map_err(|_| "has no byte after a `%`")?);
    }
    String::from_utf8(value).map_err(|_| "is not UTF-8 after percent-decoding")
}

/// Without double quotes and the backslashes between them (RFC 7230, section 3.2.6).
fn unquoted(header: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (mut value, mut quoted, mut bytes) = (Vec::with_capacity(header.len()), false, header.iter());
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => value.push(*bytes.next().ok_or("ends with a backslash in its header")?),
            _ => value.push(byte),
        }
    }
    if quoted { Err("has a `\"` in its header that is not closed") } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_binding() {
        let (plain, header) = ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encoded(plain), header);
        assert_eq!(decoded(header.as_bytes()).unwrap(), plain);
        assert_eq!(decoded(header.to_lowercase().as_bytes()).unwrap(), "euro € 😀");
    }

    #[test]
    fn what_older_senders_write_is_read() {
        assert_eq!(decoded(br#""a \"b\" \\c" d"#).unwrap(), r#"a "b" \c d"#);
        assert_eq!(decoded(b"a b\\c").unwrap(), "a b\\c");
        assert_eq!(decoded(b"%2525").unwrap(), "%25");
        assert_eq!(decoded(b"%61").unwrap(), "a");
    }

    #[test]
    fn what_is_not_written_so_is_refused() {
        for wrong in
            ["%C0%A0", "%", "%2", "%+1", "100% sure", "\"a", "\"a\\", "é", "a\tb", "%FF", "%ED%A0%80"]
        {
            assert!(decoded(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
