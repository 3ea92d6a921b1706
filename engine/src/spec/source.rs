//! The text of a file, made for showing many places of it: each is found by its line instead of by reading from the beginning.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// A text with its name and where its lines begin.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    text: String,
    /// The first is 0.
    lines: Vec<usize>,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = |place: &usize| match bytes[*place] {
            b'\n' => true,
            b'\r' => bytes.get(place + 1) != Some(&b'\n'),
            _ => false,
        };
        let begins = (0..bytes.len()).filter(ends).map(|end| end + 1);
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            lines: std::iter::once(0).chain(begins).collect(),
        }
    }

    /// The line that holds a place.
    fn line_of(&self, place: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= place) - 1
    }
}

impl SourceCode for Source {
    /// What miette finds in the whole text, found in a window of it.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        // One line more on each side than is asked for.
        let first = self.line_of(span.offset()).saturating_sub(before + 1);
        let last = self.line_of(span.offset().saturating_add(span.len())).saturating_add(after + 2);
        let begin = self.lines[first];
        let end = self.lines.get(last).copied().unwrap_or(self.text.len());
        let window = self.text.as_bytes().get(begin..end).ok_or(MietteError::OutOfBounds)?;
        let shifted = SourceSpan::from((span.offset() - begin, span.len()));
        let found = window.read_span(&shifted, before, after)?;
        let place = (found.span().offset() + begin, found.span().len());
        let data = window
            .get(found.span().offset()..found.span().offset() + found.span().len())
            .ok_or(MietteError::OutOfBounds)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            data,
            place.into(),
            found.line() + first,
            found.column(),
            found.line_count() + first,
        )))
    }
}

#[cfg(test)]
mod tests {
    use miette::NamedSource;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A window shows what the whole text shows.
        #[test]
        fn it_is_the_same_as_from_the_beginning(
            lines in prop::collection::vec("[ab é]{0,6}(\n|\r\n|\r)", 0..12),
            rest in "[ab]{0,3}",
            (offset, length) in (0_usize..60, 0_usize..30),
            (before, after) in (0_usize..4, 0_usize..4),
        ) {
            let text = lines.concat() + &rest;
            let span = SourceSpan::from((offset.min(text.len()), length));
            let (ours, whole) = (Source::new("name", &text), NamedSource::new("name", text.clone()));
            match (ours.read_span(&span, before, after), whole.read_span(&span, before, after)) {
                (Ok(ours), Ok(whole)) => {
                    prop_assert_eq!(ours.data(), whole.data());
                    prop_assert_eq!(ours.span(), whole.span());
                    prop_assert_eq!((ours.line(), ours.column()), (whole.line(), whole.column()));
                    prop_assert_eq!(ours.line_count(), whole.line_count());
                    prop_assert_eq!(ours.name(), whole.name());
                }
                (ours, whole) => prop_assert_eq!(ours.is_ok(), whole.is_ok()),
            }
        }
    }
}
