//! What may still go back of a payment.

use super::{Refund, RefundState};
use crate::payment::{Amount, Fen, Payment};

/// What is proven to be back of a payment, by refunds of this terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refunded {
    /// How much.
    pub amount: Fen,
    /// By how many refunds.
    pub count: u64,
}

/// All that went back of a payment, or may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefundSum {
    /// Proven to be back.
    pub refunded: Refunded,
    /// Not settled.
    pub open: Fen,
    /// The most that the gateway has ever said went back of the trade, by
    /// whomever.
    pub told: Fen,
}

/// More was asked for than can be given back: so much is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeds {
    /// What is left.
    pub left: Fen,
}

impl RefundSum {
    /// Of these refunds of one payment.
    #[must_use]
    pub fn of<'a>(refunds: impl IntoIterator<Item = &'a Refund>) -> Self {
        let mut sum = Self::default();
        for refund in refunds {
            let fen = refund.asked.amount.fen();
            match refund.public() {
                RefundState::Refunded => {
                    let Refunded { amount, count } = &mut sum.refunded;
                    amount.0 = amount.0.saturating_add(fen);
                    *count += 1;
                }
                RefundState::Processing => sum.open.0 = sum.open.0.saturating_add(fen),
                RefundState::Refused => {}
            }
            sum.told = sum.told.max(refund.back.total.unwrap_or_default());
        }
        sum
    }

    /// What can still be given back of `paid`: what is open counts as given, and
    /// so does what others gave back in the merchant's account.
    #[must_use]
    pub fn left(&self, paid: Amount) -> Fen {
        let given = self.refunded.amount.max(self.told).0.saturating_add(self.open.0);
        Fen(paid.fen().saturating_sub(given))
    }

    /// Whether so much may go back.
    ///
    /// # Errors
    ///
    /// [`Exceeds`] if less is left.
    pub fn allows(&self, amount: Amount, payment: &Payment) -> Result<(), Exceeds> {
        let left = self.left(payment.order().amount);
        if amount.fen() <= left.0 { Ok(()) } else { Err(Exceeds { left }) }
    }
}

impl Refunded {
    /// All of it is back.
    #[must_use]
    pub fn is_all_of(self, paid: Amount) -> bool {
        self.amount.0 >= paid.fen()
    }
}
