//! What a precreate came to: a code that the buyer scans.

use super::{Judged, Reason, Trouble};

/// The answer to `precreate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrecreateAnswer {
    /// There is a code to show. A trade there is only once a buyer scans it.
    Made {
        /// What to draw.
        qr_code: String,
    },
    /// A verified refusal by the gateway's front door: nothing was made.
    Refused(Reason),
    /// A verified business refusal.
    Declined(Reason),
    /// Certain: the request never left the box.
    NotSent(Trouble),
    /// A verified refusal because the number is in use at the gateway; there may
    /// be a code for it, and it may be paid.
    Repeated(Trouble),
    /// Anything else; there may be a code that nobody has seen.
    Unknown(Trouble),
}

impl PrecreateAnswer {
    pub(super) fn judged(&self) -> Judged {
        match self {
            Self::Made { .. } => Judged::Made,
            Self::Refused(_) => Judged::Refused,
            Self::Declined(_) => Judged::Declined,
            Self::NotSent(_) => Judged::NotSent,
            Self::Repeated(_) => Judged::Repeated,
            Self::Unknown(_) => Judged::Unknown,
        }
    }

    pub(super) fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::NotSent(t) | Self::Repeated(t) | Self::Unknown(t) => Some(t),
            Self::Made { .. } | Self::Refused(_) | Self::Declined(_) => None,
        }
    }
}
