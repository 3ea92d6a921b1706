//! The outputs of a step that are known.

use tidemill_cache::Artifact;

use crate::few::Few;
use crate::name::OutputName;

/// The outputs of a step, each with its artifact; none for an optional one that is absent.
pub type Outputs = Few<OutputName, Option<Artifact>>;
