//! The line in the log that each change of a payment gets.

use crate::payment::{Call, Entry, EntryStep, Judged, Payment};
use crate::terminal::Matter;

/// An entry about a payment or a refund that is being written: once it is on disk
/// it is logged in one line, and a payment is remembered.
pub(super) struct Line(Option<(Matter, EntryStep)>);

impl Line {
    pub(super) fn of(entry: &Entry) -> Self {
        Self(match entry {
            Entry::Payment { payment, step } => {
                Some((Matter::Payment(payment.clone()), step.clone()))
            }
            Entry::Refund { refund, step } => Some((Matter::Refund(refund.clone()), step.clone())),
            Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. } => None,
        })
    }

    pub(super) fn is_new(&self) -> bool {
        self.0.as_ref().is_some_and(|(about, _)| match about {
            Matter::Payment(payment) => payment.rev() == 1,
            Matter::Refund(refund) => refund.rev() == 1,
        })
    }

    /// The payment that the entry is about.
    pub(super) fn payment(&self) -> Option<&Payment> {
        match &self.0 {
            Some((Matter::Payment(payment), _)) => Some(payment),
            Some((Matter::Refund(_), _)) | None => None,
        }
    }

    /// Logs the entry under its number.
    fn log(self, seq: u64) {
        let Some((about, step)) = self.0 else { return };
        let verdict = step.judged.map(Judged::name).unwrap_or_default();
        let call = step.call.map(Call::name).unwrap_or_default();
        let sub_code = step.wire.and_then(|wire| wire.sub_code).unwrap_or_default();
        let step = step.name.name();
        match about {
            Matter::Payment(payment) => {
                let (number, rev) = (&payment.order().out_trade_no, payment.rev());
                let state = payment.public().name();
                if payment.attention().is_some() {
                    tracing::warn!(%number, seq, rev, state, step, verdict, sub_code, call, "needs attention");
                } else {
                    tracing::info!(%number, seq, rev, state, step, verdict, sub_code, call, "payment");
                }
            }
            Matter::Refund(refund) => {
                let (number, rev, asked) = (refund.of(), refund.rev(), refund.asked());
                let (state, request) = (refund.public().name(), &asked.request);
                let (amount, cause) = (asked.amount, asked.cause.name());
                if refund.attention().is_some() {
                    tracing::warn!(%number, %request, %amount, cause, seq, rev, state, step, verdict, sub_code, call, "refund needs attention");
                } else {
                    tracing::info!(%number, %request, %amount, cause, seq, rev, state, step, verdict, sub_code, call, "refund");
                }
            }
        }
    }
}

/// So many lines wait at most: more only when there is always something else to do.
const LINES_MAX: usize = 64;

/// Lines about entries that are on disk. A call or a reply that is due does not wait
/// until they are written.
#[derive(Default)]
pub(super) struct Lines(Vec<(u64, Line)>);

impl Lines {
    pub(super) fn add(&mut self, seq: u64, line: Line) {
        self.0.push((seq, line));
        if self.0.len() >= LINES_MAX {
            self.log();
        }
    }

    /// When everything else that can be done now is done; never, if there are none.
    pub(super) async fn have_time(&self) {
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
        // Comes back after all tasks that are ready, and those that they make ready.
        tokio::task::yield_now().await;
    }

    /// Logs all of them, in the order of their entries.
    pub(super) fn log(&mut self) {
        self.0.drain(..).for_each(|(seq, line)| line.log(seq));
    }
}

impl Drop for Lines {
    /// However the loop ends.
    fn drop(&mut self) {
        self.log();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Waker};

    use super::*;

    /// Bug to plant: let `have_time` come back at once.
    #[tokio::test]
    async fn a_line_is_written_after_what_is_due_has_been_sent() {
        let mut lines = Lines::default();
        lines.add(1, Line(None));
        let sent = Arc::new(AtomicBool::new(false));
        let by_connection = Arc::clone(&sent);
        // A call goes by way of a task to that of its connection.
        tokio::spawn(async move {
            let connection = async move { by_connection.store(true, Ordering::SeqCst) };
            let _ = tokio::spawn(connection).await;
        });
        lines.have_time().await;
        assert!(sent.load(Ordering::SeqCst));
    }

    #[test]
    fn no_line_takes_no_time_and_few_lines_wait() {
        let mut lines = Lines::default();
        {
            let mut time = std::pin::pin!(lines.have_time());
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(time.as_mut().poll(&mut context).is_pending(), "there is nothing to log");
            }
        }
        for seq in 0..100 {
            lines.add(seq, Line(None));
            assert!(lines.0.len() < LINES_MAX, "{seq}");
        }
    }
}
