//! A scanner as the daemon holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::scanner::device::wake::Wake;

/// A scanner that is being read. Dropping it ends that, and lets go of the
/// device.
#[derive(Debug)]
#[must_use = "dropping it stops the scanner"]
pub struct Handle {
    id: String,
    beats: Arc<AtomicU64>,
    worker: Option<(Arc<Wake>, JoinHandle<()>)>,
}

impl Handle {
    /// `worker` is missing when the system would not even give us a thread.
    pub(super) fn new(
        id: String,
        beats: Arc<AtomicU64>,
        worker: Option<(Arc<Wake>, JoinHandle<()>)>,
    ) -> Self {
        Self { id, beats, worker }
    }

    /// Which scanner.
    #[must_use]
    pub fn scanner(&self) -> &str {
        &self.id
    }

    /// Signs of life. It grows several times a second, whether the device is
    /// there or not; when it stands still the reader hangs.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// The same, for somebody who does not hold the scanner.
    pub fn heartbeat(&self) -> impl Fn() -> u64 + Send + use<> {
        let beats = Arc::clone(&self.beats);
        move || beats.load(Ordering::Relaxed)
    }

    /// Tells that a payment waits for a code of this scanner, or that none does
    /// any more. Never waits; what it leads to happens on the scanner's thread.
    pub fn arm(&self, waiting: bool) {
        if let Some((wake, _)) = &self.worker {
            wake.arm(waiting);
        }
    }

    /// Stops, and waits a moment for the device to be let go of, so that no key
    /// stays pressed for whoever reads the keyboard next.
    pub async fn stop(mut self) {
        let Some((wake, thread)) = self.worker.take() else { return };
        wake.stop();
        for _ in 0..50 {
            if thread.is_finished() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some((wake, _)) = &self.worker {
            wake.stop();
        }
    }
}
