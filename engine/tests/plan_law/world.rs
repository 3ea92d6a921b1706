//! What the user may change: the files, parameters and steps of a random project, and how it is written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::Rng as _;
use rand::rngs::StdRng;

/// A project: everything that decides what its steps do.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// Files by path; few different contents, so that going back happens often.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) params: [i64; 4],
    /// The values of the matrix axis that all matrix steps share.
    pub(crate) axis: Vec<i64>,
    pub(crate) steps: Vec<Sketch>,
}

/// A step, as far as the generator knows it.
#[derive(Debug, Clone)]
pub(crate) struct Sketch {
    /// What it calls itself in its command; a twin has the tag, and so the key, of another step.
    pub(crate) tag: usize,
    pub(crate) matrix: bool,
    pub(crate) inputs: Vec<Edge>,
    pub(crate) needs: Vec<usize>,
    pub(crate) param: Option<usize>,
    pub(crate) env: Option<usize>,
    /// How it makes its output of its inputs.
    pub(crate) style: usize,
    pub(crate) when: Option<(usize, i64)>,
    /// The parameter that its metric must not exceed.
    pub(crate) gate: Option<usize>,
    pub(crate) manner: Manner,
    pub(crate) publish: bool,
    /// Whether its second output is only there for some inputs.
    pub(crate) optional: bool,
    /// Whether its output depends on something that it does not declare.
    pub(crate) noisy: bool,
    pub(crate) cpus: u32,
}

/// What is special about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Plain,
    Uncached,
    Effect,
    ProbedEffect,
}

/// What a step reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edge {
    File(usize),
    Glob,
    Folder,
    /// A file that may be absent.
    Extra,
    Artifact(usize),
    /// A producer that may be left out.
    Optional(usize),
    List(Vec<usize>),
    Collect(usize),
}

/// Ways to make a text out of what is read; all but the first may give the same for different inputs.
const STYLES: [&str; 5] = ["cat", "sort -u", "head -n 1", "wc -l", "{ cat > /dev/null; echo same; }"];
const LINES: [&str; 3] = ["a\n", "b\n", "c\n"];

fn some_text(random: &mut StdRng) -> String {
    (0..random.random_range(0..3)).map(|_| LINES[random.random_range(0..LINES.len())]).collect()
}

fn chance(random: &mut StdRng, percent: u32) -> bool {
    random.random_ratio(percent, 100)
}

impl World {
    /// A random project; a noisy one has steps that depend on what they do not declare.
    pub(crate) fn random(random: &mut StdRng, noisy: bool) -> Self {
        let names =
            ["f0.txt", "f1.txt", "f2.txt", "parts/a.txt", "parts/b.txt", "tree/x.txt", "tree/y/z.txt"];
        let files = names.map(|name| (name.to_owned(), some_text(random)));
        let mut world = Self {
            files: files.into_iter().collect(),
            params: [0; 4].map(|_| random.random_range(0..4)),
            axis: (1..=random.random_range(1..=3)).collect(),
            steps: Vec::new(),
        };
        for place in 0..random.random_range(3..=9) {
            let step = match place > 0 && chance(random, 8) {
                true => world.twin(random.random_range(0..place)),
                false => world.sketch(random, place, noisy),
            };
            world.steps.push(step);
        }
        world
    }

    fn twin(&self, of: usize) -> Sketch {
        Sketch { publish: false, ..self.steps[of].clone() }
    }

    fn sketch(&self, random: &mut StdRng, tag: usize, noisy: bool) -> Sketch {
        let matrix = chance(random, 20);
        let earlier: Vec<usize> = (0..tag).collect();
        let some = |random: &mut StdRng| earlier[random.random_range(0..earlier.len())];
        let inputs = (0..random.random_range(0..=3)).map(|_| self.edge(random, tag, matrix)).collect();
        let mut needs = Vec::new();
        if tag > 0 && chance(random, 15) {
            needs.push(some(random));
        }
        let param = |random: &mut StdRng, percent| chance(random, percent).then(|| random.random_range(0..4));
        let manner = match random.random_range(0..100) {
            0..6 => Manner::Uncached,
            6..10 => Manner::Effect,
            10..16 => Manner::ProbedEffect,
            _ => Manner::Plain,
        };
        Sketch {
            tag,
            matrix,
            inputs,
            needs,
            param: param(random, 40),
            env: param(random, 20),
            style: random.random_range(0..STYLES.len()),
            when: param(random, 15).map(|param| (param, random.random_range(0..3))),
            gate: param(random, 15),
            manner,
            publish: !matrix && chance(random, 30),
            optional: chance(random, 15),
            noisy: noisy && chance(random, 30),
            cpus: random.random_range(1..=2),
        }
    }

    fn edge(&self, random: &mut StdRng, place: usize, matrix: bool) -> Edge {
        if place == 0 || chance(random, 35) {
            return match random.random_range(0..6) {
                0 => Edge::Glob,
                1 => Edge::Folder,
                2 => Edge::Extra,
                _ => Edge::File(random.random_range(0..3)),
            };
        }
        let producer = random.random_range(0..place);
        match (self.steps[producer].matrix, matrix) {
            (true, false) => Edge::Collect(producer),
            (false, false) if chance(random, 20) => {
                let single = |step: &usize| !self.steps[*step].matrix;
                let mut list: Vec<usize> = (0..place).filter(single).collect();
                list.retain(|_| chance(random, 50));
                if list.is_empty() { Edge::Artifact(producer) } else { Edge::List(list) }
            }
            _ if chance(random, 20) => Edge::Optional(producer),
            _ => Edge::Artifact(producer),
        }
    }

    /// One small edit.
    pub(crate) fn edit(&mut self, random: &mut StdRng) {
        let step = random.random_range(0..self.steps.len());
        let flip = |flag: &mut bool| *flag = !*flag;
        match random.random_range(0..18) {
            0..6 => self.edit_a_file(random),
            6..9 => self.params[random.random_range(0..4)] = random.random_range(0..4),
            9 => self.steps[step].style = random.random_range(0..STYLES.len()),
            10 => self.steps[step].env = Some(random.random_range(0..4)),
            11 => self.steps[step].when = None,
            12 => self.axis = (1..=random.random_range(1..=3)).collect(),
            13 if !self.steps[step].matrix => flip(&mut self.steps[step].publish),
            14 => self.steps[step].gate = Some(random.random_range(0..4)),
            15 => {
                let matrix = self.steps[step].matrix;
                let edge = self.edge(random, step, matrix);
                self.steps[step].inputs.push(edge);
                self.steps[step].inputs.truncate(3);
            }
            16 => {
                self.steps[step].manner = match self.steps[step].manner {
                    Manner::Plain => Manner::Uncached,
                    Manner::Uncached => Manner::Plain,
                    other => other,
                }
            }
            _ => flip(&mut self.steps[step].optional),
        }
    }

    fn edit_a_file(&mut self, random: &mut StdRng) {
        let text = some_text(random);
        let path = match random.random_range(0..8) {
            place @ 0..3 => format!("f{place}.txt"),
            3 => "parts/b.txt".to_owned(),
            4 => "parts/c.txt".to_owned(),
            5 => "tree/x.txt".to_owned(),
            6 => "extra.txt".to_owned(),
            _ => "tree/y/z.txt".to_owned(),
        };
        let may_go = ["parts/b.txt", "parts/c.txt", "extra.txt"].contains(&path.as_str());
        match may_go && chance(random, 50) {
            true => drop(self.files.remove(&path)),
            false => drop(self.files.insert(path, text)),
        }
    }

    /// The pipeline file; `outside` is the folder for what no step declares.
    pub(crate) fn pipeline(&self, outside: &str) -> String {
        let mut text = "[pipeline]\nname = \"law\"\n\n[params]\n".to_owned();
        for (place, value) in self.params.iter().enumerate() {
            writeln!(text, "p{place} = {value}").unwrap();
        }
        for (place, step) in self.steps.iter().enumerate() {
            self.write(place, step, outside, &mut text);
        }
        text
    }

    fn write(&self, place: usize, step: &Sketch, outside: &str, text: &mut String) {
        let Sketch { tag, style, .. } = step;
        let mut line = |line: String| writeln!(text, "{line}").unwrap();
        line(format!("\n[steps.s{place}]"));
        let names: Vec<String> =
            (0..step.inputs.len()).map(|input| format!("${{inputs.i{input}}}")).collect();
        let mut said = format!("echo step {tag}");
        said.extend(step.param.map(|param| format!(" ${{params.p{param}}}")));
        said.push_str(if step.env.is_some() { " $V" } else { "" });
        said.push_str(if step.matrix { " ${matrix.k}" } else { "" });
        let noise = if step.noisy { format!("; cat '{outside}/noise'") } else { String::new() };
        let lines = [
            format!("if [ -e '{outside}/fail-{tag}' ]; then echo told to fail; exit 1; fi"),
            format!("{{ {said}{noise}; for i in {}; do", names.join(" ")),
            "  if [ -d \"$i\" ]; then cat $(find \"$i\" -type f | sort) /dev/null;".to_owned(),
            format!(
                "  elif [ -n \"$i\" ]; then cat \"$i\"; fi; done; }} | {} > ${{outputs.out}}",
                STYLES[*style]
            ),
            "n=$(wc -l < ${outputs.out})".to_owned(),
            if step.optional { "if [ \"$n\" -gt 1 ]; then echo \"$n\" > ${outputs.more}; fi" } else { "" }
                .to_owned(),
            if step.gate.is_some() { "echo \"{\\\"lines\\\": $n}\" > ${outputs.metrics}" } else { "" }
                .to_owned(),
            match step.manner {
                Manner::ProbedEffect => format!("touch '{outside}/shown-{tag}'"),
                _ => String::new(),
            },
        ];
        line(format!("run = '''\n{}\n'''", lines.join("\n")));
        for (input, edge) in step.inputs.iter().enumerate() {
            line(format!("inputs.i{input} = {}", edge.toml()));
        }
        let publish = if step.publish { format!(", publish = \"out/s{place}.txt\"") } else { String::new() };
        line(format!("outputs.out = {{ path = \"out.txt\"{publish} }}"));
        if step.optional {
            line("outputs.more = { path = \"more.txt\", optional = true }".to_owned());
        }
        if let Some(param) = step.gate {
            line("outputs.metrics = { path = \"metrics.json\", kind = \"metrics\" }".to_owned());
            line(format!("gate = \"lines <= params.p{param} + 1\""));
        }
        if step.matrix {
            line(format!("matrix.k = {:?}", self.axis));
        }
        if let Some(param) = step.env {
            line(format!("env.V = \"${{params.p{param}}}\""));
        }
        if let Some((param, least)) = step.when {
            line(format!("when = \"params.p{param} >= {least}\""));
        }
        if !step.needs.is_empty() {
            let needs: Vec<String> = step.needs.iter().map(|step| format!("\"s{step}\"")).collect();
            line(format!("needs = [{}]", needs.join(", ")));
        }
        line(format!("resources.cpus = {}", step.cpus));
        match step.manner {
            Manner::Plain => {}
            Manner::Uncached => line("cache = false".to_owned()),
            Manner::Effect => line("effect = true".to_owned()),
            Manner::ProbedEffect => {
                line(format!(
                    "effect = {{ target = \"t{place}\", probe = \"test -e '{outside}/shown-{tag}'\" }}"
                ));
            }
        }
    }
}

impl Edge {
    fn toml(&self) -> String {
        match self {
            Self::File(place) => format!("\"f{place}.txt\""),
            Self::Glob => "\"parts/*.txt\"".to_owned(),
            Self::Folder => "\"tree\"".to_owned(),
            Self::Extra => "{ path = \"extra.txt\", optional = true }".to_owned(),
            Self::Artifact(step) => format!("\"${{s{step}.out}}\""),
            Self::Optional(step) => format!("{{ path = \"${{s{step}.out}}\", optional = true }}"),
            Self::List(steps) => {
                let steps: Vec<String> = steps.iter().map(|step| format!("\"${{s{step}.out}}\"")).collect();
                format!("[{}]", steps.join(", "))
            }
            Self::Collect(step) => format!("{{ collect = \"${{s{step}.out}}\" }}"),
        }
    }
}
