//! The judges of a refund, and of the query about it.

use super::Case;
use crate::alipay::request;
use crate::alipay::table::{self, RefundQueryVerdict, RefundVerdict};
use crate::payment::{Back, Fen, RefundAnswer, RefundQueryAnswer, Trouble, TroubleKind};

impl Case<'_> {
    /// A refund's answer names neither the request nor its amount: that it is
    /// about ours follows from the order's number alone, which must be there.
    pub(super) fn refund(self) -> RefundAnswer {
        use RefundVerdict as V;
        if let Some(trouble) = self.other_number().or_else(|| self.other_trade()) {
            return RefundAnswer::Unknown(trouble);
        }
        match table::refund(self.words()) {
            V::Done => match self.missing(&["out_trade_no"]).or_else(|| self.too_little()) {
                Some(trouble) => RefundAnswer::Unknown(trouble),
                None => RefundAnswer::Done(self.back()),
            },
            V::Unproven => RefundAnswer::Unproven(self.back()),
            V::RefusedForGood => RefundAnswer::Refused(self.reason()),
            V::SellerBalance => RefundAnswer::Unknown(self.trouble(TroubleKind::SellerBalance)),
            V::Refused => RefundAnswer::Unknown(self.trouble(TroubleKind::Refused)),
            V::Busy => RefundAnswer::Unknown(self.trouble(TroubleKind::Busy)),
            V::Unsettled => RefundAnswer::Unknown(self.trouble(TroubleKind::Unsettled)),
        }
    }

    /// That nothing is known of our request may be said without naming it; that
    /// it was done, only with its number, its order's and its amount.
    pub(super) fn refund_query(self) -> RefundQueryAnswer {
        use RefundQueryVerdict as V;
        if let Some(trouble) = self.other_number().or_else(|| self.other_request()) {
            return RefundQueryAnswer::Unknown(trouble);
        }
        match table::refund_query(self.words()) {
            V::Done => {
                let names = ["out_trade_no", "out_request_no", "refund_amount"];
                if let Some(trouble) = self.missing(&names) {
                    return RefundQueryAnswer::Unknown(trouble);
                }
                let other = self.other_trade().or_else(|| self.other_amount());
                match other.or_else(|| self.other_refund_amount()) {
                    Some(trouble) => RefundQueryAnswer::Foreign(trouble),
                    None => RefundQueryAnswer::Done(self.back()),
                }
            }
            V::NotDone => RefundQueryAnswer::NotDone,
            V::Refused => RefundQueryAnswer::Unknown(self.trouble(TroubleKind::Refused)),
            V::Busy => RefundQueryAnswer::Unknown(self.trouble(TroubleKind::Busy)),
            V::Unsettled => RefundQueryAnswer::Unknown(self.trouble(TroubleKind::Unsettled)),
        }
    }

    fn other_request(&self) -> Option<Trouble> {
        let theirs = self.content.text("out_request_no")?;
        let ours = &self.expect.refund.as_ref()?.request;
        (theirs != ours).then(|| Trouble {
            kind: TroubleKind::Foreign,
            text: format!("the answer is about refund {}, not {ours}", self.mask.word(theirs)),
        })
    }

    /// Another of Alipay's numbers under our order's: a trade of somebody else.
    fn other_trade(&self) -> Option<Trouble> {
        let theirs = self.word("trade_no")?;
        let ours = self.expect.refund.as_ref()?.trade_no.as_ref()?;
        (theirs != *ours).then(|| Trouble {
            kind: TroubleKind::Foreign,
            text: format!("the answer is about trade {theirs}, not {ours}"),
        })
    }

    fn other_refund_amount(&self) -> Option<Trouble> {
        let theirs = self.sum("refund_amount")?;
        let ours = self.expect.refund.as_ref()?.amount;
        (theirs != Fen(ours.fen())).then(|| Trouble {
            kind: TroubleKind::Foreign,
            text: format!("{theirs} yuan went back under our refund's number, not {ours}"),
        })
    }

    /// All that was ever given back cannot be less than what has just been.
    fn too_little(&self) -> Option<Trouble> {
        let total = self.sum("refund_fee")?;
        let ours = self.expect.refund.as_ref()?.amount;
        (total < Fen(ours.fen())).then(|| Trouble {
            kind: TroubleKind::Unsettled,
            text: format!("only {total} yuan were ever given back, and {ours} should have been"),
        })
    }

    fn back(&self) -> Back {
        Back {
            trade_no: self.word("trade_no"),
            at: self.content.text("gmt_refund_pay").and_then(request::from_beijing),
            total: self.sum("refund_fee"),
            amount: self.sum("refund_amount"),
        }
    }
}
