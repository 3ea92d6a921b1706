//! The pages of `report` and `plots` in a real browser, with the network off: nothing is fetched, nothing is cut, nothing overlaps,
//! everything can be read, wide and narrow, light and dark, whatever the steps said and drew.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::diabetes;
use crate::support::Project;

/// Steps that draw all kinds of plots, say what they should not, run often, and fail.
const STORY: &str = r##"
[pipeline]
name = "a-pipeline-with-a-name-of-exactly-as-many-letters-as-a-name-may"
description = "All kinds of plots, and texts that nobody would write: </title><script>alert(1)</script>"

[params]
note = "</script><img src=http://127.0.0.1:9/x onerror=alert(1)>"
greeting = "größer 数据 🌊 \u202Ereversed"
a.parameter.whose.name.is.longer.than.anybody.would.like.it.to.be.on.a.narrow.screen = "and-a-value-without-a-single-space-in-it-that-is-just-as-long-as-its-name-and-then-some"
weight = 1.0

[steps.draw]
run = "python3 draw.py ${params.note} ${params.weight}"
inputs.code = "draw.py"
outputs.scatter = { path = "scatter.vl.json", kind = "plot" }
outputs.matrix = { path = "confusion.vl.json", kind = "plot" }
outputs.hostile = { path = "hostile.vl.json", kind = "plot" }
outputs.loads = { path = "loads.vl.json", kind = "plot" }
outputs.broken = { path = "broken.vl.json", kind = "plot" }
outputs.wide = { path = "wide.vl.json", kind = "plot" }
outputs.losses = { path = "losses.csv", kind = "plot" }
outputs.many = { path = "many.csv", kind = "plot" }
outputs.bars = { path = "bars.tsv", kind = "plot" }
outputs.days = { path = "days.csv", kind = "plot" }
outputs.svg = { path = "picture.svg", kind = "plot" }
outputs.png = { path = "picture.png", kind = "plot" }
outputs.metrics = { path = "metrics.json", kind = "metrics" }

[steps.fold]
matrix.fold = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
run = "echo fold ${matrix.fold}; printf 'step,loss\n1,0.9\n2,0.%s\n' ${matrix.fold} > curve.csv"
inputs.after = "${draw.losses}"
outputs.curve = { path = "curve.csv", kind = "plot" }

[steps.a-step-whose-name-is-longer-than-the-column-that-it-should-be-in]
matrix.value = ["a matrix value that is long as well, with spaces, commas; and more"]
run = "echo ${matrix.value} > out"
outputs.out = "out"

[steps.judge]
run = "python3 -c 'import json; json.dump({\"</script><b>score\": 0.25, \"größe\": 1e-9}, open(\"metrics.json\", \"w\"))'"
inputs.curves = { collect = "${fold.curve}" }
outputs.metrics = { path = "metrics.json", kind = "metrics" }

[steps.stumble]
run = '''
printf '\033[31mred\033[0m </pre><script>alert(1)</script> <img src=http://127.0.0.1:9/x onerror=alert(1)>\n'
printf 'a-line-without-spaces-%0300d\n' 7
i=0; while [ $i -lt 4000 ]; do echo "line $i of many, größer 数据"; i=$((i + 1)); done
exit 3
'''
retries = 1
outputs.out = "out"

[steps.after]
run = "cat ${inputs.in} > out"
inputs.in = "${stumble.out}"
outputs.out = "out"
"##;

const DRAW: &str = r##"
import json, math, struct, sys, zlib

note, weight = sys.argv[1], float(sys.argv[2])
print("drawing", note, "\x1b[32mgreen\x1b[0m")

def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)

def vega_lite(path, **spec):
    schema = "https://vega.github.io/schema/vega-lite/v5.json"
    write(path, json.dumps({"$schema": schema, **spec}, ensure_ascii=False))

points = [{"x": x, "y": weight * math.sin(x / 3), "group": "größer 数据" if x % 2 else note} for x in range(40)]
quantitative = lambda field: {"field": field, "type": "quantitative"}
nominal = lambda field: {"field": field, "type": "nominal"}
vega_lite("scatter.vl.json", title="sine", width=500, height=240, data={"values": points}, mark={"type": "point", "tooltip": True},
          encoding={"x": quantitative("x"), "y": quantitative("y"), "color": nominal("group")},
          params=[{"name": "brush", "select": "interval"}], transform=[{"filter": "datum.x > 2 && datum.y < 10"}])
cells = [{"is": a, "taken for": b, "rows": 1 + 7 * (a == b)} for a in "ABC" for b in "ABC"]
vega_lite("confusion.vl.json", data={"values": cells}, encoding={"x": nominal("taken for"), "y": nominal("is")},
          layer=[{"mark": "rect", "encoding": {"color": quantitative("rows")}},
                 {"mark": "text", "encoding": {"text": quantitative("rows")}}])
address = "http://127.0.0.1:9/image.png"
vega_lite("hostile.vl.json", title="</script><img src=x onerror=alert(1)>", width=200, height=80,
          data={"values": [{"a": note, "b": 3, "u": address}, {"a": "b", "b": 5, "u": "javascript:alert(1)"}]},
          encoding={"y": nominal("a"), "x": quantitative("b")},
          layer=[{"mark": "bar", "encoding": {"href": nominal("u")}},
                 {"mark": {"type": "image", "width": 9, "height": 9}, "encoding": {"url": nominal("u")}}])
vega_lite("loads.vl.json", data={"url": "http://127.0.0.1:9/data.csv"}, mark="point", encoding={"x": quantitative("x")})
write("broken.vl.json", '{"mark": "point", </script>')
vega_lite("wide.vl.json", data={"values": points},
          hconcat=[{"mark": "line", "width": 500, "encoding": {"x": quantitative("x"), "y": quantitative("y")}}] * 2)

losses = "epoch,train,validation\n" + "".join(f"{e},{weight / e},{weight / e + 0.1}\n" for e in range(1, 40))
write("losses.csv", losses)
write("many.csv", "x,y\n" + "".join(f"{x},{math.cos(x / 4000)}\n" for x in range(50_000)))
write("bars.tsv", "name\tscore\n" + "".join(f"{name}\t{place + weight}\n" for place, name in
                                            enumerate(["größer", "数据", note, "a name that is rather long for a bar of a chart"])))
write("days.csv", "day,count\n" + "".join(f"2026-01-{day:02},{day * weight}\n" for day in range(1, 29)))
write("picture.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="60"><script>alert(1)</script>'
      '<image href="http://127.0.0.1:9/y.png" width="9" height="9"/><circle cx="60" cy="30" r="25" fill="teal"/></svg>')
row = b"\x00" + b"\x20\x70\xb0" * 800
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
with open("picture.png", "wb") as file:
    header = struct.pack(">IIBBBBB", 800, 120, 8, 2, 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 120)) + chunk(b"IEND", b""))
write("metrics.json", json.dumps({"</script><img src=http://127.0.0.1:9/x>": weight, "größe": 2.5, "same": 1}))
"##;

/// A page with everything that the checks look for.
const BAD: &str = r#"<!doctype html><meta charset="utf-8"><title>bad</title>
<style>
  body { background: #fff; color: #000; font: 16px sans-serif }
  div { position: absolute; left: 20px }
</style>
<img src="http://127.0.0.1:9/a.png" alt="a">
<div style="top: 100px">one text over</div><div style="top: 104px">another text</div>
<div style="top: 150px; width: 60px; overflow: hidden; white-space: nowrap">this text is cut</div>
<div style="top: 190px; width: 60px; overflow: auto; white-space: nowrap">this scrolls</div>
<div style="top: 230px; color: #999">this is pale</div>
<div style="top: 260px"><svg width="80" height="20"><text y="15">text out of its drawing</text></svg></div>
<div style="top: 290px; width: 3000px">this is wide</div>
<div style="top: 320px" data-plot aria-label="empty"></div>
<script>document.documentElement.dataset.plots = "drawn"; console.error("an error"); alert("hello")</script>
"#;

/// What the checks say of some pages, one line for each problem.
pub(crate) fn problems(pages: &[PathBuf]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // `tests/setup-node` installs the browser and its driver where they are missing, and prints the folder.
    let setup = Command::new(root.join("tests/setup-node")).output().unwrap();
    assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
    let environment = String::from_utf8(setup.stdout).unwrap();
    let checked = Command::new("node")
        .arg(root.join("tests/node/pages.mjs"))
        .arg(environment.trim())
        .args(pages)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    let problems: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = if problems.is_empty() { Some(0) } else { Some(1) };
    assert_eq!(checked.status.code(), expected, "{said}{}", String::from_utf8_lossy(&checked.stderr));
    problems
}

/// Fails the story if a browser finds fault with one of these pages.
#[track_caller]
pub(crate) fn are_sound(pages: &[PathBuf]) {
    let problems: Vec<String> = problems(pages).iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn what_real_runs_say_and_draw() {
    let project = diabetes::project();
    project.run(&[&["diabetes"], &diabetes::A_LITTLE_WORSE[..]].concat()).ok();
    project.run(&["diabetes"]).ok();
    project.tidemill(&["report"]).ok();
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    let runs: Vec<&str> = (0..2).map(|place| runs["runs"][place]["run"].as_str().unwrap()).collect();
    project.tidemill(&["plots", runs[0], runs[1]]).ok();
    let report = project.read("report.html");
    for told in ["Version 2 of diabetes was registered", "diabetes.csv", "tm-dag", "Compared with run"] {
        assert!(report.contains(told), "the report does not say {told:?}");
    }
    project.tidemill(&["graph", "diabetes", "--state", "last", "-o", "graph.html"]).ok();
    are_sound(&["report.html", "plots.html", "graph.html"].map(|page| project.path(page)));
}

#[test]
fn whatever_steps_say_and_draw() {
    let project = Project::with(STORY);
    project.file("draw.py", DRAW);
    project.run(&["--keep-going", "--set", "weight=1.5"]).exits(1);
    project.run(&["--keep-going"]).exits(1);
    project.tidemill(&["report"]).ok();
    let runs = project.tidemill(&["runs", "--json"]).ok().json();
    let runs: Vec<&str> = (0..2).map(|place| runs["runs"][place]["run"].as_str().unwrap()).collect();
    project.tidemill(&["plots", runs[0], runs[1], "--step", "draw"]).ok();
    let report = project.read("report.html");
    for told in [
        "16667 of 50000 rows are drawn",
        "a page loads nothing",
        "2 attempts",
        "exit code 3",
        "set for this run",
    ] {
        let is_told = report.contains(told);
        assert_eq!(is_told, told != "set for this run", "{told:?} in the report");
    }
    are_sound(&[project.path("report.html"), project.path("plots.html")]);
}

#[test]
fn the_checks_find_what_they_look_for() {
    let project = Project::new();
    project.file("bad.html", BAD);
    let problems = problems(&[project.path("bad.html")]);
    let found = |kind: &str, text: &str| {
        let is_meant =
            |problem: &&Value| problem["kind"] == kind && problem["text"].as_str().unwrap().contains(text);
        assert_eq!(problems.iter().filter(is_meant).count(), 4, "{kind}: {text}: {problems:#?}");
    };
    found("request", "127.0.0.1:9/a.png");
    found("console", "an error");
    found("dialog", "hello");
    found("overlap", "one text over / another text");
    found("keyboard", "DIV");
    found("contrast", "this is pale");
    found("cut", "text out of its drawing");
    found("overflow", "3020 wide");
    found("plot", "not drawn: empty");
    found("plot", "not shown: a");
    assert!(problems.iter().any(|problem| problem["kind"] == "cut" && problem["text"] == "this text is cut"));
}

#[test]
fn a_page_takes_the_place_of_a_page_only() {
    let project = Project::with(
        "[steps.draw]\nrun = \"printf 'x,y\\\\n1,2\\\\n' > a.csv\"\noutputs.curve = { path = \"a.csv\", kind = \"plot\" }\n",
    );
    project.tidemill(&["plots"]).exits(2).says("nothing has run in this project yet");
    project.run(&[]).ok();
    insta::assert_snapshot!(project.tidemill(&["plots"]).snapshot(), @r###"
    $ tidemill plots
    plots.html
    -- exit code 0
    "###);
    insta::assert_snapshot!(project.tidemill(&["report", "--json", "-o", "pages/run.html"]).snapshot(), @r###"
    $ tidemill report --json -o pages/run.html
    {
      "version": 1,
      "path": "pages/run.html",
      "run": "[run]"
    }
    -- exit code 0
    "###);
    let first = project.read("plots.html");
    project.tidemill(&["plots"]).ok();
    assert_eq!(project.read("plots.html"), first, "the same run gives the same page");
    assert_eq!(project.tidemill(&["plots", "--output", "-"]).ok().stdout, first);
    project.file("mine.html", "<!doctype html><p>mine");
    insta::assert_snapshot!(project.tidemill(&["plots", "-o", "mine.html"]).snapshot(), @r###"
    $ tidemill plots -o mine.html
    -- stderr
    error: mine.html is there already and is no page of Tidemill
    hint: name another place with `--output`, or `--output -` for standard output
    -- exit code 2
    "###);
    assert_eq!(project.read("mine.html"), "<!doctype html><p>mine");
    insta::assert_snapshot!(project.tidemill(&["plots", "--step", "drew"]).snapshot(), @r###"
    $ tidemill plots --step drew
    -- stderr
    error: there is no plot of step "drew" in run [run]
    hint: an output is a plot if its step says so: `outputs.curve = { path = "curve.csv", kind = "plot" }`
    -- exit code 2
    "###);
}

#[test]
fn a_page_without_vega_has_no_script() {
    let project = Project::with("[steps.say]\nrun = \"echo hello > out\"\noutputs.out = \"out\"\n");
    project.run(&[]).ok();
    project.tidemill(&["report"]).ok();
    let page = project.read("report.html");
    assert!(page.contains("script-src 'none'") && !page.contains("<script"), "{page}");
    assert!(page.len() < 100_000, "{} bytes", page.len());
}
