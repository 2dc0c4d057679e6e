//! What stands in `body`, as JSON: the journal's own types, apart from the
//! core's, so that the core can change without changing what is on disk.
//!
//! Frozen with each version of the schema. What a later version adds has a
//! default here; what it changes gets another `kind`. A member that nobody knows is an
//! error: it was written by a newer program and may be about money.
//!
//! The first entry of a payment holds what the register asked for; the later
//! ones only what changes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::payment::{
    Account, Amount, CancelAction, CodeMark, Entry, EntryStep, Heard, How, Method, Offer, Order,
    Payment, Record, Refund, Refusal, ScanKind, State, Tag, Till, Timestamp, Trade, Undo,
    hide_codes, is_printed_on_goods,
};

/// A plain enum of the core and its names on disk.
macro_rules! words {
    ($row:ident = $core:ident { $($variant:ident),+ }) => {
        #[derive(Clone, Copy, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $row { $($variant),+ }

        impl From<$core> for $row {
            fn from(core: $core) -> Self {
                match core { $($core::$variant => Self::$variant),+ }
            }
        }

        impl From<$row> for $core {
            fn from(row: $row) -> Self {
                match row { $($row::$variant => Self::$variant),+ }
            }
        }
    };
}

mod order;
mod parts;
mod refund;

use order::{ExtrasRow, TillRow};
pub(super) use refund::{RefundRequestedRow, RefundRow};

use parts::{
    AttentionRow, GatewayRow, HintRow, ReasonRow, ScanRow, ScannerRow, StepRow, TradeRow,
    TroubleRow,
};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error("unknown kind of entry {0:?}")]
    Kind(String),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Value(String),
}

/// An entry, ready to be written.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) kind: &'static str,
    pub(super) body: String,
    /// For an entry about a payment or a refund: what its row will say.
    pub(super) summary: Option<Summary>,
}

/// A row that follows from an entry.
#[derive(Debug)]
pub(super) enum Summary {
    Payment(PaymentSummary),
    Refund(RefundSummary),
}

/// A refund's row in `refunds`.
#[derive(Debug)]
pub(super) struct RefundSummary {
    pub(super) out_trade_no: String,
    pub(super) out_request_no: String,
    pub(super) rev: u64,
    pub(super) state: &'static str,
    pub(super) open: bool,
    pub(super) cause: &'static str,
    pub(super) amount: Amount,
}

/// A payment's row in `payments`.
#[derive(Debug)]
pub(super) struct PaymentSummary {
    pub(super) out_trade_no: String,
    pub(super) rev: u64,
    pub(super) state: &'static str,
    pub(super) open: bool,
    pub(super) sale: Option<String>,
    /// By which the payment is found when its code is shown again.
    pub(super) mark: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) amount: Amount,
}

/// What the first entry of a payment told and no later one repeats.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) order: Arc<Order>,
    pub(super) account: Option<Arc<Account>>,
    pub(super) till: Option<Arc<Till>>,
    pub(super) created_at: Timestamp,
}

/// A body as it was read.
pub(super) enum Read {
    /// About a payment; the first entry brings its origin along.
    Payment { changing: Box<PaymentRow>, origin: Option<Origin> },
    /// About a refund.
    Refund(Box<RefundRow>),
    /// About anything else.
    Other(Box<Entry>),
}

pub(super) const PAYMENT: &str = "payment";
pub(super) const REFUND: &str = "refund";
const SCAN: &str = "scan";
const SCANNER: &str = "scanner";
const GATEWAY: &str = "gateway";

impl Draft {
    /// How `entry` goes to disk.
    pub(super) fn of(entry: &Entry) -> Result<Self, RowError> {
        let (kind, body, summary) = match entry {
            Entry::Payment { payment, step } => {
                let body = serde_json::to_string(&PaymentRow::of(payment, step))?;
                (PAYMENT, body, Some(Summary::Payment(PaymentSummary::of(payment))))
            }
            Entry::Refund { refund, step } => {
                let body = serde_json::to_string(&RefundRow::of(refund, step))?;
                (REFUND, body, Some(Summary::Refund(RefundSummary::of(refund))))
            }
            Entry::Scan { scanner, kind, text, aim } => {
                let row = ScanRow {
                    scanner: scanner.clone(),
                    kind: kind.name().to_owned(),
                    // Masked before it came here; a second look costs nothing.
                    text: if is_printed_on_goods(aim.as_deref()) {
                        text.clone()
                    } else {
                        hide_codes(text)
                    },
                    aim: aim.clone(),
                };
                (SCAN, serde_json::to_string(&row)?, None)
            }
            Entry::Scanner { scanner, news } => {
                let row = ScannerRow { scanner: scanner.clone(), news: news.into() };
                (SCANNER, serde_json::to_string(&row)?, None)
            }
            Entry::Gateway { up, text } => {
                let row = GatewayRow { up: *up, text: hide_codes(text) };
                (GATEWAY, serde_json::to_string(&row)?, None)
            }
        };
        Ok(Self { kind, body, summary })
    }
}

/// Reads a body.
pub(super) fn read(kind: &str, number: Option<&str>, body: &str) -> Result<Read, RowError> {
    Ok(match kind {
        PAYMENT => {
            let mut row: PaymentRow = serde_json::from_str(body)?;
            let number =
                number.ok_or_else(|| RowError::Value("a payment without number".to_owned()))?;
            let origin = row.requested.take().map(|r| r.into_origin(number)).transpose()?;
            Read::Payment { changing: Box::new(row), origin }
        }
        REFUND => Read::Refund(Box::new(serde_json::from_str(body)?)),
        SCAN => {
            let row: ScanRow = serde_json::from_str(body)?;
            let ScanRow { scanner, kind, text, aim } = row;
            let unheard = || RowError::Value(format!("nobody knows a scan of the kind {kind:?}"));
            let kind = ScanKind::from_name(&kind).ok_or_else(unheard)?;
            Read::Other(Box::new(Entry::Scan { scanner, kind, text, aim }))
        }
        SCANNER => {
            let row: ScannerRow = serde_json::from_str(body)?;
            Read::Other(Box::new(Entry::Scanner { scanner: row.scanner, news: row.news.into() }))
        }
        GATEWAY => {
            let row: GatewayRow = serde_json::from_str(body)?;
            Read::Other(Box::new(Entry::Gateway { up: row.up, text: row.text }))
        }
        other => return Err(RowError::Kind(other.to_owned())),
    })
}

impl Summary {
    /// The payment that it is about.
    pub(super) fn number(&self) -> &str {
        match self {
            Self::Payment(summary) => &summary.out_trade_no,
            Self::Refund(summary) => &summary.out_trade_no,
        }
    }

    /// Counts its changes, from 1.
    pub(super) fn rev(&self) -> u64 {
        match self {
            Self::Payment(summary) => summary.rev,
            Self::Refund(summary) => summary.rev,
        }
    }
}

impl RefundSummary {
    fn of(refund: &Refund) -> Self {
        let asked = refund.asked();
        Self {
            out_trade_no: refund.of().to_string(),
            out_request_no: asked.request.to_string(),
            rev: refund.rev(),
            state: refund.public().name(),
            open: !refund.is_final(),
            cause: asked.cause.name(),
            amount: asked.amount,
        }
    }
}

impl PaymentSummary {
    fn of(payment: &Payment) -> Self {
        Self {
            out_trade_no: payment.order().out_trade_no.as_str().to_owned(),
            rev: payment.rev(),
            state: payment.public().name(),
            open: !payment.is_final(),
            sale: payment.order().sale.clone(),
            mark: payment.mark().map(CodeMark::hex),
            created_at: payment.created_at(),
            amount: payment.order().amount,
        }
    }
}

// --- a payment ---------------------------------------------------------------

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentRow {
    rev: u64,
    step: StepRow,
    /// The state as the register sees it: follows from the rest, and stands here
    /// for SQL and for people.
    public: String,
    state: StateRow,
    updated_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pay: Option<OfferRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade: Option<TradeRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<AttentionRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleRow>,
    /// Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<HintRow>,
    /// In the first entry only.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<RequestedRow>,
}

impl PaymentRow {
    fn of(payment: &Payment, step: &EntryStep) -> Self {
        let is_first = payment.rev() == 1;
        let told = payment.trade();
        let offer = payment.offer().map(|offer| OfferRow::of(offer, payment.undo()));
        Self {
            rev: payment.rev(),
            step: step.into(),
            public: payment.public().name().to_owned(),
            state: (&payment.state()).into(),
            updated_at: payment.updated_at().millis(),
            pay: offer,
            trade: (*told != Trade::default()).then(|| told.into()),
            reason: payment.reason().map(Into::into),
            attention: payment.attention().map(Into::into),
            trouble: payment.trouble().map(Into::into),
            hint: payment.hint().map(Into::into),
            requested: is_first.then(|| RequestedRow::of(payment)),
        }
    }

    /// The whole payment, and what happened to it.
    pub(super) fn into_payment(self, origin: &Origin) -> Result<(Payment, EntryStep), RowError> {
        let (offer, undo) = match self.pay.map(OfferRow::into_offer).transpose()? {
            Some((offer, undo)) => (Some(offer), undo),
            None => (None, None),
        };
        let record = Record {
            order: origin.order.clone(),
            account: origin.account.clone(),
            till: origin.till.clone(),
            state: self.state.into(),
            rev: self.rev,
            created_at: origin.created_at,
            updated_at: Timestamp(self.updated_at),
            offer,
            undo,
            trade: self.trade.map(Into::into).unwrap_or_default(),
            reason: self.reason.map(Into::into),
            attention: self.attention.map(Into::into),
            trouble: self.trouble.map(Into::into),
            hint: self.hint.map(TryInto::try_into).transpose()?,
        };
        let payment = Payment::try_from(record).map_err(|why| RowError::Value(why.to_string()))?;
        if payment.public().name() != self.public {
            return Err(RowError::Value(format!(
                "it calls itself {:?}, but is {:?}",
                self.public,
                payment.public().name()
            )));
        }
        Ok((payment, self.step.try_into()?))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestedRow {
    amount_fen: u64,
    /// Since version 3; without it by code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<MethodRow>,
    subject: String,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scanner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goods_detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Length>,
    /// Since version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<AccountRow>,
    /// Since version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    till: Option<TillRow>,
    /// Since version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extras: Option<ExtrasRow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountRow {
    gateway: String,
    app_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merchant: Option<String>,
}

impl From<&Account> for AccountRow {
    fn from(account: &Account) -> Self {
        let Account { gateway, app_id, merchant } = account.clone();
        Self { gateway, app_id, merchant }
    }
}

impl From<AccountRow> for Account {
    fn from(AccountRow { gateway, app_id, merchant }: AccountRow) -> Self {
        Self { gateway, app_id, merchant }
    }
}

impl RequestedRow {
    fn of(payment: &Payment) -> Self {
        let order = payment.order();
        Self {
            amount_fen: order.amount.fen(),
            method: (order.method != Method::Code).then(|| order.method.into()),
            subject: order.subject.clone(),
            created_at: payment.created_at().millis(),
            sale: order.sale.clone(),
            scanner: order.scanner.clone(),
            body: order.body.clone(),
            operator_id: order.operator_id.clone(),
            goods_detail: order.goods_detail.clone(),
            timeout: order.timeout.map(Into::into),
            account: payment.account().map(|account| account.as_ref().into()),
            till: payment.till().map(|till| till.as_ref().into()),
            extras: ExtrasRow::of(&order.extras),
        }
    }

    fn into_origin(self, number: &str) -> Result<Origin, RowError> {
        let value = |error: &dyn std::error::Error| RowError::Value(error.to_string());
        let order = Order {
            out_trade_no: number.parse().map_err(|error| value(&error))?,
            amount: Amount::from_fen(self.amount_fen).map_err(|error| value(&error))?,
            method: self.method.map(Into::into).unwrap_or_default(),
            subject: self.subject,
            sale: self.sale,
            scanner: self.scanner,
            body: self.body,
            operator_id: self.operator_id,
            goods_detail: self.goods_detail,
            timeout: self.timeout.map(Into::into),
            extras: self.extras.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        };
        let till = self.till.map(|row| Arc::new(row.into()));
        let account = self.account.map(|row| Arc::new(row.into()));
        Ok(Origin { order: order.into(), account, till, created_at: Timestamp(self.created_at) })
    }
}

/// A length of time, exactly: a request is compared with the one on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    secs: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    nanos: u32,
}

fn is_zero(nanos: &u32) -> bool {
    *nanos == 0
}

impl From<Duration> for Length {
    fn from(length: Duration) -> Self {
        Self { secs: length.as_secs(), nanos: length.subsec_nanos() }
    }
}

impl From<Length> for Duration {
    fn from(Length { secs, nanos }: Length) -> Self {
        // Not `Duration::new`, which panics on what a damaged row may say.
        Self::from_secs(secs).saturating_add(Self::from_nanos(nanos.into()))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
enum StateRow {
    AwaitingCode { until: i64 },
    Paying,
    Precreating,
    Unsent { until: i64 },
    Resting { until: i64 },
    Querying,
    Cancelling,
    Owing,
    Paid,
    Declined,
    Cancelled { action: ActionRow },
}

impl From<&State> for StateRow {
    fn from(state: &State) -> Self {
        match state {
            State::AwaitingCode { until } => Self::AwaitingCode { until: until.millis() },
            State::Paying => Self::Paying,
            State::Precreating => Self::Precreating,
            State::Unsent { until } => Self::Unsent { until: until.millis() },
            State::Resting { until } => Self::Resting { until: until.millis() },
            State::Querying => Self::Querying,
            State::Cancelling => Self::Cancelling,
            State::Owing => Self::Owing,
            State::Paid => Self::Paid,
            State::Declined => Self::Declined,
            State::Cancelled(action) => Self::Cancelled { action: (*action).into() },
        }
    }
}

impl From<StateRow> for State {
    fn from(row: StateRow) -> Self {
        match row {
            StateRow::AwaitingCode { until } => Self::AwaitingCode { until: Timestamp(until) },
            StateRow::Paying => Self::Paying,
            StateRow::Precreating => Self::Precreating,
            StateRow::Unsent { until } => Self::Unsent { until: Timestamp(until) },
            StateRow::Resting { until } => Self::Resting { until: Timestamp(until) },
            StateRow::Querying => Self::Querying,
            StateRow::Cancelling => Self::Cancelling,
            StateRow::Owing => Self::Owing,
            StateRow::Paid => Self::Paid,
            StateRow::Declined => Self::Declined,
            StateRow::Cancelled { action } => Self::Cancelled(action.into()),
        }
    }
}

words!(MethodRow = Method { Code, Qr });

words!(ActionRow = CancelAction { Close, Refund, None });

words!(RefusalRow = Refusal { Declined, FrontDoor, NumberInUse });

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferRow {
    deadline: i64,
    /// Of a code of the buyer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code_until: Option<i64>,
    /// Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
    time_expire: i64,
    hold: Length,
    hold_until: i64,
    waiting: bool,
    declined: bool,
    stopped: bool,
    asked: bool,
    foreign: bool,
    late_pay_over: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<UndoRow>,
    // Since version 3, all that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tried_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    horizon: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<RefusalRow>,
    #[serde(default)]
    known: bool,
    /// What is shown to be scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qr_code: Option<String>,
}

impl OfferRow {
    fn of(offer: &Offer, undo: Option<&Undo>) -> Self {
        let (mark, fresh_until, qr_code) = match &offer.how {
            How::Code { mark, fresh_until } => (*mark, Some(*fresh_until), None),
            How::Qr { text } => (None, None, text.clone()),
        };
        let heard = &offer.heard;
        Self {
            deadline: offer.deadline.millis(),
            code_until: fresh_until.map(Timestamp::millis),
            mark: mark.map(CodeMark::hex),
            time_expire: offer.time_expire.millis(),
            hold: offer.hold.into(),
            hold_until: offer.hold_until.millis(),
            waiting: heard.waiting,
            declined: heard.refused == Some(Refusal::Declined),
            stopped: heard.stopped,
            asked: heard.asked,
            foreign: heard.foreign,
            late_pay_over: heard.late_over,
            undo: undo.map(|undo| UndoRow {
                rounds: undo.rounds,
                sent: undo.sent,
                refused: undo.refused.as_ref().map(Into::into),
                sent_past_late_pay: undo.sent_past_late_pay,
                sent_to_untouched: undo.sent_to_untouched,
            }),
            tag: offer.tag.map(|tag| tag.to_string()),
            tried_since: Some(offer.tried_since.millis()),
            sent_at: Some(offer.sent_at.millis()),
            horizon: Some(offer.horizon.millis()),
            refused: heard.refused.map(Into::into),
            known: heard.known,
            qr_code,
        }
    }

    fn into_offer(self) -> Result<(Offer, Option<Undo>), RowError> {
        let read_mark = |text: String| {
            CodeMark::from_hex(&text).ok_or_else(|| RowError::Value(format!("the mark {text:?}")))
        };
        let read_tag = |text: String| {
            Tag::read(&text).ok_or_else(|| RowError::Value(format!("the tag {text:?}")))
        };
        let hold: Duration = self.hold.into();
        let declined = self.declined.then_some(Refusal::Declined);
        let undo = self.undo.map(|undo| Undo {
            rounds: undo.rounds,
            sent: undo.sent,
            refused: undo.refused.map(Into::into),
            sent_past_late_pay: undo.sent_past_late_pay,
            sent_to_untouched: undo.sent_to_untouched,
        });
        let offer = Offer {
            how: match self.code_until {
                Some(until) => How::Code {
                    mark: self.mark.map(read_mark).transpose()?,
                    fresh_until: Timestamp(until),
                },
                None => How::Qr { text: self.qr_code },
            },
            tag: self.tag.map(read_tag).transpose()?,
            tried_since: Timestamp(self.tried_since.unwrap_or(self.deadline)),
            // Earlier versions did not say: it left before its end, by all that
            // the hold allows.
            sent_at: Timestamp(self.sent_at.unwrap_or_else(|| {
                self.time_expire.saturating_sub(i64::try_from(hold.as_millis()).unwrap_or(0))
            })),
            deadline: Timestamp(self.deadline),
            time_expire: Timestamp(self.time_expire),
            horizon: Timestamp(self.horizon.unwrap_or(self.time_expire)),
            hold,
            hold_until: Timestamp(self.hold_until),
            heard: Heard {
                waiting: self.waiting,
                refused: self.refused.map(Into::into).or(declined),
                stopped: self.stopped,
                asked: self.asked,
                // What is shown may wait without a trade; earlier versions had none.
                known: self.known || (self.waiting && self.code_until.is_some()),
                foreign: self.foreign,
                late_over: self.late_pay_over,
                ..Heard::default()
            },
        };
        Ok((offer, undo))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndoRow {
    rounds: u32,
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<ReasonRow>,
    sent_past_late_pay: bool,
    sent_to_untouched: bool,
}
