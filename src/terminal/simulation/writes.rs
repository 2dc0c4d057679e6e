//! What is on its way to the disk, and the calls that are made ready meanwhile, as
//! the daemon has them.

use crate::payment::{AuthCode, Call, Entry, Payment};
use crate::terminal::{Ahead, Serial, Ticket};

pub(super) struct Write {
    pub(super) ticket: Ticket,
    pub(super) entry: Entry,
    pub(super) ready: Option<Ready>,
}

/// A call as it would go out.
#[derive(Debug, PartialEq)]
pub(super) struct Ready {
    pub(super) serial: Serial,
    pub(super) call: Call,
    pub(super) payment: Payment,
    pub(super) code: Option<AuthCode>,
}

impl Ready {
    /// With the payment as it is in the entry, which is all that there is by then.
    pub(super) fn of(entry: &Entry, ahead: Option<Ahead>) -> Option<Self> {
        let Entry::Payment { payment, .. } = entry else { return None };
        let Ahead { serial, call, code } = ahead?;
        Some(Self { serial, call, payment: payment.clone(), code })
    }
}
