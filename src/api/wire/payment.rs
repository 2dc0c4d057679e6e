//! A payment as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reading::{lenient, view};
use super::{MoneyView, ReceiptView, SentenceView, Word, time_text};
use crate::payment::{
    Attention, CancelAction, Fen, Hint, Money, Offer, Payment, Public, Reason, Refunded, State,
    Timestamp,
};

view! {
    /// One payment, as it stands.
    ///
    /// A register that shows only `money` and the sentence in `cashier` is right.
    #[schema(as = Payment, example = json!({
        "out_trade_no": "20150320010101001", "state": "paid", "final": true, "money": "taken", "rev": 4,
        "amount": "88.88", "subject": "咖啡", "method": "code", "qr_code": null, "scanner": "lane-1",
        "trade_no": "2013112011001004330000121536", "receipt_amount": "88.88",
        "buyer_logon_id": "159****5620", "reason": null, "attention": null,
        "refunded_amount": "0.00", "sale": null, "cancel_action": null, "seconds_left": null,
        "hint": null,
        "receipt": {
            "total_amount": "88.88", "receipt_amount": "88.88", "buyer_pay_amount": "88.88",
            "point_amount": "0.00", "invoice_amount": "88.88", "discount_amount": null,
            "mdiscount_amount": null,
            "fund_bill_list": [{ "fund_channel": "ALIPAYACCOUNT", "amount": "88.88" }],
            "paid_at": "2026-11-20T10:00:01+08:00", "buyer_logon_id": "159****5620",
            "store_id": "NJ_001", "terminal_id": "T_001", "operator_id": null
        },
        "cashier": { "zh": "已收款 88.88 元", "en": "Paid 88.88 yuan" },
        "created_at": "2026-11-20T10:00:00+08:00", "updated_at": "2026-11-20T10:00:02+08:00"
    }))]
    pub struct PaymentView {
        /// The merchant order number: the payment's name, here and at Alipay.
        pub out_trade_no: String,
        /// What it waits for, or how it ended.
        #[schema(value_type = StateView)]
        pub state: Word<StateView>,
        /// Nothing more will happen to it.
        #[serde(rename = "final")]
        pub is_final: bool,
        /// Where the money is.
        pub money: MoneyView,
        /// Grows with every change.
        pub rev: u64,
        /// What is collected, in yuan with two decimals.
        pub amount: String,
        /// What the buyer sees.
        pub subject: String,
        /// How the buyer is to pay: `code` or `qr`.
        pub method: String,
        /// With the method `qr`: what the buyer scans, as text; draw it as a QR code, or
        /// show `GET /v1/payments/{out_trade_no}/qr.svg`.
        pub qr_code: Option<String>,
        /// The scanner that takes the code.
        pub scanner: Option<String>,
        /// Alipay's number for the trade, once it is known.
        pub trade_no: Option<String>,
        /// What the merchant gets, in yuan.
        pub receipt_amount: Option<String>,
        /// The buyer's account, masked by Alipay.
        pub buyer_logon_id: Option<String>,
        /// Why Alipay refused it.
        pub reason: Option<ReasonView>,
        /// Set while a person should look, because the terminal cannot settle it by
        /// itself for long.
        pub attention: Option<SentenceView>,
        /// How much is proven to be refunded, in yuan.
        pub refunded_amount: String,
        /// The sale this is an attempt at.
        pub sale: Option<String>,
        /// What ended it, when it is cancelled.
        #[schema(value_type = Option<CancelActionView>)]
        pub cancel_action: Option<Word<CancelActionView>>,
        /// For counting down: how many seconds, rounded up, the terminal still waits
        /// for the code, or for the payment before it cancels. Null when that time
        /// is over, when the payment is final, and in events.
        pub seconds_left: Option<u64>,
        /// While it waits for its code: why it has not got one although somebody
        /// tries. `cashier` says the same in a sentence.
        pub hint: Option<HintView>,
        /// What a receipt says, when it is paid.
        pub receipt: Option<ReceiptView>,
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

/// What a payment waits for, or how it ended.
///
/// * `awaiting_code`: the terminal waits for the customer's payment code; nothing was sent.
/// * `processing`: pay was sent, or may have been; its result is not known yet.
/// * `awaiting_buyer`: the buyer must confirm on the phone.
/// * `cancelling`: a cancel is under way and not confirmed.
/// * `paid`, final: the money is the merchant's.
/// * `declined`, final: Alipay refused it for certain, nothing was charged.
/// * `cancelled`, final: closed, nothing stays charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
#[allow(missing_docs, reason = "the list above says it once, where people read it")]
pub enum StateView {
    AwaitingCode,
    Processing,
    AwaitingBuyer,
    Cancelling,
    Paid,
    Declined,
    Cancelled,
}

/// What ended a cancelled payment.
///
/// * `close`: it was unpaid and is closed.
/// * `refund`: it had been paid and the money went back.
/// * `none`: nothing had ever been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CancelAction)]
#[allow(missing_docs, reason = "the list above says it once, where people read it")]
pub enum CancelActionView {
    Close,
    Refund,
    None,
}

view! {
    /// Why Alipay said no, in its own words.
    #[schema(as = Reason, example = json!({
        "code": "40004", "sub_code": "ACQ.BUYER_BALANCE_NOT_ENOUGH", "message": "买家余额不足"
    }))]
    pub struct ReasonView {
        /// `code` of the answer.
        pub code: String,
        /// `sub_code` of the answer.
        pub sub_code: Option<String>,
        /// What to show the cashier.
        pub message: String,
    }
}

view! {
    /// Why a payment that waits for its code has not got one yet.
    #[schema(as = Hint, example = json!({ "kind": "wechat", "out_trade_no": null }))]
    pub struct HintView {
        /// What was shown to the scanner: `wechat`, `unionpay`, `other_wallet`,
        /// `collect_code`, `scale_label`, `torn`, `extra_characters`, `goods`, `unreadable`, `too_early`
        /// or `code_already_used`. Or what is wrong with the scanner: `scan_lost`,
        /// `scanner_gone`.
        pub kind: String,
        /// With `code_already_used`, the payment that the code was used for.
        pub out_trade_no: Option<String>,
    }
}

/// A part of the list of payments, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Payments, example = json!({ "payments": [], "next_cursor": null }))]
pub struct PaymentsView {
    /// The payments.
    #[serde(default)]
    #[schema(required)]
    pub payments: Vec<PaymentView>,
    /// For `?cursor=`: where the next part begins; null at the end.
    #[serde(default, deserialize_with = "lenient")]
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl From<&Payment> for PaymentView {
    fn from(payment: &Payment) -> Self {
        let (order, trade) = (payment.order(), payment.trade());
        Self {
            out_trade_no: order.out_trade_no.to_string(),
            state: StateView::from(payment.public()).into(),
            is_final: payment.is_final(),
            money: payment.money().into(),
            rev: payment.rev(),
            amount: order.amount.to_string(),
            method: order.method.name().to_owned(),
            qr_code: payment.offer().and_then(Offer::qr_code).map(str::to_owned),
            subject: order.subject.clone(),
            scanner: order.scanner.clone(),
            trade_no: trade.trade_no.clone(),
            receipt_amount: trade.said.receipt_amount.map(|amount| amount.to_string()),
            buyer_logon_id: trade.buyer_logon_id.clone(),
            reason: payment.reason().map(ReasonView::from),
            attention: payment.attention().map(attention_text),
            refunded_amount: refunded(payment).to_string(),
            sale: order.sale.clone(),
            cancel_action: cancel_action(&payment.state()).map(Word::from),
            seconds_left: None,
            hint: payment.hint().map(HintView::from),
            receipt: ReceiptView::of(payment),
            cashier: payment.cashier().into(),
            created_at: time_text(payment.created_at()),
            updated_at: time_text(payment.updated_at()),
        }
    }
}

impl PaymentView {
    /// The payment as it stands at this moment of the steady clock.
    #[must_use]
    pub fn at(payment: &Payment, steady: Timestamp) -> Self {
        Self { seconds_left: seconds_left(payment, steady), ..Self::from(payment) }
    }

    /// The same after refunds of it. Each that is proven counts as a change.
    #[must_use]
    pub fn after(mut self, payment: &Payment, refunded: Refunded) -> Self {
        if refunded.count > 0 {
            self.refunded_amount = refunded.amount.to_string();
            self.rev = self.rev.saturating_add(refunded.count);
            self.money = payment.money_after(refunded).into();
            self.cashier = payment.cashier_after(refunded).into();
        }
        self
    }
}

/// Until the window ends; nothing once it is over or the money will not be kept.
fn seconds_left(payment: &Payment, steady: Timestamp) -> Option<u64> {
    let end = match payment.public() {
        Public::AwaitingCode => payment.due(),
        Public::Processing | Public::AwaitingBuyer => payment.offer().map(|offer| offer.deadline),
        Public::Cancelling | Public::Paid | Public::Declined | Public::Cancelled => None,
    };
    let left = end?.millis().saturating_sub(steady.millis());
    u64::try_from(left).ok().filter(|left| *left > 0).map(|left| left.div_ceil(1000))
}

/// What is proven to have gone back.
fn refunded(payment: &Payment) -> Fen {
    match payment.money() {
        Money::Returned => Fen(payment.order().amount.fen()),
        Money::None | Money::Open | Money::Taken | Money::Unknown => Fen(0),
    }
}

fn attention_text(attention: &Attention) -> SentenceView {
    attention.sentence().into()
}

fn cancel_action(state: &State) -> Option<CancelActionView> {
    if let State::Cancelled(action) = state {
        Some(match action {
            CancelAction::Close => CancelActionView::Close,
            CancelAction::Refund => CancelActionView::Refund,
            CancelAction::None => CancelActionView::None,
        })
    } else {
        None
    }
}

impl From<Public> for StateView {
    fn from(state: Public) -> Self {
        match state {
            Public::AwaitingCode => Self::AwaitingCode,
            Public::Processing => Self::Processing,
            Public::AwaitingBuyer => Self::AwaitingBuyer,
            Public::Cancelling => Self::Cancelling,
            Public::Paid => Self::Paid,
            Public::Declined => Self::Declined,
            Public::Cancelled => Self::Cancelled,
        }
    }
}

impl From<&Reason> for ReasonView {
    fn from(reason: &Reason) -> Self {
        let Reason { code, sub_code, message } = reason.clone();
        Self { code, sub_code, message }
    }
}

impl From<&Hint> for HintView {
    fn from(hint: &Hint) -> Self {
        let out_trade_no = match hint {
            Hint::CodeUsed { number, .. } => Some(number.to_string()),
            Hint::Shown(_) | Hint::TooEarly | Hint::ScanLost | Hint::ScannerGone => None,
        };
        Self { kind: hint.name().to_owned(), out_trade_no }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_are_those_of_the_core() {
        for state in Public::ALL {
            assert_eq!(serde_json::to_value(StateView::from(state)).unwrap(), state.name());
        }
    }
}
