//! What keeps a waiting payment from its code, for the cashier.

use std::time::Duration;

use super::{
    Amount, CancelAction, CodeMark, How, OtherCode, OutTradeNo, Payment, Public, State, Timestamp,
};

/// How long a code is known again, from the end of its own life. Alipay takes a
/// code once; this spares the customer the wait and the cashier the riddle. A
/// code that is shown again is shown within minutes; a day is on the safe side
/// of every clock, and so short that no code can come back by chance.
const CODE_MEMORY: Duration = Duration::from_hours(24);

/// Why a payment that waits for a code has not got one, although somebody tries.
/// It changes nothing about the payment but what the cashier is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Something else than a payment code of Alipay was shown.
    Shown(OtherCode),
    /// The scan began before the payment did.
    TooEarly,
    /// A scan was not read in full.
    ScanLost,
    /// The scanner is unplugged, or cannot be read.
    ScannerGone,
    /// The code has been used for another payment.
    CodeUsed {
        /// Which payment.
        number: OutTradeNo,
        /// Its amount.
        amount: Amount,
        /// How it stood when the code was shown again.
        state: Public,
    },
}

/// What a scan was, as its entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanKind {
    /// A payment code of Alipay that no payment was waiting for.
    Alipay,
    /// The same, for a payment that began after the scan did.
    TooEarly,
    /// The same, used for another payment before.
    CodeUsed,
    /// Something else than a payment code of Alipay.
    Other(OtherCode),
}

impl ScanKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_alipay = [Self::Alipay, Self::TooEarly, Self::CodeUsed];
        of_alipay.into_iter().chain(OtherCode::ALL.map(Self::Other))
    }

    /// The stable name in scan events and in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alipay => "alipay",
            Self::TooEarly => Hint::TOO_EARLY,
            Self::CodeUsed => Hint::CODE_USED,
            Self::Other(code) => code.name(),
        }
    }

    /// Reads what [`name`](Self::name) says.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }
}

impl Hint {
    const TOO_EARLY: &str = "too_early";
    const CODE_USED: &str = "code_already_used";

    /// The stable name in the API and in scan events.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shown(code) => code.name(),
            Self::TooEarly => Self::TOO_EARLY,
            Self::ScanLost => "scan_lost",
            Self::ScannerGone => "scanner_gone",
            Self::CodeUsed { .. } => Self::CODE_USED,
        }
    }

    /// The code has been used for this payment.
    #[must_use]
    pub fn used_for(payment: &Payment) -> Self {
        Self::CodeUsed {
            number: payment.order().out_trade_no.clone(),
            amount: payment.order().amount,
            state: payment.public(),
        }
    }
}

impl Payment {
    /// A code with this mark was sent for this payment, or is about to be, or
    /// may have been: nothing else must be charged to it. Not so when the pay
    /// certainly never left the box; then the customer may show it again.
    #[must_use]
    pub fn has_used(&self, mark: CodeMark, steady: Timestamp) -> bool {
        let never_left = self.state() == State::Cancelled(CancelAction::None);
        self.offer().is_some_and(|offer| {
            let How::Code { mark: taken, fresh_until } = offer.how else { return false };
            taken == Some(mark) && !never_left && steady < fresh_until + CODE_MEMORY
        })
    }
}
