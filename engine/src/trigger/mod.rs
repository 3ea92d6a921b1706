//! What makes a run begin by itself: times, changes of what a pipeline reads, events, models, other runs; the queue in which all that arrives
//! waits for its run; and the dispatcher that begins those runs.

mod circles;
mod dispatcher;
mod hints;
mod pages;
mod pipelines;
mod queue;
mod reads;
mod sources;
mod spool;
mod starting;
mod telling;
mod timer;
mod watching;

pub use circles::in_circles;
pub use dispatcher::{
    Addressed, Ask, DispatchError, Dispatcher, Listener, Options, Received, Ticked, Told, View,
};
pub use hints::{Hints, Means, OFTEN};
pub use pages::take_small_pages;
pub use pipelines::{Pipeline, Pipelines, without_secret};
pub use queue::{
    Arrival, ArrivalId, Dropped, Fate, Queue, QueueError, Running, Settled, State, Waiting, peek,
};
pub use reads::{Present, Reads};
pub use spool::{Order, leave};
pub use telling::tell;
