//! What becomes of a pipeline: ids, edges, values, keys' ingredients, places that meet.

use camino::Utf8Path;
use proptest::prelude::*;

use crate::Value;
use crate::executors::Executors;
use crate::graph::{Action, Graph, Piece, Source, load};
use crate::interface::{Catalog, Field, InputPort, Interface, OutputKind, OutputPort, Standing, WithProblem};
use crate::spec::{Diagnostics, LoadRequest};

pub(crate) struct Two(Vec<Interface>);

pub(crate) fn catalog() -> Two {
    let port = |name, kind| OutputPort { name, path: name, kind, optional: false, doc: "" };
    let input = |name, many| InputPort { name, required: true, many, doc: "rows" };
    let fit = Interface {
        name: "fit",
        version: 3,
        summary: "",
        inputs: vec![input("data", false)],
        outputs: vec![port("model", OutputKind::Model), port("metrics", OutputKind::Metrics)],
        with: vec![Field { name: "alpha", required: true, kind: "number", doc: "strength" }],
        effect: false,
    };
    let put = Interface {
        name: "put",
        version: 1,
        summary: "",
        inputs: vec![input("models", true)],
        outputs: vec![],
        with: vec![],
        effect: true,
    };
    Two(vec![fit, put])
}

impl Catalog for Two {
    fn interfaces(&self) -> &[Interface] {
        &self.0
    }

    fn check(&self, _: &str, with: &Value) -> Vec<WithProblem> {
        match with.get("alpha") {
            Some(Value::Float(alpha)) if *alpha < 0.0 => vec![WithProblem {
                path: vec!["alpha".into()],
                message: "must not be negative".into(),
                help: None,
            }],
            _ => Vec::new(),
        }
    }

    fn probe(&self, _: &str, _: &Utf8Path, _: &Value, _: &serde_json::Value) -> Result<Standing, String> {
        Ok(Standing::Same)
    }

    fn target(&self, step: &str, _: &Value) -> String {
        format!("target/{step}")
    }
}

fn load_with(folder: &Utf8Path, steps: &str, set: &[(&str, &str)]) -> Result<Graph, Diagnostics> {
    let text = format!("[pipeline]\nname = \"p\"\n{steps}");
    let set: Vec<(String, String)> =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&LoadRequest {
        file: &folder.join("pipeline.toml"),
        text: &text,
        set: &set,
        params_files: &[],
        catalog: &catalog(),
        executors: Executors::none(),
    })
}

pub(super) fn graph(steps: &str) -> Graph {
    match load_with(Utf8Path::new("/nowhere"), steps, &[]) {
        Ok(graph) => graph,
        Err(diagnostics) => panic!("{:#?}", diagnostics.items),
    }
}

/// The codes of what is told.
fn told(steps: &str) -> Vec<&'static str> {
    match load_with(Utf8Path::new("/nowhere"), steps, &[]) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics.items.iter().map(|item| item.code.as_str()).collect(),
    }
}

fn ids(graph: &Graph) -> Vec<&str> {
    graph.steps.iter().map(|step| step.id.as_str()).collect()
}

fn command(graph: &Graph, id: &str) -> String {
    let step = graph.step(graph.find(id).unwrap());
    match &step.action {
        Action::Shell(pieces) => format!("{pieces:?}"),
        Action::Exec(arguments) => format!("{arguments:?}"),
        Action::Builtin { with, .. } => with.to_string(),
    }
}

pub(super) const FOLDS: &str = r#"
[params]
folds = [10, 9]
alpha = 0.5
[steps.split]
run = "split ${matrix.fold} > ${outputs.part}"
matrix.fold = "${params.folds}"
outputs.part = "part.csv"
[steps.train]
uses = "fit"
inputs.data = "${split.part}"
with.alpha = "${matrix.alpha}"
matrix = { alpha = [1.0, 0.1], fold = "${params.folds}" }
[steps.best]
run = ["best", "${inputs.models}", "--limit=${params.alpha}"]
inputs.models = { collect = "${train.model}" }
matrix.fold = [9, 10]
needs = ["split"]
"#;

#[test]
fn a_matrix_fans_out_sorted_and_joins_on_equal_values() {
    let graph = graph(FOLDS);
    let expected = [
        "split[fold=9]",
        "split[fold=10]",
        "train[alpha=0.1,fold=9]",
        "train[alpha=0.1,fold=10]",
        "train[alpha=1.0,fold=9]",
        "train[alpha=1.0,fold=10]",
        "best[fold=9]",
        "best[fold=10]",
    ];
    assert_eq!(ids(&graph), expected);
    let train = &graph.steps[3];
    assert_eq!(train.inputs.values().flat_map(|input| input.source.producers()).next().unwrap().0.get(), 1);
    assert!(
        matches!(&train.action, Action::Builtin { with, .. } if with.get("alpha") == Some(&Value::Float(0.1)))
    );
    let best = &graph.steps[7];
    let read: Vec<usize> =
        best.inputs.values().flat_map(|input| input.source.producers()).map(|(step, _)| step.get()).collect();
    assert_eq!(read, [3, 5]);
    assert_eq!(best.needs.len(), 2);
    assert_eq!(graph.order.len(), 8);
}

#[test]
fn only_what_a_step_refers_to_is_its_parameter() {
    let graph = graph(FOLDS);
    assert!(graph.steps[0].params.is_empty(), "the values of an axis are in the command");
    assert_eq!(graph.steps[6].params.keys().collect::<Vec<_>>(), ["alpha"]);
}

#[test]
fn values_are_quoted_for_the_shell_and_lists_are_words() {
    let steps = r#"
[params]
name = "a b; rm $x"
list = [1, "b c"]
[steps.a]
run = "echo $${HOME} ${params.name} ${params.list} ${inputs.x} >${outputs.y}"
inputs.x = "x/*.csv"
outputs.y = "y"
[steps.b]
run = ["echo", "${params.list}", "${params.name}!"]
"#;
    let graph = graph(steps);
    let Action::Shell(pieces) = &graph.steps[0].action else { panic!() };
    assert_eq!(pieces[0], Piece::Text("echo ${HOME} 'a b; rm $x' '1' 'b c' ".into()));
    assert!(matches!(pieces[1], Piece::Input(_)) && matches!(pieces[3], Piece::Output(_)));
    let Action::Exec(arguments) = &graph.steps[1].action else { panic!() };
    let words: Vec<String> = arguments.iter().map(|pieces| format!("{pieces:?}")).collect();
    assert_eq!(words.join(" "), "[Text(\"echo\")] [Text(\"1\")] [Text(\"b c\")] [Text(\"a b; rm $x!\")]");
}

#[test]
fn parameters_are_overridden_by_what_fits() {
    let steps = "[params]\nalpha = 0.5\ntag = \"x\"\nlist = [1]\n[steps.a]\nrun = \"echo ${params.alpha} ${params.tag}\"\n";
    let folder = Utf8Path::new("/nowhere");
    let graph = load_with(folder, steps, &[("alpha", "2"), ("tag", "2024"), ("list", "[3, 4]")]).unwrap();
    assert_eq!(graph.overrides["alpha"], Value::Float(2.0));
    assert_eq!(graph.params["tag"], Value::text("2024"));
    assert!(command(&graph, "a").contains("echo 2.0 '2024'"));
    let wrong = load_with(folder, steps, &[("alhpa", "1"), ("alpha", "x")]).unwrap_err();
    assert_eq!(wrong.items[0].help.as_deref(), Some("did you mean `alpha`?"));
    assert_eq!(wrong.items[1].code.as_str(), "parameter-type");
}

#[test]
fn files_of_parameters_are_weaker_than_the_command_line() {
    let text = "[pipeline]\nname = \"p\"\n[params]\ntrain = { alpha = 0.5, day = 2026-11-20, n = 1 }\n[steps.a]\nrun = \"x\"\n";
    let load_files = |files: &[(&str, &str)]| {
        let files: Vec<(camino::Utf8PathBuf, String)> =
            files.iter().map(|(path, text)| ((*path).into(), (*text).to_owned())).collect();
        load(&LoadRequest {
            file: Utf8Path::new("/nowhere/pipeline.toml"),
            text,
            set: &[("train.n".into(), "4".into())],
            params_files: &files,
            catalog: &catalog(),
            executors: Executors::none(),
        })
    };
    let toml = ("a.toml", "train.alpha = 1\ntrain.n = 2\ntrain.day = 2026-11-21\n");
    let graph = load_files(&[toml, ("b.json", "{\"train.alpha\": 2.5, \"train\": {\"n\": 3}}")]).unwrap();
    assert_eq!(graph.params["train.alpha"], Value::Float(2.5));
    assert_eq!(graph.params["train.n"], Value::Int(4));
    assert_eq!(graph.params["train.day"], Value::text("2026-11-21"));
    for wrong in [("a.toml", "x = "), ("a.toml", "train.alpha = nan"), ("a.json", "[1]"), ("a.yaml", "")] {
        let diagnostics = load_files(&[wrong]).unwrap_err();
        assert_eq!(diagnostics.items[0].code.as_str(), "params-file", "{wrong:?}");
        assert!(diagnostics.items[0].labels.is_empty());
    }
}

#[test]
fn a_condition_on_parameters_leaves_a_step_out() {
    let steps =
        "[params]\nn = 2\n[steps.a]\nrun = \"x\"\nwhen = \"params.n > matrix.m\"\nmatrix.m = [1, 5]\n";
    let graph = graph(steps);
    let out: Vec<Option<&str>> = graph.steps.iter().map(|step| step.left_out.as_deref()).collect();
    assert_eq!(out, [None, Some("params.n > matrix.m")]);
    assert!(graph.steps.iter().all(|step| step.params.is_empty()), "a condition is in no key");
}

#[test]
fn a_gate_keeps_names_of_metrics_and_fills_in_parameters() {
    let steps = "[params]\nlimit = 60\n[steps.a]\nrun = \"x\"\ngate = [\"rmse < ${params.limit}\", \"rmse < rival.rmse\"]\noutputs.m = { path = \"m.json\", kind = \"metrics\" }\n";
    let graph = graph(steps);
    let gate = &graph.steps[0].gate;
    assert_eq!(gate[0].text, "rmse < 60");
    assert_eq!(gate[1].expression.names(), ["rmse", "rival.rmse"]);
}

#[test]
fn a_file_matrix_has_one_step_per_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(folder.path()).unwrap();
    std::fs::create_dir_all(root.join("data/.git")).unwrap();
    for name in ["data/b.csv", "data/a[1].csv", "data/.git/c.csv", "data/x.txt"] {
        std::fs::write(root.join(name), name).unwrap();
    }
    let steps = "[steps.a]\nrun = \"wc ${inputs.file} ${matrix.file}\"\nmatrix.file = { glob = \"data/*.csv\" }\ninputs.file = \"${matrix.file}\"\n";
    let graph = load_with(root, steps, &[]).unwrap();
    assert_eq!(ids(&graph), ["a[file=data/a%5B1%5D.csv]", "a[file=data/b.csv]"]);
    let source = &graph.steps[0].inputs.values().next().unwrap().source;
    assert!(matches!(source, Source::Project(path) if path.as_str() == "data/a[1].csv"));
}

#[test]
fn places_that_meet_are_told() {
    let outputs =
        |outputs: &str| told(&format!("[steps.a]\nrun = \"x\"\ninputs.i = \"data/x.csv\"\n{outputs}\n"));
    assert_eq!(outputs("outputs = { a = \"out\", b = \"Out/x\" }"), ["output-clash"]);
    assert_eq!(outputs("outputs.a = \"data\""), ["output-clash"]);
    assert_eq!(outputs("outputs.a = \"data/y.csv\""), [""; 0]);
    assert_eq!(outputs("outputs.a = { path = \"a\", publish = \"data\" }"), ["publish-input"]);
    assert_eq!(outputs("outputs.a = { path = \"a\", publish = \"pipeline.toml\" }"), ["publish-input"]);
    assert_eq!(outputs("outputs.a = { path = \"a\", publish = \"../b\" }"), ["path"]);
    assert_eq!(outputs("outputs.a = \".tidemill/b\""), ["path"]);
    let two =
        "outputs.a = { path = \"a\", publish = \"m/A\" }\noutputs.b = { path = \"b\", publish = \"m/a/c\" }";
    assert_eq!(outputs(two), ["publish-clash"]);
    let fan = "outputs.a = { path = \"a\", publish = \"m\" }\nmatrix.x = [1, 2, 3]";
    assert_eq!(outputs(fan), ["publish-clash"]);
    let apart = "outputs.a = { path = \"a\", publish = \"m/${matrix.x}\" }\nmatrix.x = [1, 2, 3]";
    assert_eq!(outputs(apart), [""; 0]);
}

#[test]
fn a_builtin_is_held_against_its_interface() {
    let fit = |more: &str| told(&format!("[steps.a]\nuses = \"fit\"\ninputs.data = \"d.csv\"\n{more}\n"));
    assert_eq!(fit("with.alpha = 0.5"), [""; 0]);
    assert_eq!(fit("with.alpha = -0.5"), ["option"]);
    assert_eq!(fit("with.alhpa = 0.5"), ["missing-option", "unknown-option"]);
    assert_eq!(fit("with.alpha = 1.0\noutputs.modle = { publish = \"m\" }"), ["unknown-output"]);
    assert_eq!(fit("with.alpha = 1.0\noutputs.model = { publish = \"m\" }"), [""; 0]);
    assert_eq!(fit("with.alpha = 1.0\neffect = true"), ["builtin-effect"]);
    let put = |input: &str| {
        told(&format!(
            "[steps.a]\nuses = \"fit\"\ninputs.data = \"d.csv\"\nwith.alpha = 1.0\n[steps.b]\nuses = \"put\"\n{input}\n"
        ))
    };
    assert_eq!(put("inputs.models = [\"${a.model}\"]"), [""; 0]);
    assert_eq!(put("inputs.models = \"${a.model}\""), ["one-or-many"]);
    assert_eq!(put(""), ["missing-input"]);
}

#[test]
fn a_million_steps_are_the_limit() {
    let axis = |n: u32| format!("{:?}", (0..n).collect::<Vec<_>>());
    let steps = format!("[steps.a]\nrun = \"x\"\nmatrix = {{ a = {0}, b = {0}, c = {0} }}\n", axis(200));
    assert_eq!(told(&steps), ["too-many-steps"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_order_of_the_file_changes_neither_steps_nor_edges(order in Just(vec![0_usize, 1, 2]).prop_shuffle()) {
        let sections: Vec<&str> = FOLDS.split("[steps.").collect();
        let mut shuffled = sections[0].to_owned();
        for place in order {
            shuffled.push_str("[steps.");
            shuffled.push_str(sections[place + 1]);
        }
        let edges = |graph: &Graph| {
            let mut edges: Vec<String> = graph
                .steps
                .iter()
                .flat_map(|step| {
                    let mut lines = vec![format!("{} {}", step.id, command(graph, step.id.as_str()))];
                    for (name, input) in &step.inputs {
                        for (from, output) in input.source.producers() {
                            lines.push(format!("{} {name} {} {output}", step.id, graph.step(from).id));
                        }
                    }
                    lines
                })
                .collect();
            edges.sort();
            edges
        };
        prop_assert_eq!(edges(&graph(&shuffled)), edges(&graph(FOLDS)));
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "[a-z.\\[\\]=\"${}\n #*{},'0-9é]{0,120}") {
        let quoted = format!("[steps.a]\nrun = '''{text}'''\n");
        for steps in [format!("[steps.a]\nrun = \"x\"\n{text}"), quoted, text] {
            if let Err(diagnostics) = load_with(Utf8Path::new("/nowhere"), &steps, &[]) {
                for label in diagnostics.items.iter().flat_map(|item| &item.labels) {
                    prop_assert!(diagnostics.source_text.get(label.span.clone()).is_some(), "{label:?}");
                }
            }
        }
    }

    #[test]
    fn the_shell_gets_the_very_value_of_a_parameter(typed in "[^\0]{0,30}|[$`'\"\\\\!^{}~#*? a-c=>]{0,20}") {
        let steps = "[params]\nx = \"\"\n[steps.a]\nrun = \"printf %s ${params.x}\"\n";
        let graph = load_with(Utf8Path::new("/nowhere"), steps, &[("x", &typed)]).unwrap();
        let Action::Shell(pieces) = &graph.steps[0].action else { panic!() };
        let [Piece::Text(command)] = pieces.as_slice() else { panic!("{pieces:?}") };
        let output = std::process::Command::new("sh").args(["-euc", command]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        prop_assert_eq!(Some(printed.as_str()), graph.params["x"].as_text());
    }
}

#[test]
fn a_step_of_thousands_of_combinations_is_what_it_would_be_one_by_one() {
    let values = |count: usize| (0..count).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let text = format!(
        "[steps.a]\nmatrix = {{ i = [{}] }}\nrun = \"x ${{matrix.i}} > ${{outputs.o}}\"\noutputs.o = \"o\"\ninputs.f = \"f-${{matrix.i}}.txt\"\n\
         [steps.b]\nmatrix = {{ i = [{}], j = [{}] }}\nrun = \"x ${{matrix.j}} < ${{inputs.a}}\"\ninputs.a = \"${{a.o}}\"\n",
        values(100),
        values(100),
        values(60),
    );
    let graph = graph(&text);
    assert_eq!(graph.steps.len(), 6_100);
    for (place, step) in graph.steps.iter().enumerate().skip(100) {
        let (i, j) = ((place - 100) / 60, (place - 100) % 60);
        assert_eq!(step.id.as_str(), format!("b[i={i},j={j}]"));
        let upstream: Vec<usize> =
            graph.upstream(crate::graph::StepIndex::new(place)).map(crate::graph::StepIndex::get).collect();
        assert_eq!(upstream, [i]);
    }
    let told = |text: &str| match load_with("/p".into(), text, &[]) {
        Ok(_) => panic!("nothing was told"),
        Err(told) => told.items.into_iter().map(|item| item.message).collect::<Vec<_>>(),
    };
    let published = "outputs.o = { path = \"o\", publish = \"f-7.txt\" }\ninputs.a = ";
    let clash = told(&text.replace("inputs.a = ", published));
    assert!(clash.iter().all(|message| message.contains("f-7.txt")), "{clash:?}");
    let wrong = told(&text.replace("j = [0,", "j = [\"\\u0000\","));
    assert_eq!(wrong.len(), 1, "what is wrong with all is told once: {wrong:?}");
}
