//! Where entries are handed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::{io, thread};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::append::{AppendError, Health, Pending};
use super::chain::ChainKey;
use super::desk::{Desk, Telltale};
use super::files::{Files, Lock};
use super::reader::Reader;
use crate::payment::{Entry, Timestamp};

/// So many entries may wait for the disk. A register waits for each of its
/// payments, so a terminal does not come near it; if the disk stalls for long,
/// the rest is refused at once instead of piling up in memory.
const QUEUE_MAX: usize = 1024;

/// Appends to the journal. Dropping it writes what is queued, ends the thread
/// and gives the lock back.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Job>>,
    health: watch::Receiver<Health>,
    heartbeat: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    pub(super) switches: Arc<super::tests::Switches>,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) entry: Box<Entry>,
    pub(super) at: Timestamp,
    tell: oneshot::Sender<Result<u64, AppendError>>,
}

impl Writer {
    /// Puts an entry at the end of the journal.
    ///
    /// * `Ok(seq)`: it is durable under this number: it survives a power cut, and
    ///   every entry appended before it that was not refused is durable too. Only
    ///   now may the call be sent that the entry decides, and anybody be told.
    /// * [`AppendError::NotWritten`], [`AppendError::Refused`]: it is certainly
    ///   not in the journal and never will be. Nothing that it says has happened.
    /// * Nothing yet: it is not known. While the disk fails in the middle of a
    ///   commit, the writer goes on trying to find out, and the health says so.
    /// * [`AppendError::Unknown`]: the writer is gone. Act on nothing.
    ///
    /// Entries are written in the order of these calls. Those that wait together
    /// share one transaction and one fsync; one alone waits for nobody.
    ///
    /// While the health is [`Health::Unavailable`], only entries about payments
    /// that are already in the journal are tried; all others are not written.
    pub fn append(&self, entry: Entry, at: Timestamp) -> Pending {
        let (tell, pending) = Pending::new();
        let job = Job { entry: Box::new(entry), at, tell };
        let turned_away = match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Err(TrySendError::Full(job))) => {
                Some((job, "too many entries are waiting for the disk"))
            }
            Some(Err(TrySendError::Disconnected(job))) => {
                Some((job, "the journal's writer has ended"))
            }
            Some(Ok(())) | None => None,
        };
        if let Some((job, why)) = turned_away {
            job.reply(Err(AppendError::NotWritten(why.to_owned())));
        }
        pending
    }

    /// Whether something new may be begun, at all times.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Grows at least every second or so while the thread is alive and the disk
    /// answers, for the watchdog.
    #[must_use]
    pub fn heartbeat(&self) -> Arc<AtomicU64> {
        self.heartbeat.clone()
    }

    /// Tries the connection, if there is one already, and starts the thread.
    pub(super) fn start(
        files: Files,
        lock: Lock,
        key: ChainKey,
        conn: Option<Connection>,
        reader: Reader,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::sync_channel(QUEUE_MAX);
        let untried = Health::Unavailable("it has not been tried yet".to_owned());
        let (health, watched) = watch::channel(untried);
        let heartbeat = Arc::new(AtomicU64::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        #[cfg(test)]
        let switches = Arc::new(super::tests::Switches::default());
        let desk = Desk::new(
            files,
            lock,
            key,
            reader,
            conn,
            Telltale { health, heartbeat: heartbeat.clone(), stopping: stopping.clone() },
            #[cfg(test)]
            switches.clone(),
        );
        let thread =
            thread::Builder::new().name("journal".to_owned()).spawn(move || desk.run(&jobs))?;
        Ok(Self {
            queue: Some(queue),
            health: watched,
            heartbeat,
            stopping,
            thread: Some(thread),
            #[cfg(test)]
            switches,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A thread that has died has said so through its health.
            let _ = thread.join();
        }
    }
}

impl Job {
    pub(super) fn reply(self, outcome: Result<u64, AppendError>) {
        // Whoever asked may have gone; the entry stays.
        let _ = self.tell.send(outcome);
    }
}
