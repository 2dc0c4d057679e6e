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
    Amount, CancelAction, CodeMark, Entry, EntryStep, Order, PayCall, Payment, ScanKind, State,
    Timestamp, Trade, Undo, hide_codes, is_printed_on_goods,
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

mod parts;

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
    /// For an entry about a payment: what its row in `payments` will say.
    pub(super) summary: Option<Summary>,
}

/// A payment's row in `payments`.
#[derive(Debug)]
pub(super) struct Summary {
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
    pub(super) created_at: Timestamp,
}

/// A body as it was read.
pub(super) enum Read {
    /// About a payment; the first entry brings its origin along.
    Payment { changing: Box<PaymentRow>, origin: Option<Origin> },
    /// About anything else.
    Other(Box<Entry>),
}

pub(super) const PAYMENT: &str = "payment";
const SCAN: &str = "scan";
const SCANNER: &str = "scanner";
const GATEWAY: &str = "gateway";

impl Draft {
    /// How `entry` goes to disk.
    pub(super) fn of(entry: &Entry) -> Result<Self, RowError> {
        let (kind, body, summary) = match entry {
            Entry::Payment { payment, step } => {
                let body = serde_json::to_string(&PaymentRow::of(payment, step))?;
                (PAYMENT, body, Some(Summary::of(payment)))
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
    fn of(payment: &Payment) -> Self {
        Self {
            out_trade_no: payment.order.out_trade_no.as_str().to_owned(),
            rev: payment.rev,
            state: payment.public().name(),
            open: !payment.is_final(),
            sale: payment.order.sale.clone(),
            mark: mark_of(payment).map(CodeMark::hex),
            created_at: payment.created_at,
            amount: payment.order.amount,
        }
    }
}

/// The mark of the code that a payment has taken.
pub(super) fn mark_of(payment: &Payment) -> Option<CodeMark> {
    payment.pay.as_ref().and_then(|pay| pay.mark)
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
    pay: Option<PayCallRow>,
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
        let is_first = payment.rev == 1;
        let trade = (payment.trade != Trade::default()).then(|| (&payment.trade).into());
        Self {
            rev: payment.rev,
            step: step.into(),
            public: payment.public().name().to_owned(),
            state: (&payment.state).into(),
            updated_at: payment.updated_at.millis(),
            pay: payment.pay.as_ref().map(Into::into),
            trade,
            reason: payment.reason.as_ref().map(Into::into),
            attention: payment.attention.as_ref().map(Into::into),
            trouble: payment.trouble.as_ref().map(Into::into),
            hint: payment.hint.as_ref().map(Into::into),
            requested: is_first.then(|| RequestedRow::of(payment)),
        }
    }

    /// The whole payment, and what happened to it.
    pub(super) fn into_payment(self, origin: &Origin) -> Result<(Payment, EntryStep), RowError> {
        let payment = Payment {
            order: origin.order.clone(),
            state: self.state.into(),
            rev: self.rev,
            created_at: origin.created_at,
            updated_at: Timestamp(self.updated_at),
            pay: self.pay.map(TryInto::try_into).transpose()?,
            trade: self.trade.map(Into::into).unwrap_or_default(),
            reason: self.reason.map(Into::into),
            attention: self.attention.map(Into::into),
            trouble: self.trouble.map(Into::into),
            hint: self.hint.map(TryInto::try_into).transpose()?,
        };
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
}

impl RequestedRow {
    fn of(payment: &Payment) -> Self {
        let order = &payment.order;
        Self {
            amount_fen: order.amount.fen(),
            subject: order.subject.clone(),
            created_at: payment.created_at.millis(),
            sale: order.sale.clone(),
            scanner: order.scanner.clone(),
            body: order.body.clone(),
            operator_id: order.operator_id.clone(),
            goods_detail: order.goods_detail.clone(),
            timeout: order.timeout.map(Into::into),
        }
    }

    fn into_origin(self, number: &str) -> Result<Origin, RowError> {
        let value = |error: &dyn std::error::Error| RowError::Value(error.to_string());
        let order = Order {
            out_trade_no: number.parse().map_err(|error| value(&error))?,
            amount: Amount::from_fen(self.amount_fen).map_err(|error| value(&error))?,
            subject: self.subject,
            sale: self.sale,
            scanner: self.scanner,
            body: self.body,
            operator_id: self.operator_id,
            goods_detail: self.goods_detail,
            timeout: self.timeout.map(Into::into),
        };
        Ok(Origin { order: order.into(), created_at: Timestamp(self.created_at) })
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
    Unsent { until: i64 },
    Resting { until: i64 },
    Querying,
    Cancelling,
    Paid,
    Declined,
    Cancelled { action: ActionRow },
}

impl From<&State> for StateRow {
    fn from(state: &State) -> Self {
        match state {
            State::AwaitingCode { until } => Self::AwaitingCode { until: until.millis() },
            State::Paying => Self::Paying,
            State::Unsent { until } => Self::Unsent { until: until.millis() },
            State::Resting { until } => Self::Resting { until: until.millis() },
            State::Querying => Self::Querying,
            State::Cancelling => Self::Cancelling,
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
            StateRow::Unsent { until } => Self::Unsent { until: Timestamp(until) },
            StateRow::Resting { until } => Self::Resting { until: Timestamp(until) },
            StateRow::Querying => Self::Querying,
            StateRow::Cancelling => Self::Cancelling,
            StateRow::Paid => Self::Paid,
            StateRow::Declined => Self::Declined,
            StateRow::Cancelled { action } => Self::Cancelled(action.into()),
        }
    }
}

words!(ActionRow = CancelAction { Close, Refund, None });

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PayCallRow {
    deadline: i64,
    code_until: i64,
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
}

impl From<&PayCall> for PayCallRow {
    fn from(pay: &PayCall) -> Self {
        Self {
            deadline: pay.deadline.millis(),
            code_until: pay.code_until.millis(),
            mark: pay.mark.map(CodeMark::hex),
            time_expire: pay.time_expire.millis(),
            hold: pay.hold.into(),
            hold_until: pay.hold_until.millis(),
            waiting: pay.waiting,
            declined: pay.declined,
            stopped: pay.stopped,
            asked: pay.asked,
            foreign: pay.foreign,
            late_pay_over: pay.late_pay_over,
            undo: pay.undo.as_ref().map(|undo| UndoRow {
                rounds: undo.rounds,
                sent: undo.sent,
                refused: undo.refused.as_ref().map(Into::into),
                sent_past_late_pay: undo.sent_past_late_pay,
                sent_to_untouched: undo.sent_to_untouched,
            }),
        }
    }
}

impl TryFrom<PayCallRow> for PayCall {
    type Error = RowError;

    fn try_from(row: PayCallRow) -> Result<Self, RowError> {
        let read_mark = |text: String| {
            CodeMark::from_hex(&text).ok_or_else(|| RowError::Value(format!("the mark {text:?}")))
        };
        Ok(Self {
            deadline: Timestamp(row.deadline),
            code_until: Timestamp(row.code_until),
            mark: row.mark.map(read_mark).transpose()?,
            time_expire: Timestamp(row.time_expire),
            hold: row.hold.into(),
            hold_until: Timestamp(row.hold_until),
            waiting: row.waiting,
            declined: row.declined,
            stopped: row.stopped,
            asked: row.asked,
            foreign: row.foreign,
            late_pay_over: row.late_pay_over,
            undo: row.undo.map(|undo| Undo {
                rounds: undo.rounds,
                sent: undo.sent,
                refused: undo.refused.map(Into::into),
                sent_past_late_pay: undo.sent_past_late_pay,
                sent_to_untouched: undo.sent_to_untouched,
            }),
        })
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
