//! Why a step runs, as people read it: the cause in the first line, then everything that changed.

use tidemill_engine::Verdict;
use tidemill_engine::plan::{
    Change, Difference, Explanation, Explanations, FileChange, Origin, Relation, WordChange,
};
use tidemill_engine::repeats::Repeated;
use tidemill_engine::withdrawn::described;

use super::style::{Paint, Tone};
use super::text::{clean, time};

/// The longest value that is shown, in characters.
const LONGEST_VALUE: usize = 400;
/// So many changes are shown.
const MOST_CHANGES: usize = 40;
/// Values up to this length, both together, stand on one line.
const ONE_LINE: usize = 90;

/// Draws the explanations of a step: one in full, of several the first lines.
pub(crate) fn draw(explanations: &Explanations, paint: Paint) -> String {
    let [one] = explanations.steps.as_slice() else {
        let lines = explanations.steps.iter().map(|step| format!("{}\n", headline(step, paint)));
        let runs = |step: &&Explanation| matches!(step.verdict, Verdict::Run | Verdict::Maybe);
        let example = explanations.steps.iter().find(runs).or(explanations.steps.first());
        let example = example.map(|step| {
            format!("\nname one for all that changed: tidemill explain '{}'\n", clean(step.step.as_str()))
        });
        return lines.chain(example).collect();
    };
    let mut text = format!("{}\n", headline(one, paint));
    let mut fact = |word: &str, fact: &str| {
        text.push_str(&format!("  {} {}\n", paint.text(Tone::Faint, &format!("{word:<4}")), clean(fact)));
    };
    if let Some(origin) = &one.against {
        fact("then", &origin_in_full(origin, one.step.as_str()));
    }
    if let Some(origin) = &one.made_by {
        fact("made", &who(origin));
    }
    if let Some(withdrawal) = &one.quarantined {
        fact("note", &format!("its result was {}", described(withdrawal)));
    }
    if let Some(repeated) = &one.repeated {
        fact("note", &repeats(repeated));
    }
    if let (Some(key), None) = (one.key, &one.made_by) {
        fact("now", &format!("key {}", key.short()));
    }
    if one.relation == Some(Relation::Combination) {
        fact("note", "this combination never ran; the nearest result is one of another");
    }
    section(&mut text, "", &one.changes, paint);
    section(&mut text, "because of that", &one.consequences, paint);
    text
}

/// What repeating showed, in one sentence.
fn repeats(repeated: &Repeated) -> String {
    let Repeated { repeats, differing, at, .. } = repeated;
    let last = time(*at);
    match repeated.note() {
        Some(note) => {
            format!("{note} ({differing} of {} differed, last tried on {last})", count_of(*repeats))
        }
        None => format!("gave the same when repeated ({}, last on {last})", count_of(*repeats)),
    }
}

fn count_of(repeats: u64) -> String {
    match repeats {
        1 => "1 repeat".to_owned(),
        many => format!("{many} repeats"),
    }
}

/// What would happen, and the cause, in one sentence.
fn headline(explanation: &Explanation, paint: Paint) -> String {
    let step = paint.text(Tone::Strong, &clean(explanation.step.as_str()));
    let Explanation { reason, relation, against, .. } = explanation;
    let compared = against.as_ref().map(briefly).unwrap_or_default();
    let cause = explanation.cause();
    let named = match (relation, &cause) {
        (Some(Relation::Named), Some(cause)) => format!("; {compared}: {cause}"),
        (Some(Relation::Named), None) => format!("; {compared} nothing differs"),
        _ => String::new(),
    };
    let made = explanation.made_by.as_ref().map(made).unwrap_or_default();
    let rest = match explanation.verdict {
        Verdict::Run => match (&cause, relation) {
            (Some(cause), Some(Relation::Named)) => format!("would run: {cause} ({compared})"),
            (Some(cause), _) if cause == reason => format!("would run: {cause} ({compared})"),
            _ => format!("would run: {reason}{named}"),
        },
        Verdict::Cached if explanation.made_by.is_none() => format!("need not run itself: {reason}{named}"),
        Verdict::Maybe if explanation.waits_for.is_none() => format!("may have to run: {reason}{named}"),
        Verdict::Cached => format!("is cached: {made}{named}"),
        Verdict::Done => format!("is current: {reason} ({made}){named}"),
        Verdict::Held => format!("is held: {reason}{named}"),
        Verdict::Maybe => {
            let by = explanation.waits_for.as_ref().map(ToString::to_string).unwrap_or_default();
            match (&cause, relation) {
                (Some(cause), Some(Relation::Nearest | Relation::Named)) => {
                    format!("waits for {by}; what is known already: {cause} ({compared})")
                }
                (None, Some(Relation::Nearest | Relation::Named)) => {
                    format!("waits for {by}; nothing else changed ({compared})")
                }
                _ => format!("waits for {by}, and has not run yet"),
            }
        }
        Verdict::Blocked => format!("is blocked: {reason}"),
        Verdict::Skipped => format!("is left out: {reason}"),
    };
    format!("{step} {}", clean(&rest))
}

/// What something is compared with, in a few words.
fn briefly(origin: &Origin) -> String {
    let end = if origin.finished.is_none() { ", which gave no result" } else { "" };
    match (&origin.run, &origin.host) {
        (Some(run), Some(host)) => format!("against run {run} on host {host}{end}"),
        (Some(run), None) => format!("against run {run}{end}"),
        (None, _) => format!("against key {}{end}", origin.key.short()),
    }
}

/// Under which key a result is found, and who made it.
fn made(origin: &Origin) -> String {
    let mut text = format!("key {}", origin.key.short());
    if let Some(run) = &origin.run {
        text.push_str(&format!(", made by run {run}"));
    }
    if let Some(host) = &origin.host {
        text.push_str(&format!(" on host {host}"));
    }
    if let Some(at) = origin.finished {
        text.push_str(&format!(", {}", time(at)));
    }
    text
}

/// Key, step if it is another one, time, user and place.
fn origin_in_full(origin: &Origin, step: &str) -> String {
    let other = origin.step.as_ref().filter(|other| *other != step);
    let mut parts = vec![format!("key {}", origin.key.short())];
    parts.extend(other.map(|other| format!("of {other}")));
    parts.extend(origin.finished.map(time));
    parts.extend(Some(who(origin)).filter(|who| !who.is_empty()));
    parts.join(", ")
}

fn who(origin: &Origin) -> String {
    let mut parts = Vec::new();
    parts.extend(origin.user.as_ref().map(|user| format!("by {user}")));
    parts.extend(origin.project.as_ref().map(|project| format!("in {project}")));
    parts.join(" ")
}

fn section(text: &mut String, heading: &str, changes: &[Change], paint: Paint) {
    if changes.is_empty() {
        return;
    }
    text.push('\n');
    if !heading.is_empty() {
        text.push_str(&format!("  {}\n", paint.text(Tone::Faint, heading)));
    }
    for change in changes.iter().take(MOST_CHANGES) {
        draw_change(text, change, paint);
    }
    if let Some(more) = changes.len().checked_sub(MOST_CHANGES).filter(|more| *more > 0) {
        text.push_str(&format!("  … and {more} more; --json has all of them\n"));
    }
}

fn draw_change(text: &mut String, change: &Change, paint: Paint) {
    let mut line = |indent: usize, line: &str| text.push_str(&format!("{:indent$}{line}\n", ""));
    match &change.difference {
        Difference::Value { old, new } => {
            line(2, &clean(&change.to_string()));
            let shown = |value: &_| cut(&change.shown(value));
            let values = (old.as_ref().map(shown), new.as_ref().map(shown));
            let short = change.to_string();
            for (word, value) in [("before", values.0), ("now", values.1)] {
                if let Some(value) = value.filter(|value| !short.contains(value.as_str())) {
                    line(4, &format!("{} {}", paint.text(Tone::Faint, &format!("{word:<6}")), clean(&value)));
                }
            }
        }
        Difference::Words { words, diff } => {
            line(
                2,
                if words.is_empty() {
                    "command changed only in its spacing, quoting or comments"
                } else {
                    "command"
                },
            );
            for word in words {
                line(4, &in_context(word, paint));
            }
            draw_diff(&mut line, diff.as_deref(), paint);
        }
        Difference::Files { from, files, more } => {
            let from = from.as_ref().filter(|_| files.len() > 1).map(|from| format!(", from {from}"));
            line(2, &clean(&format!("input {}{}", change.name, from.unwrap_or_default())));
            for file in files {
                line(4, &in_words(file));
                draw_diff(&mut line, file.diff.as_deref(), paint);
            }
            if *more > 0 {
                line(4, &format!("… and {more} more files"));
            }
        }
    }
}

fn in_words(file: &FileChange) -> String {
    let hidden = file.hidden.map(|hidden| format!(" ({hidden})")).unwrap_or_default();
    clean(&format!("{file}{hidden}"))
}

/// `… --alpha [0.5 → 0.7] --out …`
fn in_context(word: &WordChange, paint: Paint) -> String {
    let around = |word: &Option<String>| word.as_deref().map(|word| clean(&cut(word))).unwrap_or_default();
    let (old, new) = (around(&word.old), around(&word.new));
    let changed = match (old.is_empty(), new.is_empty()) {
        (true, _) => format!("{} is new", paint.text(Tone::Good, &new)),
        (_, true) => format!("{} is gone", paint.text(Tone::Bad, &old)),
        _ if old.len() + new.len() > ONE_LINE => format!("{old}\n      → {new}"),
        _ => format!("{} → {}", paint.text(Tone::Bad, &old), paint.text(Tone::Good, &new)),
    };
    let [before, after] = [&word.before, &word.after].map(|word| paint.text(Tone::Faint, &around(word)));
    format!("{before} [{changed}] {after}").trim().to_owned()
}

fn draw_diff(line: &mut impl FnMut(usize, &str), diff: Option<&str>, paint: Paint) {
    for text in diff.into_iter().flat_map(|diff| diff.split_terminator('\n')) {
        // The sign is set apart, so that nothing in the text can overwrite it.
        let sign = text.chars().next().filter(|sign| "+- @".contains(*sign));
        let rest = clean(&text[sign.map_or(0, char::len_utf8)..]);
        let whole = format!("{}{rest}", sign.map(String::from).unwrap_or_default());
        let whole = match sign {
            Some('+') => paint.text(Tone::Good, &whole),
            Some('-') => paint.text(Tone::Bad, &whole),
            Some('@') => paint.text(Tone::Faint, &whole),
            _ => whole,
        };
        line(6, whole.trim_end());
    }
}

fn cut(text: &str) -> String {
    match text.chars().count() > LONGEST_VALUE {
        true => text.chars().take(LONGEST_VALUE - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}
