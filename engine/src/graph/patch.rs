//! A kept graph of a file that was edited since: the steps whose part of the file is another one are read and expanded anew, the
//! others stay.
//!
//! Why this is the graph of the whole file: what a step becomes follows from its own part, from what stands before all steps
//! (the parameters), and from the steps that it refers to. So the changed parts are read with those of all steps before them, as
//! a file of their own ([`Origins::parts`] are what can be read by itself). If that file has a mistake, or a changed step is
//! another one for those that refer to it, or meets other places of the project than before, the whole file is read.

use std::collections::BTreeSet;
use std::ops::Range;

use super::origin::Origin;
use super::skeleton::watches;
use super::{Edit, Graph, Origins, Source, Step, StepIndex, keep, load};
use crate::few::Few;
use crate::spec::{LARGEST, LoadRequest};

/// The graph of this request, made of the graph of another text of the same file; none if that cannot be told from the parts
/// that changed.
pub(super) fn patched(mut graph: Graph, before: &str, request: &LoadRequest<'_>) -> Option<Graph> {
    if request.text.len() > LARGEST {
        return None;
    }
    let changed = Changed::of(graph.origins.parts()?, before, request.text)?;
    graph.edit = changed.edit(&graph);
    let family = family(&graph, changed.parts.clone())?;
    let (text, begin) = reduced(&graph, before, &changed, &family)?;
    let small = load(&LoadRequest { text: &text, ..*request }).ok()?;
    let parts = small.origins.parts().filter(|parts| parts.len() == family.len())?;
    let first = family.iter().position(|part| *part == changed.parts.start)?;
    let after = first + changed.parts.len();
    // What changed is said in the changed parts alone: text may also say more of the step before them.
    let ends = parts.get(after).map_or(text.len(), |next| next.begin as usize);
    if parts[first].begin as usize != begin || ends != begin + changed.new.len() {
        return None;
    }
    let places = places(&graph, &small, &family)?;
    for (place, part) in family.iter().enumerate() {
        if !changed.parts.contains(part) {
            continue;
        }
        for (from, to) in small.origins.combinations(place).zip(graph.origins.combinations(*part)) {
            let step = moved(&small.steps[from], &places);
            if !is_same_to_others(&graph.steps[to], &step) {
                return None;
            }
            graph.steps.replace(to, step);
        }
    }
    graph.origins = changed.origins(&graph, &parts[first..after], begin)?;
    Some(graph)
}

/// What is another one in the file.
struct Changed<'a> {
    /// The changed parts, by their places among all.
    parts: Range<usize>,
    /// Where they begin, in both texts.
    begin: usize,
    /// What they were.
    old: &'a str,
    /// What they are.
    new: &'a str,
}

impl<'a> Changed<'a> {
    fn of(parts: &[Origin], before: &'a str, now: &'a str) -> Option<Self> {
        let shorter = before.len().min(now.len());
        let same = |(left, right): &(u8, u8)| left == right;
        let head = before.bytes().zip(now.bytes()).take_while(same).count();
        let tail = before.bytes().rev().zip(now.bytes().rev()).take(shorter - head).take_while(same).count();
        let end = before.len() - tail;
        let part_of = |place: usize| {
            let after = parts.partition_point(|part| part.begin as usize <= place);
            after.checked_sub(1)
        };
        // What was put in where a part begins belongs to the one before.
        let first = part_of(if head == end { head.checked_sub(1)? } else { head })?;
        let last = part_of(end.checked_sub(1)?)?.max(first);
        let begin = parts[first].begin as usize;
        let old_end = parts.get(last + 1).map_or(before.len(), |next| next.begin as usize);
        let new_end = now.len() - (before.len() - old_end);
        let (old, new) = (before.get(begin..old_end)?, now.get(begin..new_end)?);
        // The next header still has to begin on a line of its own.
        let is_whole = new_end == now.len() || new.ends_with('\n');
        is_whole.then_some(Self { parts: first..last + 1, begin, old, new })
    }

    /// What is to be known for the outline.
    fn edit(&self, graph: &Graph) -> Option<Edit> {
        let lines = |text: &str| text.matches('\n').count();
        let steps = self.parts.clone().filter_map(|part| graph.origins.combinations(part).next());
        (lines(self.old) == lines(self.new))
            .then(|| Edit { outline: keep::name(graph), steps: steps.map(StepIndex::new).collect() })
    }

    /// Where the steps come from now: the changed ones from where they are in the small file, in which they begin at `begin`; those
    /// after them from as much further on as there is more text.
    fn origins(&self, graph: &Graph, parts: &[Origin], begin: usize) -> Option<Origins> {
        let lines = |text: &str| i64::try_from(text.matches('\n').count()).ok();
        let further = |place: u32, by: i64| u32::try_from(i64::from(place) + by).ok();
        let bytes = i64::try_from(self.new.len()).ok()? - i64::try_from(self.old.len()).ok()?;
        let more_lines = lines(self.new)? - lines(self.old)?;
        let mut of = graph.origins.parts()?.to_vec();
        let line = of[self.parts.start].line;
        for (origin, part) in of[self.parts.clone()].iter_mut().zip(parts) {
            origin.begin = u32::try_from(self.begin + part.begin as usize - begin).ok()?;
            origin.line = line + (part.line - parts[0].line);
        }
        for origin in &mut of[self.parts.end..] {
            (origin.begin, origin.line) = (further(origin.begin, bytes)?, further(origin.line, more_lines)?);
        }
        Some(Origins::new(of, graph.steps.len(), true))
    }
}

/// These steps of the file and all before them; none if that is most of the file.
fn family(graph: &Graph, parts: Range<usize>) -> Option<Vec<usize>> {
    let most = graph.origins.parts()?.len() / 2;
    let mut family: BTreeSet<usize> = parts.clone().collect();
    let mut next: Vec<usize> = parts.collect();
    while let Some(part) = next.pop() {
        for step in graph.origins.combinations(part) {
            for producer in graph.upstream(StepIndex::new(step)) {
                let producer = graph.origins.of_step(producer);
                if family.insert(producer) {
                    next.push(producer);
                }
            }
        }
        if family.len() > most {
            return None;
        }
    }
    Some(family.into_iter().collect())
}

/// The file of these steps alone, the changed parts as they are now, and where those begin in it.
fn reduced(graph: &Graph, before: &str, changed: &Changed<'_>, family: &[usize]) -> Option<(String, usize)> {
    let parts = graph.origins.parts()?;
    let mut text = before.get(..parts.first()?.begin as usize)?.to_owned();
    let mut begin = 0;
    for part in family {
        if *part == changed.parts.start {
            begin = text.len();
            text.push_str(changed.new);
        }
        if !changed.parts.contains(part) {
            let end = parts.get(part + 1).map_or(before.len(), |next| next.begin as usize);
            text.push_str(before.get(parts[*part].begin as usize..end)?);
        }
    }
    Some((text, begin))
}

/// By step of the small graph: its place in the whole one. None if they are not the same steps.
fn places(graph: &Graph, small: &Graph, family: &[usize]) -> Option<Vec<StepIndex>> {
    let whole = family.iter().flat_map(|part| graph.origins.combinations(*part));
    let places: Vec<StepIndex> = whole.map(StepIndex::new).collect();
    let is_same = |(step, place): (&Step, &StepIndex)| step.id == graph.step(*place).id;
    (places.len() == small.steps.len() && small.steps.iter().zip(&places).all(is_same)).then_some(places)
}

/// A step with the places of other steps as they are in the whole graph.
fn moved(step: &Step, places: &[StepIndex]) -> Step {
    let mut step = step.clone();
    let to = |from: &StepIndex| places[from.get()];
    step.needs.iter_mut().for_each(|need| *need = to(need));
    step.inputs = step
        .inputs
        .iter()
        .map(|(name, input)| {
            let mut input = input.clone();
            match &mut input.source {
                Source::Artifact(producer, _) => *producer = to(producer),
                Source::Collection(entries) => {
                    entries.iter_mut().for_each(|(producer, _)| *producer = to(producer));
                }
                Source::Project(_) | Source::Glob(_) | Source::Outside(_) | Source::Rival { .. } => {}
            }
            (name.clone(), input)
        })
        .collect::<Few<_, _>>();
    step
}

/// Whether nothing outside of a step has to know that it is another one: neither the steps that refer to it, nor the places in the
/// project that it reads and publishes to, nor the graph's skeleton.
fn is_same_to_others(before: &Step, now: &Step) -> bool {
    before.id == now.id
        && before.axes == now.axes
        && before.inputs == now.inputs
        && before.outputs == now.outputs
        && before.needs == now.needs
        && before.left_out == now.left_out
        && before.effect == now.effect
        && before.fingerprint == now.fingerprint
        && before.gate.is_empty() == now.gate.is_empty()
        && before.cache == now.cache
        && before.pass_env == now.pass_env
        && before.resources == now.resources
        && watches(before) == watches(now)
}
