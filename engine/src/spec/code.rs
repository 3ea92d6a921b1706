//! The codes of mistakes: one for each rule of the language, stable, each with a section in `docs/mistakes.md`.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Which rule of the language is broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All codes, sorted by name.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that people see.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

codes! {
    /// A matrix axis has values that cannot be used.
    Axis = "axis",
    /// A built-in step says itself whether it changes the world, and what.
    BuiltinEffect = "builtin-effect",
    /// `collect` takes one reference to an output.
    Collect = "collect",
    /// A condition compares what cannot be compared.
    Condition = "condition",
    /// Steps wait for each other in a circle, so none of them could begin.
    Cycle = "cycle",
    /// A name stands twice in one table.
    Duplicate = "duplicate",
    /// A command is empty.
    EmptyCommand = "empty-command",
    /// A list of references has no item.
    EmptyList = "empty-list",
    /// What a step says of its executor cannot be.
    Executor = "executor",
    /// An effect runs on this machine.
    ExecutorOfEffect = "executor-of-effect",
    /// A condition cannot be read.
    Expression = "expression",
    /// The kind of a built-in step's output cannot be chosen.
    FixedOutput = "fixed-output",
    /// A gate has no metrics to ask.
    GateWithoutMetrics = "gate-without-metrics",
    /// A name has characters that names cannot have, or is a word of the language.
    InvalidName = "invalid-name",
    /// A list of project files cannot be one input.
    ListOfPaths = "list-of-paths",
    /// What stands between `${` and `}` is no reference.
    MalformedReference = "malformed-reference",
    /// A step reads one artifact of a matrix step, which has one for each combination.
    MatrixReference = "matrix-reference",
    /// A field that must be there is missing.
    MissingField = "missing-field",
    /// A built-in step lacks an input that it needs.
    MissingInput = "missing-input",
    /// A built-in step lacks an option in `with` that it needs.
    MissingOption = "missing-option",
    /// A registered model is not named as it must be.
    Model = "model",
    /// A step does not say what it does.
    NoAction = "no-action",
    /// The glob of a matrix axis finds no file.
    NoFiles = "no-files",
    /// A matrix step reads a combination that another matrix step does not have.
    NoMatch = "no-match",
    /// The pipeline has no step.
    NoSteps = "no-steps",
    /// The field belongs to the language, and this version does not do it yet.
    NotAvailableYet = "not-available-yet",
    /// Who is to be told of runs, or how, cannot be.
    Notify = "notify",
    /// A value holds a NUL character, which no command line can carry.
    Nul = "nul",
    /// A number is out of range.
    Number = "number",
    /// A built-in step wants one artifact and gets several, or the other way round.
    OneOrMany = "one-or-many",
    /// An option of a built-in step has a value that it cannot use.
    Option = "option",
    /// Two places in a step's folder meet: two outputs, or an output and an input.
    OutputClash = "output-clash",
    /// A value from the command line or from a file does not fit its parameter.
    ParameterType = "parameter-type",
    /// A file of parameters cannot be read.
    ParamsFile = "params-file",
    /// A path cannot be used where it stands.
    Path = "path",
    /// An output that is no folder cannot have a folder for each rank.
    PerRank = "per-rank",
    /// `probe` belongs to an effect.
    ProbeWithoutEffect = "probe-without-effect",
    /// Two outputs are published to paths that meet.
    PublishClash = "publish-clash",
    /// An output is published onto something that a step reads.
    PublishInput = "publish-input",
    /// A reference stands inside quotes or in a here-document of the shell.
    QuotedReference = "quoted-reference",
    /// A reference to an output is a part of a path.
    ReferenceNotAlone = "reference-not-alone",
    /// A reference stands in a field that cannot use it.
    ReferenceNotHere = "reference-not-here",
    /// A step has both a command and a built-in step.
    RunAndUses = "run-and-uses",
    /// A schedule cannot be read, or its time zone is not known.
    Schedule = "schedule",
    /// The file is no TOML.
    Syntax = "syntax",
    /// Values are nested too deeply.
    TooDeep = "too-deep",
    /// The pipeline file is larger than 64 MiB.
    TooLarge = "too-large",
    /// A pipeline has more than 1,048,576 steps.
    TooManySteps = "too-many-steps",
    /// What a trigger says cannot be.
    Trigger = "trigger",
    /// Something is said twice where it can be said once.
    Twice = "twice",
    /// An input comes from two places.
    TwoSources = "two-sources",
    /// The language has no such field here.
    UnknownField = "unknown-field",
    /// A condition names something that is not known.
    UnknownInCondition = "unknown-in-condition",
    /// The built-in step has no such input.
    UnknownInput = "unknown-input",
    /// Something is named that is not there: a step, a built-in step, an environment.
    UnknownName = "unknown-name",
    /// The built-in step has no such option in `with`.
    UnknownOption = "unknown-option",
    /// The built-in step has no such output.
    UnknownOutput = "unknown-output",
    /// A parameter was set that the pipeline does not have.
    UnknownParameter = "unknown-parameter",
    /// A reference names something that is not there.
    UnknownReference = "unknown-reference",
    /// A field takes one of a few words, and this is none of them.
    UnknownWord = "unknown-word",
    /// A time or a size cannot be read.
    Unreadable = "unreadable",
    /// `with` belongs to a built-in step.
    WithWithoutUses = "with-without-uses",
    /// A value is of another type than its field wants.
    WrongType = "wrong-type",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
