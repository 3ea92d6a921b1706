//! The engine behind an executor's settings.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_executors::{
    Executor, ExecutorError, Kubernetes, KubernetesSettings, Ray, RaySettings, Shell, Slurm, SlurmRest,
    SlurmSettings, Ssh, SshHost, SshSettings, Toleration,
};

use crate::executors::{ExecutorSettings, KindSettings, KubernetesTable, RayTable, SlurmTable, SshTable};
use crate::project::Project;

/// The client of an engine.
///
/// # Errors
/// If a setting cannot be one.
pub(crate) async fn client(
    project: &Project,
    settings: &ExecutorSettings,
) -> Result<Arc<dyn Executor>, ExecutorError> {
    let program = settings.shared.program.clone();
    Ok(match &settings.kind {
        KindSettings::Slurm(table) => {
            let SlurmTable {
                login,
                ssh_config,
                folder,
                partition,
                account,
                qos,
                modules,
                vram_gres,
                options,
                ..
            } = table.as_ref();
            let shell = match login {
                Some(host) => ssh(project, host, ssh_config.as_deref()),
                None => Shell::Here { variables: project.environment().clone() },
            };
            let settings = SlurmSettings {
                partition: partition.clone(),
                account: account.clone(),
                qos: qos.clone(),
                modules: modules.clone(),
                vram_gres: vram_gres.clone(),
                options: options.clone(),
                folder: folder.clone(),
                program,
                rest: rest(project, table)?,
            };
            Arc::new(Slurm::new(shell, &settings)?)
        }
        KindSettings::Ssh(table) => {
            let SshTable { hosts, ssh_config, folder } = table;
            let host = |host: &crate::executors::SshHost| SshHost {
                shell: ssh(project, &host.host, ssh_config.as_deref()),
                gpus: host.gpus,
                gpu_type: host.gpu_type.clone(),
            };
            let hosts = hosts.iter().map(host).collect();
            Arc::new(Ssh::new(&SshSettings { hosts, folder: folder.clone(), program })?)
        }
        KindSettings::Ray(table) => {
            let RayTable { address, token_env, headers } = table;
            let token = token_env.as_ref().and_then(|name| project.variable(name)).map(str::to_owned);
            if let (Some(name), None) = (token_env, &token) {
                let reason = format!("the variable {name}, which holds its token, is not set");
                return Err(ExecutorError::Refused { engine: address.clone(), reason });
            }
            let settings = RaySettings { address: address.clone(), token, headers: headers.clone(), program };
            Arc::new(Ray::new(&settings)?)
        }
        KindSettings::Kubernetes(table) => {
            Arc::new(Kubernetes::new(kubernetes(project, table, program)).await?)
        }
    })
}

/// The REST server of a Slurm, if it is to be asked.
fn rest(project: &Project, table: &SlurmTable) -> Result<Option<SlurmRest>, ExecutorError> {
    let Some(address) = &table.rest else { return Ok(None) };
    let name = table.rest_token_env.as_deref().unwrap_or("SLURM_JWT");
    let user = table.rest_user.as_deref().unwrap_or(project.user());
    match project.variable(name) {
        Some(token) => {
            Ok(Some(SlurmRest { address: address.clone(), user: user.to_owned(), token: token.to_owned() }))
        }
        None => {
            let reason = format!(
                "the variable {name}, which holds its token, is not set (`scontrol token` makes one)"
            );
            Err(ExecutorError::Refused { engine: address.clone(), reason })
        }
    }
}

fn kubernetes(project: &Project, table: &KubernetesTable, program: Option<String>) -> KubernetesSettings {
    let plain = KubernetesSettings::of_image(table.image.clone());
    let toleration = |taint: &crate::executors::TolerationTable| Toleration {
        key: taint.key.clone(),
        value: taint.value.clone(),
        effect: taint.effect.clone(),
    };
    KubernetesSettings {
        kubeconfig: table.kubeconfig.as_ref().map(|path| project.root().join(path)),
        context: table.context.clone(),
        namespace: table.namespace.clone(),
        program: program.unwrap_or(plain.program),
        node_selector: table.node_selector.clone(),
        tolerations: table.tolerations.iter().map(toleration).collect(),
        priority_class: table.priority_class.clone(),
        service_account: table.service_account.clone(),
        gpu_resource: table.gpu_resource.clone().unwrap_or(plain.gpu_resource),
        gpu_label: table.gpu_label.clone().unwrap_or(plain.gpu_label),
        gpu_memory_label: table.gpu_memory_label.clone().unwrap_or(plain.gpu_memory_label),
        ..KubernetesSettings::of_image(table.image.clone())
    }
}

fn ssh(project: &Project, host: &str, config: Option<&str>) -> Shell {
    let config = config.map(|config| project.root().join(config));
    Shell::Ssh { host: host.to_owned(), config, sockets: sockets(project) }
}

/// A folder for the sockets of connections that several scripts share: the user's alone, and its path is short. Without one each script
/// has a connection of its own.
fn sockets(project: &Project) -> Option<Utf8PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = project.variable("XDG_RUNTIME_DIR").map(Utf8Path::new);
    let folder = match runtime.filter(|folder| folder.is_absolute() && folder.is_dir()) {
        Some(folder) => folder.join("tidemill-ssh"),
        None => Utf8PathBuf::from(format!("/tmp/tidemill-ssh-{user}")),
    };
    if let Err(error) = std::fs::DirBuilder::new().mode(0o700).create(&folder)
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return None;
    }
    let facts = std::fs::symlink_metadata(&folder).ok()?;
    (facts.is_dir() && facts.uid() == user && facts.mode() & 0o077 == 0).then_some(folder)
}
