//! Requests to an object store: counted, limited in size, number and rate, and told apart by what their errors mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use leaky_bucket::RateLimiter;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload,
};
use rand::Rng as _;
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::layout::Layout;
use crate::level::Level;
use crate::limits::REQUESTS;
use crate::progress::Progress;

/// An object store, and how it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Each question about what lies there is of one folder: many `WebDAV` servers refuse to tell of all below it (RFC 4918, 9.1), and
    /// others leave it out.
    pub(crate) by_folder: bool,
}

/// The way to an object store.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    store: Arc<dyn ObjectStore>,
    by_folder: bool,
    requests: Arc<Semaphore>,
    up: Option<Arc<RateLimiter>>,
    down: Option<Arc<RateLimiter>>,
    progress: Arc<Progress>,
}

/// How often the limit of the rate gives out bytes.
const TICK: Duration = Duration::from_millis(50);

/// Something in a folder of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// When it was written, by the clock of the store.
    pub(crate) modified: Timestamp,
}

impl Listed {
    fn of(object: &ObjectMeta) -> Self {
        Self {
            name: object.location.filename().unwrap_or_default().to_owned(),
            size: object.size,
            // What cannot be a time is nothing old.
            modified: Timestamp::from_second(object.last_modified.timestamp()).unwrap_or(Timestamp::MAX),
        }
    }
}

impl Link {
    pub(crate) fn new(asked: Asked, rate: Option<u64>, progress: Arc<Progress>) -> Self {
        let Asked { store, by_folder } = asked;
        let limiter = || rate.map(|rate| Arc::new(limiter(rate)));
        let requests = Arc::new(Semaphore::new(REQUESTS));
        Self { store, by_folder, requests, up: limiter(), down: limiter(), progress }
    }

    /// What lies at a path; none if nothing does.
    pub(crate) async fn get(&self, path: &Path, most: u64) -> Result<Option<Bytes>, StoreError> {
        self.get_with(path, GetOptions::default(), most).await
    }

    /// Some bytes of what lies at a path; none if nothing does, or if it is shorter.
    pub(crate) async fn get_range(
        &self,
        path: &Path,
        range: std::ops::Range<u64>,
    ) -> Result<Option<Bytes>, StoreError> {
        let length = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let bytes = self.get_with(path, options, length).await?;
        Ok(bytes.filter(|bytes| bytes.len() as u64 == length))
    }

    /// What is to be said of what lies at a path; none if nothing does.
    pub(crate) async fn look(&self, path: &Path) -> Result<Option<Listed>, StoreError> {
        let _request = self.request().await;
        match self.store.head(path).await {
            Ok(object) => Ok(Some(Listed::of(&object))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what lies at a path, if something does.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        let _request = self.request().await;
        match self.store.delete(path).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn get_with(
        &self,
        path: &Path,
        options: GetOptions,
        most: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let _request = self.request().await;
        let result = match self.store.get_opts(path, options).await {
            Ok(result) => result,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) if is_beyond_the_end(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = result.range.end.saturating_sub(result.range.start);
        if length > most {
            return Err(StoreError::damaged(path, format!("it is {length} bytes long, more than {most}")));
        }
        self.read(path, result, length, most).await.map(Some)
    }

    async fn read(
        &self,
        path: &Path,
        result: GetResult,
        length: u64,
        most: u64,
    ) -> Result<Bytes, StoreError> {
        let mut stream = result.into_stream();
        let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        while let Some(part) = stream.try_next().await? {
            if (bytes.len() + part.len()) as u64 > most {
                return Err(StoreError::damaged(path, format!("more than {most} bytes come")));
            }
            take(self.down.as_deref(), part.len()).await;
            self.progress.received(part.len() as u64);
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }

    /// Writes something under a name that says what it is: whoever else writes there writes the same.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), StoreError> {
        self.put_with(path, bytes, PutMode::Overwrite).await?;
        Ok(())
    }

    /// Writes something if nothing lies there; whether it did.
    pub(crate) async fn create(
        &self,
        layout: &Layout,
        level: Level,
        path: &Path,
        bytes: Bytes,
    ) -> Result<bool, StoreError> {
        match self.put_with(path, bytes.clone(), PutMode::Create).await {
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                self.create_by_copy(layout, level, path, bytes).await
            }
            created => was_created(created),
        }
    }

    /// The same for stores that know no conditional put, but a conditional copy, as `WebDAV` has it (RFC 4918, 10.6).
    async fn create_by_copy(
        &self,
        layout: &Layout,
        level: Level,
        path: &Path,
        bytes: Bytes,
    ) -> Result<bool, StoreError> {
        let temporary = layout.temporary(level, &format!("{:032x}", rand::rng().random::<u128>()));
        self.put_with(&temporary, bytes, PutMode::Overwrite).await?;
        let copied = {
            let _request = self.request().await;
            self.store.copy_if_not_exists(&temporary, path).await
        };
        let _request = self.request().await;
        if let Err(error) = self.store.delete(&temporary).await {
            tracing::debug!(%temporary, %error, "a temporary file stays in the store");
        }
        was_created(copied)
    }

    async fn put_with(&self, path: &Path, bytes: Bytes, mode: PutMode) -> Result<(), Error> {
        let length = bytes.len();
        take(self.up.as_deref(), length).await;
        let _request = self.request().await;
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(path, PutPayload::from_bytes(bytes), options).await?;
        self.progress.sent(length as u64);
        Ok(())
    }

    /// What lies below a folder, at most so much of it.
    pub(crate) async fn list(&self, folder: &Path, most: usize) -> Result<Vec<Listed>, StoreError> {
        if self.by_folder {
            return self.list_by_folder(folder, most).await;
        }
        let _request = self.request().await;
        let mut stream = self.store.list(Some(folder));
        let mut listed = Vec::new();
        loop {
            match stream.try_next().await {
                Ok(Some(object)) if listed.len() < most => listed.push(Listed::of(&object)),
                Ok(Some(_)) => return Err(too_many(folder, most)),
                Ok(None) => return Ok(listed),
                Err(Error::NotFound { .. }) => return Ok(listed),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The same, one folder at a question.
    async fn list_by_folder(&self, top: &Path, most: usize) -> Result<Vec<Listed>, StoreError> {
        let (mut listed, mut folders, mut asked) = (Vec::new(), vec![top.clone()], 0);
        while !folders.is_empty() {
            asked += folders.len();
            let answers: Vec<(Vec<Listed>, Vec<Path>)> = futures_util::stream::iter(folders)
                .map(|folder| self.list_one(folder))
                .buffer_unordered(REQUESTS)
                .try_collect()
                .await?;
            folders = Vec::new();
            for (objects, below) in answers {
                listed.extend(objects);
                folders.extend(below);
            }
            if listed.len() + asked + folders.len() > most {
                return Err(too_many(top, most));
            }
        }
        Ok(listed)
    }

    /// What lies in one folder, and the folders in it.
    async fn list_one(&self, folder: Path) -> Result<(Vec<Listed>, Vec<Path>), StoreError> {
        let _request = self.request().await;
        let there = match self.store.list_with_delimiter(Some(&folder)).await {
            Ok(there) => there,
            Err(Error::NotFound { .. }) => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(error.into()),
        };
        // By their names: a server behind another one may know them under other paths.
        let names = there.common_prefixes.iter().filter_map(Path::filename);
        let below = names.map(|name| folder.clone().join(name)).collect();
        Ok((there.objects.iter().map(Listed::of).collect(), below))
    }

    async fn request(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.progress.request();
        self.requests.acquire().await.expect("nobody closes it")
    }
}

fn too_many(folder: &Path, most: usize) -> StoreError {
    StoreError::damaged(folder, format!("it holds more than {most} objects"))
}

/// Whether something was written that was not to be written over.
fn was_created(written: Result<(), Error>) -> Result<bool, StoreError> {
    match written {
        Ok(()) => Ok(true),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gives out so many bytes in a second.
fn limiter(rate: u64) -> RateLimiter {
    let per_tick = usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
    RateLimiter::builder().initial(per_tick).max(per_tick * 4).refill(per_tick).interval(TICK).build()
}

/// Waits until so many bytes may go.
async fn take(limiter: Option<&RateLimiter>, bytes: usize) {
    let Some(limiter) = limiter else { return };
    let mut left = bytes;
    while left > 0 {
        let part = left.min(limiter.max());
        limiter.acquire(part).await;
        left -= part;
    }
}

/// A range that begins where nothing is any more: what lies there was cut short.
fn is_beyond_the_end(error: &Error) -> bool {
    let text = error.to_string();
    text.contains("status code: 416")
        || text.contains("InvalidRange")
        || text.contains("StartTooLarge")
        || text.contains("Wanted range")
}
