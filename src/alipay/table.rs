//! What the codes of a verified answer mean: a table for each method, *unsettled*
//! by default.
//!
//! The comment above each group names the page of the open platform's
//! documents: *gateway codes* is the list of common return codes, *pay*,
//! *query* and *cancel* are the pages of `alipay.trade.pay`, `.query` and
//! `.cancel`. What those pages tell the merchant to do about an error decides
//! the verdict. New knowledge about the gateway is a new line here, and the
//! same line in the test.

mod precreate;
mod refund;

pub(crate) use precreate::{PrecreateVerdict, precreate};
pub(crate) use refund::{RefundQueryVerdict, RefundVerdict, refund, refund_query};

/// What the codes of an answer to a pay mean, before anybody looks at whose
/// payment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayVerdict {
    /// The buyer paid.
    Paid,
    /// The buyer must confirm.
    Waiting,
    /// Refused by the business behind the gateway.
    Declined,
    /// Refused because the number is in use; by whom, it does not say.
    Repeated,
    /// Refused at the gateway's front door.
    Refused,
    /// Not now.
    Busy,
    /// It settles nothing.
    Unsettled,
}

/// The same of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryVerdict {
    /// The buyer paid.
    Paid,
    /// The buyer must confirm.
    Waiting,
    /// The trade is closed.
    Closed,
    /// No such trade.
    NotExist,
    /// Refused at the gateway's front door.
    Refused,
    /// Not now.
    Busy,
    /// It settles nothing.
    Unsettled,
}

/// The same of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelVerdict {
    /// Was unpaid, is closed.
    Closed,
    /// Was paid, goes back.
    Refunded,
    /// Nothing was done.
    NoAction,
    /// Refused for good.
    RefusedForGood,
    /// Refused until the merchant's account has enough money again.
    SellerBalance,
    /// Refused at the gateway's front door.
    Refused,
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
    /// `fund_change` of a refund, or nothing.
    pub(crate) fund_change: &'a str,
    /// `refund_status` of a refund query, or nothing.
    pub(crate) refund_status: &'a str,
    /// `refund_amount` of a refund query, or nothing.
    pub(crate) refund_amount: &'a str,
}

impl<'a> Words<'a> {
    /// The code, and the sub_code without its prefix: misspelt and missing ones
    /// have been seen.
    fn codes(self) -> (&'a str, &'a str) {
        let sub_code = self.sub_code;
        let bare = sub_code.strip_prefix("ACQ.").or_else(|| sub_code.strip_prefix("AQC."));
        (self.code, bare.unwrap_or(sub_code))
    }
}

/// Gateway codes: service not available; called too often.
fn is_busy(code: &str) -> bool {
    matches!(code, "20000" | "40005")
}

/// Gateway codes: authorisation; parameter missing; parameter wrong; conditions
/// not met; no permission.
fn is_front_door(code: &str) -> bool {
    matches!(code, "20001" | "40001" | "40002" | "40003" | "40006")
}

/// Looks up an answer to a pay.
#[allow(clippy::match_same_arms, reason = "each group is a page, or a class of errors on it")]
pub(crate) fn pay(words: Words<'_>) -> PayVerdict {
    use PayVerdict as V;
    match words.codes() {
        // Pay: answer.
        ("10000", "") => V::Paid,
        ("10003", "") => V::Waiting,

        // Gateway codes.
        (code, _) if is_busy(code) => V::Busy,
        (code, _) if is_front_door(code) => V::Refused,

        // Pay, errors with the advice to query: the result is open.
        ("40004", "SYSTEM_ERROR") => V::Busy,
        ("40004", "TRADE_STATUS_ERROR") => V::Unsettled,

        // Pay, errors that say that a trade has the number: it was paid; its
        // content is another.
        ("40004", "TRADE_HAS_SUCCESS" | "CONTEXT_INCONSISTENT") => V::Repeated,

        // Pay, errors with the advice to use another number.
        ("40004", "TRADE_HAS_CLOSE") => V::Declined,

        // Pay, errors that the buyer must settle, or pay otherwise.
        (
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
        ) => V::Declined,

        // Pay, errors of the merchant's limits, contract and accounts.
        (
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
        ) => V::Declined,
        ("40004", s) if s.starts_with("AGREEMENT_") => V::Declined,
        ("40004", s) if s.starts_with("SECONDARY_MERCHANT_") => V::Declined,

        // Pay, errors of products that this terminal does not ask for.
        (
            "40004",
            "TRADE_SETTLE_ERROR"
            | "CERT_EXPIRED"
            | "AUTH_NO_ERROR"
            | "AUTH_AMOUNT_NOT_ENOUGH"
            | "SMILE_PAY_MERCHANT_NOT_MATCH"
            | "ENTERPRISE_PAY_BIZ_ERROR",
        ) => V::Declined,
        ("40004", s) if s.starts_with("CARD_") => V::Declined,
        ("40004", s) if s.starts_with("CYCLE_PAY_") => V::Declined,
        ("40004", s) if s.starts_with("ZM_") => V::Declined,
        ("40004", s) if s.starts_with("AUTH_ORDER_") => V::Declined,
        ("40004", s) if s.ends_with("_UNSUPPORT_ADVANCE") => V::Declined,

        // Pay, errors of the request itself.
        (
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
        ) => V::Declined,

        // Whatever nobody has heard of.
        _ => V::Unsettled,
    }
}

/// Looks up an answer to a query.
#[allow(clippy::match_same_arms, reason = "each group is a page, or a class of errors on it")]
pub(crate) fn query(words: Words<'_>) -> QueryVerdict {
    use QueryVerdict as V;
    match words.codes() {
        // Query: trade_status.
        ("10000", "") => match words.trade_status {
            "TRADE_SUCCESS" => V::Paid,
            "TRADE_FINISHED" => V::Paid,
            "WAIT_BUYER_PAY" => V::Waiting,
            "TRADE_CLOSED" => V::Closed,
            _ => V::Unsettled,
        },

        // Gateway codes.
        (code, _) if is_busy(code) => V::Busy,
        (code, _) if is_front_door(code) => V::Refused,

        // Query, errors.
        ("40004", "TRADE_NOT_EXIST") => V::NotExist,
        ("40004", "SYSTEM_ERROR") => V::Busy,

        // Whatever nobody has heard of.
        _ => V::Unsettled,
    }
}

/// Looks up an answer to a cancel.
#[allow(clippy::match_same_arms, reason = "each group is a page, or a class of errors on it")]
pub(crate) fn cancel(words: Words<'_>) -> CancelVerdict {
    use CancelVerdict as V;
    match words.codes() {
        // Cancel: action and retry_flag.
        ("10000", "") => match (words.action, words.retry_flag) {
            (_, "Y") => V::Busy,
            ("close", "N" | "") => V::Closed,
            ("refund", "N" | "") => V::Refunded,
            ("", "N") => V::NoAction,
            _ => V::Unsettled,
        },

        // Gateway codes.
        (code, _) if is_busy(code) => V::Busy,
        (code, _) if is_front_door(code) => V::Refused,

        // Cancel, errors.
        ("40004", "SYSTEM_ERROR") => V::Busy,
        (
            "40004",
            "CANCEL_NOT_ALLOWED"
            | "TRADE_CANCEL_TIME_OUT"
            | "TRADE_HAS_FINISHED"
            | "REASON_TRADE_REFUND_FEE_ERR",
        ) => V::RefusedForGood,
        ("40004", "SELLER_BALANCE_NOT_ENOUGH") => V::SellerBalance,

        // Whatever nobody has heard of.
        _ => V::Unsettled,
    }
}
