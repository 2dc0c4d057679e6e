//! The endings that a payment can take, and what picks them.
//!
//! One table is all there is: the ledger plays it, `till sandbox --help` prints
//! it, and a test holds `docs/sandbox.md` against it.

use std::fmt::Write as _;

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

/// All endings, by number from 1 without a gap.
pub static ENDINGS: &[Ending] = &[
    Ending {
        number: 1,
        pay: Pay::Charge,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "paid at once",
        zh: "直接支付成功",
    },
    Ending {
        number: 2,
        pay: Pay::WaitUntilQuery(1),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "the buyer confirms; the 1st query sees it",
        zh: "顾客输密码，第 1 次查询已付",
    },
    Ending {
        number: 3,
        pay: Pay::WaitUntilQuery(3),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "the buyer confirms; the 3rd query sees it",
        zh: "顾客输密码，第 3 次查询已付",
    },
    Ending {
        number: 4,
        pay: Pay::Wait,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "the buyer never confirms",
        zh: "顾客一直不输密码",
    },
    Ending {
        number: 5,
        pay: Pay::Decline("ACQ.BUYER_BALANCE_NOT_ENOUGH", "买家余额不足"),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: the buyer has not enough money",
        zh: "拒绝：余额不足",
    },
    Ending {
        number: 6,
        pay: Pay::Decline(
            "ACQ.PAYMENT_AUTH_CODE_INVALID",
            "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款，如再次收款失败，请联系管理员处理。[SOUNDWAVE_PARSER_FAIL]",
        ),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: the code is wrong or expired",
        zh: "拒绝：付款码无效或过期",
    },
    Ending {
        number: 7,
        pay: Pay::Decline("ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR", "买家付款日限额超限"),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: the buyer's daily limit",
        zh: "拒绝：买家超过日限额",
    },
    Ending {
        number: 8,
        pay: Pay::Decline("ACQ.PAYMENT_REQUEST_HAS_RISK", "支付存在风险"),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: risk control",
        zh: "拒绝：支付有风险",
    },
    Ending {
        number: 9,
        pay: Pay::Decline("ACQ.BEYOND_PER_RECEIPT_SINGLE_RESTRICTION", "商户收款金额超过单笔限额"),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: the merchant's limit",
        zh: "拒绝：商户超过单笔限额",
    },
    Ending {
        number: 10,
        pay: Pay::Decline("ACQ.ACCESS_FORBIDDEN", "无权限使用接口"),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: the merchant has no contract for this",
        zh: "拒绝：商户未签约",
    },
    Ending {
        number: 11,
        pay: Pay::Decline("ACQ.EXIST_FORBIDDEN_WORD", "订单信息中包含违禁词"),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined: a forbidden word in the subject",
        zh: "拒绝：订单含违禁词",
    },
    Ending {
        number: 12,
        pay: Pay::DeclineOpen(None),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "declined for want of money, but the trade stays open",
        zh: "余额不足被拒绝，但交易仍等待付款",
    },
    Ending {
        number: 13,
        pay: Pay::DeclineOpen(Some(1)),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Open,
        en: "declined, the trade stays open, and the buyer then confirms it",
        zh: "被拒绝，但顾客随后仍然付了款",
    },
    Ending {
        number: 14,
        pay: Pay::DeclineOpen(None),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::BuyerPaysFirst,
        ends: Ends::Returned,
        en: "declined, and the buyer confirms between the query and the cancel",
        zh: "被拒绝，顾客在撤销前付款",
    },
    Ending {
        number: 15,
        pay: Pay::Charge,
        voice: Voice::Says(Said::new("20000", "isp.unknow-error", "系统繁忙")),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "answer 20000, but it is charged",
        zh: "返回 20000，其实已扣款",
    },
    Ending {
        number: 16,
        pay: Pay::Nothing,
        voice: Voice::Says(Said::new("20000", "isp.unknow-error", "系统繁忙")),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "answer 20000, and nothing is charged",
        zh: "返回 20000，也没有扣款",
    },
    Ending {
        number: 17,
        pay: Pay::Charge,
        voice: Voice::Says(Said::new("40004", "ACQ.SYSTEM_ERROR", "接口返回错误")),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "answer 40004 ACQ.SYSTEM_ERROR, but it is charged",
        zh: "返回 SYSTEM_ERROR，其实已扣款",
    },
    Ending {
        number: 18,
        pay: Pay::Charge,
        voice: Voice::Nothing,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged, and the answer is lost",
        zh: "已扣款，但响应丢失",
    },
    Ending {
        number: 19,
        pay: Pay::Nothing,
        voice: Voice::Nothing,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "the request is lost; nothing is charged",
        zh: "请求丢失，没有扣款",
    },
    Ending {
        number: 20,
        pay: Pay::Charge,
        voice: Voice::Slow,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged; the answer takes 30 s",
        zh: "已扣款，30 秒后才响应",
    },
    Ending {
        number: 21,
        pay: Pay::Charge,
        voice: Voice::Cut,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged; the connection is cut within the answer",
        zh: "已扣款，响应传到一半断线",
    },
    Ending {
        number: 22,
        pay: Pay::Charge,
        voice: Voice::Status(502),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged; the answer is HTTP 502",
        zh: "已扣款，响应 HTTP 502",
    },
    Ending {
        number: 23,
        pay: Pay::Charge,
        voice: Voice::Garbage,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged; the answer is a page of HTML",
        zh: "已扣款，响应是一页 HTML",
    },
    Ending {
        number: 24,
        pay: Pay::Charge,
        voice: Voice::BadSignature,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged; the signature of the answer is wrong",
        zh: "已扣款，响应签名错误",
    },
    Ending {
        number: 25,
        pay: Pay::Nothing,
        voice: Voice::OtherOrder,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "the answer is a success of somebody else's order; nothing is charged",
        zh: "响应是别的订单的成功，本单没有扣款",
    },
    Ending {
        number: 26,
        pay: Pay::Charge,
        voice: Voice::OtherAmount,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "charged; the answer names another amount, the queries the right one",
        zh: "已扣款，响应金额不符，查询正确",
    },
    Ending {
        number: 27,
        pay: Pay::Charge,
        voice: Voice::OtherAmount,
        query: Query::OtherAmount,
        cancel: Cancel::Honest,
        ends: Ends::Open,
        en: "charged; every answer names another amount",
        zh: "已扣款，所有响应金额都不符",
    },
    Ending {
        number: 28,
        pay: Pay::Nothing,
        voice: Voice::Unsigned,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "the answer is a success without a signature; nothing is charged",
        zh: "没有签名的成功响应，没有扣款",
    },
    Ending {
        number: 29,
        pay: Pay::Wait,
        voice: Voice::Duplicate,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "signed 10003, and after it the same member again with a success",
        zh: "签名的 10003 后面又跟了一个伪造的成功",
    },
    Ending {
        number: 30,
        pay: Pay::Wait,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::RetryTwice,
        ends: Ends::Closed,
        en: "not confirmed; the cancel says retry_flag=Y twice, then closes",
        zh: "未付款，撤销两次返回 retry_flag=Y 后关闭",
    },
    Ending {
        number: 31,
        pay: Pay::Wait,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::BuyerPaysFirst,
        ends: Ends::Returned,
        en: "the buyer confirms between the last query and the cancel",
        zh: "顾客在最后一次查询与撤销之间付款",
    },
    Ending {
        number: 32,
        pay: Pay::LateAfterReceipt,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "no answer; the pay is executed 3 s late",
        zh: "无响应，支付 3 秒后才执行",
    },
    Ending {
        number: 33,
        pay: Pay::LateAfterCancel,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Returned,
        en: "no answer; the pay is executed 3 s after the cancel (--fence refuses it)",
        zh: "无响应，支付在撤销 3 秒后才执行（--fence 时被拒绝）",
    },
    Ending {
        number: 34,
        pay: Pay::WaitUntilQuery(2),
        voice: Voice::True,
        query: Query::LimitedOnce,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "the buyer confirms; the 1st query is answered 40005",
        zh: "顾客输密码，第 1 次查询返回 40005",
    },
    Ending {
        number: 35,
        pay: Pay::Nothing,
        voice: Voice::Says(Said::new("40005", "isv.app-call-limited", "应用调用次数超限")),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "answer 40005 (called too often); nothing is charged",
        zh: "返回 40005（调用超限），没有扣款",
    },
    Ending {
        number: 36,
        pay: Pay::Nothing,
        voice: Voice::Says(Said::new(
            "40002",
            "isv.invalid-signature",
            "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配",
        )),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "answer 40002 isv.invalid-signature, signed",
        zh: "返回 40002 验签出错（有签名）",
    },
    Ending {
        number: 37,
        pay: Pay::Nothing,
        voice: Voice::Says(Said::new(
            "40006",
            "isv.insufficient-isv-permissions",
            "ISV权限不足，建议在开发者中心检查对应功能是否已经添加",
        )),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Declined,
        en: "answer 40006 isv.insufficient-isv-permissions, signed",
        zh: "返回 40006 权限不足（有签名）",
    },
    Ending {
        number: 38,
        pay: Pay::Nothing,
        voice: Voice::SaysUnsigned(Said::new("40002", "isv.invalid-app-id", "无效的AppID参数")),
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "answer 40002 isv.invalid-app-id without a signature; nothing is charged",
        zh: "返回 40002 无效应用（无签名），没有扣款",
    },
    Ending {
        number: 39,
        pay: Pay::Charge,
        voice: Voice::Nothing,
        query: Query::Silent,
        cancel: Cancel::Honest,
        ends: Ends::Returned,
        en: "charged; neither the pay nor any query is answered",
        zh: "已扣款，支付和查询都没有响应",
    },
    Ending {
        number: 40,
        pay: Pay::Wait,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::RefusedForGood,
        ends: Ends::Paid,
        en: "the buyer confirms before the cancel, and the cancel is refused for good",
        zh: "顾客在撤销前付款，撤销被永久拒绝",
    },
    Ending {
        number: 41,
        pay: Pay::Wait,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::LostThenBlank,
        ends: Ends::Closed,
        en: "not confirmed; the answer of the cancel is lost, later ones name no action",
        zh: "未付款，撤销响应丢失，之后不再返回 action",
    },
    Ending {
        number: 42,
        pay: Pay::Wait,
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::UnknownTwice,
        ends: Ends::Closed,
        en: "not confirmed; the cancel is answered 20000 twice, then closes",
        zh: "未付款，撤销两次返回 20000 后关闭",
    },
    Ending {
        number: 43,
        pay: Pay::Charge,
        voice: Voice::Says(Said::new("20000", "isp.unknow-error", "系统繁忙")),
        query: Query::Finished,
        cancel: Cancel::Honest,
        ends: Ends::Paid,
        en: "answer 20000; queries say TRADE_FINISHED",
        zh: "返回 20000，查询为 TRADE_FINISHED",
    },
    Ending {
        number: 44,
        pay: Pay::GiveUpAtQuery(2),
        voice: Voice::True,
        query: Query::Honest,
        cancel: Cancel::Honest,
        ends: Ends::Closed,
        en: "the buyer gives up; the 2nd query sees the trade closed",
        zh: "顾客放弃，第 2 次查询交易已关闭",
    },
];

/// How long the slow answer takes, before `--speed`.
pub(super) const SLOW_MS: u64 = 30_000;
/// How late the late pays are, before `--speed`.
pub(super) const LATE_MS: u64 = 3_000;

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
        assert_eq!(numbers, (1..=44).collect::<Vec<u8>>());
    }

    #[test]
    fn a_code_or_an_amount_picks() {
        let number = |code, fen| picked(code, fen).map(|ending| ending.number);
        assert_eq!(number("2877050000000001", 1), Some(5));
        assert_eq!(number("287705000000000100000001", 77_07), Some(5), "the code goes first");
        assert_eq!(number("2800000000000000", 77_07), Some(7));
        for (code, fen) in [
            ("2877000000000001", 1),
            ("2877450000000001", 1),
            ("2977050000000001", 1),
            ("2800000000000000", 77_00),
            ("2800000000000000", 77_45),
            ("2800000000000000", 76_99),
            ("2800000000000000", 107_705),
        ] {
            assert_eq!(number(code, fen), None, "{code} {fen}");
        }
    }
}
