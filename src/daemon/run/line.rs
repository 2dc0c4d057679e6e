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

    /// Logs the entry under its number, and gives the payment that it is about.
    pub(super) fn log(self, seq: u64) -> Option<Payment> {
        let (about, step) = self.0?;
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
                Some(payment)
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
                None
            }
        }
    }
}
