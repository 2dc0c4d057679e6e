//! A refund as JSON, and what it is asked for with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::amount;
use super::members::Members;
use super::reading::view;
use super::{Problem, ReasonView, SentenceView, Word, time_text};
use crate::payment::{OutRequestNo, OutTradeNo, Refund, RefundCause, RefundState};
use crate::terminal::RefundAsk;

view! {
    /// Money of one payment that goes back, as it stands.
    #[schema(as = Refund, example = json!({
        "out_trade_no": "20150320010101001", "out_request_no": "R1", "amount": "5.00",
        "state": "refunded", "final": true, "reason": "凉了", "refusal": null, "attention": null,
        "cause": "register", "rev": 2,
        "cashier": { "zh": "已退款 5.00 元，钱已退还给顾客", "en": "Refunded: 5.00 yuan went back to the customer" },
        "created_at": "2026-11-20T10:00:00+08:00", "updated_at": "2026-11-20T10:00:02+08:00"
    }))]
    pub struct RefundView {
        /// The payment that it is of.
        pub out_trade_no: String,
        /// Its number, unique for its payment.
        pub out_request_no: String,
        /// How much goes back, in yuan with two decimals.
        pub amount: String,
        /// How it stands.
        #[schema(value_type = RefundStateView)]
        pub state: Word<RefundStateView>,
        /// Nothing more will happen to it.
        #[serde(rename = "final")]
        pub is_final: bool,
        /// Why, in the words of whoever asked.
        pub reason: Option<String>,
        /// Why Alipay refused it.
        pub refusal: Option<ReasonView>,
        /// Set while a person should look, because the terminal cannot settle it by
        /// itself for long; and when more went back of the payment than by this
        /// terminal.
        pub attention: Option<SentenceView>,
        /// Whose wish it is.
        #[schema(value_type = CauseView)]
        pub cause: Word<CauseView>,
        /// Grows with every change.
        pub rev: u64,
        /// What to tell the cashier.
        pub cashier: SentenceView,
        /// When it was asked for.
        #[schema(format = DateTime)]
        pub created_at: String,
        /// When it last changed.
        #[schema(format = DateTime)]
        pub updated_at: String,
    }
}

/// How a refund stands.
///
/// * `processing`: it may be done or not; only Alipay knows. Do not pay the money
///   back in another way, and do not refund it under another number.
/// * `refunded`, final: Alipay has proven that the money went back.
/// * `refused`, final: Alipay will not do it and has not done it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RefundState)]
#[allow(missing_docs, reason = "the list above says it once, where people read it")]
pub enum RefundStateView {
    Processing,
    Refunded,
    Refused,
}

/// Whose wish a refund is.
///
/// * `register`: the register's, or a person's.
/// * `undo`: the terminal's own, of a payment that was to be cancelled and that
///   Alipay will not cancel.
/// * `late`: the terminal's own, of money that came after it was told that none
///   would.
/// * `bill`: the terminal's own, of money that only Alipay's bill told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RefundCause)]
#[allow(missing_docs, reason = "the list above says it once, where people read it")]
pub enum CauseView {
    Register,
    Undo,
    Late,
    Bill,
}

view! {
    /// The refunds of a payment, oldest first.
    #[schema(as = Refunds, example = json!({ "refunds": [] }))]
    pub struct RefundsView {
        /// The refunds.
        pub refunds: Vec<RefundView>,
    }
}

/// What a refund is asked for with. Unknown members are refused.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = RefundRequest, example = json!({ "amount": "5.00", "reason": "凉了" }))]
pub struct RefundBody {
    /// How much goes back, in yuan: digits with at most two decimals, as a string;
    /// at most what is left of the payment.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,2})?$", example = "5.00")]
    pub amount: String,
    /// Why; passed on to Alipay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 256)]
    pub reason: Option<String>,
    /// Who is at the register, passed on to Alipay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 28)]
    pub operator_id: Option<String>,
}

/// Reads the body of a `PUT` of a refund.
pub(in crate::api) fn refund_request(
    bytes: &[u8],
    number: OutTradeNo,
    request: OutRequestNo,
) -> Result<RefundAsk, Problem> {
    let members = Members::read(bytes, &["amount", "reason", "operator_id"])?;
    Ok(RefundAsk {
        number,
        request,
        amount: amount(&members)?,
        reason: members.text("reason", 256)?,
        operator_id: members.text("operator_id", 28)?,
    })
}

impl From<&Refund> for RefundView {
    fn from(refund: &Refund) -> Self {
        let asked = refund.asked();
        Self {
            out_trade_no: refund.of().to_string(),
            out_request_no: asked.request.to_string(),
            amount: asked.amount.to_string(),
            state: RefundStateView::from(refund.public()).into(),
            is_final: refund.is_final(),
            reason: asked.reason.clone(),
            refusal: refund.refusal().map(ReasonView::from),
            attention: refund.attention().map(|attention| attention.sentence().into()),
            cause: CauseView::from(asked.cause).into(),
            rev: refund.rev(),
            cashier: refund.cashier().into(),
            created_at: time_text(asked.created_at),
            updated_at: time_text(refund.updated_at()),
        }
    }
}

impl From<RefundState> for RefundStateView {
    fn from(state: RefundState) -> Self {
        match state {
            RefundState::Processing => Self::Processing,
            RefundState::Refunded => Self::Refunded,
            RefundState::Refused => Self::Refused,
        }
    }
}

impl From<RefundCause> for CauseView {
    fn from(cause: RefundCause) -> Self {
        match cause {
            RefundCause::Register => Self::Register,
            RefundCause::Undo => Self::Undo,
            RefundCause::Late => Self::Late,
            RefundCause::Bill => Self::Bill,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_core() {
        for state in RefundState::ALL {
            assert_eq!(serde_json::to_value(RefundStateView::from(state)).unwrap(), state.name());
        }
        for cause in RefundCause::ALL {
            assert_eq!(serde_json::to_value(CauseView::from(cause)).unwrap(), cause.name());
        }
    }
}
