//! The fields of `[[notify]]`: who is told how runs ended. A part of the [language as data](super::field).

use super::field::{CAUSES, ENCRYPTIONS, Field, NEWS, Naming, ONE_OR_TEXTS, Shape, field, required};

/// Where a secret lies.
static SECRET: Shape = Shape::OneOf(&[Shape::Text, Shape::Table(SECRET_TABLE)]);

pub(super) static NOTIFY: &[Field] = &[
    required("name", Shape::Text, "Its name, unique in the pipeline.", "name = \"ops\""),
    field("description", Shape::Text, "What it is for.", "description = \"the team that operates it\""),
    field(
        "on",
        Shape::List(&Shape::Word(NEWS)),
        "What is told: `failure`, `refused` (a gate said no), `recovery` (it succeeded, and the run before had not), `success`, `cancelled` (the first three).",
        "on = [\"failure\", \"recovery\"]",
    ),
    field(
        "causes",
        Shape::List(&Shape::Word(CAUSES)),
        "Of runs that were started so (all but `command`).",
        "causes = [\"schedule\", \"event\"]",
    ),
    field(
        "mail",
        Shape::Table(MAIL),
        "By mail.",
        "mail = { host = \"smtp.example.org\", from = \"mill@example.org\", to = \"ops@example.org\" }",
    ),
    field("webhook", Shape::Table(WEBHOOK), "By a request to a program.", "webhook = { url = \"HOOK_URL\" }"),
    field(
        "slack",
        Shape::Table(SLACK),
        "In a channel of Slack or Mattermost.",
        "slack = { url = \"SLACK_URL\" }",
    ),
    field(
        "subject",
        Shape::Text,
        "The subject, a template.",
        "subject = \"{{ pipeline }} on production: {{ what }}\"",
    ),
    field("text", Shape::Text, "The text, a template.", "text = \"{{ what }}. {{ why }}\""),
    field("enabled", Shape::Truth, "Whether it tells anything (yes).", "enabled = false"),
];

static MAIL: &[Field] = &[
    required("host", Shape::Text, "The server that takes it, by SMTP.", "host = \"smtp.example.org\""),
    field(
        "port",
        Shape::Count,
        "Its port (587 for `starttls`, 465 for `tls`, 25 for `none`).",
        "port = 2525",
    ),
    field(
        "encryption",
        Shape::Word(ENCRYPTIONS),
        "How the way there is kept from being read: `starttls`, `tls`, or `none` for a server on this machine (starttls).",
        "encryption = \"tls\"",
    ),
    field(
        "plaintext_allowed",
        Shape::Truth,
        "Whether `none` is meant although the server is another machine (no).",
        "plaintext_allowed = true",
    ),
    field("user", Shape::Text, "Who logs in.", "user = \"mill\""),
    field(
        "password",
        Shape::OneOf(&[Shape::Text, Shape::Table(SECRET_TABLE)]),
        "Where the password of the user lies.",
        "password = \"SMTP_PASSWORD\"",
    ),
    required("from", Shape::Text, "Who sends it.", "from = \"Tidemill <mill@example.org>\""),
    required("to", ONE_OR_TEXTS, "Who gets it.", "to = [\"ann@example.org\", \"bo@example.org\"]"),
    field(
        "ca",
        Shape::Text,
        "A file of authorities to trust beside those of this machine.",
        "ca = \"/etc/ssl/own.pem\"",
    ),
];

static WEBHOOK: &[Field] = &[
    required(
        "url",
        Shape::OneOf(&[Shape::Text, Shape::Table(SECRET_TABLE)]),
        "Where the address lies.",
        "url = \"HOOK_URL\"",
    ),
    field(
        "headers",
        Shape::Map(Naming::Free, &SECRET),
        "Headers of each request, and where their values lie.",
        "headers = { Authorization = \"HOOK_AUTHORIZATION\" }",
    ),
    field(
        "secret",
        Shape::OneOf(&[Shape::Text, Shape::Table(SECRET_TABLE)]),
        "Where the secret lies that signs each request, as Standard Webhooks say.",
        "secret = \"HOOK_SECRET\"",
    ),
    field(
        "ca",
        Shape::Text,
        "A file of authorities to trust beside those of this machine.",
        "ca = \"/etc/ssl/own.pem\"",
    ),
];

static SLACK: &[Field] = &[
    required(
        "url",
        Shape::OneOf(&[Shape::Text, Shape::Table(SECRET_TABLE)]),
        "Where the address lies.",
        "url = \"SLACK_URL\"",
    ),
    field(
        "ca",
        Shape::Text,
        "A file of authorities to trust beside those of this machine.",
        "ca = \"/etc/ssl/own.pem\"",
    ),
];

static SECRET_TABLE: &[Field] = &[
    field("env", Shape::Text, "In this variable of the environment.", "env = \"SLACK_URL\""),
    field(
        "file",
        Shape::Text,
        "In this file; relative to the pipeline's folder.",
        "file = \"/run/secrets/slack\"",
    ),
    field(
        "command",
        Shape::Text,
        "This command for `sh -euc` prints it, in the pipeline's folder and within ten seconds.",
        "command = \"pass show slack\"",
    ),
];
