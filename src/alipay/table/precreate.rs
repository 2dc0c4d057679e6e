//! The codes of a precreate. The page is that of `alipay.trade.precreate`, whose
//! errors are those of a pay and a few of its own.

use super::{PayVerdict, Words, pay};

/// What the codes of an answer to a precreate mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrecreateVerdict {
    /// There is a code.
    Made,
    /// Refused by the business behind the gateway.
    Declined,
    /// Refused because the number is in use.
    Repeated,
    /// Refused at the gateway's front door.
    Refused,
    /// Not now.
    Busy,
    /// It settles nothing.
    Unsettled,
}

/// Looks up an answer to a precreate.
pub(crate) fn precreate(words: Words<'_>) -> PrecreateVerdict {
    use PrecreateVerdict as V;
    match words.codes() {
        // Precreate: answer.
        ("10000", "") => V::Made,

        // Precreate, errors of its own: there is a code for this number.
        ("40004", "APPLY_PC_MERCHANT_CODE_ERROR") => V::Repeated,

        // The rest is as with a pay, but that no buyer can be waited for.
        _ => match pay(words) {
            PayVerdict::Declined => V::Declined,
            PayVerdict::Repeated => V::Repeated,
            PayVerdict::Refused => V::Refused,
            PayVerdict::Busy => V::Busy,
            PayVerdict::Paid | PayVerdict::Waiting | PayVerdict::Unsettled => V::Unsettled,
        },
    }
}
