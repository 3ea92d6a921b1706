//! Following the desired state: a folder is watched, and looked at every second in case the watching misses something.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tidemill_engine::name::EndpointName;
use tidemill_engine::registry::{Desired, Registry};

use crate::datatype::Datatype;
use crate::decode::wire_shape;
use crate::endpoints::{Endpoints, Loaded, ServeEvent};

/// How often the folder is looked at whatever the watcher says.
const POLL: Duration = Duration::from_secs(1);

/// How long a desired state that could not be loaded is left alone.
const RETRY: Duration = Duration::from_secs(5);

/// Who is told what happens.
pub(crate) type Listener = Arc<dyn Fn(&ServeEvent) + Send + Sync>;

/// Brings endpoints to their desired states, again and again.
pub(crate) struct Follower {
    registry: Registry,
    endpoints: Arc<Endpoints>,
    listener: Listener,
    seen: BTreeMap<EndpointName, Seen>,
    blind: Option<String>,
}

/// What was made of an endpoint's last entry.
struct Seen {
    id: Option<String>,
    number: u64,
    failed: Option<Failed>,
}

/// Why an entry could not be served, and when to try again.
struct Failed {
    reason: String,
    again: Instant,
}

enum Signal {
    Look,
    Stop,
}

/// The thread that follows; it ends when this is dropped.
pub(crate) struct Following {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(crate) fn new(registry: Registry, endpoints: Arc<Endpoints>, listener: Listener) -> Self {
        Self { registry, endpoints, listener, seen: BTreeMap::new(), blind: None }
    }

    /// Looks once, so that what is deployed already is served when the server opens.
    pub(crate) fn look(&mut self) {
        let names = match self.registry.endpoints() {
            Ok(names) => names,
            Err(error) => return self.blinded(&error.to_string()),
        };
        self.blind = None;
        let gone: Vec<EndpointName> =
            self.seen.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            self.withdraw(&name);
        }
        for name in names {
            self.look_at(&name);
        }
    }

    /// Follows from now on, on a thread of its own.
    pub(crate) fn follow(mut self) -> std::io::Result<Following> {
        let (signals, received) = channel();
        let watcher = self.watch(signals.clone());
        let thread = std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
            let _watcher = watcher;
            while goes_on(&received) {
                self.look();
            }
        })?;
        Ok(Following { signals, thread: Some(thread) })
    }

    /// A watcher that wakes the thread; none where the system has none, then looking every second is all.
    fn watch(&self, wake: Sender<Signal>) -> Option<RecommendedWatcher> {
        let folder = self.registry.endpoints_folder();
        let start = || {
            fs::create_dir_all(&folder).map_err(notify::Error::io)?;
            let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Looking opens and lists the folder itself; only what changed it is news.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    // The thread may have ended; then nobody needs to be woken.
                    let _ = wake.send(Signal::Look);
                }
            })?;
            watcher.watch(folder.as_std_path(), RecursiveMode::Recursive)?;
            Ok::<_, notify::Error>(watcher)
        };
        start()
            .inspect_err(|error| tracing::warn!(%error, "cannot watch {folder}; looking every second"))
            .ok()
    }

    fn look_at(&mut self, name: &EndpointName) {
        let read = self.registry.endpoint_id(name).and_then(|id| Ok((id, self.registry.desired(name)?)));
        let (id, number, desired) = match read {
            Ok((id, Some((number, desired)))) => (id, number, desired),
            // A folder without an entry: its first deployment is being written, or its log was emptied.
            Ok((_, None)) => return self.withdraw(name),
            Err(error) => return self.blinded(&format!("{name}: {error}")),
        };
        if let Some(seen) = self.seen.get(name)
            && seen.id == id
            && seen.number == number
            && seen.failed.as_ref().is_none_or(|failed| Instant::now() < failed.again)
        {
            return;
        }
        let failed = self.serve(name, &desired).err().map(|reason| {
            let told = self.seen.get(name).filter(|seen| seen.number == number);
            let told = told.and_then(|seen| seen.failed.as_ref()).map(|failed| failed.reason.as_str());
            let still = self.endpoints.want(name.as_str());
            if told != Some(reason.as_str()) {
                let (endpoint, reason) = (name.to_string(), reason.clone());
                (self.listener)(&ServeEvent::Refused { endpoint, reason, still });
            }
            Failed { reason, again: Instant::now() + RETRY }
        });
        self.seen.insert(name.clone(), Seen { id, number, failed });
    }

    /// Loads and verifies beside what is served, then swaps.
    fn serve(&self, name: &EndpointName, desired: &Desired) -> Result<(), String> {
        let file = self.registry.model_file(&desired.model, &desired.digest);
        let loaded =
            Loaded::read(desired.version, &file, Some(&desired.digest)).map_err(|error| error.to_string())?;
        let inputs = inputs_of(&loaded);
        let before = self.endpoints.swap(name.as_str(), loaded);
        let (endpoint, model, version) = (name.to_string(), desired.model.to_string(), desired.version);
        (self.listener)(&ServeEvent::Serving { endpoint, model, version, inputs, before });
        Ok(())
    }

    fn withdraw(&mut self, name: &EndpointName) {
        if self.seen.remove(name).is_some() {
            self.endpoints.withdraw(name.as_str());
            (self.listener)(&ServeEvent::Withdrawn { endpoint: name.to_string() });
        }
    }

    /// Says once that the desired states cannot be read.
    fn blinded(&mut self, reason: &str) {
        if self.blind.as_deref() != Some(reason) {
            self.blind = Some(reason.to_owned());
            (self.listener)(&ServeEvent::Blind { reason: reason.to_owned() });
        }
    }
}

/// A model's inputs as an example needs them: name, datatype, shape.
pub(crate) fn inputs_of(loaded: &Loaded) -> Vec<(String, String, Vec<i64>)> {
    let inputs = loaded.model.inputs().iter();
    inputs
        .map(|spec| {
            (spec.name.clone(), Datatype::of(spec.element).word().to_owned(), wire_shape(&spec.shape))
        })
        .collect()
}

/// Waits until there may be something to look at; false when it is over. Signals that pile up are taken as one.
fn goes_on(signals: &Receiver<Signal>) -> bool {
    match signals.recv_timeout(POLL) {
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) | Ok(Signal::Stop) => false,
        Ok(Signal::Look) => !signals.try_iter().any(|signal| matches!(signal, Signal::Stop)),
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // A thread that has ended needs no signal.
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
