//! The codes of the two calls about a refund. The pages are those of
//! `alipay.trade.refund` and of `alipay.trade.fastpay.refund.query`.

use super::{Words, is_busy, is_front_door};

/// What the codes of an answer to a refund mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefundVerdict {
    /// This call gave the money back.
    Done,
    /// This call moved nothing: it was done before, or it is not done.
    Unproven,
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

/// The same of the query about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefundQueryVerdict {
    /// It is given back.
    Done,
    /// It is not, so far.
    NotDone,
    /// Refused at the gateway's front door.
    Refused,
    /// Not now.
    Busy,
    /// It settles nothing.
    Unsettled,
}

/// Looks up an answer to a refund.
#[allow(clippy::match_same_arms, reason = "each group is a page, or a class of errors on it")]
pub(crate) fn refund(words: Words<'_>) -> RefundVerdict {
    use RefundVerdict as V;
    match words.codes() {
        // Refund: fund_change. N and none are the same: no proof.
        ("10000", "") => match words.fund_change {
            "Y" => V::Done,
            _ => V::Unproven,
        },

        // Gateway codes.
        (code, _) if is_busy(code) => V::Busy,
        (code, _) if is_front_door(code) => V::Refused,

        // Refund, errors with the advice to send the same again.
        ("40004", "SYSTEM_ERROR") => V::Busy,
        ("40004", "SELLER_BALANCE_NOT_ENOUGH") => V::SellerBalance,

        // Refund, errors of the trade: over, closed, or of a kind that is not
        // given back.
        (
            "40004",
            "TRADE_HAS_FINISHED"
            | "TRADE_HAS_CLOSE"
            | "TRADE_NOT_ALLOW_REFUND"
            | "TRADE_STATUS_ERROR"
            | "REASON_TRADE_STATUS_INVALID"
            | "NOT_ALLOW_PARTIAL_REFUND"
            | "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
        ) => V::RefusedForGood,

        // Refund, errors of the amount: more than is left, or it must be all.
        (
            "40004",
            "REASON_TRADE_REFUND_FEE_ERR" | "REFUND_FEE_ERROR" | "REFUND_AMT_NOT_EQUAL_TOTAL",
        ) => V::RefusedForGood,

        // Refund, errors of the request: its number was used for another amount;
        // a field is wrong.
        ("40004", "DISCORDANT_REPEAT_REQUEST" | "INVALID_PARAMETER") => V::RefusedForGood,

        // Refund, errors of the buyer's account: it is gone, or locked.
        ("40004", "BUYER_ERROR" | "CUSTOMER_VALIDATE_ERROR" | "REFUND_ACCOUNT_NOT_EXIST") => {
            V::RefusedForGood
        }

        // Refund, errors of the merchant's contracts.
        (
            "40004",
            "REFUNDALLOC_UNAUTH_LIMIT"
            | "ALLOC_AMOUNT_VALIDATE_ERROR"
            | "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST"
            | "OVERDRAFT_AGREEMENT_NOT_MATCH"
            | "OVERDRAFT_ASSIGN_ACCOUNT_INVALID"
            | "REFUND_CHARGE_ERROR"
            | "ENTERPRISE_PAY_BIZ_ERROR",
        ) => V::RefusedForGood,

        // That there is no such trade cannot be the last word on one that was
        // paid: another application is asking, or it is looked for elsewhere. A
        // frozen trade thaws.
        ("40004", "TRADE_NOT_EXIST" | "REASON_TRADE_BEEN_FREEZEN") => V::Unsettled,

        // Whatever nobody has heard of.
        _ => V::Unsettled,
    }
}

/// Looks up an answer to a refund query.
pub(crate) fn refund_query(words: Words<'_>) -> RefundQueryVerdict {
    use RefundQueryVerdict as V;
    match words.codes() {
        // Refund query: refund_status. Earlier versions of the page take a refund
        // that is told without a status for a success, later ones do not.
        ("10000", "") => match (words.refund_status, words.refund_amount) {
            ("REFUND_SUCCESS", _) => V::Done,
            ("", "") => V::NotDone,
            _ => V::Unsettled,
        },

        // Gateway codes.
        (code, _) if is_busy(code) => V::Busy,
        (code, _) if is_front_door(code) => V::Refused,

        // Refund query, errors. That there is no such trade proves as little here
        // as it does of a refund.
        ("40004", "SYSTEM_ERROR") => V::Busy,

        // Whatever nobody has heard of.
        _ => V::Unsettled,
    }
}
