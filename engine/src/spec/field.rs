//! The language as data: every table with its fields, their shapes, a sentence and an example each.
//!
//! The check of a file and the JSON Schema are both read from here, so they cannot differ.

pub(super) use super::told::NOTIFY;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    Text,
    Count,
    Truth,
    Duration,
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text, a number, true, false or a date.
    Scalar,
    Any,
    List(&'static Shape),
    /// A table with these fields.
    Table(&'static [Field]),
    /// A table with names of the user's.
    Map(Naming, &'static Shape),
    /// One of several; they differ in what TOML calls them.
    OneOf(&'static [Shape]),
}

/// How the names of a [`Shape::Map`] look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Lower-case letters, digits, `-`, `_`.
    Plain,
    /// The same, but no word that references use.
    Step,
    /// An environment variable.
    Variable,
    /// Letters, digits, `-`, `_`: a part of a parameter's name.
    Parameter,
    /// Anything.
    Free,
}

/// A field of a table.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    pub(crate) doc: &'static str,
    pub(crate) example: &'static str,
}

pub(super) const fn field(
    name: &'static str,
    shape: Shape,
    doc: &'static str,
    example: &'static str,
) -> Field {
    Field { name, shape, required: false, doc, example }
}

pub(super) const fn required(
    name: &'static str,
    shape: Shape,
    doc: &'static str,
    example: &'static str,
) -> Field {
    Field { name, shape, required: true, doc, example }
}

/// Words with a meaning in references, which no step may have as its name.
pub(crate) const RESERVED: &[&str] =
    &["params", "inputs", "outputs", "matrix", "run", "secrets", "steps", "pipeline", "environments"];

/// Kinds of outputs.
pub(crate) const KINDS: &[&str] = &["file", "dir", "metrics", "plot", "model", "report"];

/// Levels of isolation.
pub(crate) const SANDBOXES: &[&str] = &["default", "strict", "off", "trace"];

/// Failures of a step's own after which it may be tried again.
pub(crate) const RETRIED: &[&str] = &["oom", "timeout", "failure"];

/// Which outputs are kept.
pub(crate) const KEEPS: &[&str] = &["all", "final"];

/// What is done while a run of the pipeline goes on.
pub(crate) const CONCURRENCIES: &[&str] = &["queue", "forbid", "replace", "allow"];

/// What is done with times that came while nobody looked.
pub(crate) const CATCH_UPS: &[&str] = &["one", "none", "all"];

/// Who sends webhooks, by how they are signed.
pub(crate) const SENDERS: &[&str] = &["github", "gitlab", "standard"];

/// What is told of runs.
pub(crate) const NEWS: &[&str] = &["failure", "refused", "recovery", "success", "cancelled"];

/// What starts runs.
pub(crate) const CAUSES: &[&str] =
    &["command", "ci", "watch", "schedule", "event", "model", "run", "request"];

/// How the way to a mail server is kept from being read.
pub(crate) const ENCRYPTIONS: &[&str] = &["starttls", "tls", "none"];

/// How a run can end for a trigger.
pub(crate) const ENDS: &[&str] = &["succeeded", "failed"];

const TEXTS: Shape = Shape::List(&Shape::Text);
const NAMES: Shape = Shape::List(&Shape::Text);

/// A pipeline file.
pub(crate) static PIPELINE_FILE: &[Field] = &[
    required("pipeline", Shape::Table(PIPELINE), "What the pipeline is.", "[pipeline]\nname = \"diabetes\""),
    field(
        "params",
        Shape::Map(Naming::Parameter, &Shape::Any),
        "Values that steps refer to as `${params.name}`; tables become dotted names.",
        "[params]\nseed = 7",
    ),
    field(
        "environments",
        Shape::Map(Naming::Plain, &Shape::Table(ENVIRONMENT)),
        "Named environments for steps.",
        "[environments.gpu]\nimage = \"python:3.13\"",
    ),
    field(
        "steps",
        Shape::Map(Naming::Step, &Shape::Table(STEP)),
        "The steps, each under its name.",
        "[steps.train]\nrun = \"python train.py\"",
    ),
    field(
        "triggers",
        Shape::List(&Shape::Table(TRIGGER)),
        "What starts runs of the pipeline by itself, for `tidemill daemon` and `tidemill tick`.",
        "[[triggers]]\nname = \"nightly\"\ncron = \"0 3 * * *\"",
    ),
    field(
        "notify",
        Shape::List(&Shape::Table(NOTIFY)),
        "Who is told how runs of the pipeline ended: by mail, by a webhook, in Slack.",
        "[[notify]]\nname = \"ops\"\nslack = { url = \"SLACK_URL\" }",
    ),
];

static PIPELINE: &[Field] = &[
    required("name", Shape::Text, "The pipeline's name.", "name = \"diabetes\""),
    field(
        "description",
        Shape::Text,
        "What it is for, in a sentence.",
        "description = \"progression after a year\"",
    ),
    field(
        "keep",
        Shape::Word(KEEPS),
        "Which outputs are kept when all steps that read them are done; for steps that say nothing.",
        "keep = \"final\"",
    ),
];

static ENVIRONMENT: &[Field] = &[
    field("requirements", Shape::Text, "A Python requirements file.", "requirements = \"requirements.txt\""),
    field("python", Shape::Text, "The version of Python.", "python = \"3.13\""),
    field("image", Shape::Text, "A container image.", "image = \"python:3.13\""),
    field(
        "env",
        Shape::Map(Naming::Variable, &Shape::Scalar),
        "Variables of the process.",
        "env.OMP_NUM_THREADS = 4",
    ),
    field("description", Shape::Text, "What it is for.", "description = \"training on GPUs\""),
];

/// A step.
pub(crate) static STEP: &[Field] = &[
    field(
        "run",
        Shape::OneOf(&[Shape::Text, Shape::List(&Shape::Scalar)]),
        "A command: a text for `sh -euc`, or a list that is executed as it is.",
        "run = \"python train.py --out ${outputs.model}\"",
    ),
    field("uses", Shape::Text, "A built-in step.", "uses = \"train\""),
    field(
        "with",
        Shape::Map(Naming::Free, &Shape::Any),
        "The options of a built-in step.",
        "with = { target = \"progression\" }",
    ),
    field(
        "inputs",
        Shape::Map(Naming::Plain, &INPUT),
        "What the step reads, by name; referred to as `${inputs.name}`.",
        "inputs.data = \"data/diabetes.csv\"",
    ),
    field(
        "outputs",
        Shape::Map(Naming::Plain, &OUTPUT),
        "What the step writes, by name; referred to as `${outputs.name}`, and from other steps as `${step.name}`.",
        "outputs.model = \"model.onnx\"",
    ),
    field("needs", NAMES, "Steps that go first without giving data.", "needs = [\"prepare\"]"),
    field(
        "matrix",
        Shape::Map(Naming::Plain, &AXIS),
        "One step per combination of these values.",
        "matrix = { fold = [1, 2, 3] }",
    ),
    field(
        "env",
        Shape::Map(Naming::Variable, &Shape::Scalar),
        "Variables of the process; they enter the key.",
        "env.PYTHONHASHSEED = \"0\"",
    ),
    field(
        "pass_env",
        NAMES,
        "Variables of your environment that the step gets; their values enter the key.",
        "pass_env = [\"CUDA_HOME\"]",
    ),
    field("tools", NAMES, "Programs whose content enters the key.", "tools = [\"ffmpeg\"]"),
    field(
        "secrets",
        NAMES,
        "Variables of your environment that the step gets and that are never kept.",
        "secrets = [\"DB_PASSWORD\"]",
    ),
    field(
        "fingerprint",
        Shape::OneOf(&[Shape::Text, Shape::Table(FINGERPRINT)]),
        "A command whose output enters the key, for state that no file shows.",
        "fingerprint = \"psql -Atc 'select max(id) from t'\"",
    ),
    field(
        "when",
        Shape::Text,
        "The step is left out unless this condition on parameters holds.",
        "when = \"params.deploy\"",
    ),
    field(
        "gate",
        Shape::OneOf(&[Shape::Text, TEXTS]),
        "Conditions on the step's metrics that let the steps after it go on.",
        "gate = \"rmse < 60\"",
    ),
    field(
        "retries",
        Shape::OneOf(&[Shape::Count, Shape::Table(RETRIES)]),
        "How often a failed attempt is made again.",
        "retries = 2",
    ),
    field("timeout", Shape::Duration, "The longest that an attempt may take.", "timeout = \"2 h\""),
    field("cache", Shape::Truth, "Whether results are kept and found again.", "cache = false"),
    field(
        "keep",
        Shape::Word(KEEPS),
        "Which outputs are kept when all steps that read them are done.",
        "keep = \"final\"",
    ),
    field(
        "effect",
        Shape::OneOf(&[Shape::Truth, Shape::Table(EFFECT)]),
        "The step changes the world outside the cache.",
        "effect = true",
    ),
    field(
        "probe",
        Shape::Text,
        "For an effect: a command that exits 0 while its target still shows the last success.",
        "probe = \"curl -fs http://localhost/ready\"",
    ),
    field(
        "sandbox",
        Shape::Word(SANDBOXES),
        "How strictly the step is kept from what it did not declare.",
        "sandbox = \"strict\"",
    ),
    field("network", Shape::Truth, "Whether the step may use the network (yes).", "network = false"),
    field(
        "resources",
        Shape::Table(RESOURCES),
        "What the step needs while it runs.",
        "resources = { cpus = 4, memory = \"16 GiB\" }",
    ),
    field(
        "executor",
        Shape::OneOf(&[
            Shape::Text,
            Shape::Table(EXECUTOR),
            Shape::List(&Shape::OneOf(&[Shape::Text, Shape::Table(EXECUTOR)])),
        ]),
        "Where the step runs; of a list, the first whose condition holds.",
        "executor = \"gpu\"",
    ),
    field(
        "checkpoint",
        Shape::OneOf(&[Shape::Text, Shape::Table(CHECKPOINT)]),
        "A folder of the step that is saved while it runs, and is there again when its next attempt begins; never part of the key.",
        "checkpoint = \"checkpoints\"",
    ),
    field("environment", Shape::Text, "The environment that the step runs in.", "environment = \"gpu\""),
    field("stage", Shape::Text, "The stage of the lifecycle that the step belongs to.", "stage = \"train\""),
    field(
        "description",
        Shape::Text,
        "What the step is for, in a sentence.",
        "description = \"one model per fold\"",
    ),
];

static INPUT: Shape = Shape::OneOf(&[Shape::Text, TEXTS, Shape::Table(INPUT_TABLE)]);

/// An input that says more than its path.
pub(crate) static INPUT_TABLE: &[Field] = &[
    field(
        "path",
        Shape::OneOf(&[Shape::Text, TEXTS]),
        "A path, a glob, or references to outputs.",
        "path = \"data/extra.csv\"",
    ),
    field(
        "collect",
        Shape::Text,
        "All combinations of a matrix step's output.",
        "collect = \"${train.model}\"",
    ),
    field("model", Shape::Text, "A registered model by name and alias.", "model = \"diabetes@champion\""),
    field("optional", Shape::Truth, "Whether it may be absent.", "optional = true"),
];

static OUTPUT: Shape = Shape::OneOf(&[Shape::Text, Shape::Table(OUTPUT_TABLE)]);

static OUTPUT_TABLE: &[Field] = &[
    field("path", Shape::Text, "Where the step writes it, in its own folder.", "path = \"metrics.json\""),
    field("kind", Shape::Word(KINDS), "What it is.", "kind = \"metrics\""),
    field("optional", Shape::Truth, "Whether it may be absent.", "optional = true"),
    field(
        "publish",
        Shape::Text,
        "Where it is also placed in the project.",
        "publish = \"models/model.onnx\"",
    ),
    field(
        "per_rank",
        Shape::Truth,
        "Whether each of several machines makes its own: it is a folder with a folder for each rank.",
        "per_rank = true",
    ),
];

static AXIS: Shape = Shape::OneOf(&[Shape::List(&Shape::Scalar), Shape::Text, Shape::Table(GLOB)]);

static GLOB: &[Field] =
    &[required("glob", Shape::Text, "One value per file that matches.", "glob = \"data/*.parquet\"")];

static FINGERPRINT: &[Field] = &[
    required(
        "command",
        Shape::Text,
        "The command, for `sh -euc` in the pipeline's folder.",
        "command = \"date +%F\"",
    ),
    field("timeout", Shape::Duration, "The longest that it may take (one minute).", "timeout = \"30 s\""),
    field("max_age", Shape::Duration, "How long its last output may be used again.", "max_age = \"1 h\""),
];

static EFFECT: &[Field] = &[
    field("target", Shape::Text, "What is changed; the step's own id if nothing is said.", "target = \"qa\""),
    field(
        "probe",
        Shape::Text,
        "A command that exits 0 while the target still shows the last success.",
        "probe = \"curl -fs http://localhost/ready\"",
    ),
];

static EXECUTOR: &[Field] = &[
    required("name", Shape::Text, "The executor; `local` is this machine.", "name = \"gpu\""),
    field(
        "when",
        Shape::Text,
        "A condition on parameters; without one it is always taken.",
        "when = \"params.rows > 1000000\"",
    ),
    field(
        "with",
        Shape::Map(Naming::Free, &Shape::Any),
        "What this step says otherwise than `[executors.NAME]` in `tidemill.toml`.",
        "with = { partition = \"long\" }",
    ),
];

static CHECKPOINT: &[Field] = &[
    required("path", Shape::Text, "The folder, in the step's own.", "path = \"checkpoints\""),
    field("every", Shape::Duration, "How often it is saved (five minutes).", "every = \"10 min\""),
];

static RETRIES: &[Field] = &[
    field(
        "infrastructure",
        Shape::Count,
        "How often after a failure that is not the step's own: a lost machine, a preemption (two).",
        "infrastructure = 3",
    ),
    field(
        "on",
        Shape::List(&Shape::Word(RETRIED)),
        "After which failures of the step's own too.",
        "on = [\"oom\"]",
    ),
    field("times", Shape::Count, "How often after one of these (two).", "times = 1"),
    field(
        "scale",
        Shape::Table(SCALE),
        "By what the needs of the step grow after one of these.",
        "scale = { memory = 2 }",
    ),
];

static SCALE: &[Field] = &[
    field("memory", Shape::Count, "After it ran out of memory.", "memory = 2"),
    field("time", Shape::Count, "After its time was up.", "time = 2"),
];

static RESOURCES: &[Field] = &[
    field("cpus", Shape::Count, "CPU cores (one).", "cpus = 4"),
    field("memory", Shape::Size, "Memory.", "memory = \"16 GiB\""),
    field("gpus", Shape::Count, "GPUs.", "gpus = 1"),
    field("gpu_type", Shape::Text, "What GPUs, in the executor's own word.", "gpu_type = \"a100\""),
    field("vram", Shape::Size, "Memory of each GPU, which is shared with others then.", "vram = \"20 GiB\""),
    field("nodes", Shape::Count, "Machines, each with all that stands here; all or none (one).", "nodes = 2"),
    field(
        "time",
        Shape::Duration,
        "The longest that an attempt may take, if `timeout` says nothing.",
        "time = \"2 h\"",
    ),
    field(
        "tokens",
        Shape::Map(Naming::Plain, &Shape::Count),
        "Named tokens, such as licences.",
        "tokens.licence = 1",
    ),
];

/// A text, or several.
pub(super) const ONE_OR_TEXTS: Shape = Shape::OneOf(&[Shape::Text, TEXTS]);

static TRIGGER: &[Field] = &[
    required("name", Shape::Text, "Its name, unique in the pipeline.", "name = \"nightly\""),
    field("description", Shape::Text, "What it is for.", "description = \"every night after the import\""),
    field(
        "cron",
        Shape::Text,
        "A schedule: five fields (minute, hour, day of month, month, day of week), or `@daily` and the like.",
        "cron = \"0 3 * * mon-fri\"",
    ),
    field(
        "timezone",
        Shape::Text,
        "For `cron`: the time zone by its IANA name (UTC).",
        "timezone = \"Europe/Berlin\"",
    ),
    field(
        "catch_up",
        Shape::Word(CATCH_UPS),
        "For `cron`: of the times that came while nobody looked, `one` run for the last of them, `none`, or `all` (one).",
        "catch_up = \"none\"",
    ),
    field(
        "jitter",
        Shape::Duration,
        "For `cron`: a run begins up to so much later, each time another while, so that not all begin at once.",
        "jitter = \"10 min\"",
    ),
    field(
        "deadline",
        Shape::Duration,
        "For `cron`: a run that could not begin within this time does not begin at all.",
        "deadline = \"6 h\"",
    ),
    field(
        "watch",
        Shape::OneOf(&[Shape::Truth, Shape::Text, TEXTS]),
        "A change of what the pipeline reads: all of it, or of that only what these globs match.",
        "watch = \"data/*.csv\"",
    ),
    field(
        "settle",
        Shape::Duration,
        "For `watch`: how long what lies there must stay as it is before a run begins (two seconds).",
        "settle = \"30 s\"",
    ),
    field(
        "event",
        Shape::OneOf(&[Shape::Text, Shape::Table(EVENT)]),
        "An event that the daemon receives (CloudEvents): its type, or a table that says more.",
        "event = { type = \"com.example.data.*\", filter = \"event.data.rows > 1000\" }",
    ),
    field(
        "webhook",
        Shape::Table(WEBHOOK),
        "For `event`: it comes to an address of its own, signed by its sender.",
        "webhook = { sender = \"github\", secret = \"GITHUB_WEBHOOK_SECRET\" }",
    ),
    field(
        "model",
        Shape::Text,
        "A new version of a registered model; with `@alias`, a move of this alias.",
        "model = \"diabetes@champion\"",
    ),
    field(
        "run",
        Shape::OneOf(&[Shape::Text, Shape::Table(RUN)]),
        "A run of another pipeline of the project that succeeded; or a table that says more.",
        "run = { pipeline = \"features\", ended = [\"failed\"] }",
    ),
    field(
        "params",
        Shape::Map(Naming::Parameter, &Shape::Any),
        "Values of parameters for its runs; `${event.data.name}` takes them from the event.",
        "params = { month = \"${event.data.month}\" }",
    ),
    field(
        "concurrency",
        Shape::Word(CONCURRENCIES),
        "While a run of the pipeline goes on that a trigger has started: `queue` waits for its end, `forbid` starts none, `replace` cancels it, `allow` starts one beside it (queue).",
        "concurrency = \"forbid\"",
    ),
    field(
        "cooldown",
        Shape::Duration,
        "For so long after one of its runs has begun, what comes starts none.",
        "cooldown = \"1 h\"",
    ),
    field("enabled", Shape::Truth, "Whether it starts anything (yes).", "enabled = false"),
];

static EVENT: &[Field] = &[
    field(
        "type",
        ONE_OR_TEXTS,
        "The event's type, or one of several; `*` stands for any characters.",
        "type = \"com.example.data.*\"",
    ),
    field("source", ONE_OR_TEXTS, "Where it comes from, in the same way.", "source = \"/warehouse/*\""),
    field(
        "filter",
        Shape::Text,
        "A condition on the event: `event.type`, `event.subject`, `event.data.…`.",
        "filter = \"event.data.rows > 1000\"",
    ),
];

static WEBHOOK: &[Field] = &[
    required(
        "sender",
        Shape::Word(SENDERS),
        "How it is signed: as GitHub or GitLab does it, or as Standard Webhooks say.",
        "sender = \"github\"",
    ),
    required(
        "secret",
        Shape::OneOf(&[Shape::Text, TEXTS]),
        "The variable of the daemon's environment with the secret; several while it is changed.",
        "secret = \"GITHUB_WEBHOOK_SECRET\"",
    ),
    field(
        "window",
        Shape::Duration,
        "How old a signed message may be (five minutes).",
        "window = \"10 min\"",
    ),
];

static RUN: &[Field] = &[
    required("pipeline", Shape::Text, "The name of the other pipeline.", "pipeline = \"features\""),
    field("ended", Shape::List(&Shape::Word(ENDS)), "How it ended (succeeded).", "ended = [\"failed\"]"),
];
