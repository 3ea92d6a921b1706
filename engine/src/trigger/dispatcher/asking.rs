//! What others ask of a dispatcher: to take an event, to start a run, to say what it holds. What came at one moment is noted together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::{DispatchError, Dispatcher};
use crate::event::Cause;
use crate::graph::{On, Trigger};
use crate::name::{PipelineName, TriggerName};
use crate::trigger::queue::{Arrival, ArrivalId, QueueError, Running, Settled, Waiting};
use crate::trigger::sources;
use crate::trigger::spool::Order;

/// A question, and where its answer goes. Who asked may have gone.
#[derive(Debug)]
pub enum Ask {
    /// Take an event.
    Event {
        /// The attributes and the data of a CloudEvent, as one value.
        event: Json,
        /// Only for this trigger: it came to the trigger's own address.
        only: Option<Addressed>,
        /// What became of it, once it is kept.
        reply: oneshot::Sender<Result<Vec<Received>, QueueError>>,
    },
    /// Start a run of a pipeline.
    Run {
        /// The pipeline.
        pipeline: PipelineName,
        /// Its file, relative to the project.
        file: String,
        /// Values of parameters.
        params: BTreeMap<String, Json>,
        /// What tells this question from another one: asked again, it leads to the same run.
        key: String,
        /// Who asks.
        by: String,
        /// What became of it, once it is kept.
        reply: oneshot::Sender<Result<Received, QueueError>>,
    },
    /// Have a trigger act as if its event had come.
    Fire {
        /// What is to be fired.
        order: Order,
        /// What became of it, once it is kept; none if there is no such trigger.
        reply: oneshot::Sender<Result<Option<Received>, QueueError>>,
    },
    /// Say what the queue holds.
    Look {
        /// So many of what was done with lately.
        recent: usize,
        /// What it holds.
        reply: oneshot::Sender<View>,
    },
    /// Say what became of one arrival.
    Find {
        /// The arrival.
        id: ArrivalId,
        /// The same, with this one alone.
        reply: oneshot::Sender<View>,
    },
}

/// The one trigger that an event is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The pipeline file, relative to the project.
    pub file: String,
    /// The trigger.
    pub trigger: TriggerName,
    /// What tells the message from another one: it is signed, which the id that came beside it may not be.
    pub replay_key: String,
}

/// What became of an event for one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Received {
    /// The pipeline file.
    pub file: String,
    /// The trigger; none if a run was asked for.
    pub trigger: Option<TriggerName>,
    /// Its id in the queue.
    pub arrival: ArrivalId,
    /// Whether it came before: then nothing new begins.
    pub known: bool,
    /// Why it leads to no run.
    pub refused: Option<String>,
}

/// What a queue holds.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// What waits, in order.
    pub waiting: Vec<Waiting>,
    /// What runs.
    pub running: Vec<Running>,
    /// What was done with lately, the newest first.
    pub recent: Vec<Settled>,
}

/// Where an answer goes, and which of the arrivals it is about.
enum Reply {
    Event(oneshot::Sender<Result<Vec<Received>, QueueError>>, Vec<Received>),
    Run(oneshot::Sender<Result<Received, QueueError>>, Received),
    Fire(oneshot::Sender<Result<Option<Received>, QueueError>>, Option<Received>),
}

impl Dispatcher {
    /// Answers what was asked at one moment: all that is to be kept is written at once.
    pub(super) fn answer(&mut self, asks: Vec<Ask>) -> Result<(), DispatchError> {
        let now = Timestamp::now();
        let (mut arrivals, mut replies): (Vec<Arrival>, Vec<Reply>) = (Vec::new(), Vec::new());
        for ask in asks {
            match ask {
                Ask::Event { event, only, reply } => {
                    replies.push(Reply::Event(reply, self.event(&event, only.as_ref(), now, &mut arrivals)));
                }
                Ask::Run { pipeline, file, params, key, by, reply } => {
                    let arrival = asked((file, pipeline), params, &key, &by, now);
                    replies.push(Reply::Run(reply, received(&arrival)));
                    arrivals.push(arrival);
                }
                Ask::Fire { order, reply } => {
                    let (fired, arrival) = self.fired(&order, now);
                    arrivals.extend(arrival);
                    replies.push(Reply::Fire(reply, fired));
                }
                // Who asked may have gone.
                Ask::Look { recent, reply } => drop(reply.send(self.view(recent))),
                Ask::Find { id, reply } => drop(reply.send(self.found(&id))),
            }
        }
        let mut known: BTreeSet<ArrivalId> =
            arrivals.iter().map(|arrival| arrival.id).filter(|id| self.queue.state().knows(id)).collect();
        let refused = match self.accept(&arrivals, Vec::new(), now) {
            Ok(_) => None,
            Err(DispatchError::Queue(QueueError::Full { waiting })) => Some(waiting),
            Err(error) => return Err(error),
        };
        for reply in replies {
            reply.send(&mut known, refused);
        }
        Ok(())
    }

    /// What an event means to the triggers that wait for it.
    fn event(
        &self,
        event: &Json,
        only: Option<&Addressed>,
        now: Timestamp,
        arrivals: &mut Vec<Arrival>,
    ) -> Vec<Received> {
        let mut answers = Vec::new();
        for (file, own, trigger) in self.pipelines.triggers() {
            let On::Event(wanted) = &trigger.on else { continue };
            // What has an address of its own, signed, is not reached by another way.
            let is_addressed = match only {
                Some(only) => only.file == file && only.trigger == trigger.name,
                None => wanted.webhook.is_none(),
            };
            if is_addressed && wanted.matches(event) {
                let key = only.map(|only| only.replay_key.as_str());
                answers.push(take((file, &own.name), trigger, event.clone(), key, now, arrivals));
            }
        }
        answers
    }

    /// Fires a trigger for an order that another process left. Says whether the order is done with.
    pub(super) fn fire(&mut self, order: &Order, now: Timestamp) -> Result<bool, DispatchError> {
        match self.fired(order, now) {
            (Some(Received { refused: Some(reason), .. }), _) => {
                tracing::error!(file = order.file, trigger = %order.trigger, reason, "it cannot be fired");
                Ok(true)
            }
            (_, arrival) => self.accept_if_room(&arrival, Vec::new(), now),
        }
    }

    fn fired(&self, order: &Order, now: Timestamp) -> (Option<Received>, Vec<Arrival>) {
        let Order { id, file, trigger: name, data } = order;
        let mut triggers = self.pipelines.triggers();
        let Some((_, own, trigger)) = triggers.find(|(own, _, trigger)| own == file && trigger.name == *name)
        else {
            return (None, Vec::new());
        };
        let event = json!({
            "specversion": "1.0", "id": id, "source": format!("/fired/{file}#{name}"), "type": "tidemill.trigger.fired",
            "time": now, "data": data,
        });
        let mut arrivals = Vec::new();
        let received = take((file, &own.name), trigger, event, None, now, &mut arrivals);
        (Some(received), arrivals)
    }

    fn view(&self, recent: usize) -> View {
        let state = self.queue.state();
        View {
            waiting: state.waiting().cloned().collect(),
            running: state.running().cloned().collect(),
            recent: state.recent().take(recent).cloned().collect(),
        }
    }

    fn found(&self, id: &ArrivalId) -> View {
        let state = self.queue.state();
        View {
            waiting: state.waiting().filter(|waiting| waiting.arrival.id == *id).cloned().collect(),
            running: state.running().filter(|running| running.arrival.id == *id).cloned().collect(),
            recent: state.recent().filter(|settled| settled.arrival.id == *id).cloned().collect(),
        }
    }
}

impl Reply {
    /// Answers; nobody may be there any more.
    fn send(self, known: &mut BTreeSet<ArrivalId>, refused: Option<usize>) {
        let mut settle = |received: Received| {
            if received.refused.is_some() {
                return Ok(received);
            }
            match refused {
                Some(waiting) if !known.contains(&received.arrival) => Err(QueueError::Full { waiting }),
                // Of two that came at one moment the second is known.
                _ => Ok(Received { known: !known.insert(received.arrival), ..received }),
            }
        };
        match self {
            Self::Event(reply, received) => drop(reply.send(received.into_iter().map(settle).collect())),
            Self::Run(reply, received) => drop(reply.send(settle(received))),
            Self::Fire(reply, received) => drop(reply.send(received.map(settle).transpose())),
        }
    }
}

/// In the place of the source of a signed message.
const SIGNED: &str = "signed";

/// The arrival of an event for a trigger, and the answer to who brought it.
fn take(
    (file, pipeline): (&str, &PipelineName),
    trigger: &Trigger,
    event: Json,
    replay_key: Option<&str>,
    now: Timestamp,
    arrivals: &mut Vec<Arrival>,
) -> Received {
    let arrival = match replay_key {
        Some(key) => ArrivalId::of(file, Some(&trigger.name), SIGNED, key),
        None => ArrivalId::of(file, Some(&trigger.name), &text(&event, "source"), &text(&event, "id")),
    };
    let mut received = Received {
        file: file.to_owned(),
        trigger: Some(trigger.name.clone()),
        arrival,
        known: false,
        refused: None,
    };
    match sources::arrival((file, pipeline), trigger, Cause::Event, event, now) {
        Ok(own) => arrivals.push(Arrival { id: arrival, ..own }),
        Err(lacking) => received.refused = Some(lacking.to_string()),
    }
    received
}

fn text(event: &Json, name: &str) -> String {
    event.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// The arrival of a question for a run.
fn asked(
    (file, pipeline): (String, PipelineName),
    params: BTreeMap<String, Json>,
    key: &str,
    by: &str,
    now: Timestamp,
) -> Arrival {
    let source = format!("/requests/{by}");
    let event = json!({
        "specversion": "1.0", "id": key, "source": source, "type": "tidemill.run.requested", "time": now, "data": { "by": by },
    });
    Arrival {
        id: ArrivalId::of(&file, None, &source, key),
        pipeline,
        file,
        trigger: None,
        cause: Cause::Request,
        event,
        params,
        at: now,
        not_before: None,
        not_after: None,
    }
}

fn received(arrival: &Arrival) -> Received {
    Received {
        file: arrival.file.clone(),
        trigger: arrival.trigger.clone(),
        arrival: arrival.id,
        known: false,
        refused: None,
    }
}
