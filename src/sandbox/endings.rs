//! The endings that a payment can take, and what picks them.
//!
//! One table for payments and one for refunds is all there is: the ledger plays
//! them, `till sandbox --help` prints them, and a test holds `docs/sandbox.md`
//! against them.

mod refund;

use std::fmt::Write as _;

pub use self::refund::{
    Back, BackEnds, BackQuery, REFUND_ENDINGS, RefundEnding, refund_by_number, refund_markdown,
    refund_picked, refund_table,
};
use super::answer::{Said, Voice};

/// One way in which a payment can go.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Its number: amount `77.NN` or a code that starts with `2877NN`.
    pub number: u8,
    /// What the pay does to the ledger.
    pub pay: Pay,
    /// How the pay is answered.
    pub voice: Voice,
    /// How queries go.
    pub query: Query,
    /// How cancels go.
    pub cancel: Cancel,
    /// Where a right terminal arrives.
    pub ends: Ends,
    /// What happens, in English.
    pub en: &'static str,
    /// What happens, in Chinese.
    pub zh: &'static str,
}

/// What a pay does to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pay {
    /// The buyer is charged.
    Charge,
    /// The buyer has to confirm, and never does.
    Wait,
    /// The buyer confirms, and this query is the first to see it.
    WaitUntilQuery(u32),
    /// The buyer gives up, and this query is the first to see the trade closed.
    GiveUpAtQuery(u32),
    /// Refused, and there is no trade.
    Decline(&'static str, &'static str),
    /// Refused, but the trade stays open, and the buyer may confirm it.
    DeclineOpen(Option<u32>),
    /// Nothing at all, the first time: a second pay with the number is charged.
    Nothing,
    /// Another till of the merchant was paid under the number, for the same
    /// amount, ten minutes ago.
    Elsewhere,
    /// Executed 3 s after it was received.
    LateAfterReceipt,
    /// Executed 3 s after the first cancel was answered.
    LateAfterCancel,
}

/// How queries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// As they should.
    Honest,
    /// None is ever answered.
    Silent,
    /// The first is answered with 40005.
    LimitedOnce,
    /// All name another amount.
    OtherAmount,
    /// A paid trade is `TRADE_FINISHED`.
    Finished,
}

/// How cancels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// As they should.
    Honest,
    /// The first two do nothing and say `retry_flag=Y`.
    RetryTwice,
    /// The first two do nothing and are answered 20000.
    UnknownTwice,
    /// The buyer confirms just before the first one.
    BuyerPaysFirst,
    /// The buyer confirms just before the first one, and all are refused.
    RefusedForGood,
    /// The buyer confirms just before the first one; the first two are refused,
    /// because the merchant's account has not enough.
    PoorTwice,
    /// The same, but until the account is filled 20 s later.
    PoorForAWhile,
    /// The buyer confirms just before the first one; the first two do nothing
    /// and say so, as if there were no trade.
    BlankTwice,
    /// The first works, but its answer is lost, and later ones say no action.
    LostThenBlank,
}

/// Where a terminal that does everything right arrives, with the settings that
/// Alipay recommends and no `--fence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// `paid`: the money is the merchant's.
    Paid,
    /// `declined`: nothing was charged.
    Declined,
    /// `cancelled`: nothing was charged.
    Closed,
    /// `cancelled`: it was charged and given back.
    Returned,
    /// Not final, with `attention`: only a person can untangle it.
    Open,
}

impl Ends {
    /// The word in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Declined => "declined",
            Self::Closed => "cancelled",
            Self::Returned => "cancelled, money returned",
            Self::Open => "open, with attention",
        }
    }

    fn zh(self) -> &'static str {
        match self {
            Self::Paid => "已收款",
            Self::Declined => "已拒绝",
            Self::Closed => "已取消",
            Self::Returned => "已取消，钱已退回",
            Self::Open => "未结束，需人工处理",
        }
    }
}

/// The words of the refusals in the table.
const BUSY: Said = Said::new("20000", "isp.unknow-error", "系统繁忙");
const SYSTEM_ERROR: Said = Said::new("40004", "ACQ.SYSTEM_ERROR", "接口返回错误");
const CALL_LIMITED: Said = Said::new("40005", "isv.app-call-limited", "应用调用次数超限");
const BAD_SIGN: Said = Said::new(
    "40002",
    "isv.invalid-signature",
    "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配",
);
const NO_RIGHT: Said = Said::new(
    "40006",
    "isv.insufficient-isv-permissions",
    "ISV权限不足，建议在开发者中心检查对应功能是否已经添加",
);
const NO_SUCH_APP: Said = Said::new("40002", "isv.invalid-app-id", "无效的AppID参数");
const BAD_CODE: &str = "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款，如再次收款失败，请联系管理员处理。[SOUNDWAVE_PARSER_FAIL]";

/// One ending a row: its number, what the pay does, how it is answered, how
/// queries and cancels go, where a right terminal arrives; then what happens, in
/// English and in Chinese.
macro_rules! endings {
    ($($number:literal $pay:ident$(($($of_pay:expr),*))?,
        $voice:ident$(($of_voice:expr))?,
        $query:ident, $cancel:ident => $ends:ident, $en:literal, $zh:literal;)*) => {
        &[$(Ending {
            number: $number,
            pay: Pay::$pay$(($($of_pay),*))?,
            voice: Voice::$voice$(($of_voice))?,
            query: Query::$query,
            cancel: Cancel::$cancel,
            ends: Ends::$ends,
            en: $en,
            zh: $zh,
        }),*]
    };
}

/// All endings, by number from 1 without a gap.
pub static ENDINGS: &[Ending] = endings! {
     1 Charge, True, Honest, Honest => Paid,
        "paid at once", "直接支付成功";
     2 WaitUntilQuery(1), True, Honest, Honest => Paid,
        "the buyer confirms; the 1st query sees it", "顾客输密码，第 1 次查询已付";
     3 WaitUntilQuery(3), True, Honest, Honest => Paid,
        "the buyer confirms; the 3rd query sees it", "顾客输密码，第 3 次查询已付";
     4 Wait, True, Honest, Honest => Closed,
        "the buyer never confirms", "顾客一直不输密码";
     5 Decline("ACQ.BUYER_BALANCE_NOT_ENOUGH", "买家余额不足"), True, Honest, Honest => Declined,
        "declined: the buyer has not enough money", "拒绝：余额不足";
     6 Decline("ACQ.PAYMENT_AUTH_CODE_INVALID", BAD_CODE), True, Honest, Honest => Declined,
        "declined: the code is wrong or expired", "拒绝：付款码无效或过期";
     7 Decline("ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "买家付款日限额超限"), True, Honest, Honest => Declined,
        "declined: the buyer's daily limit", "拒绝：买家超过日限额";
     8 Decline("ACQ.PAYMENT_REQUEST_HAS_RISK", "支付存在风险"), True, Honest, Honest => Declined,
        "declined: risk control", "拒绝：支付有风险";
     9 Decline("ACQ.BEYOND_PER_RECEIPT_SINGLE_RESTRICTION", "商户收款金额超过单笔限额"), True, Honest, Honest => Declined,
        "declined: the merchant's limit", "拒绝：商户超过单笔限额";
    10 Decline("ACQ.ACCESS_FORBIDDEN", "无权限使用接口"), True, Honest, Honest => Declined,
        "declined: the merchant has no contract for this", "拒绝：商户未签约";
    11 Decline("ACQ.EXIST_FORBIDDEN_WORD", "订单信息中包含违禁词"), True, Honest, Honest => Declined,
        "declined: a forbidden word in the subject", "拒绝：订单含违禁词";
    12 DeclineOpen(None), True, Honest, Honest => Declined,
        "declined for want of money, but the trade stays open", "余额不足被拒绝，但交易仍等待付款";
    13 DeclineOpen(Some(1)), True, Honest, Honest => Returned,
        "declined, the trade stays open, and the buyer then confirms it", "被拒绝，但顾客随后仍然付了款";
    14 DeclineOpen(None), True, Honest, BuyerPaysFirst => Returned,
        "declined, and the buyer confirms between the query and the cancel", "被拒绝，顾客在撤销前付款";
    15 Charge, Says(BUSY), Honest, Honest => Paid,
        "answer 20000, but it is charged", "返回 20000，其实已扣款";
    16 Nothing, Says(BUSY), Honest, Honest => Closed,
        "answer 20000, and nothing is charged", "返回 20000，也没有扣款";
    17 Charge, Says(SYSTEM_ERROR), Honest, Honest => Paid,
        "answer 40004 ACQ.SYSTEM_ERROR, but it is charged", "返回 SYSTEM_ERROR，其实已扣款";
    18 Charge, Nothing, Honest, Honest => Paid,
        "charged, and the answer is lost", "已扣款，但响应丢失";
    19 Nothing, Nothing, Honest, Honest => Closed,
        "the request is lost; nothing is charged", "请求丢失，没有扣款";
    20 Charge, Slow, Honest, Honest => Paid,
        "charged; the answer takes 30 s", "已扣款，30 秒后才响应";
    21 Charge, Cut, Honest, Honest => Paid,
        "charged; the connection is cut within the answer", "已扣款，响应传到一半断线";
    22 Charge, Status(502), Honest, Honest => Paid,
        "charged; the answer is HTTP 502", "已扣款，响应 HTTP 502";
    23 Charge, Garbage, Honest, Honest => Paid,
        "charged; the answer is a page of HTML", "已扣款，响应是一页 HTML";
    24 Charge, BadSignature, Honest, Honest => Paid,
        "charged; the signature of the answer is wrong", "已扣款，响应签名错误";
    25 Nothing, OtherOrder, Honest, Honest => Closed,
        "the answer is a success of somebody else's order; nothing is charged", "响应是别的订单的成功，本单没有扣款";
    26 Charge, OtherAmount, Honest, Honest => Paid,
        "charged; the answer names another amount, the queries the right one", "已扣款，响应金额不符，查询正确";
    27 Charge, OtherAmount, OtherAmount, Honest => Open,
        "charged; every answer names another amount", "已扣款，所有响应金额都不符";
    28 Nothing, Unsigned, Honest, Honest => Closed,
        "the answer is a success without a signature; nothing is charged", "没有签名的成功响应，没有扣款";
    29 Wait, Duplicate, Honest, Honest => Closed,
        "signed 10003, and after it the same member again with a success", "签名的 10003 后面又跟了一个伪造的成功";
    30 Wait, True, Honest, RetryTwice => Closed,
        "not confirmed; the cancel says retry_flag=Y twice, then closes", "未付款，撤销两次返回 retry_flag=Y 后关闭";
    31 Wait, True, Honest, BuyerPaysFirst => Returned,
        "the buyer confirms between the last query and the cancel", "顾客在最后一次查询与撤销之间付款";
    32 LateAfterReceipt, True, Honest, Honest => Paid,
        "no answer; the pay is executed 3 s late", "无响应，支付 3 秒后才执行";
    33 LateAfterCancel, True, Honest, Honest => Returned,
        "no answer; the pay is executed 3 s after the cancel (--fence refuses it)", "无响应，支付在撤销 3 秒后才执行（--fence 时被拒绝）";
    34 WaitUntilQuery(2), True, LimitedOnce, Honest => Paid,
        "the buyer confirms; the 1st query is answered 40005", "顾客输密码，第 1 次查询返回 40005";
    35 Nothing, Says(CALL_LIMITED), Honest, Honest => Closed,
        "answer 40005 (called too often); nothing is charged", "返回 40005（调用超限），没有扣款";
    36 Nothing, Says(BAD_SIGN), Honest, Honest => Declined,
        "answer 40002 isv.invalid-signature, signed", "返回 40002 验签出错（有签名）";
    37 Nothing, Says(NO_RIGHT), Honest, Honest => Declined,
        "answer 40006 isv.insufficient-isv-permissions, signed", "返回 40006 权限不足（有签名）";
    38 Nothing, SaysUnsigned(NO_SUCH_APP), Honest, Honest => Closed,
        "answer 40002 isv.invalid-app-id without a signature; nothing is charged", "返回 40002 无效应用（无签名），没有扣款";
    39 Charge, Nothing, Silent, Honest => Returned,
        "charged; neither the pay nor any query is answered", "已扣款，支付和查询都没有响应";
    40 Wait, True, Honest, RefusedForGood => Returned,
        "the buyer confirms before the cancel, which is refused for good; a refund goes through", "顾客在撤销前付款，撤销被永久拒绝，退款可以成功";
    41 Wait, True, Honest, LostThenBlank => Closed,
        "not confirmed; the answer of the cancel is lost, later ones name no action", "未付款，撤销响应丢失，之后不再返回 action";
    42 Wait, True, Honest, UnknownTwice => Closed,
        "not confirmed; the cancel is answered 20000 twice, then closes", "未付款，撤销两次返回 20000 后关闭";
    43 Charge, Says(BUSY), Finished, Honest => Paid,
        "answer 20000; queries say TRADE_FINISHED", "返回 20000，查询为 TRADE_FINISHED";
    44 GiveUpAtQuery(2), True, Honest, Honest => Closed,
        "the buyer gives up; the 2nd query sees the trade closed", "顾客放弃，第 2 次查询交易已关闭";
    45 Wait, True, Honest, PoorTwice => Returned,
        "the buyer confirms before the cancel, which is refused twice: the merchant's account is empty",
        "顾客在撤销前付款，商户余额不足，撤销两次被拒后退回";
    46 Elsewhere, True, Honest, Honest => Open,
        "another till has been paid under this number: TRADE_HAS_SUCCESS",
        "另一台终端已用这个单号收款：TRADE_HAS_SUCCESS";
    47 Elsewhere, Nothing, Honest, Honest => Open,
        "the answer is lost; another till was paid under this number ten minutes ago",
        "响应丢失；另一台终端十分钟前已用这个单号收款";
    48 Charge, Says(BAD_SIGN), Honest, Honest => Paid,
        "charged; the answer is a signed 40002 of somebody else's request",
        "已扣款，响应是别的请求的 40002（有签名）";
    49 Wait, True, Honest, BlankTwice => Returned,
        "the buyer confirms before the cancel, which names no action twice and does nothing",
        "顾客在撤销前付款，撤销两次不返回 action，也没有执行";
    50 Wait, True, Honest, PoorForAWhile => Returned,
        "the buyer confirms before the cancel, which is refused until the merchant's account is filled 20 s later",
        "顾客在撤销前付款，商户余额不足，撤销被拒，20 秒后余额补足才退回";
};

/// How long the slow answer takes, before `--speed`.
pub(super) const SLOW_MS: u64 = 30_000;
/// How late the late pays and refunds are, before `--speed`.
pub(super) const LATE_MS: u64 = 3_000;
/// How long the merchant's account stays empty, before `--speed`.
pub(super) const POOR_MS: u64 = 20_000;

/// The ending with this number.
#[must_use]
pub fn by_number(number: u8) -> Option<&'static Ending> {
    ENDINGS.iter().find(|ending| ending.number == number)
}

/// The ending that a pay picks: by its code, or else by its amount. Everything
/// that picks none is simply paid.
#[must_use]
pub fn picked(auth_code: &str, fen: u64) -> Option<&'static Ending> {
    let by_code = auth_code
        .strip_prefix("2877")
        .and_then(|rest| rest.get(..2))
        .and_then(|number| number.parse().ok())
        .and_then(by_number);
    let by_amount = || {
        let number = fen.checked_sub(77_00).and_then(|number| u8::try_from(number).ok())?;
        by_number(number)
    };
    by_code.or_else(by_amount)
}

/// The table for people at a terminal.
#[must_use]
pub fn table(chinese: bool) -> String {
    let mut text = String::new();
    for ending in ENDINGS {
        let (what, ends) =
            if chinese { (ending.zh, ending.ends.zh()) } else { (ending.en, ending.ends.name()) };
        let number = ending.number;
        let _ = writeln!(text, "  77.{number:02}  2877{number:02}…  {what} → {ends}");
    }
    text
}

/// The table of `docs/sandbox.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "| amount | code starts with | what happens | a right terminal ends |\n| --- | --- | --- | --- |\n",
    );
    for ending in ENDINGS {
        let Ending { number, en, ends, .. } = ending;
        let _ = writeln!(text, "| 77.{number:02} | 2877{number:02} | {en} | {} |", ends.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_gap() {
        let numbers: Vec<u8> = ENDINGS.iter().map(|ending| ending.number).collect();
        assert_eq!(numbers, (1..=50).collect::<Vec<u8>>());
    }

    #[test]
    fn a_code_or_an_amount_picks() {
        let number = |code, fen| picked(code, fen).map(|ending| ending.number);
        assert_eq!(number("2877050000000001", 1), Some(5));
        assert_eq!(number("287705000000000100000001", 77_07), Some(5), "the code goes first");
        assert_eq!(number("2800000000000000", 77_07), Some(7));
        for (code, fen) in [
            ("2877000000000001", 1),
            ("2877510000000001", 1),
            ("2977050000000001", 1),
            ("2800000000000000", 77_00),
            ("2800000000000000", 77_51),
            ("2800000000000000", 76_99),
            ("2800000000000000", 107_705),
        ] {
            assert_eq!(number(code, fen), None, "{code} {fen}");
        }
    }
}
