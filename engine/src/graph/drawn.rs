//! What becomes of a graph in an outline and in its drawings.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::outline::OutlineError;
use super::picture::Picture;
use super::tests::{FOLDS, graph};
use super::{Facts, Graph, Join, Look, Matrices, Outline, State, States, StepIndex, Wanted, lines};
use crate::name::StepId;

/// Letters that mean something to a terminal, a browser, Mermaid or Graphviz.
const HOSTILE: &str = r#"
description = "</style><script>alert(1)</script>\u001b[2J\u202e"
[steps.end]
description = "</title>\" onload='x'"
stage = "a & b"
run = "echo '</script>' > ${outputs.class}"
matrix.graph = ["a\"b", "c#d;e", "<i>", "`x`", "日本語の長い名前です", "\\n]]"]
outputs.class = "x"
[steps.subgraph]
run = "true"
inputs.style = { collect = "${end.class}" }
effect = true
outputs.m = { path = "m.json", kind = "metrics" }
gate = "a < 1"
[steps.click]
run = "true"
needs = ["subgraph"]
cache = false
"#;

fn hostile() -> Outline {
    let (head, steps) = HOSTILE.split_once("[steps.end]").unwrap();
    let mut outline = Outline::of(&graph(&format!("{head}[steps.end]{steps}")));
    // In some order, every state.
    outline.pipeline = "p".parse().unwrap();
    outline
}

fn states_of(outline: &Outline) -> States {
    let ids = outline.nodes.iter().flat_map(|node| node.instances.clone());
    ids.zip(State::ALL.into_iter().cycle()).collect()
}

fn text(outline: &Outline, states: &States, matrices: Matrices, width: usize) -> String {
    let line = |line: super::Line| line.into_iter().map(|part| part.text).collect::<String>() + "\n";
    lines(outline, states, matrices, width).into_iter().map(line).collect()
}

/// The edges of the expanded graph, by ids.
fn edges(graph: &Graph) -> BTreeSet<(String, String)> {
    let id = |index: StepIndex| graph.step(index).id.to_string();
    (0..graph.steps.len())
        .map(StepIndex::new)
        .flat_map(|to| graph.upstream(to).map(move |from| (id(from), id(to))))
        .collect()
}

#[test]
fn an_outline_folds_a_matrix_and_unfolds_again() {
    let graph = graph(FOLDS);
    let outline = Outline::of(&graph);
    let names: Vec<&str> = outline.nodes.iter().map(|node| node.step.as_str()).collect();
    assert_eq!(names, ["split", "train", "best"]);
    let train = &outline.nodes[1];
    assert_eq!(
        (train.action.as_str(), train.instances.len(), train.inputs[0].place.as_str()),
        ("uses fit", 4, "split.part")
    );
    assert_eq!(train.axes[1].values, ["9", "10"]);
    assert_eq!(outline.nodes[2].command.as_deref(), Some("best ${inputs.models} --limit=0.5"));
    let joins: Vec<(&str, &str, &Join)> =
        outline.edges.iter().map(|edge| (edge.from.as_str(), edge.to.as_str(), &edge.join)).collect();
    let (one, other) = (vec![(0, 0), (0, 2), (1, 1), (1, 3)], vec![(0, 0), (1, 1), (2, 0), (3, 1)]);
    assert_eq!(joins[0], ("split", "train", &Join::Pairs(one)));
    assert_eq!(joins[1], ("split", "best", &Join::All));
    assert_eq!(joins[2], ("train", "best", &Join::Pairs(other)));
    assert!(outline.edges[1].data.is_empty(), "order only");
    let picture = Picture::of(&outline, &States::new(), Matrices::Unfolded);
    let name = |place: usize| picture.cards[place].name.clone();
    let unfolded: BTreeSet<_> =
        picture.arrows.iter().map(|arrow| (name(arrow.from), name(arrow.to))).collect();
    assert_eq!(unfolded, edges(&graph));
}

#[test]
fn what_is_kept_is_read_again_and_nothing_else_is() {
    let outline = Outline::of(&graph(FOLDS));
    assert_eq!(Outline::from_bytes(&outline.to_bytes()).unwrap(), outline);
    let json = String::from_utf8(outline.to_bytes()).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(json.contains(from), "{json}");
        Outline::from_bytes(json.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    assert!(matches!(changed("\"version\":1", "\"version\":2"), OutlineError::Version { found: 2 }));
    assert!(matches!(changed("\"line\"", "\"lime\""), OutlineError::Malformed(_)));
    assert!(matches!(
        changed("\"from\":\"split\"", "\"from\":\"spilt\""),
        OutlineError::Contradiction { .. }
    ));
    assert!(matches!(changed("[[0,0],", "[[7,0],"), OutlineError::Contradiction { .. }));
}

#[test]
fn a_part_is_what_is_named_and_what_hangs_on_it() {
    let part = |only: &[&str], from: &[&str], until: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wanted = Wanted { only: names(only), from: names(from), until: names(until) };
        let part = Outline::of(&graph(FOLDS)).part(&wanted)?;
        part.check().unwrap();
        let ids = part.nodes.iter().flat_map(|node| node.instances.clone());
        Ok::<Vec<String>, crate::EngineError>(ids.map(|id| id.to_string()).collect())
    };
    let train = ["train[alpha=0.1,fold=9]", "train[alpha=1.0,fold=9]"];
    assert_eq!(
        part(&[], &["split[fold=9]"], &["train"]).unwrap(),
        [&["split[fold=9]"], train.as_slice()].concat()
    );
    assert_eq!(part(&[], &[], &[train[0]]).unwrap(), ["split[fold=9]", train[0]]);
    // `needs` is on all of them.
    assert_eq!(part(&[], &[], &["best[fold=9]"]).unwrap().len(), 5);
    assert_eq!(part(&["best"], &[], &[]).unwrap(), ["best[fold=9]", "best[fold=10]"]);
    let error = part(&["trian"], &[], &[]).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean \"train\"?"));
    let one = Wanted { only: vec![train[0].to_owned()], ..Wanted::default() };
    let one = Outline::of(&graph(FOLDS)).part(&one).unwrap();
    assert_eq!(one.nodes[0].axes.iter().map(|axis| axis.values.len()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn text_for_a_terminal() {
    let outline = Outline::of(&graph(FOLDS));
    insta::assert_snapshot!(text(&outline, &States::new(), Matrices::Folded, 100), @r"
    p: 8 steps, 3 with matrices folded

    ● split ×2    split · fold: 9, 10
    ├─╮
    │ ● train ×4  uses fit · alpha: 0.1, 1.0 · fold: 9, 10
    ├─╯
    ● best ×2     best · fold: 9, 10 · after split
    ");
    insta::assert_snapshot!(text(&outline, &states_of(&outline), Matrices::Folded, 60), @r"
    p: 8 steps, 3 with matrices folded

    ✗ split ×2    1 failed, 1 blocked                split · fo…
    ├─╮
    │ ‖ train ×4  1 held, 1 running, 1 run, 1 maybe  uses fit ·…
    ├─╯
    … best ×2     1 waiting, 1 executed              best · fol…
    ");
    // Where rails have no room, a list.
    insta::assert_snapshot!(text(&outline, &States::new(), Matrices::Unfolded, 15), @r"
    p: 8 steps

    split[…  split
    split[…  split
    train[…  ← spl…
    train[…  ← spl…
    train[…  ← spl…
    train[…  ← spl…
    best[f…  ← spl…
    best[f…  ← spl…
    ");
}

#[test]
fn text_of_whatever_fits_and_steers_nothing() {
    let outline = hostile();
    for width in 0..120 {
        for matrices in [Matrices::Folded, Matrices::Unfolded] {
            let text = text(&outline, &states_of(&outline), matrices, width);
            for line in text.lines() {
                assert!(super::measure::columns(line) <= width, "{width}: {line}");
                assert!(!line.chars().any(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn languages_of_other_tools() {
    let outline = hostile();
    let look = Look { matrices: Matrices::Unfolded, ..Look::default() };
    insta::assert_snapshot!(outline.mermaid(&states_of(&outline), &look), @r##"
    flowchart LR
        s0["end[graph=#lt;i#gt;]<br/>failed"]:::is-failed
        s1["end[graph=#92;n%5D%5D]<br/>blocked"]:::is-blocked
        s2["end[graph=#96;x#96;]<br/>held"]:::is-held
        s3["end[graph=a#quot;b]<br/>running"]:::is-running
        s4["end[graph=c#35;d#59;e]<br/>run"]:::is-run
        s5["end[graph=日本語の長い名前です]<br/>maybe"]:::is-maybe
        s6(["subgraph<br/>gate, effect<br/>waiting"]):::is-waiting
        s7["click<br/>not cached<br/>executed"]:::is-executed
        s0 -->|"class → style"| s6
        s1 -->|"class → style"| s6
        s2 -->|"class → style"| s6
        s3 -->|"class → style"| s6
        s4 -->|"class → style"| s6
        s5 -->|"class → style"| s6
        s6 -.-> s7
        classDef is-failed fill:#fbe0d4,stroke:#c2410c,color:#1c2733
        classDef is-blocked fill:#f3deee,stroke:#9d3f86,color:#1c2733
        classDef is-held fill:#f8ecc8,stroke:#8a6100,color:#1c2733
        classDef is-running fill:#d9ebf7,stroke:#0072b2,color:#1c2733
        classDef is-run fill:#d9ebf7,stroke:#0072b2,color:#1c2733
        classDef is-maybe fill:#eaf4fb,stroke:#2f7fb8,color:#1c2733,stroke-dasharray:5 3
        classDef is-waiting fill:#eef1f4,stroke:#66727e,color:#1c2733,stroke-dasharray:5 3
        classDef is-executed fill:#d6efe6,stroke:#00795a,color:#1c2733
    "##);
    insta::assert_snapshot!(outline.dot(&States::new(), &Look::default()), @r##"
    digraph "p" {
        rankdir=LR;
        node [shape=box, style="rounded,filled", fillcolor="#f7f9fb", color="#8796a5", fontname="Helvetica,Arial,sans-serif"];
        edge [color="#8796a5", fontname="Helvetica,Arial,sans-serif", fontsize=10];
        "end" [label="end ×6\ngraph: <i>, \\n]], `x`, a\"b, c#d;e, 日本語の長い名前です", peripheries=2];
        "subgraph" [label="subgraph\ngate, effect", peripheries=2];
        "click" [label="click\nnot cached"];
        "end" -> "subgraph" [label="class → style"];
        "subgraph" -> "click" [style=dashed];
    }
    "##);
}

/// The tags of a text, each closed in its place; fails otherwise.
fn tags(svg: &str) -> Vec<String> {
    let (mut open, mut tags) = (Vec::new(), Vec::new());
    for part in svg.split('<').skip(1) {
        let (tag, rest) = part.split_once('>').unwrap_or_else(|| panic!("{part}"));
        assert!(tag == "style" || !rest.contains('>'), "{part}");
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap().to_owned();
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(closed), _) => assert_eq!(open.pop().as_deref(), Some(closed)),
            (None, false) => open.push(name.clone()),
            (None, true) => {}
        }
        tags.push(name);
    }
    assert!(open.is_empty(), "{open:?}");
    tags
}

#[test]
fn a_picture_stands_alone() {
    let outline = hostile();
    let svg = outline.svg(&states_of(&outline));
    let known: BTreeSet<String> = tags(&svg).into_iter().collect();
    let expected = ["desc", "g", "path", "rect", "style", "svg", "text", "title", "tspan"];
    assert!(known.iter().all(|tag| expected.contains(&tag.trim_start_matches('/'))), "{known:?}");
    for forbidden in [" id=", "url(", "href", "@import", "onload='", "\u{1b}", "\u{202e}"] {
        assert!(!svg.contains(forbidden), "{forbidden}");
    }
    assert_eq!(svg.matches("http").count(), 1, "the name of the language only");
    for rule in svg.split("<style>").nth(1).unwrap().split("</style>").next().unwrap().lines() {
        let scoped = [".tm-dag", ":where(.tm-dag)", "@media (prefers-color-scheme:dark){:where(.tm-dag)"];
        assert!(rule.is_empty() || scoped.iter().any(|start| rule.starts_with(start)), "{rule}");
    }
    assert_eq!(svg.matches("class=\"tm-card").count(), 3);
    assert!(
        svg.contains("end ×6 (1 failed, 1 blocked, 1 held, 1 running, 1 run, 1 maybe)"),
        "in words: {svg}"
    );
}

#[test]
fn the_legend_tells_what_occurs() {
    let outline = Outline::of(&graph("[steps.a]\nrun = \"x\""));
    let says = |states: &States, words: &str| outline.svg(states).contains(words);
    let id = outline.nodes[0].instances[0].clone();
    for state in State::ALL {
        let states = States::from([(id.clone(), state)]);
        assert!(says(&states, &format!("tm-{}", state.word())));
        let others = State::ALL.into_iter().filter(|other| *other != state);
        assert!(others.into_iter().all(|other| !says(&states, &format!("tm-{} ", other.word()))));
        assert!(!says(&states, "a matrix") && !says(&states, "gate:") && !says(&states, "effect:"));
    }
    assert!(State::ALL.into_iter().all(|state| !says(&States::new(), &format!("tm-{} ", state.word()))));
}

#[test]
fn a_page_allows_nothing_but_itself() {
    let outline = hostile();
    let facts = Facts { states: states_of(&outline), source: Some("<b>".to_owned()), ..Facts::default() };
    let html = outline.html(&facts, &Look { matrices: Matrices::Unfolded, ..Look::default() });
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"));
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    assert_eq!(html.matches("<style").count(), 2, "of the page and of the picture");
    assert!(!html.contains("<b>") && !html.contains("onload='") && !html.contains("src="));
    assert_eq!(html.matches("<section>").count(), outline.steps());
    assert_eq!(html.matches("data-step=").count(), outline.steps());
}

#[test]
fn too_much_is_drawn_as_less() {
    let steps = |stage: fn(usize) -> String| {
        let step = |n: usize| {
            let needs = if n > 0 { format!("needs = [\"s{}\"]\n", n - 1) } else { String::new() };
            format!("[steps.s{n}]\nrun = \"x\"\n{}{needs}", stage(n))
        };
        (0..450).map(step).collect::<String>()
    };
    let staged = Outline::of(&graph(&steps(|n| format!("stage = \"stage {}\"\n", n / 50))));
    let svg = staged.svg(&States::new());
    assert_eq!(svg.matches("class=\"tm-card").count(), 9);
    assert!(svg.contains("450 steps are too many to draw: each box is a stage"), "{svg}");
    let plain = Outline::of(&graph(&steps(|_| String::new())));
    let svg = plain.svg(&States::new());
    assert_eq!(svg.matches("class=\"tm-card").count(), 0);
    assert!(svg.contains("select some with"), "{svg}");
    // Text has no such limit.
    assert_eq!(text(&plain, &States::new(), Matrices::Folded, 80).lines().count(), 452);
    let matrix = format!("[steps.a]\nrun = \"x\"\nmatrix.n = {:?}\n", (0..500).collect::<Vec<_>>());
    let look = Look { matrices: Matrices::Unfolded, ..Look::default() };
    let svg = Outline::of(&graph(&matrix)).svg_with(&States::new(), &look);
    assert!(svg.contains("500 steps are too many to draw: matrices are folded"), "{svg}");
}

#[test]
fn stages_that_depend_on_each_other_are_one() {
    let mut steps = String::new();
    for n in 0..402 {
        let stage = match n {
            0 | 2 => "a".to_owned(),
            1 => "b".to_owned(),
            n => format!("c{}", n % 2),
        };
        let needs = if n > 0 && n < 4 { format!("needs = [\"s{}\"]\n", n - 1) } else { String::new() };
        steps.push_str(&format!("[steps.s{n}]\nrun = \"x\"\nstage = \"{stage}\"\n{needs}"));
    }
    let svg = Outline::of(&graph(&steps)).svg(&States::new());
    assert!(svg.contains(">a, b<"), "{svg}");
    assert_eq!(svg.matches("class=\"tm-card").count(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_outline_that_can_be_read_can_be_drawn(places in proptest::collection::vec((0_usize..6, 0_usize..6), 0..14)) {
        // What was kept may be of any form, also one that no graph has: with steps that wait for each other.
        let steps: String = (0..6).map(|n| format!("[steps.s{n}]\nrun = \"x\"\n")).collect();
        let mut outline = Outline::of(&graph(&steps));
        let step = |place: usize| outline.nodes[place].step.clone();
        let edge = |(from, to): &(usize, usize)| super::Edge {
            from: step(*from), to: step(*to), data: Vec::new(), join: Join::All,
        };
        outline.edges = places.iter().map(edge).collect();
        if let Ok(outline) = Outline::from_bytes(&outline.to_bytes()) {
            let html = outline.html(&Facts::default(), &Look::default());
            prop_assert_eq!(html.matches("class=\"tm-arrow").count(), outline.edges.len());
            let text = text(&outline, &States::new(), Matrices::Folded, 80);
            let names = (0..6).map(|n| format!(" s{n} "));
            prop_assert_eq!(names.filter(|name| text.contains(name)).count(), 6);
        } else {
            prop_assert!(places.iter().any(|(from, to)| from >= to));
        }
    }
}

#[test]
fn a_runs_words_are_states() {
    for state in ["cached", "queued", "running", "executed", "failed", "skipped", "held", "blocked"] {
        assert!(State::of_record(state).is_some(), "{state}");
    }
    assert_eq!(State::of_record("else"), None);
    let ids: BTreeSet<StepId> = hostile().nodes.iter().flat_map(|node| node.instances.clone()).collect();
    assert_eq!(ids.len(), 8);
    let words: BTreeSet<_> = State::ALL.into_iter().map(State::word).collect();
    let signs: BTreeSet<_> = State::ALL.into_iter().map(State::sign).collect();
    assert_eq!((words.len(), signs.len()), (State::ALL.len(), State::ALL.len()));
}
