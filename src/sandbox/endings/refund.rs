//! The endings that a refund can take, and what picks them.

use std::fmt::Write as _;

use super::{BAD_SIGN, BUSY, SYSTEM_ERROR};
use crate::sandbox::answer::Voice;

/// One way in which a refund can go.
#[derive(Clone, Debug)]
pub struct RefundEnding {
    /// Its number: a refund of `66.NN`, or one whose reason starts with `66.NN`.
    pub number: u8,
    /// What the refund does to the ledger.
    pub refund: Back,
    /// How the first refund under its number is answered.
    pub voice: Voice,
    /// How the queries about it go.
    pub query: BackQuery,
    /// Where a right terminal arrives.
    pub ends: BackEnds,
    /// What happens, in English.
    pub en: &'static str,
    /// What happens, in Chinese.
    pub zh: &'static str,
}

/// What a refund does to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// The money goes back.
    Give,
    /// Nothing, the first time: a second refund with the number goes through.
    Nothing,
    /// Executed 3 s after it was received.
    Late,
    /// The first so many are refused, because the merchant's account has not
    /// enough.
    Poor(u32),
    /// Taken, answered without `fund_change`, and never executed.
    Never,
    /// Refused, always, with this.
    Refuse(&'static str, &'static str),
    /// The trade is too old: it finishes, and the refund is refused.
    Finish,
    /// Somebody has given back all of the trade in the merchant's account.
    AllElsewhere,
    /// Somebody has given back a fen under the refund's own number.
    NumberElsewhere,
}

/// How queries about a refund go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackQuery {
    /// As they should.
    Honest,
    /// None before this one tells of it.
    Lags(u32),
    /// None is ever answered.
    Silent,
}

/// Where a terminal that does everything right arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackEnds {
    /// The money is the buyer's again, once.
    Returned,
    /// Nothing of this refund went back.
    Refused,
    /// Not final: only a person can tell.
    Open,
}

impl BackEnds {
    /// The word in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Returned => "given back",
            Self::Refused => "refused",
            Self::Open => "open",
        }
    }

    fn zh(self) -> &'static str {
        match self {
            Self::Returned => "已退款",
            Self::Refused => "被拒绝",
            Self::Open => "未结束",
        }
    }
}

/// One ending a row, as in the table of payments.
macro_rules! endings {
    ($($number:literal $refund:ident$(($($of_refund:expr),*))?,
        $voice:ident$(($of_voice:expr))?,
        $query:ident$(($of_query:expr))? => $ends:ident, $en:literal, $zh:literal;)*) => {
        &[$(RefundEnding {
            number: $number,
            refund: Back::$refund$(($($of_refund),*))?,
            voice: Voice::$voice$(($of_voice))?,
            query: BackQuery::$query$(($of_query))?,
            ends: BackEnds::$ends,
            en: $en,
            zh: $zh,
        }),*]
    };
}

/// All endings of refunds, by number from 1 without a gap.
pub static REFUND_ENDINGS: &[RefundEnding] = endings! {
     1 Give, True, Honest => Returned,
        "given back at once", "直接退款成功";
     2 Give, Nothing, Honest => Returned,
        "given back, and the answer is lost", "已退款，但响应丢失";
     3 Nothing, Nothing, Honest => Returned,
        "the request is lost; the next one comes through", "请求丢失，再次请求才执行";
     4 Give, Says(BUSY), Honest => Returned,
        "answer 20000, but it is given back", "返回 20000，其实已退款";
     5 Nothing, Says(BUSY), Honest => Returned,
        "answer 20000, and nothing is done; the next one comes through", "返回 20000，没有执行，再次请求才执行";
     6 Late, Says(BUSY), Honest => Returned,
        "answer 20000; executed 3 s late", "返回 20000，3 秒后才执行";
     7 Late, Nothing, Honest => Returned,
        "no answer; executed 3 s late", "无响应，3 秒后才执行";
     8 Give, Says(SYSTEM_ERROR), Honest => Returned,
        "answer 40004 ACQ.SYSTEM_ERROR, but it is given back", "返回 SYSTEM_ERROR，其实已退款";
     9 Poor(2), True, Honest => Returned,
        "refused twice: the merchant's account is empty; then given back", "商户余额不足，被拒两次后退款";
    10 Give, Nothing, Lags(3) => Returned,
        "given back, the answer is lost, and only the 3rd query tells of it", "已退款，响应丢失，第 3 次查询才查到";
    11 Never, True, Honest => Open,
        "answer 10000 without fund_change; never executed", "返回 10000 但没有 fund_change，一直没有执行";
    12 Refuse("ACQ.TRADE_NOT_ALLOW_REFUND", "当前交易不允许退款"), True, Honest => Refused,
        "refused for good: the trade allows no refund", "永久拒绝：交易不允许退款";
    13 Finish, True, Honest => Refused,
        "refused for good: the trade is finished", "永久拒绝：交易已完结";
    14 Refuse("ACQ.BUYER_ERROR", "买家状态异常"), True, Honest => Refused,
        "refused for good: the buyer's account is gone", "永久拒绝：买家账户异常";
    15 AllElsewhere, True, Honest => Refused,
        "somebody has given all of it back in the merchant account", "已有人在商户后台全额退款";
    16 NumberElsewhere, True, Honest => Refused,
        "a fen was given back under the same out_request_no", "同一退款请求号已退过一分钱";
    17 NumberElsewhere, Nothing, Honest => Refused,
        "the answer is lost; a fen was given back under the same out_request_no", "响应丢失；同一退款请求号已退过一分钱";
    18 Give, BadSignature, Honest => Returned,
        "given back; the signature of the answer is wrong", "已退款，响应签名错误";
    19 Nothing, OtherOrder, Honest => Returned,
        "the answer is a success of somebody else's order; the next one comes through", "响应是别的订单的退款，再次请求才执行";
    20 Give, Cut, Honest => Returned,
        "given back; the connection is cut within the answer", "已退款，响应传到一半断线";
    21 Give, Slow, Honest => Returned,
        "given back; the answer takes 30 s", "已退款，30 秒后才响应";
    22 Give, Nothing, Silent => Open,
        "given back; neither the refund nor any query is answered", "已退款，退款和查询都没有响应";
    23 Nothing, Says(BAD_SIGN), Honest => Returned,
        "answer 40002 isv.invalid-signature, signed; the next one comes through", "返回 40002 验签出错（有签名），再次请求才执行";
};

/// The ending of a refund with this number.
#[must_use]
pub fn refund_by_number(number: u8) -> Option<&'static RefundEnding> {
    REFUND_ENDINGS.iter().find(|ending| ending.number == number)
}

/// The ending that a refund picks: by its reason, or else by its amount.
/// Everything that picks none is simply given back.
#[must_use]
pub fn refund_picked(reason: Option<&str>, fen: u64) -> Option<&'static RefundEnding> {
    let by_reason = reason
        .and_then(|reason| reason.strip_prefix("66."))
        .and_then(|rest| rest.get(..2))
        .and_then(|number| number.parse().ok())
        .and_then(refund_by_number);
    let by_amount = || {
        let number = fen.checked_sub(66_00).and_then(|number| u8::try_from(number).ok())?;
        refund_by_number(number)
    };
    by_reason.or_else(by_amount)
}

/// The table for people at a terminal.
#[must_use]
pub fn refund_table(chinese: bool) -> String {
    let mut text = String::new();
    for ending in REFUND_ENDINGS {
        let (what, ends) =
            if chinese { (ending.zh, ending.ends.zh()) } else { (ending.en, ending.ends.name()) };
        let _ = writeln!(text, "  66.{:02}  {what} → {ends}", ending.number);
    }
    text
}

/// The table of `docs/sandbox.md`.
#[must_use]
pub fn refund_markdown() -> String {
    let mut text = String::from(
        "| refund or reason | what happens | a right terminal ends |\n| --- | --- | --- |\n",
    );
    for ending in REFUND_ENDINGS {
        let RefundEnding { number, en, ends, .. } = ending;
        let _ = writeln!(text, "| 66.{number:02} | {en} | {} |", ends.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_gap() {
        let numbers: Vec<u8> = REFUND_ENDINGS.iter().map(|ending| ending.number).collect();
        assert_eq!(numbers, (1..=23).collect::<Vec<u8>>());
    }

    #[test]
    fn a_reason_or_an_amount_picks() {
        let number = |reason, fen| refund_picked(reason, fen).map(|ending| ending.number);
        assert_eq!(number(Some("66.05 too sour"), 66_07), Some(5), "the reason goes first");
        assert_eq!(number(Some("too sour"), 66_07), Some(7));
        assert_eq!(number(None, 66_07), Some(7));
        for (reason, fen) in [
            (None, 66_00),
            (None, 66_24),
            (None, 77_05),
            (Some("66.99"), 1),
            (Some("66.5"), 1),
            (Some(" 66.05"), 1),
            (Some("66.咖"), 1),
        ] {
            assert_eq!(number(reason, fen), None, "{reason:?} {fen}");
        }
    }
}
