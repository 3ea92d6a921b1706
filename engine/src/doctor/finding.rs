//! What a check finds, and what all of them together amount to.

use serde::Serialize;

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, in a word.
    pub subject: &'static str,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// What was found, in a sentence.
    pub said: String,
    /// What to do, if there is something to do.
    pub help: Option<String>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum Standing {
    /// As it should be.
    Ok,
    /// Worth knowing; all works.
    Note,
    /// Something does not work.
    Problem {
        /// Whose turn it is.
        fault: Fault,
    },
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The user's: a file of the project is wrong.
    Project,
    /// The machine's.
    Machine,
}

/// All findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they were made.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst fault: the machine's, if it has one, for it may be the reason for the others. None: there is no problem.
    #[must_use]
    pub fn worst(&self) -> Option<Fault> {
        self.findings.iter().filter_map(Finding::fault).max()
    }

    /// How many problems and notes there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let problems = self.findings.iter().filter(|finding| finding.fault().is_some()).count();
        let notes = self.findings.iter().filter(|finding| finding.standing == Standing::Note).count();
        (problems, notes)
    }
}

impl Finding {
    /// All is well.
    pub(super) fn ok(subject: &'static str, said: impl Into<String>) -> Self {
        Self { subject, standing: Standing::Ok, said: said.into(), help: None }
    }

    /// All works, but.
    pub(super) fn note(subject: &'static str, said: impl Into<String>) -> Self {
        Self { standing: Standing::Note, ..Self::ok(subject, said) }
    }

    /// Something does not work.
    pub(super) fn problem(subject: &'static str, fault: Fault, said: impl Into<String>) -> Self {
        Self { standing: Standing::Problem { fault }, ..Self::ok(subject, said) }
    }

    /// With what to do.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn fault(&self) -> Option<Fault> {
        match self.standing {
            Standing::Problem { fault } => Some(fault),
            Standing::Ok | Standing::Note => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_told_before_the_project() {
        let mut report = Report::default();
        assert_eq!((report.worst(), report.counts()), (None, (0, 0)));
        report.findings.push(Finding::note("git", "is old"));
        report.findings.push(Finding::problem("disk", Fault::Machine, "is full"));
        report.findings.push(Finding::problem("pipeline", Fault::Project, "is wrong"));
        assert_eq!((report.worst(), report.counts()), (Some(Fault::Machine), (2, 1)));
    }
}
