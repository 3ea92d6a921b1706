//! A proxy that injects faults: it stands in front of a real server, and now and then drops, delays, cuts short, corrupts or repeats
//! what goes through, or answers in the server's place that it is too busy. Which faults come follows from a seed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// It is closed before anything is answered.
    Drop,
    /// It waits for a while.
    Delay,
    /// The answers are cut off after so many bytes.
    Cut(usize),
    /// One byte of the answers is another one.
    Corrupt(usize),
    /// The server is said to be too busy.
    Busy,
    /// What was asked is asked once more when all is over.
    Repeat,
}

/// A proxy in front of a server on loopback.
pub(crate) struct Faults {
    /// Where it listens.
    pub(crate) port: u16,
    counts: Arc<[AtomicU64; 7]>,
    stopped: Arc<AtomicBool>,
}

impl Faults {
    /// Begins to listen. One connection in `every` has a fault.
    pub(crate) fn before(server: u16, seed: u64, every: u32) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts: Arc<[AtomicU64; 7]> = Arc::default();
        let stopped = Arc::new(AtomicBool::new(false));
        let (counted, stop) = (Arc::clone(&counts), Arc::clone(&stopped));
        std::thread::spawn(move || {
            let mut random = StdRng::seed_from_u64(seed);
            for client in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let fault = fault(&mut random, every);
                counted[fault.number()].fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || through(client, server, fault));
            }
        });
        Self { port, counts, stopped }
    }

    /// How many connections had a fault.
    pub(crate) fn count(&self) -> u64 {
        self.counts[1..].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the one that listens; it may have ended.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Fault {
    fn number(self) -> usize {
        match self {
            Self::None => 0,
            Self::Drop => 1,
            Self::Delay => 2,
            Self::Cut(_) => 3,
            Self::Corrupt(_) => 4,
            Self::Busy => 5,
            Self::Repeat => 6,
        }
    }
}

fn fault(random: &mut StdRng, every: u32) -> Fault {
    if random.random_range(0..every) > 0 {
        return Fault::None;
    }
    // Small answers and large ones are hit alike.
    let at = 1_usize << random.random_range(0..22);
    let at = random.random_range(at / 2..at.max(1) + 1);
    match random.random_range(0..6) {
        0 => Fault::Drop,
        1 => Fault::Delay,
        2 => Fault::Cut(at),
        3 => Fault::Corrupt(at),
        4 => Fault::Busy,
        _ => Fault::Repeat,
    }
}

/// Whatever goes wrong here is one more fault.
fn through(mut client: TcpStream, server: u16, fault: Fault) {
    match fault {
        Fault::Drop => return,
        Fault::Delay => std::thread::sleep(Duration::from_millis(300)),
        Fault::Busy => {
            drop(client.read(&mut [0; 4096]));
            let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            drop(client.write_all(answer.as_bytes()));
            return;
        }
        _ => {}
    }
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let (Ok(asking), Ok(asked)) = (client.try_clone(), upstream.try_clone()) else { return };
    let questions = std::thread::spawn(move || copy(asking, asked, Fault::None));
    copy(upstream, client, fault);
    let said = questions.join().unwrap_or_default();
    if fault == Fault::Repeat
        && let Ok(mut again) = TcpStream::connect(("127.0.0.1", server))
    {
        drop(again.write_all(&said));
        drop(again.shutdown(Shutdown::Write));
        drop(again.set_read_timeout(Some(Duration::from_secs(1))));
        drop(std::io::copy(&mut again, &mut std::io::sink()));
    }
}

/// Copies until one side ends: what went through, up to some megabytes.
fn copy(mut from: TcpStream, mut to: TcpStream, fault: Fault) -> Vec<u8> {
    let (mut buffer, mut done, mut kept) = (vec![0; 64 << 10], 0, Vec::new());
    while let Ok(length) = from.read(&mut buffer)
        && length > 0
    {
        let mut bytes = &mut buffer[..length];
        match fault {
            Fault::Cut(at) if done + length > at => bytes = &mut bytes[..at.saturating_sub(done)],
            Fault::Corrupt(at) if (done..done + length).contains(&at) => bytes[at - done] ^= 0x20,
            _ => {}
        }
        let is_cut = bytes.len() < length;
        if to.write_all(bytes).is_err() || is_cut {
            break;
        }
        done += length;
        if kept.len() < 32 << 20 {
            kept.extend_from_slice(bytes);
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
    kept
}
