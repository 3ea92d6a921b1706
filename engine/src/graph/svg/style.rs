//! The rules of a picture. Colours are variables with light and dark values, in which a reader who cannot tell red from green
//! still sees different ones; viewers that know no variables get the light values. A page that shows the picture on its own
//! ground sets `--tm-paper: transparent`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::graph::state::State;

/// A variable with its light and its dark value.
struct Colour(&'static str, &'static str, &'static str);

const INK: Colour = Colour("ink", "#1c2733", "#e8edf2");
const SOFT: Colour = Colour("soft", "#55626f", "#a9b5c0");
const PAPER: Colour = Colour("paper", "#ffffff", "#12181f");
const SIGN: Colour = Colour("sign", "#ffffff", "#12181f");
const CARD: Colour = Colour("card", "#f7f9fb", "#1b242d");
const EDGE: Colour = Colour("edge", "#8796a5", "#71808f");

/// The colour of a state.
const fn colour(state: State) -> Colour {
    match state {
        State::Failed => Colour("failed", "#c2410c", "#ff8a5c"),
        State::Blocked => Colour("blocked", "#9d3f86", "#e89ad2"),
        State::Held => Colour("held", "#8a6100", "#f0c04a"),
        State::Running => Colour("running", "#0072b2", "#6cc3ff"),
        State::Run => Colour("run", "#0072b2", "#6cc3ff"),
        State::Maybe => Colour("maybe", "#2f7fb8", "#9ad4ff"),
        State::Waiting => Colour("waiting", "#66727e", "#94a1ad"),
        State::Executed => Colour("executed", "#00795a", "#3ed6a8"),
        State::Cached => Colour("cached", "#4f6d7a", "#9fb8c4"),
        State::Done => Colour("current", "#4f6d7a", "#9fb8c4"),
        State::Skipped => Colour("skipped", "#78838e", "#82909c"),
    }
}

/// The rules for a picture in which these states occur.
pub(super) fn sheet(states: &BTreeSet<State>) -> String {
    let colours: Vec<Colour> = [INK, SOFT, PAPER, SIGN, CARD, EDGE]
        .into_iter()
        .chain(states.iter().map(|state| colour(*state)))
        .collect();
    let mut out = String::new();
    let variables = |pick: fn(&Colour) -> &'static str| {
        colours.iter().map(|colour| format!("--tm-{}:{};", colour.0, pick(colour))).collect::<String>()
    };
    // Without weight, so that a page's own values win.
    let _ = writeln!(out, ":where(.tm-dag){{{}}}", variables(|colour| colour.1));
    let _ = writeln!(
        out,
        "@media (prefers-color-scheme:dark){{:where(.tm-dag){{{}}}}}",
        variables(|colour| colour.2)
    );
    out.push_str(
        ".tm-dag{font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",sans-serif}\n",
    );
    let mut rule = |selector: &str, property: &str, colour: &Colour, more: &str| {
        let Colour(name, light, _) = colour;
        let _ = writeln!(out, ".tm-dag {selector}{{{property}:{light};{property}:var(--tm-{name}){more}}}");
    };
    rule(".tm-paper", "fill", &PAPER, "");
    rule(".tm-name", "fill", &INK, ";font-size:14px;font-weight:600");
    rule(".tm-count", "fill", &SOFT, ";font-size:14px;font-weight:600");
    rule(".tm-small", "fill", &SOFT, ";font-size:12px");
    rule(".tm-word", "fill", &INK, ";font-size:12px");
    rule(".tm-mark", "fill", &INK, ";font-size:11px");
    rule(".tm-frame", "fill", &CARD, "");
    rule(".tm-frame", "stroke", &EDGE, ";stroke-width:1.2");
    rule(".tm-inner", "stroke", &EDGE, ";stroke-width:1.2;fill:none");
    rule(".tm-chip", "stroke", &EDGE, ";stroke-width:1;fill:none");
    rule(".tm-way", "stroke", &EDGE, ";stroke-width:1.5;fill:none");
    rule(".tm-head", "fill", &EDGE, "");
    rule(".tm-gate", "fill", &CARD, "");
    rule(".tm-gate", "stroke", &EDGE, ";stroke-width:1.5");
    rule(".tm-over", "stroke", &SIGN, ";stroke-width:1.7;fill:none");
    for state in states {
        let colour = colour(*state);
        let below = |classes: &[&str]| {
            let selectors: Vec<String> =
                classes.iter().map(|class| format!(".tm-{} .tm-{class}", colour.0)).collect();
            selectors.join(",.tm-dag ")
        };
        rule(&below(&["frame", "inner"]), "stroke", &colour, "");
        rule(&below(&["tint", "bar", "fill"]), "fill", &colour, "");
        rule(&below(&["line"]), "stroke", &colour, ";stroke-width:1.5;fill:none");
    }
    out.push_str(FIXED);
    out
}

const FIXED: &str = "\
.tm-dag .tm-tint{fill-opacity:.1}
.tm-dag .tm-over,.tm-dag .tm-line{stroke-linecap:round;stroke-linejoin:round}
.tm-dag .tm-order .tm-way{stroke-dasharray:5 4}
.tm-dag .tm-maybe>.tm-frame,.tm-dag .tm-waiting>.tm-frame{stroke-dasharray:6 3}
.tm-dag .tm-skipped>.tm-frame,.tm-dag .tm-out>.tm-frame{stroke-dasharray:2 3}
.tm-dag .tm-failed>.tm-frame{stroke-width:2}
";
