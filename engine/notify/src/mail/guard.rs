//! The connection before TLS begins. Whoever sits on the way could answer `STARTTLS` and add more answers in the same breath,
//! which would be read later as if they had come encrypted. So nothing may follow that one answer.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that lets nothing follow the answer to `STARTTLS`.
#[derive(Debug)]
pub(super) struct Guard {
    stream: TcpStream,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// `STARTTLS` has not been said.
    Before,
    /// It has; this much of the answer's last line has come.
    Answer(Vec<u8>),
    /// It has been answered, and whatever follows is TLS.
    After,
}

impl Guard {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, state: State::Before }
    }
}

impl State {
    fn said(&mut self, bytes: &[u8]) {
        if *self == Self::Before && bytes.eq_ignore_ascii_case(b"STARTTLS\r\n") {
            *self = Self::Answer(Vec::new());
        }
    }

    /// Takes what was read, and tells whether it is more than an answer.
    fn heard(&mut self, bytes: &[u8]) -> bool {
        let Self::Answer(line) = self else { return false };
        for (at, byte) in bytes.iter().enumerate() {
            line.push(*byte);
            if *byte != b'\n' {
                continue;
            }
            // `220-` announces another line, and `220 ` does not.
            if line.get(3) != Some(&b'-') {
                *self = Self::After;
                return at + 1 < bytes.len();
            }
            line.clear();
        }
        false
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let more = self.state.heard(&buffer.filled()[before..]);
        Poll::Ready(match more {
            true => Err(io::Error::new(
                ErrorKind::InvalidData,
                "more than one answer came before TLS began, as if somebody sat on the way",
            )),
            false => Ok(()),
        })
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.state.said(bytes);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Guard {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(parts: &[&str]) -> bool {
        let mut state = State::Before;
        assert!(!state.heard(b"220 hello\r\n250 ok\r\n"));
        state.said(b"STARTTLS\r\n");
        parts.iter().any(|part| state.heard(part.as_bytes()))
    }

    #[test]
    fn nothing_follows_the_answer() {
        assert!(!heard(&["220 go ahead\r\n"]));
        assert!(!heard(&["22", "0 go\r", "\n", "what is TLS"]));
        assert!(!heard(&["220-go\r\n220 ahead\r\n"]));
        assert!(heard(&["220 go ahead\r\n250 AUTH PLAIN\r\n"]));
        assert!(heard(&["220-go\r\n220 ah", "ead\r\n2"]));
    }
}
