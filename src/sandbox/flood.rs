//! A connection that says interim answers and nothing else, as long as anybody
//! listens. The HTTP library cannot be asked to, so it is done below it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An answer that is none yet (RFC 8297).
const INTERIM: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";

/// A connection that can be told to flood.
pub(super) struct Floodable<S> {
    stream: S,
    floods: Arc<AtomicBool>,
    /// How much of the interim answer under way is written.
    written: usize,
}

impl<S> Floodable<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, floods: Arc::default(), written: 0 }
    }

    /// Once it is set, whatever is to be written waits behind interim answers
    /// that never end.
    pub(super) fn floods(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.floods)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Floodable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Floodable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        while self.floods.load(Ordering::Relaxed) {
            let rest = INTERIM.get(self.written..).unwrap_or_default();
            // Pending from time to time, and an error in the end.
            let some = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            self.written = (self.written + some) % INTERIM.len();
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
