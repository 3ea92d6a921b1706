//! The names in a pipeline file, without the rest of it: for a shell that asks at each press of the Tab key.
//!
//! A file that is being edited is often wrong somewhere, and a large one takes long to check. So nothing is checked here:
//! the keys are read as they come, what makes no sense is passed over, and no values are kept but those of matrix axes and
//! parameters. Files that an axis lists are not looked for, so such a step has its plain name only.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, RecursionGuard, parse_document};
use toml_parser::{ErrorSink, Source, Span};

use super::axes::label;
use crate::interface::Interface;
use crate::name::{StepId, StepName};
use crate::spec::single_value;

/// Deeper values hold no names.
const DEEPEST: u32 = 32;
/// Of a step with more combinations only the plain name is told.
const MOST_COMBINATIONS: usize = 20_000;

/// The names in a pipeline file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The pipeline's own name, if it is a text.
    pub pipeline: Option<String>,
    /// The parameters by dotted name, each as it is written; a list as its values with commas between.
    pub params: BTreeMap<String, String>,
    /// The steps in the order of the file.
    pub steps: Vec<Named>,
}

/// The names in a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The step's name.
    pub step: String,
    /// Its ids, one per combination of its matrix; none if it has no matrix, or its combinations are not known.
    pub ids: Vec<String>,
    /// Its outputs.
    pub outputs: Vec<String>,
}

/// The names in the text of a pipeline file; the interfaces are those of the built-in steps.
#[must_use]
pub fn names(text: &str, interfaces: &[Interface]) -> Names {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut skim = Skim::new(source);
    parse_document(&tokens, &mut RecursionGuard::new(&mut skim, DEEPEST), &mut ());
    let Skim { pipeline, params, steps, .. } = skim;
    let lists: BTreeMap<String, Vec<Cow<'_, str>>> = params;
    let steps = steps.into_iter().map(|step| step.named(&lists, interfaces)).collect();
    let params = lists.into_iter().map(|(name, values)| (name, values.join(", "))).collect();
    Names { pipeline: pipeline.map(Cow::into_owned), params, steps }
}

type Text<'s> = Cow<'s, str>;

/// What is being collected while the keys come by.
struct Skim<'s> {
    source: Source<'s>,
    pipeline: Option<Text<'s>>,
    params: BTreeMap<String, Vec<Text<'s>>>,
    steps: Vec<Skimmed<'s>>,
    places: HashMap<Text<'s>, usize>,
    /// The table that the last header opened.
    header: Vec<Text<'s>>,
    in_header: bool,
    /// The keys since then, and how many of them each open inline table had found before it.
    keys: Vec<Text<'s>>,
    open: Vec<Open>,
}

/// What a closing bracket closes.
enum Open {
    /// An inline table, which had found so many keys.
    Table(usize),
    Array,
}

#[derive(Default)]
struct Skimmed<'s> {
    name: Text<'s>,
    uses: Option<Text<'s>>,
    outputs: Vec<Text<'s>>,
    axes: BTreeMap<Text<'s>, Axis<'s>>,
}

/// The values of an axis, each as it is written.
enum Axis<'s> {
    Values(Vec<&'s str>),
    /// A parameter that is a list.
    Param(String),
    /// What cannot be known from this file alone.
    Unknown,
}

impl<'s> Skim<'s> {
    fn new(source: Source<'s>) -> Self {
        Self {
            source,
            pipeline: None,
            params: BTreeMap::new(),
            steps: Vec::new(),
            places: HashMap::new(),
            header: Vec::new(),
            in_header: false,
            keys: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The n-th word of the path that the keys lead to by now.
    fn word(&self, place: usize) -> Option<&Text<'s>> {
        self.header.get(place).or_else(|| self.keys.get(place.checked_sub(self.header.len())?))
    }

    /// The step that the path leads to, made if it is new; none if it leads elsewhere.
    fn step(&mut self) -> Option<&mut Skimmed<'s>> {
        let name = self.word(1).filter(|_| self.word(0).is_some_and(|first| first == "steps"))?;
        // Mostly it is the step of the line before.
        let place = match self.steps.last() {
            Some(last) if last.name == *name => self.steps.len() - 1,
            _ => match self.places.get(name) {
                Some(place) => *place,
                None => {
                    let name = name.clone();
                    self.places.insert(name.clone(), self.steps.len());
                    self.steps.push(Skimmed { name, ..Skimmed::default() });
                    self.steps.len() - 1
                }
            },
        };
        self.steps.get_mut(place)
    }

    /// Takes what a path alone says: that there is a step, an output.
    fn path(&mut self) {
        let output = self.word(3).filter(|_| self.word(2).is_some_and(|field| field == "outputs")).cloned();
        let Some(step) = self.step() else { return };
        step.outputs.extend(output.filter(|output| !step.outputs.contains(output)));
    }

    /// Takes a value.
    fn value(&mut self, span: Span, encoding: Option<Encoding>) {
        let word = |place: usize| self.word(place).map_or("", AsRef::as_ref);
        match (word(0), word(1), word(2), word(3)) {
            ("pipeline", "name", "", _) => self.pipeline = Some(self.decoded(span, encoding)),
            ("params", first, _, _) if !first.is_empty() => {
                let name: Vec<&str> =
                    self.header.iter().chain(&self.keys).skip(1).map(AsRef::as_ref).collect();
                let name = name.join(".");
                let raw = self.source.get(span).map(|raw| Cow::Borrowed(raw.as_str()));
                self.params.entry(name).or_default().extend(raw);
            }
            ("steps", _, "uses", "") => {
                let uses = self.decoded(span, encoding);
                if let Some(step) = self.step() {
                    step.uses = Some(uses);
                }
            }
            ("steps", _, "matrix", axis) if !axis.is_empty() => self.axis_value(span, encoding),
            _ => {}
        }
    }

    /// Takes a value of an axis: one of a list, a reference to a parameter, or something that is not known here.
    fn axis_value(&mut self, span: Span, encoding: Option<Encoding>) {
        let listed = self.open.iter().any(|open| matches!(open, Open::Array)) && self.word(4).is_none();
        let raw = self.source.get(span).map_or("", |raw| raw.as_str());
        let reference = self.decoded(span, encoding);
        let Some(axis) = self.word(3).cloned() else { return };
        let Some(step) = self.step() else { return };
        match (step.axes.entry(axis).or_insert_with(|| Axis::Values(Vec::new())), listed) {
            (Axis::Values(values), true) => values.push(raw),
            (axis, _) => {
                let name = reference.strip_prefix("${params.").and_then(|rest| rest.strip_suffix('}'));
                *axis = name.map_or(Axis::Unknown, |name| Axis::Param(name.to_owned()));
            }
        }
    }

    fn decoded(&self, span: Span, encoding: Option<Encoding>) -> Text<'s> {
        let mut text = Cow::Borrowed("");
        if let Some(raw) = self.source.get(span) {
            let raw = toml_parser::Raw::new_unchecked(raw.as_str(), encoding, span);
            let _kind = raw.decode_scalar(&mut text, &mut ());
        }
        text
    }

    /// A value has ended; what follows has other keys.
    fn ended(&mut self) {
        match self.open.last() {
            None => self.keys.clear(),
            Some(Open::Table(before)) => self.keys.truncate(*before),
            Some(Open::Array) => {}
        }
    }
}

impl EventReceiver for Skim<'_> {
    fn std_table_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.header.clear();
        self.keys.clear();
        self.open.clear();
        self.in_header = true;
    }

    fn std_table_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.in_header = false;
        self.path();
    }

    fn array_table_open(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.std_table_open(span, error);
    }

    fn array_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.std_table_close(span, error);
    }

    fn inline_table_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.open.push(Open::Table(self.keys.len()));
        true
    }

    fn inline_table_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.open.pop();
        self.ended();
    }

    fn array_open(&mut self, _span: Span, _error: &mut dyn ErrorSink) -> bool {
        self.open.push(Open::Array);
        true
    }

    fn array_close(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.open.pop();
        self.ended();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, _error: &mut dyn ErrorSink) {
        let mut key = Cow::Borrowed("");
        if let Some(raw) = self.source.get(span) {
            toml_parser::Raw::new_unchecked(raw.as_str(), encoding, span).decode_key(&mut key, &mut ());
        }
        match self.in_header {
            true => self.header.push(key),
            false => self.keys.push(key),
        }
    }

    fn key_val_sep(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        self.path();
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _error: &mut dyn ErrorSink) {
        self.value(span, encoding);
        self.ended();
    }

    fn newline(&mut self, _span: Span, _error: &mut dyn ErrorSink) {
        // A line that is wrong leaves its keys behind.
        if self.open.is_empty() {
            self.keys.clear();
        }
    }
}

impl Skimmed<'_> {
    fn named(self, params: &BTreeMap<String, Vec<Text<'_>>>, interfaces: &[Interface]) -> Named {
        let ids = self.ids(params).unwrap_or_default();
        let mut outputs: Vec<String> = self.outputs.into_iter().map(Cow::into_owned).collect();
        let own = interfaces
            .iter()
            .filter(|interface| self.uses.as_ref().is_some_and(|uses| uses == interface.name));
        for port in own.flat_map(|interface| interface.outputs.iter()) {
            if !outputs.iter().any(|output| output == port.name) {
                outputs.push(port.name.to_owned());
            }
        }
        Named { step: self.name.into_owned(), ids, outputs }
    }

    /// The id of each combination; none if that is not known.
    fn ids(&self, params: &BTreeMap<String, Vec<Text<'_>>>) -> Option<Vec<String>> {
        if self.axes.is_empty() {
            return None;
        }
        let name = StepName::new(&self.name).ok()?;
        let mut combinations: Vec<Vec<(String, String)>> = vec![Vec::new()];
        for (axis, values) in &self.axes {
            let raw: Vec<&str> = match values {
                Axis::Values(values) => values.clone(),
                Axis::Param(param) => params.get(param)?.iter().map(AsRef::as_ref).collect(),
                Axis::Unknown => return None,
            };
            let labels: Option<Vec<String>> =
                raw.iter().map(|raw| Some(label(&single_value(raw)?.value()))).collect();
            let labels = labels?;
            if combinations.len().checked_mul(labels.len())? > MOST_COMBINATIONS {
                return None;
            }
            let with = |combination: Vec<(String, String)>| {
                let axis = axis.to_string();
                labels
                    .iter()
                    .map(move |label| [combination.clone(), vec![(axis.clone(), label.clone())]].concat())
            };
            combinations = combinations.into_iter().flat_map(with).collect();
        }
        Some(combinations.iter().map(|combination| StepId::new(&name, combination).to_string()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Names {
        names(text, &[])
    }

    fn steps(text: &str) -> Vec<String> {
        of(text).steps.into_iter().map(|step| step.step).collect()
    }

    #[test]
    fn steps_and_outputs_are_found_however_they_are_written() {
        let names = of(r#"
            pipeline.name = "story"
            [params]
            seed = 7
            rates = [0.1, 1.0]
            [params.train]
            alpha = "a b"
            [steps]
            a.outputs.one = "1.txt"
            a.run = "echo"
            b = { run = "x", outputs = { two = "2.txt", three = { path = "3.txt", kind = "plot" } } }
            [steps.c]
            run = """
            [steps.no]
            outputs.no = 1
            """
            [steps.c.outputs.four]
            path = "4"
            "#);
        assert_eq!(names.pipeline.as_deref(), Some("story"));
        let params: Vec<String> =
            names.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(params, ["rates=0.1, 1.0", "seed=7", "train.alpha=\"a b\""]);
        let found: Vec<String> =
            names.steps.iter().map(|step| format!("{} {}", step.step, step.outputs.join(" "))).collect();
        assert_eq!(found, ["a one", "b two three", "c four"]);
    }

    #[test]
    fn combinations_have_the_ids_that_a_run_gives_them() {
        let names = of(r#"
            [params]
            folds = [1, 2]
            [steps.fit]
            matrix = { fold = "${params.folds}", alpha = [0.10, "a,b"] }
            [steps.file]
            matrix.file = { glob = "data/*.csv" }
            "#);
        let ids = [
            "fit[alpha=0.1,fold=1]",
            "fit[alpha=0.1,fold=2]",
            "fit[alpha=a%2Cb,fold=1]",
            "fit[alpha=a%2Cb,fold=2]",
        ];
        assert_eq!(names.steps[0].ids, ids);
        assert!(names.steps[1].ids.is_empty());
    }

    #[test]
    fn a_file_that_is_wrong_somewhere_still_has_names() {
        assert_eq!(
            steps("[steps.a]\nrun = \n[steps.b]\nrun = \"\n[steps.c]\ninputs = }\n[steps.d]"),
            ["a", "b", "c", "d"]
        );
        assert!(steps("[[[[").is_empty());
        let deep = format!("[steps.a]\nx = {}", "[".repeat(100_000));
        assert_eq!(steps(&deep), ["a"]);
    }
}
