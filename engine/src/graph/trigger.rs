//! What starts runs of a pipeline by itself: `[[triggers]]`, checked, and what an event means to them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidemill_triggers::{CatchUp, Pattern, Schedule, ScheduleError, Sender};

use crate::Value;
use crate::name::{AliasName, ModelName, PipelineName, TriggerName};
use crate::spec::{
    self, Code, Diagnostic, OnSpec, Piece, Placed, Problems, Span, Spec, TriggerSpec, WebhookSpec,
};

use super::Expression;

/// What starts runs of a pipeline by itself.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Its name, unique in the pipeline.
    pub name: TriggerName,
    /// What it waits for.
    pub on: On,
    /// Values of parameters for its runs, by dotted name.
    pub params: BTreeMap<String, Given>,
    /// What is done while a run of the pipeline goes on.
    pub concurrency: Concurrency,
    /// For so long after one of its runs has begun, what comes starts none.
    pub cooldown: Option<Duration>,
    /// Whether it starts anything.
    pub enabled: bool,
}

/// What an arrival does while a run of its pipeline goes on that something else has started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Concurrency {
    /// It waits until that has ended.
    #[default]
    Queue,
    /// It leads to no run.
    Forbid,
    /// That run is cancelled, and what waits before it leads to no run.
    Replace,
    /// Its run goes on beside that.
    Allow,
}

/// What a trigger waits for.
#[derive(Debug, Clone)]
pub enum On {
    /// A time.
    Cron {
        /// When.
        schedule: Schedule,
        /// What is done with times that came while nobody looked.
        catch_up: CatchUp,
        /// Its runs begin up to so much later.
        jitter: Option<Duration>,
        /// A run that could not begin within this time does not begin.
        deadline: Option<Duration>,
    },
    /// A change of what the pipeline reads.
    Watch {
        /// Only what these globs match, relative to the pipeline's folder; all if there is none.
        only: Vec<String>,
        /// How long what lies there must stay as it is.
        settle: Duration,
    },
    /// An event.
    Event(EventMatch),
    /// A new version of a model, or a move of its alias.
    Model(ModelName, Option<AliasName>),
    /// The end of a run of another pipeline.
    Run {
        /// The other pipeline.
        pipeline: PipelineName,
        /// Whether a run that succeeded counts.
        succeeded: bool,
        /// Whether a run that ended in another way counts.
        failed: bool,
    },
}

impl On {
    /// The word for what it waits for, as the file says it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cron { .. } => "cron",
            Self::Watch { .. } => "watch",
            Self::Event(_) => "event",
            Self::Model(..) => "model",
            Self::Run { .. } => "run",
        }
    }
}

/// Which events a trigger waits for.
#[derive(Debug, Clone)]
pub struct EventMatch {
    /// Of one of these types; of any if there is none.
    pub kinds: Vec<Pattern>,
    /// From one of these sources; from any if there is none.
    pub sources: Vec<Pattern>,
    /// And for which this holds.
    pub filter: Option<Expression>,
    /// It comes to an address of its own, signed.
    pub webhook: Option<Webhook>,
}

/// How an event comes that its sender signs.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// How it is signed.
    pub sender: Sender,
    /// The variables with the secrets.
    pub secrets: Vec<String>,
    /// How old a message may be.
    pub window: Duration,
}

/// A value that a trigger gives to a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// This value.
    Plain(Value),
    /// What the event has at this place, as it is.
    Event(String),
    /// A text with what the event has at these places.
    Text(Vec<GivenPart>),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenPart {
    /// These characters.
    Text(String),
    /// What the event has at this place.
    Event(String),
}

/// An event that lacks what a trigger takes from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event has no `{place}`, which the parameter `{param}` takes its value from")]
pub struct Lacking {
    /// The parameter.
    pub param: String,
    /// The place.
    pub place: String,
}

impl EventMatch {
    /// Whether an event is meant. A condition that cannot be decided for it does not hold.
    #[must_use]
    pub fn matches(&self, event: &Json) -> bool {
        let text = |name: &str| event.get(name).and_then(Json::as_str).unwrap_or_default();
        let any = |patterns: &[Pattern], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
        };
        let holds = |filter: &Expression| {
            filter.holds(&|name| at(event, name).and_then(spec::from_json)).unwrap_or(false)
        };
        any(&self.kinds, text("type"))
            && any(&self.sources, text("source"))
            && self.filter.as_ref().is_none_or(holds)
    }
}

impl Trigger {
    /// The values of parameters for the run that an event leads to.
    ///
    /// # Errors
    /// If the event lacks something.
    pub fn params_of(&self, event: &Json) -> Result<BTreeMap<String, Json>, Lacking> {
        let value = |param: &String, given: &Given| {
            let found = |place: &String| {
                let lacking = || Lacking { param: param.clone(), place: place.clone() };
                at(event, place).filter(|value| !value.is_null()).ok_or_else(lacking)
            };
            Ok(match given {
                Given::Plain(value) => json(value),
                Given::Event(place) => found(place)?.clone(),
                Given::Text(parts) => {
                    let mut text = String::new();
                    for part in parts {
                        match part {
                            GivenPart::Text(part) => text.push_str(part),
                            GivenPart::Event(place) => match found(place)? {
                                Json::String(part) => text.push_str(part),
                                other => text.push_str(&other.to_string()),
                            },
                        }
                    }
                    Json::String(text)
                }
            })
        };
        self.params.iter().map(|(param, given)| Ok((param.clone(), value(param, given)?))).collect()
    }
}

fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

/// What an event has at a place such as `event.data.rows`.
fn at<'a>(event: &'a Json, place: &str) -> Option<&'a Json> {
    let mut parts = place.split('.');
    (parts.next() == Some(EVENT)).then_some(())?;
    parts.try_fold(event, |value, part| match value {
        Json::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}

/// The word that places in the event begin with.
const EVENT: &str = "event";
/// How long what lies there must stay as it is, if nothing else is said.
const SETTLE: Duration = Duration::from_secs(2);
/// How old a signed message may be, if nothing else is said.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// The triggers of a file. What is wrong is left out and told.
pub(super) fn triggers(spec: &Spec<'_>, source: &str, problems: &mut Problems) -> Vec<Trigger> {
    let checking = Checking { spec, source };
    spec.triggers.iter().filter_map(|trigger| checking.trigger(trigger, problems)).collect()
}

struct Checking<'a> {
    spec: &'a Spec<'a>,
    source: &'a str,
}

impl Checking<'_> {
    fn trigger(&self, trigger: &TriggerSpec, problems: &mut Problems) -> Option<Trigger> {
        let mut params = BTreeMap::new();
        for (name, node) in &trigger.params {
            params.extend(self.given(name, node, problems).map(|given| (name.value.clone(), given)));
        }
        let concurrency = match trigger.concurrency.as_deref() {
            Some("forbid") => Concurrency::Forbid,
            Some("replace") => Concurrency::Replace,
            Some("allow") => Concurrency::Allow,
            _ => Concurrency::Queue,
        };
        Some(Trigger {
            name: trigger.name.value.clone(),
            on: self.on(trigger.on.as_ref()?, problems)?,
            params,
            concurrency,
            cooldown: trigger.cooldown,
            enabled: trigger.enabled,
        })
    }

    fn on(&self, on: &OnSpec, problems: &mut Problems) -> Option<On> {
        match on {
            OnSpec::Cron { cron, timezone, catch_up, jitter, deadline } => Some(On::Cron {
                schedule: schedule(cron, timezone.as_ref(), problems)?,
                catch_up: catch_up.as_deref().and_then(CatchUp::named).unwrap_or(CatchUp::One),
                jitter: *jitter,
                deadline: *deadline,
            }),
            OnSpec::Watch { only, settle } => {
                Some(On::Watch { only: self.globs(only, problems)?, settle: settle.unwrap_or(SETTLE) })
            }
            OnSpec::Event { kinds, sources, filter, webhook } => {
                let filter = match filter {
                    Some(filter) => Some(self.filter(filter, problems)?),
                    None => None,
                };
                let webhook = match webhook {
                    Some(webhook) => Some(self::webhook(webhook, problems)?),
                    None => None,
                };
                Some(On::Event(EventMatch {
                    kinds: patterns(kinds, problems)?,
                    sources: patterns(sources, problems)?,
                    filter,
                    webhook,
                }))
            }
            OnSpec::Model(model) => {
                let (name, alias) = match model.value.split_once('@') {
                    Some((name, alias)) => (name, Some(alias)),
                    None => (model.value.as_str(), None),
                };
                let mut wrong = |error: crate::name::InvalidName| {
                    problems.add(Diagnostic::new(Code::InvalidName, error.to_string()).at(&model.span, "").help(
                        "write `model = \"diabetes\"` for its new versions, `model = \"diabetes@champion\"` for the moves of an alias",
                    ));
                };
                let name = ModelName::new(name).map_err(&mut wrong).ok()?;
                let alias = match alias.map(AliasName::new) {
                    Some(alias) => Some(alias.map_err(&mut wrong).ok()?),
                    None => None,
                };
                Some(On::Model(name, alias))
            }
            OnSpec::Run { pipeline, ended } => {
                let name = PipelineName::new(&pipeline.value);
                let name = name.map_err(|error| {
                    problems
                        .add(Diagnostic::new(Code::InvalidName, error.to_string()).at(&pipeline.span, ""));
                });
                let has = |end: &str| ended.iter().any(|said| said == end);
                Some(On::Run {
                    pipeline: name.ok()?,
                    succeeded: ended.is_empty() || has("succeeded"),
                    failed: has("failed"),
                })
            }
        }
    }

    fn globs(&self, only: &[Placed<String>], problems: &mut Problems) -> Option<Vec<String>> {
        let mut globs = Vec::with_capacity(only.len());
        for glob in only {
            if let Err(error) = globset::Glob::new(&glob.value) {
                let message = format!("this is no glob: {}", error.kind());
                problems.add(Diagnostic::new(Code::Path, message).at(&glob.span, ""));
                return None;
            }
            globs.push(glob.value.clone());
        }
        Some(globs)
    }

    fn filter(&self, filter: &Placed<String>, problems: &mut Problems) -> Option<Expression> {
        let span = |part: &Range<usize>| spec::inside(self.source, &filter.span, &filter.value, part);
        let help =
            "conditions on events look like `event.data.rows > 1000`, or `event.subject == \"flights\"`";
        let expression = match Expression::parse(&filter.value) {
            Ok(expression) => expression,
            Err(error) => {
                let diagnostic = Diagnostic::new(Code::Expression, error.message);
                problems.add(diagnostic.at(&span(&error.span), "").help(help));
                return None;
            }
        };
        let mut is_sound = true;
        for name in expression.names() {
            if !name.starts_with("event.") {
                for place in expression.places(name) {
                    let message = format!("`{name}` is not known here");
                    let diagnostic = Diagnostic::new(Code::UnknownInCondition, message);
                    problems.add(diagnostic.at(&span(&place), "unknown").help(help));
                }
                is_sound = false;
            }
        }
        is_sound.then_some(expression)
    }

    fn given(&self, name: &Placed<String>, node: &spec::Node, problems: &mut Problems) -> Option<Given> {
        let params = &self.spec.params;
        if !params.values.contains_key(&name.value) {
            let message = format!("there is no parameter `{}`", name.value);
            let diagnostic = Diagnostic::new(Code::UnknownParameter, message).at(&name.span, "unknown");
            problems.add(diagnostic.maybe_help(params.advice(&name.value)));
            return None;
        }
        let given = match node.text() {
            Some(text) => self.text(text, &node.span, problems)?,
            None => Given::Plain(node.value()),
        };
        if let Given::Plain(value) = &given
            && let Some(wanted) = params.wanted(&name.value, value)
        {
            let message = format!("the parameter `{}` must be {wanted}", name.value);
            problems.add(Diagnostic::new(Code::ParameterType, message).at(&node.span, ""));
            return None;
        }
        Some(given)
    }

    fn text(&self, text: &str, span: &Span, problems: &mut Problems) -> Option<Given> {
        let (pieces, malformed) = spec::split(text);
        let help = "take values from the event: `${event.data.name}`";
        let mut wrong = |code, message: &str, place: &Range<usize>| {
            let place = spec::inside(self.source, span, text, place);
            problems.add(Diagnostic::new(code, message).at(&place, "").help(help));
        };
        for malformed in &malformed {
            let (spec::Malformed::Open(place) | spec::Malformed::Content(place)) = malformed;
            wrong(Code::MalformedReference, "this is no reference", place);
        }
        let mut parts = Vec::with_capacity(pieces.len());
        let mut is_sound = malformed.is_empty();
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(GivenPart::Text(text)),
                Piece::Reference { words, .. } if words.len() > 1 && words[0] == EVENT => {
                    parts.push(GivenPart::Event(words.join(".")));
                }
                Piece::Reference { words, place } => {
                    let message = format!("a trigger cannot refer to `{}`", words.join("."));
                    wrong(Code::ReferenceNotHere, &message, &place);
                    is_sound = false;
                }
            }
        }
        let given = match parts.as_slice() {
            [GivenPart::Event(place)] => Given::Event(place.clone()),
            [GivenPart::Text(text)] => Given::Plain(Value::text(text)),
            _ => Given::Text(parts),
        };
        is_sound.then_some(given)
    }
}

fn patterns(texts: &[Placed<String>], problems: &mut Problems) -> Option<Vec<Pattern>> {
    let mut patterns = Vec::with_capacity(texts.len());
    for Placed { value, span } in texts {
        match Pattern::new(value) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                problems.add(Diagnostic::new(Code::Trigger, error.to_string()).at(span, ""));
                return None;
            }
        }
    }
    Some(patterns)
}

fn schedule(
    cron: &Placed<String>,
    timezone: Option<&Placed<String>>,
    problems: &mut Problems,
) -> Option<Schedule> {
    match Schedule::parse(&cron.value, timezone.map(|zone| zone.value.as_str())) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            let span = match timezone {
                Some(timezone) if matches!(error, ScheduleError::UnknownZone { .. }) => &timezone.span,
                _ => &cron.span,
            };
            let diagnostic = Diagnostic::new(Code::Schedule, error.to_string());
            problems.add(diagnostic.at(span, "").maybe_help(error.hint()));
            None
        }
    }
}

fn webhook(webhook: &WebhookSpec, problems: &mut Problems) -> Option<Webhook> {
    let mut secrets = Vec::with_capacity(webhook.secrets.len());
    for Placed { value, span } in &webhook.secrets {
        if !spec::is_variable(value) {
            let message = "a secret is named by the variable of the environment that holds it";
            let diagnostic = Diagnostic::new(Code::InvalidName, message).at(span, "");
            problems.add(diagnostic.help("for example `secret = \"GITHUB_WEBHOOK_SECRET\"`"));
            return None;
        }
        secrets.push(value.clone());
    }
    Some(Webhook {
        sender: Sender::named(&webhook.sender)?,
        secrets,
        window: webhook.window.unwrap_or(WINDOW),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> Json {
        json!({
            "type": "com.example.month", "source": "/warehouse/eu", "subject": "flights",
            "data": { "month": 3, "rows": 1200, "name": "march", "parts": [{ "n": 1 }], "none": null },
        })
    }

    fn wanted(filter: &str) -> EventMatch {
        let pattern = |text| Pattern::new(text).unwrap();
        EventMatch {
            kinds: vec![pattern("com.example.*"), pattern("other")],
            sources: vec![pattern("/warehouse/*")],
            filter: (!filter.is_empty()).then(|| Expression::parse(filter).unwrap()),
            webhook: None,
        }
    }

    #[test]
    fn an_event_is_meant_by_its_type_its_source_and_what_it_says() {
        assert!(wanted("").matches(&event()));
        for (filter, holds) in [
            ("event.data.rows > 1000", true),
            ("event.data.rows > 2000", false),
            ("event.subject == \"flights\" and event.data.name != \"april\"", true),
            ("event.data.parts.0.n == 1", true),
            // What is not there, and what cannot be compared, does not hold.
            ("event.data.nothing > 1", false),
            ("event.data.name > 1", false),
        ] {
            assert_eq!(wanted(filter).matches(&event()), holds, "{filter}");
        }
        let other = json!({ "type": "com.example.month", "source": "/elsewhere" });
        assert!(!wanted("").matches(&other));
        assert!(!wanted("").matches(&json!({ "source": "/warehouse/eu" })));
    }

    #[test]
    fn values_of_parameters_keep_their_types() {
        let place = |text: &str| Given::Event(text.to_owned());
        let trigger = |given: Given| Trigger {
            name: TriggerName::new("t").unwrap(),
            on: On::Event(wanted("")),
            params: [("p".to_owned(), given)].into(),
            concurrency: Concurrency::Queue,
            cooldown: None,
            enabled: true,
        };
        let value = |given| trigger(given).params_of(&event()).map(|mut params| params.remove("p").unwrap());
        assert_eq!(value(place("event.data.month")), Ok(json!(3)));
        assert_eq!(value(place("event.data.parts")), Ok(json!([{ "n": 1 }])));
        assert_eq!(value(Given::Plain(Value::Bool(true))), Ok(json!(true)));
        let text = vec![GivenPart::Text("m-".into()), GivenPart::Event("event.data.month".into())];
        assert_eq!(value(Given::Text(text)), Ok(json!("m-3")));
        let lacking = |place: &str| Lacking { param: "p".into(), place: place.into() };
        for missing in ["event.data.day", "event.data.none", "data.month"] {
            assert_eq!(value(place(missing)), Err(lacking(missing)));
        }
    }
}
