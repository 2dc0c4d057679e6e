//! Signs calls while their entries are being written: a signature takes about as
//! long as a write.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use crate::alipay::ask::Ask;
use crate::alipay::{Client, Prepared};
use crate::payment::Timestamp;

/// So many wait at most: more are only due at a start with many open payments,
/// and are signed when they are sent.
const WAITING_MAX: usize = 64;

/// The second of two places where calls are signed. The first is the loop's own
/// thread, which has nothing else to do while a single payment is being written.
pub(super) struct Signer {
    /// Nobody starts the thread until there is something for it to do.
    jobs: Option<SyncSender<Job>>,
}

struct Job {
    client: Arc<Client>,
    ask: Ask,
    gateway_now: Timestamp,
    done: oneshot::Sender<Prepared>,
}

/// A call that is signed, or will be in a moment. What is dropped is wiped.
pub(super) enum Signing {
    Done(Prepared),
    UnderWay(oneshot::Receiver<Prepared>),
}

impl Signer {
    pub(super) fn new() -> Self {
        Self { jobs: None }
    }

    /// Has a call signed on the other thread. Nothing if there is too much to do.
    pub(super) fn sign(
        &mut self,
        client: Arc<Client>,
        ask: Ask,
        gateway_now: Timestamp,
    ) -> Option<Signing> {
        if self.jobs.is_none() {
            self.jobs = start();
        }
        let (done, signed) = oneshot::channel();
        let job = Job { client, ask, gateway_now, done };
        self.jobs.as_ref()?.try_send(job).ok()?;
        Some(Signing::UnderWay(signed))
    }
}

/// Ends with its signer. A box that has no room for a thread signs on the loop's.
fn start() -> Option<SyncSender<Job>> {
    let (jobs, to_do) = sync_channel(WAITING_MAX);
    thread::Builder::new().name("signer".to_owned()).spawn(move || sign_all(&to_do)).ok()?;
    Some(jobs)
}

fn sign_all(to_do: &Receiver<Job>) {
    while let Ok(Job { client, ask, gateway_now, done }) = to_do.recv() {
        // Its entry was not written meanwhile.
        if done.is_closed() {
            continue;
        }
        let _ = done.send(client.prepare(ask, gateway_now));
    }
}

impl Signing {
    /// The signed call; nothing if the thread has died over it.
    pub(super) async fn done(self) -> Option<Prepared> {
        match self {
            Self::Done(prepared) => Some(prepared),
            Self::UnderWay(signed) => signed.await.ok(),
        }
    }
}
