//! The executors of a project: what `[executors.NAME]` in the project file says, and what a step says otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::Value;
use crate::name::ExecutorName;

/// The executor that is always there: this machine.
pub const LOCAL: &str = "local";

/// The executors of a project, beside this machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Executors {
    tables: BTreeMap<String, toml::Table>,
}

/// The kinds of executors, by their word in the project file.
const KINDS: [&str; 4] = ["slurm", "kubernetes", "ray", "ssh"];

/// How one executor is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorSettings {
    /// What is the same for every kind.
    pub shared: SharedSettings,
    /// What only its kind has.
    pub kind: KindSettings,
}

/// What can be said of every executor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharedSettings {
    /// So many attempts are handed to it at once, at most.
    pub jobs: Option<u32>,
    /// This program there, if it is not to be copied: a path, or a name that is found.
    pub program: Option<String>,
    /// A folder on its machines where workers keep what they have fetched.
    pub cache: Option<String>,
    /// How large that may be, in bytes.
    #[serde(deserialize_with = "size")]
    pub cache_size: Option<u64>,
    /// Variables that workers get there.
    pub env: BTreeMap<String, String>,
    /// Variables of this environment that workers get there; what the store takes as credentials goes by itself.
    pub pass_env: Vec<String>,
    /// The longest time between two questions for what becomes of attempts.
    #[serde(deserialize_with = "duration")]
    pub poll: Option<Duration>,
}

/// What only one kind of executor has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindSettings {
    /// A Slurm cluster.
    Slurm(Box<SlurmTable>),
    /// A Kubernetes cluster.
    Kubernetes(Box<KubernetesTable>),
    /// A Ray cluster.
    Ray(RayTable),
    /// Hosts that are reached over SSH.
    Ssh(SshTable),
}

/// A Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesTable {
    /// The image that has this program, and what steps need.
    pub image: String,
    /// The file that says where the cluster is; what `kubectl` would take if none is named.
    pub kubeconfig: Option<String>,
    /// One of the contexts in it.
    pub context: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// Labels that a node must have.
    #[serde(default)]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that are no hindrance.
    #[serde(default)]
    pub tolerations: Vec<TolerationTable>,
    /// The priority class.
    pub priority_class: Option<String>,
    /// The service account, whose token workers get.
    pub service_account: Option<String>,
    /// What the cluster calls a GPU (`nvidia.com/gpu`).
    pub gpu_resource: Option<String>,
    /// The label of nodes that says what GPUs they have (`nvidia.com/gpu.product`).
    pub gpu_label: Option<String>,
    /// The label of nodes that says how much memory their GPUs have (`nvidia.com/gpu.memory`).
    pub gpu_memory_label: Option<String>,
}

/// A taint of nodes that is no hindrance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TolerationTable {
    /// Its key.
    pub key: String,
    /// Its value; any if none is named.
    pub value: Option<String>,
    /// Its effect; any if none is named.
    pub effect: Option<String>,
}

/// A Ray cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RayTable {
    /// The address of its dashboard, such as `http://head:8265`.
    pub address: String,
    /// The variable of this environment that holds the token that it asks for.
    pub token_env: Option<String>,
    /// Headers that a proxy in front of it asks for.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A Slurm cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlurmTable {
    /// The login node, as one gives it to `ssh`; without one, this machine has Slurm's commands.
    pub login: Option<String>,
    /// The file of settings for `ssh` that is used instead of the user's own.
    pub ssh_config: Option<String>,
    /// A folder that login node and compute nodes share.
    pub folder: Option<String>,
    /// The partition.
    pub partition: Option<String>,
    /// The account that pays.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// Environment modules that are loaded first.
    pub modules: Vec<String>,
    /// The generic resource by which the cluster counts memory of GPUs.
    pub vram_gres: Option<String>,
    /// More options of `sbatch`, as they are.
    pub options: Vec<String>,
    /// The address of its REST server, such as `http://head:6820`, which is asked instead of its commands.
    pub rest: Option<String>,
    /// The user in whose name that is asked; whoever runs this if none is named.
    pub rest_user: Option<String>,
    /// The variable of this environment that holds the user's token for it (`SLURM_JWT`).
    pub rest_token_env: Option<String>,
}

/// Hosts that are reached over SSH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SshTable {
    /// The hosts.
    pub hosts: Vec<SshHost>,
    /// The file of settings for `ssh` that is used instead of the user's own.
    pub ssh_config: Option<String>,
    /// The folder on each host where jobs are kept.
    pub folder: Option<String>,
}

/// A host that is reached over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// As one gives it to `ssh`.
    pub host: String,
    /// How many GPUs it has.
    pub gpus: u32,
    /// What they are, as steps ask for it.
    pub gpu_type: Option<String>,
}

impl Executors {
    /// None but this machine.
    #[must_use]
    pub fn none() -> &'static Self {
        static NONE: Executors = Executors { tables: BTreeMap::new() };
        &NONE
    }

    /// What the project file says, each table looked through.
    ///
    /// # Errors
    /// Which executor cannot be one, and why.
    pub(crate) fn read(tables: toml::Table) -> Result<Self, String> {
        let mut executors = Self::default();
        for (name, table) in tables {
            let wrong = |reason: String| format!("`[executors.{name}]`: {reason}");
            if name == LOCAL {
                return Err(wrong("this machine needs no settings, and has this name".to_owned()));
            }
            ExecutorName::new(&name).map_err(|error| wrong(error.to_string()))?;
            let toml::Value::Table(table) = table else { return Err(wrong("it is no table".to_owned())) };
            settings(table.clone()).map_err(wrong)?;
            executors.tables.insert(name, table);
        }
        Ok(executors)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tables.keys().map(String::as_str)
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// The word of the project file for what one is.
    #[must_use]
    pub fn kind(&self, name: &str) -> &str {
        self.tables.get(name).and_then(|table| table.get("kind")?.as_str()).unwrap_or_default()
    }

    /// How one is used by a step that says so much otherwise.
    ///
    /// # Errors
    /// If there is none of this name, or what the step says cannot be.
    pub fn settings(&self, name: &str, with: &BTreeMap<String, Value>) -> Result<ExecutorSettings, String> {
        let table = self.tables.get(name).ok_or_else(|| format!("there is no executor {name:?}"))?;
        let mut table = table.clone();
        for (field, value) in with {
            if matches!(
                field.as_str(),
                "kind"
                    | "jobs"
                    | "poll"
                    | "login"
                    | "rest"
                    | "rest_user"
                    | "rest_token_env"
                    | "hosts"
                    | "ssh_config"
                    | "folder"
                    | "address"
                    | "kubeconfig"
                    | "context"
                    | "namespace"
            ) {
                return Err(format!("`{field}` belongs to the executor and is the same for all steps"));
            }
            let value = toml::Value::try_from(value).map_err(|error| error.to_string())?;
            table.insert(field.clone(), value);
        }
        settings(table)
    }

    /// All that it says, as one text: another text, another meaning of a pipeline.
    pub(crate) fn fingerprint(&self) -> String {
        toml::to_string(&self.tables).unwrap_or_default()
    }
}

fn settings(mut table: toml::Table) -> Result<ExecutorSettings, String> {
    let kinds = KINDS.join(", ");
    let kind = match table.remove("kind") {
        Some(toml::Value::String(kind)) => kind,
        Some(_) => return Err("`kind` must be a text".to_owned()),
        None => return Err(format!("it has no `kind`; there are {kinds}")),
    };
    let mut shared = toml::Table::new();
    for field in ["jobs", "program", "cache", "cache_size", "env", "pass_env", "poll"] {
        shared.extend(table.remove(field).map(|value| (field.to_owned(), value)));
    }
    let shared: SharedSettings = read(shared)?;
    if shared.jobs == Some(0) {
        return Err("`jobs` is zero: no attempt could ever be made there".to_owned());
    }
    if let Some(name) = shared.env.keys().chain(&shared.pass_env).find(|name| name.starts_with("TIDEMILL_")) {
        return Err(format!("the variable `{name}` is Tidemill's own"));
    }
    let kind = match kind.as_str() {
        "slurm" => KindSettings::Slurm(Box::new(read(table)?)),
        "kubernetes" => KindSettings::Kubernetes(Box::new(read(table)?)),
        "ray" => KindSettings::Ray(read(table)?),
        "ssh" => {
            let ssh: SshTable = read(table)?;
            if ssh.hosts.is_empty() {
                return Err("it has no `hosts`".to_owned());
            }
            KindSettings::Ssh(ssh)
        }
        other => return Err(format!("there is no kind `{other}`; there are {kinds}")),
    };
    Ok(ExecutorSettings { shared, kind })
}

fn read<T: serde::de::DeserializeOwned>(table: toml::Table) -> Result<T, String> {
    table.try_into().map_err(|error: toml::de::Error| error.message().trim().to_owned())
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::policy::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::policy::parse_size(&text).map(Some).map_err(serde::de::Error::custom)
}

impl<'de> Deserialize<'de> for SshHost {
    /// A text, or a table that says more.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            host: String,
            #[serde(default)]
            gpus: u32,
            gpu_type: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a host is a text, or a table with `host`, `gpus` and `gpu_type`")]
        enum Written {
            Name(String),
            Table(Table),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Name(host) => Self { host, gpus: 0, gpu_type: None },
            Written::Table(Table { host, gpus, gpu_type }) => Self { host, gpus, gpu_type },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Executors, String> {
        Executors::read(text.parse().unwrap())
    }

    #[test]
    fn what_is_said_is_what_is_used() {
        let executors = read(
            "[gpu]\nkind = \"slurm\"\npartition = \"a100\"\njobs = 20\npoll = \"5 s\"\n\
             [box]\nkind = \"ssh\"\nhosts = [\"one\", { host = \"two\", gpus = 2, gpu_type = \"h100\" }]",
        )
        .unwrap();
        assert_eq!(executors.names().collect::<Vec<_>>(), ["box", "gpu"]);
        let with = BTreeMap::from([("partition".to_owned(), Value::Text("long".to_owned()))]);
        let ExecutorSettings { shared, kind: KindSettings::Slurm(slurm) } =
            executors.settings("gpu", &with).unwrap()
        else {
            panic!("it is another kind")
        };
        assert_eq!(
            (shared.jobs, shared.poll, slurm.partition.as_deref()),
            (Some(20), Some(Duration::from_secs(5)), Some("long"))
        );
        let KindSettings::Ssh(ssh) = executors.settings("box", &BTreeMap::new()).unwrap().kind else {
            panic!("it is another kind")
        };
        assert_eq!((ssh.hosts[0].gpus, ssh.hosts[1].gpu_type.as_deref()), (0, Some("h100")));
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        for (text, told) in [
            ("[local]\nkind = \"ssh\"", "needs no settings"),
            ("[Gpu]\nkind = \"ssh\"", "not a valid name"),
            ("[gpu]\nhosts = []", "no `kind`"),
            ("[gpu]\nkind = \"pbs\"", "no kind `pbs`"),
            ("[gpu]\nkind = \"ssh\"\nhosts = []", "no `hosts`"),
            ("[gpu]\nkind = \"ssh\"\nhosts = [1]", "a host is a text"),
            ("[gpu]\nkind = \"slurm\"\npartitions = \"x\"", "unknown field `partitions`"),
            ("[gpu]\nkind = \"kubernetes\"", "missing field `image`"),
            ("[gpu]\nkind = \"ray\"\nadress = \"x\"", "unknown field `adress`"),
            ("[gpu]\nkind = \"slurm\"\njobs = 0", "`jobs` is zero"),
            ("[gpu]\nkind = \"slurm\"\npoll = \"soon\"", "a time"),
            ("[gpu]\nkind = \"slurm\"\nenv = { TIDEMILL_STATE = \"x\" }", "Tidemill's own"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_step_cannot_move_the_executor_elsewhere() {
        let executors = read("[gpu]\nkind = \"slurm\"").unwrap();
        for (field, value) in [("login", "other"), ("kind", "ssh"), ("partitio", "x")] {
            let with = BTreeMap::from([(field.to_owned(), Value::Text(value.to_owned()))]);
            assert!(executors.settings("gpu", &with).is_err(), "{field}");
        }
        assert!(executors.settings("cpu", &BTreeMap::new()).is_err());
    }
}
