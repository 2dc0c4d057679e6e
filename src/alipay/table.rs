//! What the codes of a verified answer mean: one table, *unknown* by default.
//!
//! The comment above each group names the page of the open platform's
//! documents: *gateway codes* is the list of common return codes, *pay*,
//! *query* and *cancel* are the pages of `alipay.trade.pay`, `.query` and
//! `.cancel`. What those pages tell the merchant to do about an error decides
//! the verdict. New knowledge about the gateway is a new line here, and the
//! same line in the test.

use crate::payment::Call;

/// What a set of codes means, before anybody looks at whose payment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pay, query: the buyer paid.
    Paid,
    /// Pay, query: the buyer must confirm.
    Waiting,
    /// Pay: refused by the business behind the gateway.
    Declined,
    /// Refused at the gateway's front door: nothing was executed.
    Refused,
    /// Query: the trade is closed.
    TradeClosed,
    /// Query: no such trade.
    NotExist,
    /// Cancel: was unpaid, is closed.
    Closed,
    /// Cancel: was paid, goes back.
    Refunded,
    /// Cancel: the number was never seen.
    NoAction,
    /// Cancel: refused for good.
    CancelRefused,
    /// Not now.
    Busy,
    /// It settles nothing.
    Unsettled,
}

/// The words of an answer that decide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Words<'a> {
    /// `code`.
    pub(crate) code: &'a str,
    /// `sub_code`, or nothing.
    pub(crate) sub_code: &'a str,
    /// `trade_status` of a query, or nothing.
    pub(crate) trade_status: &'a str,
    /// `action` of a cancel, or nothing.
    pub(crate) action: &'a str,
    /// `retry_flag` of a cancel, or nothing.
    pub(crate) retry_flag: &'a str,
}

/// Looks an answer up.
#[allow(clippy::match_same_arms, reason = "each group is a page, or a class of errors on it")]
pub(crate) fn verdict(call: Call, words: Words<'_>) -> Verdict {
    use Call::{Cancel, Pay, Query};
    // Misspelt and missing prefixes have been seen.
    let sub_code = words.sub_code;
    let sub_code =
        sub_code.strip_prefix("ACQ.").or_else(|| sub_code.strip_prefix("AQC.")).unwrap_or(sub_code);
    match (call, words.code, sub_code) {
        // Pay: answer.
        (Pay, "10000", "") => Verdict::Paid,
        (Pay, "10003", "") => Verdict::Waiting,

        // Query: trade_status.
        (Query, "10000", "") => match words.trade_status {
            "TRADE_SUCCESS" => Verdict::Paid,
            "TRADE_FINISHED" => Verdict::Paid,
            "WAIT_BUYER_PAY" => Verdict::Waiting,
            "TRADE_CLOSED" => Verdict::TradeClosed,
            _ => Verdict::Unsettled,
        },

        // Cancel: action and retry_flag.
        (Cancel, "10000", "") => match (words.action, words.retry_flag) {
            (_, "Y") => Verdict::Busy,
            ("close", "N" | "") => Verdict::Closed,
            ("refund", "N" | "") => Verdict::Refunded,
            ("", "N") => Verdict::NoAction,
            _ => Verdict::Unsettled,
        },

        // Gateway codes: service not available; called too often.
        (_, "20000" | "40005", _) => Verdict::Busy,
        // Gateway codes: authorisation; parameter missing; parameter wrong;
        // conditions not met; no permission.
        (_, "20001" | "40001" | "40002" | "40003" | "40006", _) => Verdict::Refused,

        // Pay, errors with the advice to query: the result is open.
        (Pay, "40004", "SYSTEM_ERROR") => Verdict::Busy,
        (Pay, "40004", "TRADE_HAS_SUCCESS" | "CONTEXT_INCONSISTENT" | "TRADE_STATUS_ERROR") => {
            Verdict::Unsettled
        }

        // Pay, errors with the advice to use another number.
        (Pay, "40004", "TRADE_HAS_CLOSE") => Verdict::Declined,

        // Pay, errors that the buyer must settle, or pay otherwise.
        (
            Pay,
            "40004",
            "PAYMENT_AUTH_CODE_INVALID"
            | "BUYER_BALANCE_NOT_ENOUGH"
            | "BUYER_BANKCARD_BALANCE_NOT_ENOUGH"
            | "ERROR_BALANCE_PAYMENT_DISABLE"
            | "BUYER_SELLER_EQUAL"
            | "TRADE_BUYER_NOT_MATCH"
            | "PAYER_UNMATCHED"
            | "USER_LOGONID_DUP"
            | "BUYER_ENABLE_STATUS_FORBID"
            | "BUYER_NOT_EXIST"
            | "BUYER_NOT_MAINLAND_CERT"
            | "NOT_CERTIFIED_USER"
            | "ERROR_BUYER_CERTIFY_LEVEL_LIMIT"
            | "PULL_MOBILE_CASHIER_FAIL"
            | "MOBILE_PAYMENT_SWITCH_OFF"
            | "USER_FACE_PAYMENT_SWITCH_OFF"
            | "PAYMENT_FAIL"
            | "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR"
            | "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR"
            | "NO_PAYMENT_INSTRUMENTS_AVAILABLE"
            | "NOT_SUPPORT_PAYMENT_INST"
            | "PAYMENT_REQUEST_HAS_RISK",
        ) => Verdict::Declined,

        // Pay, errors of the merchant's limits, contract and accounts.
        (
            Pay,
            "40004",
            "BEYOND_PAY_RESTRICTION"
            | "BEYOND_PER_RECEIPT_RESTRICTION"
            | "BEYOND_PER_RECEIPT_DAY_RESTRICTION"
            | "BEYOND_PER_RECEIPT_SINGLE_RESTRICTION"
            | "MERCHANT_PERM_RECEIPT_DAY_LIMIT"
            | "MERCHANT_PERM_RECEIPT_SINGLE_LIMIT"
            | "MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT"
            | "PRODUCT_AMOUNT_LIMIT_ERROR"
            | "REQUEST_AMOUNT_EXCEED"
            | "TOTAL_FEE_EXCEED"
            | "ACCESS_FORBIDDEN"
            | "PARTNER_ERROR"
            | "MERCHANT_AGREEMENT_NOT_EXIST"
            | "MERCHANT_AGREEMENT_INVALID"
            | "MERCHANT_STATUS_NOT_NORMAL"
            | "SELLER_BEEN_BLOCKED"
            | "SELLER_NOT_EXIST"
            | "INVALID_RECEIVE_ACCOUNT"
            | "RESTRICTED_MERCHANT_INDUSTRY"
            | "INVALID_STORE_ID"
            | "SUB_MERCHANT_CREATE_FAIL"
            | "SUB_MERCHANT_TYPE_INVALID",
        ) => Verdict::Declined,
        (Pay, "40004", s) if s.starts_with("AGREEMENT_") => Verdict::Declined,
        (Pay, "40004", s) if s.starts_with("SECONDARY_MERCHANT_") => Verdict::Declined,

        // Pay, errors of products that this terminal does not ask for.
        (
            Pay,
            "40004",
            "TRADE_SETTLE_ERROR"
            | "CERT_EXPIRED"
            | "AUTH_NO_ERROR"
            | "AUTH_AMOUNT_NOT_ENOUGH"
            | "SMILE_PAY_MERCHANT_NOT_MATCH"
            | "ENTERPRISE_PAY_BIZ_ERROR",
        ) => Verdict::Declined,
        (Pay, "40004", s) if s.starts_with("CARD_") => Verdict::Declined,
        (Pay, "40004", s) if s.starts_with("CYCLE_PAY_") => Verdict::Declined,
        (Pay, "40004", s) if s.starts_with("ZM_") => Verdict::Declined,
        (Pay, "40004", s) if s.starts_with("AUTH_ORDER_") => Verdict::Declined,
        (Pay, "40004", s) if s.ends_with("_UNSUPPORT_ADVANCE") => Verdict::Declined,

        // Pay, errors of the request itself.
        (
            Pay,
            "40004",
            "INVALID_PARAMETER"
            | "AUTH_TOKEN_IS_NOT_EXIST"
            | "EXIST_FORBIDDEN_WORD"
            | "AMOUNT_OR_CURRENCY_ERROR"
            | "CURRENCY_NOT_SUPPORT"
            | "NOW_TIME_AFTER_EXPIRE_TIME_ERROR"
            | "RISK_MERCHANT_IP_NOT_EXIST"
            | "UN_SUPPORT_TRADE_SCENE"
            | "SUB_GOODS_SIZE_MAX_COUNT",
        ) => Verdict::Declined,

        // Query, errors.
        (Query, "40004", "TRADE_NOT_EXIST") => Verdict::NotExist,
        (Query, "40004", "SYSTEM_ERROR") => Verdict::Busy,

        // Cancel, errors.
        (Cancel, "40004", "SYSTEM_ERROR") => Verdict::Busy,
        (
            Cancel,
            "40004",
            "CANCEL_NOT_ALLOWED"
            | "TRADE_CANCEL_TIME_OUT"
            | "TRADE_HAS_FINISHED"
            | "REASON_TRADE_REFUND_FEE_ERR"
            | "SELLER_BALANCE_NOT_ENOUGH",
        ) => Verdict::CancelRefused,

        // Whatever nobody has heard of.
        _ => Verdict::Unsettled,
    }
}
