//! The `with` table of a built-in step, asked about at the catalog; its answers are brought back to their places in the file.

use std::collections::BTreeMap;

use crate::Value;
use crate::interface::{Catalog, Interface, WithProblem};
use crate::spec::{Code, Diagnostic, Filling, FillingKind, Problems, Span};

use super::fill::Filler;

/// The filled table; what the catalog says against it is told.
pub(super) fn filled(
    interface: &Interface,
    with: Option<&Filling>,
    uses: &Span,
    filler: &mut Filler<'_>,
    catalog: &dyn Catalog,
    problems: &mut Problems,
) -> Value {
    let value = with.map_or_else(|| Value::Map(BTreeMap::new()), |with| filler.filling(with));
    let given = |name: &str| value.get(name).is_some();
    for problem in catalog.check(interface.name, &value) {
        // Unknown and missing options were told before, from the interface.
        let known =
            problem.path.first().is_none_or(|first| interface.with.iter().any(|field| field.name == first));
        let missing = interface.with.iter().any(|field| {
            field.required
                && !given(field.name)
                && problem.path.first().is_none_or(|first| first == field.name)
        });
        if known && !missing {
            problems.add(diagnostic(interface, with, uses, &problem));
        }
    }
    value
}

fn diagnostic(
    interface: &Interface,
    with: Option<&Filling>,
    uses: &Span,
    problem: &WithProblem,
) -> Diagnostic {
    let message = match problem.path.is_empty() {
        true => format!("`{}`: {}", interface.name, problem.message),
        false => format!("`{}` of `{}`: {}", problem.path.join("."), interface.name, problem.message),
    };
    let span = with.map_or(uses, |with| place(with, &problem.path));
    Diagnostic::new(Code::Option, message).at(span, "").maybe_help(problem.help.clone())
}

/// The place of the value at the end of a path, or of the nearest thing on the way to it.
fn place<'a>(filling: &'a Filling, path: &[String]) -> &'a Span {
    let Some((first, rest)) = path.split_first() else { return &filling.span };
    match &filling.kind {
        FillingKind::List(items) => {
            let item = first.parse().ok().and_then(|index: usize| items.get(index));
            item.map_or(&filling.span, |item| place(item, rest))
        }
        FillingKind::Table(members) => match members.iter().find(|(name, ..)| name == first) {
            Some((_, key, member)) if rest.is_empty() && matches!(member.kind, FillingKind::Table(_)) => key,
            Some((_, _, member)) => place(member, rest),
            None => &filling.span,
        },
        _ => &filling.span,
    }
}
