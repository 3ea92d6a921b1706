//! What the process of a step may reach, by the step's level: nothing of the project but its own folder and what is installed
//! there; if it is `strict`, nothing of the machine but what is installed on it; if it is `trace`, everything, but it is told.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::Cache;

use super::folder::StepFolder;
use crate::graph::{Action, Graph, Step};
use crate::plan::{Content, Material};
use crate::process::{Fence, Guards, Trace, can_trace};
use crate::project::Project;
use crate::sandbox::Sandbox;

/// Where a system has its programs and what they need.
const SYSTEM: [&str; 14] = [
    "/bin",
    "/dev",
    "/etc",
    "/gnu",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix",
    "/opt",
    "/proc",
    "/run/systemd/resolve",
    "/sbin",
    "/sys",
    "/usr",
];
/// Where a `strict` step may write beside its own folders: devices, shared memory, and what the kernel says of processes.
const DEVICES: [&str; 2] = ["/dev", "/proc"];
/// Where a system keeps what its programs read beside that.
const SERVICES: [&str; 3] = ["/run", "/snap", "/var"];
/// Where software is installed for a user alone, below the home.
const USERS_SOFTWARE: &str = ".local/lib";
/// Folders of installed software that are told by their names.
const SOFTWARE: [&str; 1] = ["node_modules"];
/// Folders whose name begins with a dot and that hold no software.
const NO_SOFTWARE: [&str; 4] = [".dvc", ".git", ".hg", ".svn"];
/// What lies in a folder of installed software.
const MARKS: [&str; 2] = ["pyvenv.cfg", "conda-meta"];

/// Of more large files in one folder, the folder is opened.
const MOST_FILES: usize = 64;

/// With more files and folders beside the project and those above it, making a fence would take longer than a small step.
const MOST_NEIGHBOURS: usize = 1024;

/// The fences of a run.
#[derive(Debug)]
pub struct Fences {
    guards: Guards,
    /// Whether the project can be hidden: what lies beside it and above can be told one by one.
    hides: bool,
    /// The project and its state, without symbolic links.
    root: Utf8PathBuf,
    state: Utf8PathBuf,
    /// What is installed in the project.
    software: Vec<Utf8PathBuf>,
    /// What the user's `PATH` leads to.
    programs: Vec<Utf8PathBuf>,
    home: Option<Utf8PathBuf>,
    /// Whether it can be told what steps read; asked only if there is a step that wants it.
    traces: bool,
    /// The level of steps that name none.
    usual: Sandbox,
}

impl Fences {
    /// Those of a run of this pipeline.
    #[must_use]
    pub fn of(project: &Project, graph: &Graph) -> Self {
        let (root, state) = (real(project.root()), real(project.state()));
        let folders: BTreeSet<Utf8PathBuf> = [root.clone(), real(&graph.folder)].into();
        let software = folders.iter().flat_map(|folder| software(folder, &state)).collect();
        let home = project.variable("HOME").map(Utf8Path::new);
        let path = project.variable("PATH").unwrap_or_default();
        let programs = path.split(':').map(Utf8Path::new).filter(|folder| folder.is_absolute());
        let programs: BTreeSet<Utf8PathBuf> = programs.map(|folder| prefix(folder, home, &root)).collect();
        let programs = programs.into_iter().collect();
        let (guards, hides) = (Guards::here(), can_be_hidden(&root) && can_be_hidden(&state));
        let home = home.map(real);
        let mut this = Self {
            guards,
            hides,
            root,
            state,
            software,
            programs,
            home,
            traces: false,
            usual: project.sandbox(),
        };
        this.traces = this.is_wanted(graph, Sandbox::Trace) && can_trace();
        this
    }

    /// Whether there is a step of this level, if it can be had.
    fn is_wanted(&self, graph: &Graph, level: Sandbox) -> bool {
        commands(graph).any(|step| self.asked(step) == level)
    }

    /// The level that is asked for.
    fn asked(&self, step: &Step) -> Sandbox {
        step.sandbox.unwrap_or(self.usual)
    }

    /// How strictly this step is kept from what it did not declare, in fact.
    #[must_use]
    pub fn level(&self, step: &Step) -> Sandbox {
        match (&step.action, self.asked(step)) {
            // It is a part of this program.
            (Action::Builtin { .. }, _) => Sandbox::Off,
            (_, Sandbox::Trace) => {
                if self.traces {
                    Sandbox::Trace
                } else {
                    Sandbox::Off
                }
            }
            _ if !self.guards.files => Sandbox::Off,
            (_, Sandbox::Default) if !self.hides => Sandbox::Off,
            (_, level) => level,
        }
    }

    /// What is asked for and cannot be had on this machine.
    #[must_use]
    pub fn lacks(&self, graph: &Graph) -> Vec<String> {
        let trace = self.is_wanted(graph, Sandbox::Trace) && !self.traces;
        let trace = trace.then(|| {
            "this machine cannot tell what steps read (that takes Linux 5.5, and nothing else around Tidemill that is told of system \
             calls): steps with `sandbox = \"trace\"` run without a fence, and nothing is told of them"
                .to_owned()
        });
        let network = !self.guards.network && commands(graph).any(|step| !step.network);
        let network = network.then(|| "this machine cannot keep steps from the network".to_owned());
        self.lacks_files(graph).into_iter().chain(trace).chain(network).collect()
    }

    fn lacks_files(&self, graph: &Graph) -> Option<String> {
        let is_wanted = |level| self.is_wanted(graph, level);
        if !self.guards.files && (is_wanted(Sandbox::Default) || is_wanted(Sandbox::Strict)) {
            return Some(
                "this kernel cannot keep steps from files that they did not declare (that takes Landlock of Linux 5.19): they run \
                 in folders of their own, no more"
                    .to_owned(),
            );
        }
        (!self.hides && is_wanted(Sandbox::Default)).then(|| {
            format!(
                "steps are not kept from files that they did not declare: the folders above {} hold more than {MOST_NEIGHBOURS} \
                 files and folders, or it is the whole machine; `sandbox = \"strict\"` works here too",
                self.root
            )
        })
    }

    /// The fence for a process of this step in this folder, if it has one.
    #[must_use]
    pub(crate) fn around(
        &self,
        step: &Step,
        materials: &[Material],
        folder: &StepFolder,
        pipeline: &Utf8Path,
    ) -> Option<Fence> {
        let network = step.network || !self.guards.network;
        let mut fence = Fence { hidden: Vec::new(), lists: true, open: Vec::new(), writable: None, network };
        match self.level(step) {
            Sandbox::Off | Sandbox::Trace => return (!network).then_some(fence),
            Sandbox::Default => {
                fence.hidden = vec![self.root.clone(), self.state.clone()];
                // All of them, so that the steps of a run share a fence.
                fence.open.push(self.state.join("work"));
                fence.open.extend(self.software.iter().cloned());
                fence.open.extend(self.programs.iter().filter(|path| path.starts_with(&self.root)).cloned());
            }
            Sandbox::Strict => {
                let own = real(folder.base());
                fence.hidden = vec!["/".into()];
                fence.lists = false;
                fence.open = SYSTEM.map(Utf8PathBuf::from).to_vec();
                fence.open.extend(self.software.iter().chain(&self.programs).cloned());
                let writable = [own.join("folder"), own.join("tmp")];
                fence.writable = Some(DEVICES.iter().map(Utf8PathBuf::from).chain(writable).collect());
                fence.open.push(own);
            }
        }
        fence.open.extend(linked(materials));
        fence.open.extend(tools(step, pipeline));
        if step.effect.is_some() {
            // What it changes may be told by this program.
            fence.open.push(self.state.clone());
        }
        Some(fence)
    }

    /// The fence for who looks around in a folder of this step that is kept, where these files may be links.
    #[must_use]
    pub(crate) fn around_kept(
        &self,
        step: &Step,
        folder: &StepFolder,
        pipeline: &Utf8Path,
        shared: &[Utf8PathBuf],
    ) -> Option<Fence> {
        let mut fence = self.around(step, &[], folder, pipeline)?;
        fence.open.push(real(folder.base()));
        fence.open.extend(shared.iter().map(|file| real(file)));
        Some(fence)
    }

    /// What is to be told of the reads of this step's process in this folder, if that is its level: files of the user's that are
    /// neither declared nor installed.
    #[must_use]
    pub(crate) fn trace(
        &self,
        step: &Step,
        materials: &[Material],
        folder: &StepFolder,
        graph: &Graph,
        program: &Utf8Path,
    ) -> Option<Trace> {
        if self.level(step) != Sandbox::Trace {
            return None;
        }
        let mut passed = vec![real(folder.base()), real(program)];
        passed.extend(self.software.iter().chain(&self.programs).cloned());
        passed.extend(self.home.iter().map(|home| home.join(USERS_SOFTWARE)));
        passed.extend(declared(materials));
        passed.extend(tools(step, &graph.folder));
        if step.effect.is_some() {
            passed.push(self.state.clone());
        }
        Some(Trace {
            project: [self.root.clone(), real(&graph.folder)].into(),
            home: self.home.clone(),
            system: SYSTEM.iter().chain(&SERVICES).map(Utf8PathBuf::from).collect(),
            passed,
        })
    }
}

/// The steps that are commands of the user's.
fn commands(graph: &Graph) -> impl Iterator<Item = &Step> {
    graph.steps.iter().filter(|step| !matches!(step.action, Action::Builtin { .. }))
}

/// The tools that a step names by their paths.
fn tools(step: &Step, pipeline: &Utf8Path) -> impl Iterator<Item = Utf8PathBuf> {
    let tools = step.tools.iter().filter(|tool| tool.contains('/'));
    tools.map(move |tool| real(&pipeline.join(tool)))
}

/// What of the user's files a step declared: as it is named, and where it lies.
fn declared(materials: &[Material]) -> impl Iterator<Item = Utf8PathBuf> {
    let sources = materials.iter().filter_map(|material| match &material.content {
        Content::Project { source, .. } => Some(source),
        Content::Artifact { .. } => None,
    });
    sources.map(|source| real(source)).chain(linked(materials))
}

/// A path without symbolic links, as far as it exists.
fn real(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned())
}

/// Whether what lies beside this folder, and beside each above it, is little enough to be opened one by one.
fn can_be_hidden(folder: &Utf8Path) -> bool {
    let above: Vec<&Utf8Path> = folder.ancestors().skip(1).collect();
    let neighbours = above.iter().flat_map(|folder| folder.read_dir_utf8().into_iter().flatten());
    !above.is_empty() && neighbours.take(MOST_NEIGHBOURS + 1).count() <= MOST_NEIGHBOURS
}

/// What of the project lies in the step's folder as a link, since it is large.
fn linked(materials: &[Material]) -> impl Iterator<Item = Utf8PathBuf> {
    materials.iter().flat_map(|material| match &material.content {
        Content::Project { source, seen, .. } => match Cache::may_be_linked(seen, source) {
            files if files.len() > MOST_FILES => vec![real(source)],
            files => files.iter().map(|file| real(file)).collect(),
        },
        Content::Artifact { .. } => Vec::new(),
    })
}

/// What is installed in a folder of the project.
fn software(folder: &Utf8Path, state: &Utf8Path) -> Vec<Utf8PathBuf> {
    let is_software = |path: &Utf8Path| {
        let name = path.file_name().unwrap_or_default();
        let by_name = name.starts_with('.') && !NO_SOFTWARE.contains(&name) || SOFTWARE.contains(&name);
        path != state && (by_name || MARKS.iter().any(|mark| path.join(mark).exists()))
    };
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(camino::Utf8DirEntry::into_path).filter(|path| is_software(path)).collect()
}

/// What belongs to the programs of this folder: all of where they are installed, unless that holds what is the user's.
fn prefix(folder: &Utf8Path, home: Option<&Utf8Path>, root: &Utf8Path) -> Utf8PathBuf {
    let folder = real(folder);
    let installed = folder.parent().filter(|_| matches!(folder.file_name(), Some("bin" | "sbin" | "shims")));
    let holds_more = |parent: &Utf8Path| {
        root.starts_with(parent) || home.is_some_and(|home| real(home).starts_with(parent))
    };
    installed.filter(|parent| !holds_more(parent)).map_or_else(|| folder.clone(), Utf8Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_among_too_many_cannot_be_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let root = real(Utf8Path::from_path(folder.path()).unwrap());
        let project = root.join("project");
        std::fs::create_dir(&project).unwrap();
        assert!(can_be_hidden(&project));
        (0..=MOST_NEIGHBOURS).for_each(|number| drop(std::fs::write(root.join(number.to_string()), "")));
        assert!(!can_be_hidden(&project));
        assert!(!can_be_hidden("/".into()));
    }

    #[test]
    fn what_is_installed_is_told_from_what_is_the_users() {
        let folder = tempfile::tempdir().unwrap();
        let root = real(Utf8Path::from_path(folder.path()).unwrap());
        for path in
            [".venv/lib", "python/bin", "node_modules/x", ".git/refs", ".tidemill/work", "data", ".cache"]
        {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("python/pyvenv.cfg"), "").unwrap();
        std::fs::write(root.join(".env"), "TOKEN=1").unwrap();
        let mut found = software(&root, &root.join(".tidemill"));
        found.sort();
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, [".cache", ".venv", "node_modules", "python"]);

        let home = root.join("home");
        for path in ["home/bin", "home/.local/bin", "home/proj/scripts"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        let of = |path: &str| prefix(&root.join(path), Some(&home), &home.join("proj"));
        assert_eq!(of("home/bin"), home.join("bin"));
        assert_eq!(of("home/.local/bin"), home.join(".local"));
        assert_eq!(of("home/proj/scripts"), home.join("proj/scripts"));
        assert_eq!(of("home/gone/bin"), home.join("gone"));
    }
}
