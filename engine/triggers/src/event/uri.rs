//! The syntax of RFC 3986: what a URI-reference and an absolute URI look like.

/// Whether this is a URI-reference (section 4.1). Letters beyond ASCII have to be percent-encoded.
pub(super) fn is_reference(text: &str) -> bool {
    let (text, fragment) = split(text, '#');
    fragment.is_none_or(|fragment| consists(fragment, b"/?")) && is_without_fragment(text)
}

/// Whether this is an absolute URI (section 4.3): with a scheme, without a fragment.
pub(super) fn is_absolute(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) && is_without_fragment(text)
}

fn is_without_fragment(text: &str) -> bool {
    let (text, query) = split(text, '?');
    query.is_none_or(|query| consists(query, b"/?")) && is_hierarchy(text)
}

/// A scheme, if there is one, an authority, if there is one, and a path.
fn is_hierarchy(text: &str) -> bool {
    // A colon in the first segment ends a scheme; a relative path may not have one there (section 4.2).
    let first = text.split('/').next().unwrap_or_default();
    let rest = match first.split_once(':') {
        Some((scheme, _)) if !is_scheme(scheme) => return false,
        Some((scheme, _)) => &text[scheme.len() + 1..],
        None => text,
    };
    let Some(rest) = rest.strip_prefix("//") else { return consists(rest, b"/") };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    is_authority(authority) && consists(path, b"/")
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Section 3.2: a user, a host and a port, of which only the host has to be there, and it may be empty.
fn is_authority(text: &str) -> bool {
    let (user, place) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    let is_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|literal| {
            !literal.is_empty()
                && literal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":.-_~".contains(&byte))
        }),
        None => !host.contains([':', '@']) && consists(host, b""),
    };
    is_host && !user.contains('@') && consists(user, b"") && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn split(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Whether there are only `pchar` (section 3.3) and these.
fn consists(text: &str, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            byte => {
                byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) || more.contains(&byte)
            }
        };
        if !fits {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart() {
        for right in [
            "https://github.com/cloudevents",
            "mailto:cncf-wg-serverless@lists.cncf.io",
            "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
            "/cloudevents/spec/pull/123",
            "/sensors/tn-1234567/alerts",
            "1-555-123-4567",
            "a/b:c",
            "//host:80/x?y=z/?#a?b",
            "http://me:secret@[::1]:8080/",
            "http://[::1]",
            "file:///tmp/x",
            "%C3%A9",
            "#only",
            "?q",
        ] {
            assert!(is_reference(right), "{right}");
        }
        for wrong in [
            "a b",
            "é",
            "%G0",
            "%2",
            "1:2",
            ":x",
            "a#b#c",
            "http://[::1",
            "http://h:x/",
            "<a>",
            "\"",
            "a\\b",
            "{x}",
            "http://a@b@c/",
            "http://a:b:c/",
            "[a]",
            "x|y",
            "^",
        ] {
            assert!(!is_reference(wrong), "{wrong}");
        }
    }

    #[test]
    fn absolute_ones_have_a_scheme_and_no_fragment() {
        for right in ["https://example.com/schema.json", "urn:x:y", "a:", "x:/y?z"] {
            assert!(is_absolute(right), "{right}");
        }
        for wrong in ["/schema.json", "//example.com/x", "https://example.com/x#y", "", "1:2", "a b:c"] {
            assert!(!is_absolute(wrong), "{wrong}");
        }
    }
}
