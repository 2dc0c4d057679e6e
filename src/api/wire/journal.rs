//! What the journal holds of one payment, as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MoneyView, RefundStateView, StateView, time_text};
use crate::payment::{
    Asker, Call, Entry, EntryStep, Fen, Payment, Recorded, Refund, RefundCause, RefundState,
    Refunded, Trade, Wire,
};

/// A part of the steps ever journaled for a payment, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JournalOfPayment)]
pub struct JournalView {
    /// The steps.
    pub entries: Vec<StepView>,
    /// For `?cursor=`: where the next part begins; null at the end.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// One step of a payment, or of a refund of it: what happened, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Step, example = json!({
    "seq": 17, "at": "2026-11-20T10:00:01.32+08:00", "step": "pay_answered", "rev": 3,
    "state": "paid", "money": "taken", "out_request_no": null, "refund_state": null, "auth_code": null, "asker": null, "sent": null,
    "answered": {
        "verdict": "paid", "code": "10000", "sub_code": null, "message": "Success",
        "trade_status": null, "action": null, "retry_flag": null,
        "trace_id": "0a1b2c", "http_status": 200, "millis": 320,
        "trade": {
            "trade_no": "2013112011001004330000121536", "buyer_logon_id": "159****5620",
            "paid_at": "2026-11-20T10:00:01+08:00", "total_amount": "88.88",
            "receipt_amount": "88.88", "buyer_pay_amount": "88.88", "point_amount": null,
            "invoice_amount": "88.88", "discount_amount": null, "mdiscount_amount": null,
            "fund_bill_list": null
        }
    }
}))]
pub struct StepView {
    /// The entry's number in the journal, which is also the event's `id`.
    pub seq: u64,
    /// When it was written.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened: `requested`, `code`, `hint`, `due`, `stop`, `restarted`,
    /// `pay_answered`, `query_answered`, `cancel_answered`, `refund_answered`,
    /// `refund_query_answered`, `gave_back`.
    pub step: String,
    /// The payment's `rev` afterwards; of a refund's step, the refund's.
    pub rev: u64,
    /// The payment's state afterwards.
    pub state: StateView,
    /// Where the money was, as far as was known afterwards.
    pub money: MoneyView,
    /// Of a refund's step, the refund's number.
    #[serde(default)]
    #[schema(required)]
    pub out_request_no: Option<String>,
    /// Of a refund's step, the refund's state afterwards.
    #[serde(default)]
    #[schema(required)]
    pub refund_state: Option<RefundStateView>,
    /// The payment code that came in, masked.
    #[schema(required)]
    pub auth_code: Option<String>,
    /// Who asked for it, when somebody did and the kernel could say.
    #[serde(default)]
    #[schema(required)]
    pub asker: Option<AskerView>,
    /// The call to the gateway that this step decided; it was sent once this
    /// was on disk.
    #[schema(required)]
    pub sent: Option<SentView>,
    /// What the gateway answered.
    #[schema(required)]
    pub answered: Option<AnsweredView>,
}

/// A process of this box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Asker, example = json!({ "uid": 1001, "pid": 4711 }))]
pub struct AskerView {
    /// Its user.
    pub uid: u32,
    /// Its number at that time.
    #[schema(required)]
    pub pid: Option<u32>,
}

/// A call to the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Sent, example = json!({
    "method": "alipay.trade.pay", "out_trade_no": "20150320010101001", "total_amount": "88.88",
    "refund_amount": null
}))]
pub struct SentView {
    /// The gateway's name for it.
    pub method: String,
    /// About which payment.
    pub out_trade_no: String,
    /// The amount, when the call names one.
    #[schema(required)]
    pub total_amount: Option<String>,
    /// How much goes back, when the call is a refund.
    #[serde(default)]
    #[schema(required)]
    pub refund_amount: Option<String>,
}

/// What came back from the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Answered)]
pub struct AnsweredView {
    /// The terminal's judgement, in one word.
    #[schema(required)]
    pub verdict: Option<String>,
    /// `code`.
    #[schema(required)]
    pub code: Option<String>,
    /// `sub_code`.
    #[schema(required)]
    pub sub_code: Option<String>,
    /// `sub_msg`, or `msg`; payment codes masked.
    #[schema(required)]
    pub message: Option<String>,
    /// `trade_status` of a query.
    #[schema(required)]
    pub trade_status: Option<String>,
    /// `action` of a cancel.
    #[schema(required)]
    pub action: Option<String>,
    /// `retry_flag` of a cancel.
    #[schema(required)]
    pub retry_flag: Option<String>,
    /// The gateway's name for the exchange, for its support.
    #[schema(required)]
    pub trace_id: Option<String>,
    /// HTTP status, when there was one.
    #[schema(required)]
    pub http_status: Option<u16>,
    /// How long the exchange took, in milliseconds.
    pub millis: u64,
    /// What Alipay had told of the trade, this answer included.
    #[schema(required)]
    pub trade: Option<ToldView>,
}

/// What Alipay told of a trade. `null` is what it did not say; amounts are in
/// yuan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Told)]
pub struct ToldView {
    /// Alipay's number for the trade.
    #[schema(required)]
    pub trade_no: Option<String>,
    /// The buyer's account, masked by Alipay.
    #[schema(required)]
    pub buyer_logon_id: Option<String>,
    /// When it was paid, on Alipay's clock.
    #[schema(required, format = DateTime)]
    pub paid_at: Option<String>,
    /// What was asked for.
    #[schema(required)]
    pub total_amount: Option<String>,
    /// What the merchant gets.
    #[schema(required)]
    pub receipt_amount: Option<String>,
    /// What the buyer pays.
    #[schema(required)]
    pub buyer_pay_amount: Option<String>,
    /// What was paid with points.
    #[schema(required)]
    pub point_amount: Option<String>,
    /// What the buyer can have an invoice for.
    #[schema(required)]
    pub invoice_amount: Option<String>,
    /// What Alipay and others gave.
    #[schema(required)]
    pub discount_amount: Option<String>,
    /// What the merchant gave.
    #[schema(required)]
    pub mdiscount_amount: Option<String>,
    /// Where the money came from, as JSON text of Alipay's.
    #[schema(required)]
    pub fund_bill_list: Option<String>,
}

impl StepView {
    /// The step that an entry tells of, if it is about a payment or a refund.
    #[must_use]
    pub fn of(recorded: &Recorded) -> Option<Self> {
        let (payment, refund, step) = match &recorded.entry {
            Entry::Payment { payment, step } => (payment, None, step),
            Entry::Refund { refund, step } => (&refund.asked().payment, Some(refund), step),
            Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. } => return None,
        };
        let (state, money) = match refund {
            Some(refund) => beside(refund),
            None => (payment.public().into(), payment.money().into()),
        };
        Some(Self {
            seq: recorded.seq,
            at: time_text(recorded.at),
            step: step.name.name().to_owned(),
            rev: refund.map_or(payment.rev(), Refund::rev),
            state,
            money,
            out_request_no: refund.map(|refund| refund.asked().request.to_string()),
            refund_state: refund.map(|refund| refund.public().into()),
            auth_code: step.code.clone(),
            asker: step.asker.map(|Asker { uid, pid }| AskerView { uid, pid }),
            sent: step.call.map(|call| sent(call, payment, refund)),
            answered: answered(step, if refund.is_none() { told(payment.trade()) } else { None }),
        })
    }
}

/// How the payment stood, and its money, when a refund of it was so far. Its entry
/// tells the payment as it is by now; while the terminal itself undoes it, it is not
/// final.
fn beside(refund: &Refund) -> (StateView, MoneyView) {
    let asked = refund.asked();
    if asked.cause == RefundCause::Undo {
        return (StateView::Cancelling, MoneyView::Unknown);
    }
    let this = if refund.public() == RefundState::Refunded { asked.amount.fen() } else { 0 };
    let back = Refunded { amount: Fen(asked.before.0.saturating_add(this)), count: 1 };
    (asked.payment.public().into(), asked.payment.money_after(back).into())
}

fn sent(call: Call, payment: &Payment, refund: Option<&Refund>) -> SentView {
    let order = payment.order();
    let method = match call {
        Call::RefundQuery => "alipay.trade.fastpay.refund.query".to_owned(),
        Call::Pay | Call::Precreate | Call::Query | Call::Cancel | Call::Refund => {
            format!("alipay.trade.{}", call.name())
        }
    };
    SentView {
        method,
        out_trade_no: order.out_trade_no.to_string(),
        total_amount: matches!(call, Call::Pay | Call::Precreate).then(|| order.amount.wire()),
        refund_amount: refund
            .filter(|_| call == Call::Refund)
            .map(|refund| refund.asked().amount.wire()),
    }
}

fn told(trade: &Trade) -> Option<ToldView> {
    if *trade == Trade::default() {
        return None;
    }
    let yuan = |amount: Option<Fen>| amount.map(|amount| amount.to_string());
    // The mark of ours that came back is nothing for the reader.
    let Trade { trade_no, buyer_logon_id, paid_at, tag: _, said } = trade.clone();
    Some(ToldView {
        trade_no,
        buyer_logon_id,
        paid_at: paid_at.map(time_text),
        total_amount: yuan(said.total_amount),
        receipt_amount: yuan(said.receipt_amount),
        buyer_pay_amount: yuan(said.buyer_pay_amount),
        point_amount: yuan(said.point_amount),
        invoice_amount: yuan(said.invoice_amount),
        discount_amount: yuan(said.discount_amount),
        mdiscount_amount: yuan(said.mdiscount_amount),
        fund_bill_list: said.fund_bill_list,
    })
}

fn answered(step: &EntryStep, trade: Option<ToldView>) -> Option<AnsweredView> {
    if step.wire.is_none() && step.judged.is_none() {
        return None;
    }
    let wire = step.wire.clone().unwrap_or_default();
    let Wire {
        code,
        sub_code,
        message,
        trade_status,
        action,
        retry_flag,
        trace_id,
        http_status,
        millis,
    } = wire;
    Some(AnsweredView {
        verdict: step.judged.map(|judged| judged.name().to_owned()),
        code,
        sub_code,
        message,
        trade_status,
        action,
        retry_flag,
        trace_id,
        http_status,
        millis,
        trade,
    })
}
