//! What GPUs do, as NVIDIA's library tells it. The library is opened when it is first asked for; where there is none, or
//! it does not answer, there is nothing to tell, and nothing fails.

use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::UsedGpuMemory;

/// What some GPUs do at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpuLoad {
    /// How much of the time a kernel ran on them, in percent, on average. A GPU that is cut into instances does not tell.
    pub busy: Option<f64>,
    /// Memory in use on all of them, in bytes: that of the processes that were asked for, if they can be told apart from others.
    pub memory: u64,
}

/// A GPU of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its UUID, such as `GPU-8932f937-d72c-4106-c12f-20bd9faed9f6`.
    pub uuid: String,
    /// What it is called, such as `NVIDIA H100`; GPUs of one name are alike.
    pub name: String,
    /// Its memory in bytes, if it tells.
    pub memory: Option<u64>,
}

/// The GPUs of this machine.
#[derive(Debug, Default)]
pub struct Gpus {
    library: Library,
}

#[derive(Debug, Default)]
enum Library {
    /// Nobody asked yet.
    #[default]
    Closed,
    Open(Box<Nvml>),
    Missing,
}

impl Gpus {
    /// What the GPUs with these UUIDs do, and how much of their memory these processes have. How busy they are counts others too; so does the memory
    /// if the library knows none of these processes: in a container it names them as the machine outside does.
    pub fn load(&mut self, uuids: &[String], processes: &[u32]) -> Option<GpuLoad> {
        if uuids.is_empty() {
            return None;
        }
        let nvml = self.library()?;
        let (mut busy, mut memory, mut own) = (Some(0.0), 0_u64, None);
        for uuid in uuids {
            let device = nvml.device_by_uuid(uuid.as_str()).ok()?;
            let percent = device.utilization_rates().ok().map(|rates| f64::from(rates.gpu));
            busy = busy.zip(percent).map(|(sum, percent)| sum + percent);
            memory = memory.saturating_add(device.memory_info().ok()?.used);
            for process in device.running_compute_processes().unwrap_or_default() {
                if processes.contains(&process.pid)
                    && let UsedGpuMemory::Used(bytes) = process.used_gpu_memory
                {
                    own = Some(own.unwrap_or(0_u64).saturating_add(bytes));
                }
            }
        }
        Some(GpuLoad { busy: busy.map(|sum| sum / uuids.len() as f64), memory: own.unwrap_or(memory) })
    }

    /// All GPUs, in the order in which they are numbered. None if there is no library to tell.
    pub fn all(&mut self) -> Option<Vec<Gpu>> {
        let nvml = self.library()?;
        let told = (0..nvml.device_count().ok()?).map(|number| {
            let device = nvml.device_by_index(number)?;
            let memory = device.memory_info().ok().map(|memory| memory.total);
            Ok(Gpu { uuid: device.uuid()?, name: device.name()?, memory })
        });
        let all = told.collect::<Result<_, nvml_wrapper::error::NvmlError>>();
        all.inspect_err(|error| tracing::warn!(%error, "NVIDIA's library does not tell which GPUs there are"))
            .ok()
    }

    /// The memory of one, or of an instance of one, in bytes, if the library tells.
    pub fn memory(&mut self, uuid: &str) -> Option<u64> {
        let device = self.library()?.device_by_uuid(uuid).ok()?;
        device.memory_info().ok().map(|memory| memory.total)
    }

    fn library(&mut self) -> Option<&Nvml> {
        if matches!(self.library, Library::Closed) {
            self.library = open();
        }
        match &self.library {
            Library::Open(nvml) => Some(nvml),
            Library::Closed | Library::Missing => None,
        }
    }
}

fn open() -> Library {
    match Nvml::init() {
        Ok(nvml) => Library::Open(Box::new(nvml)),
        Err(error) => {
            tracing::debug!(%error, "the use of GPUs cannot be shown");
            Library::Missing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_is_not_there_does_nothing() {
        let mut gpus = Gpus::default();
        assert_eq!(gpus.load(&[], &[]), None);
        assert!(matches!(gpus.library, Library::Closed), "without a GPU nobody asks for the library");
        assert_eq!(gpus.load(&["GPU-no-such-one".to_owned()], &[]), None);
        assert!(!matches!(gpus.library, Library::Closed));
    }
}
