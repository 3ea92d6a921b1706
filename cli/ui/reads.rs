//! What an attempt read that its step did not declare, in a sentence.

use tidemill_engine::event::Undeclared;
use tidemill_engine::record::RunRecord;

use super::text::{clean, count};

/// So many files are named.
const NAMED: usize = 5;

/// A sentence for each step of a run whose last attempt read such files.
pub(crate) fn of(record: &RunRecord) -> Vec<String> {
    let told = record.steps.iter().filter_map(|step| {
        let undeclared = step.attempts.last()?.undeclared.as_ref()?;
        Some(format!("{} read {}", clean(step.step.as_str()), words(undeclared)))
    });
    told.collect()
}

/// The sentence.
pub(crate) fn words(reads: &Undeclared) -> String {
    let Undeclared { files, more, complete, hint } = reads;
    let mut said = Vec::new();
    if !files.is_empty() {
        let named: Vec<String> = files.iter().take(NAMED).map(|file| clean(file)).collect();
        let all = files.len() + more;
        let rest = match all - named.len() {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        said.push(format!("{} that it did not declare: {}{rest}", count(all, "file"), named.join(", ")));
    }
    if !complete {
        said.push("perhaps more, in ways that cannot be seen".to_owned());
    }
    said.extend(hint.as_deref().map(clean));
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: usize, more: usize, complete: bool) -> String {
        let files = (1..=files).map(|number| format!("data/{number}.csv")).collect();
        words(&Undeclared { files, more, complete, hint: None })
    }

    #[test]
    fn a_few_are_named_and_the_others_counted() {
        assert_eq!(told(1, 0, true), "1 file that it did not declare: data/1.csv");
        assert_eq!(
            told(7, 100, true),
            "107 files that it did not declare: data/1.csv, data/2.csv, data/3.csv, data/4.csv, data/5.csv and 102 more"
        );
        assert_eq!(told(0, 0, false), "perhaps more, in ways that cannot be seen");
    }
}
