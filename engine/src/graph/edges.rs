//! Where the inputs of a combination come from: files, other steps, all combinations of another step.

use std::collections::BTreeMap;

use crate::Value;
use crate::name::AxisName;
use crate::spec::{ArtifactSpec, Code, Diagnostic, InputSpec, Name, Problems, SourceSpec, StepSpec};

use super::axes::Axes;
use super::fill::Filler;
use super::{Input, Source, StepIndex, path};

/// Where the combinations of each step lie in the graph, by the step's name.
pub(super) type Layout<'a> = BTreeMap<&'a str, Place>;

/// The combinations of one step.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) axes: Axes,
    pub(super) first: usize,
}

impl Place {
    fn index(&self, combination: usize) -> StepIndex {
        StepIndex::new(self.first + combination)
    }
}

/// An input of one combination; none if it is wrong, which is told, or comes from a step that is.
pub(super) fn input(
    input: &InputSpec,
    consumer: &StepSpec<'_>,
    values: &BTreeMap<AxisName, Value>,
    layout: &Layout<'_>,
    filler: &mut Filler<'_>,
    problems: &mut Problems,
) -> Option<Input> {
    let source = match &input.source {
        SourceSpec::Path(template) => {
            // The name of a file that a matrix found is that file, whatever letters it has.
            let of_axis = template.only().is_some_and(|reference| matches!(reference.name, Name::Axis(_)));
            match path::source(&filler.text(template), !of_axis, &template.span) {
                Ok(source) => source,
                Err(diagnostic) => {
                    problems.add(diagnostic);
                    return None;
                }
            }
        }
        SourceSpec::Artifact(artifact) => {
            let index = one(artifact, &input.name.to_string(), consumer, values, layout, problems)?;
            Source::Artifact(index, artifact.output.clone())
        }
        SourceSpec::Several(artifacts) => {
            let name = input.name.to_string();
            let entries: Vec<_> = artifacts
                .iter()
                .map(|artifact| {
                    let index = one(artifact, &name, consumer, values, layout, problems)?;
                    Some((index, artifact.output.clone()))
                })
                .collect();
            Source::Collection(entries.into_iter().collect::<Option<_>>()?)
        }
        SourceSpec::Collect(artifact) => {
            let place = layout.get(artifact.step.as_str())?;
            let combinations = matching(place, artifact, values, problems)?;
            let entry = |combination| (place.index(combination), artifact.output.clone());
            Source::Collection(combinations.into_iter().map(entry).collect())
        }
        SourceSpec::Rival(model, alias) => Source::Rival { model: model.clone(), alias: alias.clone() },
    };
    Some(Input { source, optional: input.optional })
}

/// All combinations of the steps that go first.
pub(super) fn needs(consumer: &StepSpec<'_>, layout: &Layout<'_>) -> Vec<StepIndex> {
    let places = consumer.needs.iter().filter_map(|need| layout.get(need.value.as_str()));
    let mut needs: Vec<StepIndex> =
        places.flat_map(|place| (0..place.axes.count().unwrap_or(0)).map(|n| place.index(n))).collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// The one combination of the producer that belongs to this one of the consumer.
fn one(
    artifact: &ArtifactSpec,
    input: &str,
    consumer: &StepSpec<'_>,
    values: &BTreeMap<AxisName, Value>,
    layout: &Layout<'_>,
    problems: &mut Problems,
) -> Option<StepIndex> {
    let place = layout.get(artifact.step.as_str())?;
    if let Some(foreign) = place.axes.names().find(|axis| !values.contains_key(*axis)) {
        let reference = format!("${{{}.{}}}", artifact.step, artifact.output);
        let message = format!("`{reference}` is one output for each value of `{foreign}`");
        let help = format!(
            "for all of them write `inputs.{input} = {{ collect = \"{reference}\" }}`; for one each, give `{}` the axis `{foreign}` too",
            consumer.name
        );
        let diagnostic = Diagnostic::new(Code::MatrixReference, message);
        problems.add(diagnostic.at(&artifact.span, format!("`{}` has a matrix", artifact.step)).help(help));
        return None;
    }
    matching(place, artifact, values, problems)?.first().map(|combination| place.index(*combination))
}

fn matching(
    place: &Place,
    artifact: &ArtifactSpec,
    values: &BTreeMap<AxisName, Value>,
    problems: &mut Problems,
) -> Option<Vec<usize>> {
    match place.axes.matching(values) {
        Ok(combinations) => Some(combinations),
        Err(absent) => {
            let absent: Vec<String> = absent.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
            let message = format!("there is no `{}[{}]`", artifact.step, absent.join(","));
            let help = "steps that share an axis join on equal values: give both the same ones";
            problems.add(Diagnostic::new(Code::NoMatch, message).at(&artifact.span, "").help(help));
            None
        }
    }
}
