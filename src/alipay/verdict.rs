//! From a verified answer to what may be concluded of what was asked.
//!
//! The table says what the codes mean. Here is what no table can say: that the
//! answer is about this trade (a good signature does not say which request it
//! answers), and that it carries what its meaning rests on. What is missing
//! makes it *unknown*. So does another number: it is an answer to somebody else,
//! and says nothing about ours. Another amount under our number is *foreign*:
//! somebody else has the number.

mod precreate;
mod refund;

use super::ask::{Expect, Method};
use super::envelope::Content;
use super::mask::Mask;
use super::request;
use super::table::{self, CancelVerdict, PayVerdict, QueryVerdict, Words};
use crate::payment::{
    Answer, CancelAnswer, Fen, PayAnswer, PrecreateAnswer, QueryAnswer, Reason, RefundAnswer,
    RefundQueryAnswer, Said, Trade, Trouble, TroubleKind, Wire,
};

/// Judges a verified answer, and takes out of it what the journal keeps.
pub(crate) fn judge(
    method: Method,
    content: &Content,
    expect: &Expect,
    mask: Mask<'_>,
) -> (Answer, Wire) {
    let case = Case { method, content, expect, mask };
    let answer = match method {
        Method::Pay => Answer::Pay(case.pay()),
        Method::Query => Answer::Query(case.query()),
        Method::Cancel => Answer::Cancel(case.cancel()),
        Method::Refund => Answer::Refund(case.refund()),
        Method::RefundQuery => Answer::RefundQuery(case.refund_query()),
        Method::Precreate => Answer::Precreate(case.precreate()),
    };
    (answer, case.wire())
}

/// The answer to a call that has none, for whatever reason.
pub(crate) fn unknown(method: Method, trouble: Trouble) -> Answer {
    match method {
        Method::Pay => Answer::Pay(PayAnswer::Unknown(trouble)),
        Method::Query => Answer::Query(QueryAnswer::Unknown(trouble)),
        Method::Cancel => Answer::Cancel(CancelAnswer::Unknown(trouble)),
        Method::Refund => Answer::Refund(RefundAnswer::Unknown(trouble)),
        Method::RefundQuery => Answer::RefundQuery(RefundQueryAnswer::Unknown(trouble)),
        Method::Precreate => Answer::Precreate(PrecreateAnswer::Unknown(trouble)),
    }
}

/// What every judge has before him.
#[derive(Clone, Copy)]
struct Case<'a> {
    method: Method,
    content: &'a Content,
    expect: &'a Expect,
    mask: Mask<'a>,
}

impl Case<'_> {
    fn pay(self) -> PayAnswer {
        use PayVerdict as V;
        if let Some(trouble) = self.other_number() {
            return PayAnswer::Unknown(trouble);
        }
        if let Some(trouble) = self.other_amount() {
            return PayAnswer::Foreign(trouble);
        }
        match table::pay(self.words()) {
            V::Paid => match self.missing(&["out_trade_no", "total_amount", "trade_no"]) {
                Some(trouble) => PayAnswer::Unknown(trouble),
                None => PayAnswer::Paid(self.trade()),
            },
            V::Waiting => PayAnswer::Waiting(self.trade()),
            V::Declined => PayAnswer::Declined(self.reason()),
            V::Repeated => PayAnswer::Repeated(self.trouble(TroubleKind::Unsettled)),
            V::Refused => PayAnswer::Refused(self.reason()),
            V::Busy => PayAnswer::Unknown(self.trouble(TroubleKind::Busy)),
            V::Unsettled => PayAnswer::Unknown(self.trouble(TroubleKind::Unsettled)),
        }
    }

    fn query(self) -> QueryAnswer {
        use QueryVerdict as V;
        if let Some(trouble) = self.other_number() {
            return QueryAnswer::Unknown(trouble);
        }
        if let Some(trouble) = self.other_amount() {
            return QueryAnswer::Foreign(trouble);
        }
        match table::query(self.words()) {
            V::Paid => match self.missing(&["out_trade_no", "total_amount", "trade_no"]) {
                Some(trouble) => QueryAnswer::Unknown(trouble),
                None => QueryAnswer::Paid(self.trade()),
            },
            V::Waiting => QueryAnswer::Waiting(self.trade()),
            V::Closed => match self.missing(&["out_trade_no"]) {
                Some(trouble) => QueryAnswer::Unknown(trouble),
                None => QueryAnswer::Closed {
                    trade: self.trade(),
                    was_paid: self.content.text("send_pay_date").is_some(),
                },
            },
            V::NotExist => QueryAnswer::NotExist,
            V::Refused => QueryAnswer::Unknown(self.trouble(TroubleKind::Refused)),
            V::Busy => QueryAnswer::Unknown(self.trouble(TroubleKind::Busy)),
            V::Unsettled => QueryAnswer::Unknown(self.trouble(TroubleKind::Unsettled)),
        }
    }

    /// A cancel's answer has no amount to compare; the number must be there.
    fn cancel(self) -> CancelAnswer {
        use CancelVerdict as V;
        if let Some(trouble) = self.other_number() {
            return CancelAnswer::Unknown(trouble);
        }
        let unnamed = self.missing(&["out_trade_no"]);
        match (table::cancel(self.words()), unnamed) {
            (V::Closed | V::Refunded | V::NoAction, Some(trouble)) => {
                CancelAnswer::Unknown(trouble)
            }
            (V::Closed, None) => CancelAnswer::Closed(self.trade()),
            (V::Refunded, None) => CancelAnswer::Refunded(self.trade()),
            (V::NoAction, None) => CancelAnswer::NoAction,
            (V::RefusedForGood, _) => CancelAnswer::Refused(self.reason()),
            (V::SellerBalance, _) => {
                CancelAnswer::Unknown(self.trouble(TroubleKind::SellerBalance))
            }
            (V::Refused, _) => CancelAnswer::Unknown(self.trouble(TroubleKind::Refused)),
            (V::Busy, _) => CancelAnswer::Unknown(self.trouble(TroubleKind::Busy)),
            (V::Unsettled, _) => CancelAnswer::Unknown(self.trouble(TroubleKind::Unsettled)),
        }
    }

    fn words(&self) -> Words<'_> {
        Words {
            code: self.text("code"),
            sub_code: self.text("sub_code"),
            trade_status: self.text("trade_status"),
            action: self.text("action"),
            retry_flag: self.text("retry_flag"),
            fund_change: self.text("fund_change"),
            refund_status: self.text("refund_status"),
            refund_amount: self.text("refund_amount"),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.content.text(name).unwrap_or_default()
    }

    fn word(&self, name: &str) -> Option<String> {
        self.content.text(name).map(|text| self.mask.word(text))
    }

    fn sum(&self, name: &str) -> Option<Fen> {
        self.content.text(name).and_then(fen).map(Fen)
    }

    fn other_number(&self) -> Option<Trouble> {
        let theirs = self.content.text("out_trade_no")?;
        let ours = &self.expect.number;
        (theirs != ours.as_str()).then(|| Trouble {
            kind: TroubleKind::Foreign,
            text: format!("the answer is about order {}, not {ours}", self.mask.word(theirs)),
        })
    }

    /// Only answers that tell of a trade have its amount: a decline may carry
    /// zeros. An amount that cannot be read is none, and shows up as missing.
    fn other_amount(&self) -> Option<Trouble> {
        if !matches!(self.text("code"), "10000" | "10003") {
            return None;
        }
        let theirs = self.sum("total_amount")?;
        let ours = self.expect.amount;
        (theirs != Fen(ours.fen())).then(|| Trouble {
            kind: TroubleKind::Foreign,
            text: format!("the answer is about {theirs} yuan, not {ours}"),
        })
    }

    fn missing(&self, names: &[&str]) -> Option<Trouble> {
        let missing = names.iter().find(|name| match **name {
            "total_amount" | "refund_amount" => self.sum(name).is_none(),
            name => self.content.text(name).is_none(),
        })?;
        Some(Trouble {
            kind: TroubleKind::Unsettled,
            text: format!("{}: the answer lacks {missing}", self.said()),
        })
    }

    fn trade(&self) -> Trade {
        let sum = |name| self.sum(name);
        // A pay and a query have a name each for the same date.
        let paid_at = ["gmt_payment", "send_pay_date"]
            .into_iter()
            .find_map(|name| self.content.text(name))
            .and_then(request::from_beijing);
        Trade {
            trade_no: self.word("trade_no"),
            buyer_logon_id: self.word("buyer_logon_id"),
            paid_at,
            tag: self.word("passback_params"),
            said: Said {
                total_amount: sum("total_amount"),
                receipt_amount: sum("receipt_amount"),
                buyer_pay_amount: sum("buyer_pay_amount"),
                point_amount: sum("point_amount"),
                invoice_amount: sum("invoice_amount"),
                discount_amount: sum("discount_amount"),
                mdiscount_amount: sum("mdiscount_amount"),
                fund_bill_list: self
                    .content
                    .text("fund_bill_list")
                    .and_then(|list| self.mask.json(list)),
            },
        }
    }

    /// What the gateway says, without a mark of its sound-code reader that means
    /// nothing to people.
    fn message(&self) -> Option<String> {
        ["sub_msg", "msg"]
            .into_iter()
            .filter_map(|name| self.content.text(name))
            .map(|text| self.mask.sentence(&text.replace("[SOUNDWAVE_PARSER_FAIL]", "")))
            .find(|text| !text.is_empty())
    }

    fn reason(&self) -> Reason {
        let code = self.mask.word(self.text("code"));
        Reason {
            message: self.message().unwrap_or_else(|| code.clone()),
            sub_code: self.word("sub_code"),
            code,
        }
    }

    fn trouble(&self, kind: TroubleKind) -> Trouble {
        Trouble { kind, text: self.said() }
    }

    /// The words of the answer that decided, for the technician.
    fn said(&self) -> String {
        let words = [
            "code",
            "sub_code",
            "trade_status",
            "action",
            "retry_flag",
            "fund_change",
            "refund_status",
        ];
        let mut said = vec![self.method.name().to_owned()];
        said.extend(words.iter().filter_map(|name| self.word(name)));
        if let Some(message) = self.message() {
            said.push(message);
        }
        self.mask.sentence(&said.join(" "))
    }

    fn wire(&self) -> Wire {
        Wire {
            code: self.word("code"),
            sub_code: self.word("sub_code"),
            message: self.message(),
            trade_status: self.word("trade_status"),
            action: self.word("action"),
            retry_flag: self.word("retry_flag"),
            ..Wire::default()
        }
    }
}

/// Reads an amount in yuan as whole fen, exactly or not at all.
///
/// The gateway writes `"88.88"`, `100.2`, and, where a program of its writes a
/// binary float, perhaps `1.0E7`. No float is made of it here.
pub(super) fn fen(text: &str) -> Option<u64> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{decimals}");
    if whole.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // How many of the digits stand left of the fen's point.
    let decimals = i32::try_from(decimals.len()).ok()?;
    let shift = exponent.checked_add(2)?.checked_sub(decimals)?;
    if shift >= 0 {
        let shift = u32::try_from(shift).ok()?;
        digits.parse::<u64>().ok()?.checked_mul(10_u64.checked_pow(shift)?)
    } else {
        let cut = usize::try_from(shift.unsigned_abs()).ok()?;
        let (kept, lost) = digits.split_at_checked(digits.len().checked_sub(cut)?)?;
        // Anything below a fen is not an amount.
        lost.bytes().all(|b| b == b'0').then(|| kept.parse().ok())?
    }
}
