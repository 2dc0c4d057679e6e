//! What whoever appends is told, and when.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// Why there is no entry, or none that anybody can know of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Certainly not in the journal, because it cannot be written at present.
    /// The same entry may be appended again once the health is
    /// [`Health::Writable`].
    #[error("the entry was not written: {0}")]
    NotWritten(String),
    /// Certainly not in the journal, because it contradicts what is there: a
    /// number that is taken, a change that was skipped, a final payment that
    /// would change, a second open or paid attempt of one sale. Appending it
    /// again would fail again; the caller has lost track.
    #[error("the journal refused the entry: {0}")]
    Refused(String),
    /// The writer ended before it could find out. Only when the daemon stops or
    /// the writer's thread has died: act on nothing, tell nobody, and let the
    /// next start read what is true.
    #[error("the journal's writer ended before it was known whether the entry was written")]
    Unknown,
}

/// Whether something new may be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// The last write, or the last probe, reached the disk.
    Writable,
    /// It did not; why, in one line for people. The writer tries again every
    /// second and turns back by itself.
    Unavailable(String),
}

/// An entry on its way to the disk. Dropping it does not take the entry back.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<u64, AppendError>>);

impl Pending {
    pub(super) fn new() -> (oneshot::Sender<Result<u64, AppendError>>, Self) {
        let (tell, told) = oneshot::channel();
        (tell, Self(told))
    }

    /// Nothing has been said yet.
    #[cfg(test)]
    pub(super) fn is_open(&mut self) -> bool {
        matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

impl Future for Pending {
    type Output = Result<u64, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|told| told.unwrap_or(Err(AppendError::Unknown)))
    }
}
