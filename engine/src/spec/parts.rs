//! The parts of a file: where the table of each step begins, if the file is written in the usual way.

use super::tree::{Kind, Node, Span};

/// How the header of a step's table begins.
const HEADER: &str = "[steps.";

/// Where the part of each step begins, in the order of the file: at the line of its header `[steps.name]`. None unless everything
/// from the first header on, to the next one each, belongs to the step of that header, and everything before to no step.
///
/// The text between two such places can be read by itself: a header is never inside of a text of several lines, since the parser
/// has found its name there.
pub(super) fn parts(text: &str, tree: &Node) -> Option<Vec<usize>> {
    let steps = tree.entry("steps")?.value.entries();
    let mut begins = Vec::with_capacity(steps.len());
    for step in steps {
        let begin = text[..step.key_span.start].rfind('\n').map_or(0, |end| end + 1);
        let is_plain =
            text[begin..step.key_span.start] == *HEADER && text[step.key_span.end..].starts_with(']');
        if !is_plain {
            return None;
        }
        begins.push(begin);
    }
    let first = *begins.first()?;
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let are_apart = steps
        .iter()
        .zip(begins.iter().zip(ends))
        .all(|(step, (begin, end))| lies_in(&step.value, &(*begin..end)));
    let others = tree.entries().iter().filter(|entry| entry.key != "steps");
    let are_before =
        others.into_iter().all(|entry| entry.key_span.end <= first && lies_in(&entry.value, &(0..first)));
    (are_apart && are_before).then_some(begins)
}

/// Whether all names and values below a node stand in this place.
fn lies_in(node: &Node, place: &Span) -> bool {
    let is_in = |span: &Span| place.start <= span.start && span.end <= place.end;
    match &node.kind {
        // A table may be said in several places, but its members each in one.
        Kind::Table(entries) => {
            entries.iter().all(|entry| is_in(&entry.key_span) && lies_in(&entry.value, place))
        }
        Kind::List(items) => items.iter().all(|item| lies_in(item, place)),
        _ => is_in(&node.span),
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::Problems;
    use super::super::tree::document;
    use super::*;

    fn parts_of(text: &str) -> Option<Vec<&str>> {
        let tree = document(text, &mut Problems::default()).unwrap();
        let begins = parts(text, &tree)?;
        let ends = begins.iter().skip(1).copied().chain([text.len()]);
        Some(begins.iter().zip(ends).map(|(begin, end)| &text[*begin..end]).collect())
    }

    #[test]
    fn each_step_is_a_part_of_a_file_that_is_written_as_usual() {
        let text = "[params]\nx = 1\n\n# first\n[steps.a]\nrun = '''\n[steps.no]\n'''\nenv.X = 1\n# of b\n[steps.b] # b\n\
                    run = \"b\"\n[steps.b.inputs]\ni = \"i\"\n[steps.c]\nrun = 'c'";
        let parts = parts_of(text).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(parts[0].starts_with("[steps.a]") && parts[0].ends_with("# of b\n"));
        assert!(parts[1].contains("[steps.b.inputs]") && parts[2].ends_with("'c'"));
    }

    #[test]
    fn a_file_that_is_written_in_another_way_has_no_parts() {
        for text in [
            "[params]\nx = 1\n",
            "steps.a.run = 'a'\n",
            "[steps]\na = { run = 'a' }\n",
            "[ steps.a ]\nrun = 'a'\n",
            "[steps.a]\nrun = 'a'\n[params]\nx = 1\n",
            "[steps.a]\nrun = 'a'\n[steps.b]\nrun = 'b'\n[steps.a.env]\nX = 1\n",
            "[steps.a.env]\nX = 1\n[steps.a]\nrun = 'a'\n",
            "[steps.a]\nrun = 'a'\n[[steps.b.inputs.x]]\ny = 1\n",
        ] {
            assert_eq!(parts_of(text), None, "{text}");
        }
    }
}
