//! What the user says of a cluster, and where it is found.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// What a cluster is asked for, beside what a job needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// The file that says where the cluster is and who we are; what `kubectl` would take if none is named, or the account of the pod that
    /// this runs in.
    pub kubeconfig: Option<Utf8PathBuf>,
    /// One of the contexts in it.
    pub context: Option<String>,
    /// The namespace; that of the context if none is named.
    pub namespace: Option<String>,
    /// The image that has the commands.
    pub image: String,
    /// The program in it that jobs start with; nothing is copied.
    pub program: String,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that are no hindrance.
    pub tolerations: Vec<Toleration>,
    /// The priority class.
    pub priority_class: Option<String>,
    /// The service account, whose token the commands get; without one they get none.
    pub service_account: Option<String>,
    /// What the cluster calls a GPU.
    pub gpu_resource: String,
    /// The label of nodes that says what GPUs they have.
    pub gpu_label: String,
    /// The label of nodes that says how much memory each of their GPUs has, in MiB.
    pub gpu_memory_label: String,
}

/// A taint of nodes that is no hindrance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toleration {
    /// Its key.
    pub key: String,
    /// Its value; any if none is named.
    pub value: Option<String>,
    /// Its effect; any if none is named.
    pub effect: Option<String>,
}

impl KubernetesSettings {
    /// The user's own cluster and namespace, any node, and this image.
    #[must_use]
    pub fn of_image(image: String) -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            image,
            program: "tidemill".to_owned(),
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            priority_class: None,
            service_account: None,
            gpu_resource: "nvidia.com/gpu".to_owned(),
            // As NVIDIA's own discovery names it.
            gpu_label: "nvidia.com/gpu.product".to_owned(),
            gpu_memory_label: "nvidia.com/gpu.memory".to_owned(),
        }
    }
}

/// How the cluster is reached, or why that is not known.
pub(super) async fn configuration(settings: &KubernetesSettings) -> Result<Config, String> {
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    match (&settings.kubeconfig, &settings.context) {
        (Some(path), _) => {
            let read = Kubeconfig::read_from(path).map_err(|error| error.to_string())?;
            Config::from_custom_kubeconfig(read, &options).await.map_err(|error| error.to_string())
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| error.to_string()),
        (None, None) => Config::infer().await.map_err(|error| error.to_string()),
    }
}
