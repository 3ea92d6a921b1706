//! What the command line leaves for the process that has the queue: a file for each order, written aside and renamed. What was taken is removed
//! after it was noted, so nothing is lost in between.

use std::fs;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::queue::ArrivalId;
use crate::name::TriggerName;

/// Below the state folder.
pub(super) const INBOX: &str = "triggers/inbox";
/// Larger files are not taken, in bytes.
const LARGEST: u64 = 8 << 20;

/// What somebody asks the one that has the queue for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Order {
    /// What tells it from another one.
    pub id: String,
    /// The pipeline file, relative to the project.
    pub file: String,
    /// The trigger that is to act as if this event had come.
    pub trigger: TriggerName,
    /// The data of the event.
    pub data: Json,
}

/// The folder that orders are left in, made if it is not there.
pub(super) fn open(state: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let folder = state.join(INBOX);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Leaves an order for the one that has the queue, or will have it.
///
/// # Errors
/// If the file system says no.
pub fn leave(state: &Utf8Path, order: &Order) -> io::Result<()> {
    let folder = open(state)?;
    let mut file = tempfile::Builder::new().prefix(".order-").tempfile_in(&folder)?;
    file.write_all(&serde_json::to_vec(order)?)?;
    file.as_file().sync_all()?;
    let name = ArrivalId::of(&order.file, Some(&order.trigger), "order", &order.id);
    file.persist(folder.join(format!("{name}.json"))).map_err(|error| error.error)?;
    fs::File::open(&folder)?.sync_all()
}

/// The orders that wait, each with its file. What is none is moved aside, and told.
pub(super) fn orders(state: &Utf8Path) -> io::Result<Vec<(Utf8PathBuf, Order)>> {
    let mut orders = Vec::new();
    for entry in state.join(INBOX).read_dir_utf8()? {
        let path = entry?.into_path();
        if path.extension() != Some("json") {
            continue;
        }
        match read(&path) {
            Ok(order) => orders.push((path, order)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%path, %error, "this is no order, and is left as .refused");
                fs::rename(&path, path.with_extension("refused"))?;
            }
        }
    }
    orders.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(orders)
}

fn read(path: &Utf8Path) -> io::Result<Order> {
    let facts = fs::metadata(path)?;
    if facts.len() > LARGEST {
        return Err(io::Error::other(format!("it is larger than {LARGEST} bytes")));
    }
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}

/// Removes an order that was noted.
pub(super) fn done(path: &Utf8Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%path, %error, "it could not be removed, and is looked at again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_there_until_it_was_noted() {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(folder.path()).unwrap();
        open(state).unwrap();
        let trigger = TriggerName::new("t").unwrap();
        let order = Order { id: "1".into(), file: "p.toml".into(), trigger, data: Json::Null };
        leave(state, &order).unwrap();
        fs::write(state.join(INBOX).join("x.json"), "no order").unwrap();
        let waiting = orders(state).unwrap();
        assert!(matches!(&waiting[..], [(_, only)] if *only == order));
        done(&waiting[0].0);
        assert_eq!(orders(state).unwrap(), []);
        assert!(state.join(INBOX).join("x.refused").exists());
    }
}
