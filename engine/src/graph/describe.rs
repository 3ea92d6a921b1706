//! What a step does, in the words of a drawing.

use super::outline::{Axis, Node, Port};
use super::{Action, Graph, Piece, RunField, Source, Step, StepIndex};

/// The longest command that an outline keeps, in characters.
const LONGEST_COMMAND: usize = 4000;
/// The most words that tell what a command does.
const MOST_WORDS: usize = 3;

/// The node of a step, without its combinations.
pub(super) fn node(graph: &Graph, index: StepIndex) -> Node {
    let step = graph.step(index);
    let inputs = step.inputs.iter().map(|(name, input)| Port {
        name: name.to_string(),
        place: place(graph, &input.source),
        kind: None,
    });
    let outputs = step.outputs.iter().map(|(name, output)| Port {
        name: name.to_string(),
        place: output.path.to_string(),
        kind: Some(output.kind),
    });
    let command = command(step);
    Node {
        step: step.name.clone(),
        description: step.description.clone(),
        stage: step.stage.clone(),
        action: match &step.action {
            Action::Builtin { uses, .. } => format!("uses {uses}"),
            _ => summary(command.as_deref().unwrap_or_default()),
        },
        command,
        effect: step.effect.as_ref().map(|effect| effect.target.clone()),
        gate: step.gate.iter().map(|condition| condition.text.clone()).collect(),
        cache: step.cache,
        axes: step.axes.keys().map(|name| Axis { name: name.clone(), values: Vec::new() }).collect(),
        inputs: inputs.collect(),
        outputs: outputs.collect(),
        instances: Vec::new(),
        left_out: std::collections::BTreeMap::new(),
        line: graph.origins.line(index),
    }
}

fn place(graph: &Graph, source: &Source) -> String {
    match source {
        Source::Project(path) => path.to_string(),
        Source::Glob(pattern) => pattern.clone(),
        Source::Outside(path) => path.to_string(),
        Source::Artifact(step, output) => format!("{}.{output}", graph.step(*step).name),
        Source::Collection(entries) => {
            let mut sources: Vec<String> =
                entries.iter().map(|(step, output)| format!("{}.{output}", graph.step(*step).name)).collect();
            let count = sources.len();
            sources.dedup();
            match sources.as_slice() {
                [one] if count > 1 => format!("all of {one}"),
                _ => sources.join(", "),
            }
        }
        Source::Rival { model, alias } => format!("model {model}@{alias}"),
    }
}

/// The command as the pipeline file has it, parameters and matrix values filled in; none for a built-in step.
fn command(step: &Step) -> Option<String> {
    let text = match &step.action {
        Action::Shell(pieces) => pieces.iter().map(piece).collect(),
        Action::Exec(arguments) => {
            let arguments: Vec<String> =
                arguments.iter().map(|pieces| pieces.iter().map(piece).collect()).collect();
            arguments.join(" ")
        }
        Action::Builtin { .. } => return None,
    };
    Some(cut(&text, LONGEST_COMMAND))
}

fn piece(piece: &Piece) -> String {
    match piece {
        Piece::Text(text) => text.clone(),
        Piece::Input(name) => format!("${{inputs.{name}}}"),
        Piece::Output(name) => format!("${{outputs.{name}}}"),
        Piece::Run(RunField::Id) => "${run.id}".to_owned(),
        Piece::Run(RunField::Commit) => "${run.commit}".to_owned(),
        Piece::Run(RunField::Time) => "${run.time}".to_owned(),
        Piece::Secret(name) => format!("${{secrets.{name}}}"),
    }
}

/// The program, and what it is told first: `python train.py`, `dbt run`.
fn summary(command: &str) -> String {
    let line = command.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut words = Vec::new();
    for word in line.split_whitespace().take(MOST_WORDS) {
        let bare = word.trim_end_matches(';');
        // An option or a value is no name of what is done.
        let is_plain = !bare.is_empty()
            && !bare.starts_with('-')
            && !bare.contains(['$', '|', '&', '<', '>', '\'', '"', '`', '(', ')', '=', '{', '}']);
        if !is_plain && !words.is_empty() {
            break;
        }
        words.push(bare);
        if bare.len() != word.len() || !is_plain {
            break;
        }
    }
    words.join(" ")
}

/// At most so many characters; what is cut ends with an ellipsis.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_in_a_few_words() {
        let cases = [
            ("python train.py --data ${inputs.data}", "python train.py"),
            ("\n  echo said; echo more", "echo said"),
            ("mkdir ${outputs.folder}; ls", "mkdir"),
            ("cat a b c d", "cat a b"),
            ("sort -u x", "sort"),
            ("X=1 make", "X=1"),
            ("", ""),
        ];
        for (command, words) in cases {
            assert_eq!(summary(command), words, "{command}");
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer", 4), "grö…");
    }
}
