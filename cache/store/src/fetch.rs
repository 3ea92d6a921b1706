//! Getting contents: where they lie is looked up, parts of packs that lie close together come as one, and each chunk is checked
//! against its digest before anything is made of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use camino::Utf8Path;
use futures_util::StreamExt as _;
use tidemill_cache::{Cache, Digest, Wanted};

use crate::chunks::{Name, Part, decode_list};
use crate::codec;
use crate::error::StoreError;
use crate::known::{Located, PackId};
use crate::layout::Layout;
use crate::limits::{CHUNK_MOST, GAP, LIST_CHUNKS, PACK_MOST, RANGE, TABLE_GUESS, TRANSFERS};
use crate::link::Link;
use crate::pack::{self, Place};
use crate::store::{Open, Store};

/// So many parts of packs are in memory at most, beyond those under way.
const AHEAD: usize = 2;
/// So often a chunk is looked for at another place, or fetched again, after it was not what it should be.
const ROUNDS: usize = 3;

/// Chunks of one pack that come by one request.
#[derive(Debug, Clone)]
struct Span {
    pack: PackId,
    start: u64,
    end: u64,
    chunks: Vec<(Name, Place)>,
}

/// What came of a span.
struct Arrived {
    span: Span,
    bytes: Result<Option<Bytes>, StoreError>,
}

impl Store {
    /// Which of these contents the store is thought to have.
    pub(crate) fn holds_contents(&self, digests: &[Digest]) -> Vec<bool> {
        let none = || vec![false; digests.len()];
        if digests.is_empty() {
            return none();
        }
        let Some(open) = self.open_if_there() else { return none() };
        let mut held = holds(&open, digests);
        if held.contains(&false) {
            match self.sync(&open) {
                Ok(()) => held = holds(&open, digests),
                Err(error) => {
                    self.lose(&error);
                    return none();
                }
            }
        }
        let session = self.session();
        digests.iter().zip(held).map(|(digest, held)| held && !session.gone.contains(digest)).collect()
    }

    /// Fetches contents into the cache, as far as they can be had. What cannot is told once, and not asked for again.
    pub(crate) fn fetch_contents(&self, cache: &Cache, wanted: &[Wanted]) {
        let Some(open) = self.open_if_there() else { return };
        let mut wanted: Vec<Wanted> = {
            let session = self.session();
            wanted.iter().copied().filter(|wanted| !session.gone.contains(&wanted.digest)).collect()
        };
        wanted.sort_unstable();
        wanted.dedup_by_key(|wanted| wanted.digest);
        if wanted.is_empty() {
            return;
        }
        self.inner.progress.expect(wanted.iter().filter_map(|wanted| wanted.size).sum());
        let lost = match self.try_fetch(cache, &open, &wanted) {
            Ok(lost) => lost,
            Err(error) if error.is_outage() => return self.lose(&error),
            Err(error) => return self.tell(format!("nothing could be fetched: {error}")),
        };
        let mut session = self.session();
        for digest in lost {
            if session.gone.insert(digest) {
                let error = StoreError::Missing { digest };
                session
                    .notices
                    .push(format!("{error}, or not as it should be; it is made again where it is needed"));
            }
        }
    }

    /// Fetches contents: those that could not be had.
    fn try_fetch(
        &self,
        cache: &Cache,
        open: &Arc<Open>,
        wanted: &[Wanted],
    ) -> Result<Vec<Digest>, StoreError> {
        let executable: HashMap<Digest, bool> =
            wanted.iter().map(|wanted| (wanted.digest, wanted.executable)).collect();
        let mut left: HashMap<Digest, Option<u64>> =
            wanted.iter().map(|wanted| (wanted.digest, wanted.size)).collect();
        for round in 0..ROUNDS {
            let digests: Vec<Digest> = left.keys().copied().collect();
            let located = self.locate(open, &digests, round > 0)?;
            if located.is_empty() {
                break;
            }
            self.is_room(cache, &left)?;
            let (lists, whole): (Vec<Located>, Vec<Located>) =
                located.into_iter().partition(|(name, ..)| *name == Name::list(name.digest));
            let mut admitted: Result<(), StoreError> = Ok(());
            self.fetch_chunks(open, whole, |chunks| {
                let fits = |name: &Name, bytes: &[u8]| {
                    left.get(&name.digest)
                        .is_some_and(|size| size.is_none_or(|size| size == bytes.len() as u64))
                };
                let contents: Vec<(Digest, bool, Vec<u8>)> = chunks
                    .into_iter()
                    .filter(|(name, bytes)| fits(name, bytes))
                    .map(|(name, bytes)| (name.digest, executable[&name.digest], bytes))
                    .collect();
                match cache.admit(&contents) {
                    Ok(()) => {
                        self.inner.progress.done(contents.iter().map(|(.., bytes)| bytes.len() as u64).sum());
                        self.inner.progress.contents_received(contents.len());
                        for (digest, ..) in &contents {
                            left.remove(digest);
                        }
                        true
                    }
                    Err(error) => {
                        admitted = Err(error.into());
                        false
                    }
                }
            })?;
            admitted?;
            for list in lists {
                let digest = list.0.digest;
                if self.fetch_large(cache, open, &list, left[&digest], executable[&digest])? {
                    left.remove(&digest);
                    self.inner.progress.contents_received(1);
                }
            }
            if left.is_empty() {
                break;
            }
        }
        let mut lost: Vec<Digest> = left.into_keys().collect();
        lost.sort_unstable();
        Ok(lost)
    }

    /// Where contents, or the lists of their chunks, lie.
    fn locate(&self, open: &Arc<Open>, digests: &[Digest], again: bool) -> Result<Vec<Located>, StoreError> {
        let (mut located, mut unknown) = find(open, digests);
        if !unknown.is_empty() {
            let packs: HashSet<PackId> =
                unknown.iter().flat_map(|digest| open.known.unread_packs_of(*digest)).collect();
            self.read_tables(open, packs.into_iter().collect())?;
            let (more, still) = find(open, &unknown);
            located.extend(more);
            unknown = still;
        }
        if !unknown.is_empty() || again {
            self.sync(open)?;
            located.extend(find(open, &unknown).0);
        }
        Ok(located)
    }

    /// Learns what packs hold from their tables.
    fn read_tables(&self, open: &Arc<Open>, packs: Vec<PackId>) -> Result<(), StoreError> {
        if packs.is_empty() {
            return Ok(());
        }
        let open = Arc::clone(open);
        self.block(async move {
            let read = |pack: PackId| {
                let open = &open;
                async move { (pack, table(&open.link, &open.layout, &pack).await) }
            };
            let mut tables =
                std::pin::pin!(futures_util::stream::iter(packs).map(read).buffer_unordered(TRANSFERS * 2));
            while let Some((pack, table)) = tables.next().await {
                match table?.and_then(|table| table.places()) {
                    Some(places) => open.known.learn(&pack, &places, true),
                    None => open.known.forget(&pack),
                }
            }
            Ok(())
        })
    }

    /// Whether there is room for contents.
    fn is_room(&self, cache: &Cache, wanted: &HashMap<Digest, Option<u64>>) -> Result<(), StoreError> {
        let needed: u64 = wanted.values().flatten().sum();
        let path = cache.state();
        match rustix::fs::statvfs(path.as_std_path()) {
            Ok(facts) if facts.f_bavail.saturating_mul(facts.f_frsize) < needed => {
                let free = facts.f_bavail.saturating_mul(facts.f_frsize);
                Err(StoreError::NoRoom { needed, free, path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Fetches chunks, and gives them away as they come, some at a time, until that says no. What is not what it should be is
    /// forgotten, and not given away.
    fn fetch_chunks(
        &self,
        open: &Arc<Open>,
        chunks: Vec<Located>,
        mut take: impl FnMut(Vec<(Name, Vec<u8>)>) -> bool,
    ) -> Result<(), StoreError> {
        let (sender, receiver) = mpsc::sync_channel::<Arrived>(AHEAD);
        let spans = spans(chunks);
        let way = Arc::clone(open);
        self.runtime().spawn(async move {
            let get = |span: Span| {
                let way = &way;
                async move {
                    let path = way.layout.pack(span.pack.level, &span.pack.digest);
                    let bytes = way.link.get_range(&path, span.start..span.end).await;
                    Arrived { span, bytes }
                }
            };
            let mut arriving =
                std::pin::pin!(futures_util::stream::iter(spans).map(get).buffer_unordered(TRANSFERS));
            while let Some(arrived) = arriving.next().await {
                let sender = sender.clone();
                // Whoever takes it may be slow, and this thread has other things to do.
                let given = tokio::task::spawn_blocking(move || sender.send(arrived).is_ok()).await;
                if !given.unwrap_or(false) {
                    break;
                }
            }
        });
        for Arrived { span, bytes } in receiver {
            let Some(bytes) = bytes? else {
                open.known.forget(&span.pack);
                continue;
            };
            let (good, bad) = unpack(&span, &bytes);
            if !bad.is_empty() {
                open.known.forget_chunks(&bad);
            }
            if !take(good) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts a large content together from its chunks; whether it could be had. What an earlier process fetched is used.
    fn fetch_large(
        &self,
        cache: &Cache,
        open: &Arc<Open>,
        list: &Located,
        size: Option<u64>,
        executable: bool,
    ) -> Result<bool, StoreError> {
        let digest = list.0.digest;
        let Some(parts) = self.list_of(open, list, size)? else {
            open.known.forget_chunks(&[list.0]);
            return Ok(false);
        };
        let whole: u64 = parts.iter().map(|part| u64::from(part.length)).sum();
        if size.is_none() {
            self.inner.progress.expect(whole);
            self.is_room(cache, &HashMap::from([(digest, Some(whole))]))?;
        }
        let path = cache.place_for(digest);
        let unusable = |source| {
            let path = path.clone();
            StoreError::Cache(tidemill_cache::CacheError::Io { action: "write", path, source })
        };
        let file = claim(&path, whole).map_err(unusable)?;
        let Some(file) = file else {
            // Another process fetches the same content: what it makes is used.
            return Ok(wait_for(&path, cache, digest));
        };
        // By digest: where the chunk belongs.
        let mut places: HashMap<Digest, Vec<(u64, u32)>> = HashMap::new();
        let mut offset = 0;
        for part in &parts {
            if !is_there(&file, offset, part) {
                places.entry(part.digest).or_default().push((offset, part.length));
            } else {
                self.inner.progress.done(u64::from(part.length));
            }
            offset += u64::from(part.length);
        }
        for round in 0..ROUNDS {
            let missing: Vec<Digest> = places.keys().copied().collect();
            if missing.is_empty() {
                break;
            }
            let located = self.locate(open, &missing, round > 0)?;
            let located = located.into_iter().filter(|(name, ..)| *name == Name::data(name.digest)).collect();
            let mut written: io::Result<()> = Ok(());
            self.fetch_chunks(open, located, |chunks| {
                for (name, bytes) in chunks {
                    for (offset, length) in places.remove(&name.digest).unwrap_or_default() {
                        if bytes.len() != length as usize {
                            continue;
                        }
                        if let Err(error) = file.write_all_at(&bytes, offset) {
                            written = Err(error);
                            return false;
                        }
                        self.inner.progress.done(u64::from(length));
                    }
                }
                true
            })?;
            written.map_err(unusable)?;
        }
        if !places.is_empty() {
            return Ok(false);
        }
        match cache.admit_file(&path, digest, executable) {
            Ok(()) => Ok(true),
            Err(tidemill_cache::CacheError::Changed { .. }) => {
                fs::remove_file(&path).map_err(unusable)?;
                open.known.forget_chunks(&[list.0]);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The chunks of a content, if the list in the store makes up one of this size.
    fn list_of(
        &self,
        open: &Arc<Open>,
        list: &Located,
        size: Option<u64>,
    ) -> Result<Option<Vec<Part>>, StoreError> {
        let (link, layout, list) = (open.link.clone(), open.layout.clone(), *list);
        let Some(bytes) = self.block(async move { one(&link, &layout, &list).await })? else {
            return Ok(None);
        };
        let sum = || bytes.as_chunks::<36>().0.iter().map(length_of).sum();
        let parts = decode_list(&bytes, size.unwrap_or_else(sum));
        Ok(parts.filter(|parts| parts.len() as u64 <= LIST_CHUNKS))
    }
}

fn length_of(part: &[u8; 36]) -> u64 {
    u64::from(u32::from_le_bytes(part[32..].try_into().expect("4 bytes")))
}

/// One chunk by itself, if it can be had as it should be.
pub(crate) async fn one(
    link: &Link,
    layout: &Layout,
    located: &Located,
) -> Result<Option<Vec<u8>>, StoreError> {
    let (name, pack, place) = located;
    let (start, end) = (u64::from(place.offset), u64::from(place.offset) + u64::from(place.stored));
    let bytes = link.get_range(&layout.pack(pack.level, &pack.digest), start..end).await?;
    Ok(bytes.and_then(|bytes| {
        let raw = codec::decompress_exactly(&bytes, place.raw as usize)?;
        pack::chunk(&raw, name, place).map(<[u8]>::to_vec)
    }))
}

/// The table of a pack, if it can be had.
async fn table(link: &Link, layout: &Layout, pack: &PackId) -> Result<Option<pack::Table>, StoreError> {
    if pack.size > PACK_MOST {
        return Ok(None);
    }
    let path = layout.pack(pack.level, &pack.digest);
    let end = |length: u64| pack.size.saturating_sub(length)..pack.size;
    let Some(bytes) = link.get_range(&path, end(TABLE_GUESS)).await? else { return Ok(None) };
    let Some(length) = pack::end_length(&bytes).filter(|length| *length <= pack.size) else {
        return Ok(None);
    };
    if length <= bytes.len() as u64 {
        return Ok(pack::table(&bytes));
    }
    let bytes = link.get_range(&path, end(length)).await?;
    Ok(bytes.and_then(|bytes| pack::table(&bytes)))
}

/// Where these contents, or the lists of their chunks, lie, and of which that is not known.
fn find(open: &Open, digests: &[Digest]) -> (Vec<Located>, Vec<Digest>) {
    let data: Vec<Name> = digests.iter().copied().map(Name::data).collect();
    let lists: Vec<Name> = digests.iter().copied().map(Name::list).collect();
    let mut located = Vec::with_capacity(digests.len());
    let mut unknown = Vec::new();
    let data = open.known.find_all(&data);
    let absent: Vec<usize> = (0..digests.len()).filter(|index| data[*index].is_none()).collect();
    located.extend(data.into_iter().flatten());
    let wanted: Vec<Name> = absent.iter().map(|index| lists[*index]).collect();
    for (name, found) in wanted.iter().zip(open.known.find_all(&wanted)) {
        match found {
            Some(found) => located.push(found),
            None => unknown.push(name.digest),
        }
    }
    (located, unknown)
}

fn holds(open: &Open, digests: &[Digest]) -> Vec<bool> {
    let names = |of: fn(Digest) -> Name| digests.iter().copied().map(of).collect::<Vec<_>>();
    let (data, lists) = (open.known.has(&names(Name::data)), open.known.has(&names(Name::list)));
    let held = data.into_iter().zip(lists).map(|(data, list)| data || list);
    held.zip(digests).map(|(held, digest)| held || open.known.has_packs_of(*digest)).collect()
}

/// Chunks gathered by the parts of packs that are fetched at once.
fn spans(chunks: Vec<Located>) -> Vec<Span> {
    let mut by_pack: BTreeMap<PackId, Vec<(Name, Place)>> = BTreeMap::new();
    for (name, pack, place) in chunks {
        by_pack.entry(pack).or_default().push((name, place));
    }
    let mut spans: Vec<Span> = Vec::new();
    for (pack, mut chunks) in by_pack {
        chunks.sort_unstable_by_key(|(name, place)| (place.offset, place.start, *name));
        for (name, place) in chunks {
            let (start, end) = (u64::from(place.offset), u64::from(place.offset) + u64::from(place.stored));
            match spans.last_mut() {
                Some(span) if span.pack == pack && start <= span.end + GAP && end - span.start <= RANGE => {
                    span.end = span.end.max(end);
                    span.chunks.push((name, place));
                }
                _ => spans.push(Span { pack, start, end, chunks: vec![(name, place)] }),
            }
        }
    }
    spans
}

/// The chunks of a span, and the names of those that are not what they should be.
fn unpack(span: &Span, bytes: &[u8]) -> (Vec<(Name, Vec<u8>)>, Vec<Name>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let mut frame: Option<(Place, Option<Vec<u8>>)> = None;
    for (name, place) in &span.chunks {
        let is_same = |(other, _): &(Place, Option<Vec<u8>>)| {
            (other.offset, other.stored, other.raw) == (place.offset, place.stored, place.raw)
        };
        if !frame.as_ref().is_some_and(is_same) {
            let start = (u64::from(place.offset) - span.start) as usize;
            let stored = bytes.get(start..start + place.stored as usize);
            let raw = stored.and_then(|stored| codec::decompress_exactly(stored, place.raw as usize));
            frame = Some((*place, raw));
        }
        let raw = frame.as_ref().and_then(|(_, raw)| raw.as_deref());
        match raw.and_then(|raw| pack::chunk(raw, name, place)) {
            Some(chunk) => good.push((*name, chunk.to_vec())),
            None => bad.push(*name),
        }
    }
    (good, bad)
}

/// The file in which a content of this size is put together, locked; none if another process works on it.
fn claim(path: &Utf8Path, size: u64) -> io::Result<Option<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
        return Ok(None);
    }
    if file.metadata()?.len() != size {
        file.set_len(size)?;
    }
    Ok(Some(file))
}

/// Waits until another process has fetched a content, or has given up; whether it is here then.
fn wait_for(path: &Utf8Path, cache: &Cache, digest: Digest) -> bool {
    if let Ok(file) = File::open(path) {
        // Without locks nothing is waited for.
        drop(file.lock_shared());
    }
    cache.open_content(digest).is_ok()
}

/// Whether a part of a file is there already.
fn is_there(file: &File, offset: u64, part: &Part) -> bool {
    if part.length as usize > CHUNK_MOST {
        return false;
    }
    let mut bytes = vec![0; part.length as usize];
    file.read_exact_at(&mut bytes, offset).is_ok() && Digest::of(&bytes) == part.digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    fn place(offset: u32, stored: u32) -> Place {
        Place { offset, stored, raw: 10, start: 0, length: 10 }
    }

    #[test]
    fn what_lies_close_together_comes_as_one() {
        let pack =
            |text: &str| PackId { level: Level::Ci, digest: Digest::of(text.as_bytes()), size: 1 << 24 };
        let name = |text: &str| Name::data(Digest::of(text.as_bytes()));
        let gap = u32::try_from(GAP).unwrap();
        let chunks = vec![
            (name("far"), pack("a"), place(100 + 2 * gap + 100, 50)),
            (name("second"), pack("a"), place(100, 50)),
            (name("first"), pack("a"), place(0, 50)),
            (name("elsewhere"), pack("b"), place(60, 50)),
        ];
        let mut ranges: Vec<(u64, u64, usize)> =
            spans(chunks).iter().map(|span| (span.start, span.end, span.chunks.len())).collect();
        ranges.sort_unstable();
        let far = u64::from(100 + 2 * gap + 100);
        assert_eq!(ranges, [(0, 150, 2), (60, 110, 1), (far, far + 50, 1)]);
    }

    #[test]
    fn no_request_is_larger_than_it_may_be() {
        let pack = PackId { level: Level::Ci, digest: Digest::of(b"a"), size: 1 << 26 };
        let chunks =
            (0..40_u32).map(|at| (Name::data(Digest::of(&at.to_le_bytes())), pack, place(at << 20, 1 << 20)));
        let spans = spans(chunks.collect());
        assert!(spans.len() >= 5 && spans.iter().all(|span| span.end - span.start <= RANGE));
    }

    #[test]
    fn a_chunk_that_is_not_what_it_should_be_is_not_given_away() {
        let (good, bad) = (b"good chunk".to_vec(), b"bad chunk!".to_vec());
        let stored = codec::compress(&[good.clone(), bad].concat());
        let stored_length = u32::try_from(stored.len()).unwrap();
        let at = |start| Place { offset: 5, stored: stored_length, raw: 20, start, length: 10 };
        let pack = PackId { level: Level::Ci, digest: Digest::of(b"a"), size: 100 };
        let names = [Name::data(Digest::of(&good)), Name::data(Digest::of(b"another"))];
        let span = Span {
            pack,
            start: 5,
            end: 5 + u64::from(stored_length),
            chunks: vec![(names[0], at(0)), (names[1], at(10))],
        };
        assert_eq!(unpack(&span, &stored), (vec![(names[0], good)], vec![names[1]]));
        assert_eq!(unpack(&span, &stored[1..]), (vec![], names.to_vec()));
    }
}
