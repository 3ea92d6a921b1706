//! The verb: what a run would do with a step, and why, from the recipe that makes its key.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tidemill_cache::{Key, Withdrawal};

use super::against::{self, Origin};
use super::change::Change;
use super::compare::{Comparison, compare};
use super::contents::{Depth, Look};
use super::nearest::{Basis, Last, nearest, sibling};
use super::phrase::summary;
use crate::Value;
use crate::error::EngineError;
use crate::graph::{Graph, StepIndex};
use crate::name::StepId;
use crate::plan::decide::{Decider, Decision};
use crate::plan::foreseen::{Foreseen, Foresight, upstream};
use crate::plan::inputs::{self, Material, Preview, ResolvedInput};
use crate::plan::judge::judge;
use crate::plan::memo::Memo;
use crate::plan::model::{PlannedStep, Verdict};
use crate::plan::observe::observe;
use crate::plan::recipe::{self, Resolved};
use crate::plan::select::{Scope, Selection, unknown};
use crate::plan::walk::foresee;
use crate::process::LazyWarden;
use crate::project::Project;
use crate::repeats::{Repeated, Repeats};

/// The explanations of a step: one, or one for each combination of its matrix.
#[derive(Debug, Clone, Serialize)]
pub struct Explanations {
    /// In the order of the graph.
    pub steps: Vec<Explanation>,
}

/// What a run would do with a step, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The step.
    pub step: StepId,
    /// What would happen, as the plan says it.
    pub verdict: Verdict,
    /// Why, in the words of the plan.
    pub reason: String,
    /// Its key, if it is known before anything runs.
    pub key: Option<Key>,
    /// Who made the result that satisfies it.
    pub made_by: Option<Origin>,
    /// Why its result does not count, if it had one that was quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Withdrawal>,
    /// What showed when its result was made again to compare it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// The step that has to run before more is known.
    pub waits_for: Option<StepId>,
    /// What the recipe is compared with.
    pub against: Option<Origin>,
    /// How that was found.
    pub relation: Option<Relation>,
    /// What differs from that, the most telling first.
    pub changes: Vec<Change>,
    /// What differs only because of these changes.
    pub consequences: Vec<Change>,
}

/// How the execution was found that a recipe is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is the nearest earlier one of the step.
    Nearest,
    /// The user named it.
    Named,
    /// It is the nearest one of another combination of the step's matrix, for this one never ran.
    Combination,
}

impl Explanation {
    /// What changed, in a few words: the first change, and how many more there are.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        summary(&self.changes)
    }
}

/// Explains a step, named as in the pipeline file or with its matrix values, against the nearest earlier result, or against
/// what the user names: a run or a key.
///
/// # Errors
/// As planning; and if the step or what it is to be compared with is unknown.
pub async fn explain(
    project: &Project,
    graph: &Graph,
    selection: &Selection,
    step: &str,
    against: Option<&str>,
) -> Result<Explanations, EngineError> {
    let meant = |index: &StepIndex| {
        let known = graph.step(*index);
        known.id.as_str() == step || known.name.as_str() == step
    };
    let indices: Vec<StepIndex> = (0..graph.steps.len()).map(StepIndex::new).filter(meant).collect();
    if indices.is_empty() {
        return Err(unknown(graph, step));
    }
    // All steps are foreseen, for one that comes later may need bytes that are gone.
    let scope = Scope::of(graph, selection)?;
    let warden = LazyWarden::new(project.program(), project.state());
    let observations = observe(project, graph, &warden).await?;
    let decider = Decider::new(project, graph, &observations, &warden);
    // Keys are computed and compared here, so nothing is taken from memory.
    let Foresight { foreseen, .. } = foresee(&decider, &scope, &Memo::default()).await?;
    warden.shutdown().await;
    let mut judged: Vec<_> = judge(&decider, &scope, &foreseen)?.collect();
    let explainer = Explainer { decider: &decider, foreseen: &foreseen, against };
    let steps = indices.into_iter().filter_map(|index| {
        let planned = judged[index.get()].take()?;
        Some(explainer.explain(index, planned))
    });
    Ok(Explanations { steps: steps.collect::<Result<_, _>>()? })
}

/// The recipe of a step as far as it is known, and what it would find in its folder.
struct Present {
    recipe: Value,
    materials: Vec<Material>,
    /// The inputs that are not known yet.
    unknown: BTreeSet<String>,
}

struct Explainer<'a> {
    decider: &'a Decider<'a>,
    foreseen: &'a [Foreseen],
    against: Option<&'a str>,
}

impl Explainer<'_> {
    fn explain(&self, index: StepIndex, planned: PlannedStep) -> Result<Explanation, EngineError> {
        let (project, graph) = (self.decider.project, self.decider.graph);
        let (step, foreseen) = (graph.step(index), &self.foreseen[index.get()]);
        let PlannedStep { verdict, reason, key, .. } = planned;
        let present = self.present(index)?;
        let basis = self.basis(index, present.as_ref())?;
        let made_by = match foreseen {
            Foreseen::Decided(Decision::Satisfied(satisfied)) => {
                Some(Origin::of_key(project, satisfied.key, None)?)
            }
            _ => None,
        };
        let quarantined = match foreseen {
            Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution)
                if execution.after == 0 && step.cache =>
            {
                self.decider.withdrawal(&execution.resolved.key)?
            }
            _ => None,
        };
        let (against, relation, mut comparison) = match basis {
            Some((relation, Basis { origin, comparison })) => (Some(origin), Some(relation), comparison),
            None => (None, None, Comparison::default()),
        };
        if let Some(present) = &present {
            let look = Look { project, graph, step, materials: &present.materials };
            comparison.changes.iter_mut().for_each(|change| look.inside(change, Depth::Lines));
        }
        Ok(Explanation {
            step: step.id.clone(),
            verdict,
            reason: reason.into_owned(),
            key,
            made_by,
            quarantined,
            repeated: match key {
                Some(key) => Repeats::below(project.state()).of(&key)?,
                None => None,
            },
            waits_for: match foreseen {
                Foreseen::Maybe(by) => Some(graph.step(*by).id.clone()),
                _ => None,
            },
            against,
            relation,
            changes: comparison.changes,
            consequences: comparison.consequences,
        })
    }

    /// The recipe as it is now, as far as it is known; none if the step is left out or stopped.
    fn present(&self, index: StepIndex) -> Result<Option<Present>, EngineError> {
        let known = |resolved: Resolved| Present {
            recipe: resolved.document(),
            materials: resolved.materials,
            unknown: BTreeSet::new(),
        };
        Ok(match &self.foreseen[index.get()] {
            Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
                Some(known(execution.resolved.clone()))
            }
            // It is compared only if the user names something to compare it with.
            Foreseen::Decided(Decision::Satisfied(satisfied)) if self.against.is_some() => {
                let present = self.preview(index)?;
                Some(match self.decider.project.cache().recipe(&satisfied.key)? {
                    Some(recipe) => Present { recipe, unknown: BTreeSet::new(), ..present },
                    None => present,
                })
            }
            Foreseen::Maybe(_) => Some(self.preview(index)?),
            Foreseen::Decided(Decision::Satisfied(_) | Decision::Moved(_))
            | Foreseen::Skipped(_)
            | Foreseen::Blocked(_)
            | Foreseen::Ignored => None,
        })
    }

    /// The recipe of a step that waits for another one.
    fn preview(&self, index: StepIndex) -> Result<Present, EngineError> {
        let Decider { project, graph, observations, .. } = self.decider;
        let step = graph.step(index);
        let known = |producer: StepIndex| upstream(&self.foreseen[producer.get()]);
        let (mut resolved, mut unknown) = (BTreeMap::new(), BTreeSet::new());
        for name in step.inputs.keys() {
            let input = match inputs::preview(project, graph, step, name, known)? {
                Preview::Known(input) => input,
                Preview::Unknown(path) => {
                    unknown.insert(name.to_string());
                    ResolvedInput::at(path)
                }
            };
            resolved.insert(name.clone(), input);
        }
        let resolved = recipe::build(project, step, resolved, observations.of(index))?;
        Ok(Present { recipe: resolved.document(), materials: resolved.materials, unknown })
    }

    /// What a step's recipe is compared with: what the user names, else what its reason was found with, else the nearest.
    fn basis(
        &self,
        index: StepIndex,
        present: Option<&Present>,
    ) -> Result<Option<(Relation, Basis)>, EngineError> {
        let (project, graph) = (self.decider.project, self.decider.graph);
        let step = graph.step(index);
        let Some(present) = present else { return Ok(None) };
        let Present { recipe, unknown, .. } = present;
        if let Some(text) = self.against {
            let origin = against::named(project, step, text)?;
            return Ok(Some((Relation::Named, self.against(present, origin, text)?)));
        }
        let of_combination = || {
            let basis = sibling(project, graph, step, &recipe, unknown)?;
            Ok(basis.map(|basis| (Relation::Combination, basis)))
        };
        match &self.foreseen[index.get()] {
            Foreseen::Decided(Decision::Execute(execution)) | Foreseen::Shared(_, execution) => {
                match &execution.against {
                    Some(origin) => {
                        let basis = self.against(present, (**origin).clone(), &origin.key.short())?;
                        Ok(Some((Relation::Nearest, basis)))
                    }
                    None if execution.after == 0 && Last::of(project, graph, step).is_none() => {
                        of_combination()
                    }
                    None => Ok(None),
                }
            }
            _ => match nearest(project, graph, step, &recipe, unknown)? {
                Some(basis) => Ok(Some((Relation::Nearest, basis))),
                None => of_combination(),
            },
        }
    }

    /// The comparison with the recipe of this execution.
    fn against(&self, present: &Present, origin: Origin, text: &str) -> Result<Basis, EngineError> {
        let old = self.decider.project.cache().recipe(&origin.key)?;
        let old = old.ok_or_else(|| EngineError::Against {
            text: text.to_owned(),
            reason: format!("the recipe of key {} is not kept any more", origin.key.short()),
        })?;
        Ok(Basis { comparison: compare(&old, &present.recipe, &present.unknown), origin })
    }
}
