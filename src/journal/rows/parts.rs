//! The parts of the rows: what the gateway told, why a payment changed, and
//! what concerns no payment.

use serde::{Deserialize, Serialize};

use super::RowError;
use crate::payment::{
    Amount, Asker, Attention, Call, EntryStep, Fen, Hint, Judged, OtherCode, Public, Reason, Said,
    ScannerNews, StepName, Timestamp, Trade, Trouble, TroubleKind, Wire, hide_codes,
};

words!(CallRow = Call { Pay, Precreate, Query, Cancel, Refund, RefundQuery });
words!(
    TroubleKindRow = TroubleKind {
        Unreachable,
        NoAnswer,
        Unverified,
        Busy,
        Refused,
        Unsettled,
        Foreign,
        Restart,
        SellerBalance
    }
);

fn unheard(word: &str) -> RowError {
    RowError::Value(format!("nobody knows {word:?}"))
}

// --- what the cashier is told while the code is waited for --------------------

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum HintRow {
    /// With the names that scan events have for what was shown.
    Shown {
        kind: String,
    },
    TooEarly,
    ScanLost,
    ScannerGone,
    CodeUsed {
        out_trade_no: String,
        amount_fen: u64,
        state: String,
    },
}

impl From<&Hint> for HintRow {
    fn from(hint: &Hint) -> Self {
        match hint {
            Hint::Shown(code) => Self::Shown { kind: code.name().to_owned() },
            Hint::TooEarly => Self::TooEarly,
            Hint::ScanLost => Self::ScanLost,
            Hint::ScannerGone => Self::ScannerGone,
            Hint::CodeUsed { number, amount, state } => Self::CodeUsed {
                out_trade_no: number.to_string(),
                amount_fen: amount.fen(),
                state: state.name().to_owned(),
            },
        }
    }
}

impl TryFrom<HintRow> for Hint {
    type Error = RowError;

    fn try_from(row: HintRow) -> Result<Self, RowError> {
        let value = |error: &dyn std::error::Error| RowError::Value(error.to_string());
        Ok(match row {
            HintRow::Shown { kind } => {
                let code = OtherCode::ALL.into_iter().find(|code| code.name() == kind);
                Self::Shown(code.ok_or_else(|| unheard(&kind))?)
            }
            HintRow::TooEarly => Self::TooEarly,
            HintRow::ScanLost => Self::ScanLost,
            HintRow::ScannerGone => Self::ScannerGone,
            HintRow::CodeUsed { out_trade_no, amount_fen, state } => Self::CodeUsed {
                number: out_trade_no.parse().map_err(|error| value(&error))?,
                amount: Amount::from_fen(amount_fen).map_err(|error| value(&error))?,
                state: Public::ALL
                    .into_iter()
                    .find(|public| public.name() == state)
                    .ok_or_else(|| unheard(&state))?,
            },
        })
    }
}

// --- what the gateway told ---------------------------------------------------

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TradeRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_fen: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer_logon_id: Option<String>,
    // Since version 3, all that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paid_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buyer_pay_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    point_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invoice_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mdiscount_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fund_bill_list: Option<String>,
}

impl From<&Trade> for TradeRow {
    fn from(trade: &Trade) -> Self {
        let fen = |fen: Option<Fen>| fen.map(|Fen(fen)| fen);
        let Said {
            total_amount,
            receipt_amount,
            buyer_pay_amount,
            point_amount,
            invoice_amount,
            discount_amount,
            mdiscount_amount,
            fund_bill_list,
        } = &trade.said;
        Self {
            trade_no: trade.trade_no.clone(),
            receipt_fen: fen(*receipt_amount),
            buyer_logon_id: trade.buyer_logon_id.clone(),
            paid_at: trade.paid_at.map(Timestamp::millis),
            tag: trade.tag.as_deref().map(hide_codes),
            total_fen: fen(*total_amount),
            buyer_pay_fen: fen(*buyer_pay_amount),
            point_fen: fen(*point_amount),
            invoice_fen: fen(*invoice_amount),
            discount_fen: fen(*discount_amount),
            mdiscount_fen: fen(*mdiscount_amount),
            fund_bill_list: fund_bill_list.as_deref().map(hide_codes),
        }
    }
}

impl From<TradeRow> for Trade {
    fn from(row: TradeRow) -> Self {
        Self {
            trade_no: row.trade_no,
            buyer_logon_id: row.buyer_logon_id,
            paid_at: row.paid_at.map(Timestamp),
            tag: row.tag,
            said: Said {
                total_amount: row.total_fen.map(Fen),
                receipt_amount: row.receipt_fen.map(Fen),
                buyer_pay_amount: row.buyer_pay_fen.map(Fen),
                point_amount: row.point_fen.map(Fen),
                invoice_amount: row.invoice_fen.map(Fen),
                discount_amount: row.discount_fen.map(Fen),
                mdiscount_amount: row.mdiscount_fen.map(Fen),
                fund_bill_list: row.fund_bill_list,
            },
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonRow {
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_code: Option<String>,
    message: String,
}

impl From<&Reason> for ReasonRow {
    fn from(reason: &Reason) -> Self {
        Self {
            code: reason.code.clone(),
            sub_code: reason.sub_code.clone(),
            message: hide_codes(&reason.message),
        }
    }
}

impl From<ReasonRow> for Reason {
    fn from(row: ReasonRow) -> Self {
        Self { code: row.code, sub_code: row.sub_code, message: row.message }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TroubleRow {
    kind: TroubleKindRow,
    text: String,
}

impl From<&Trouble> for TroubleRow {
    fn from(trouble: &Trouble) -> Self {
        Self { kind: trouble.kind.into(), text: hide_codes(&trouble.text) }
    }
}

impl From<TroubleRow> for Trouble {
    fn from(row: TroubleRow) -> Self {
        Self { kind: row.kind.into(), text: row.text }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum AttentionRow {
    Unsettled { trouble: Option<TroubleRow> },
    Foreign { trouble: Option<TroubleRow> },
    CancelRefused { reason: ReasonRow },
    // Since version 3.
    Unproven { trade_no: Option<String> },
    DoorClosed { trouble: TroubleRow },
    SellerBalance,
    Owing { reason: ReasonRow },
}

impl From<&Attention> for AttentionRow {
    fn from(attention: &Attention) -> Self {
        match attention {
            Attention::Unsettled(trouble) => {
                Self::Unsettled { trouble: trouble.as_ref().map(Into::into) }
            }
            Attention::Foreign(trouble) => {
                Self::Foreign { trouble: trouble.as_ref().map(Into::into) }
            }
            Attention::CancelRefused(reason) => Self::CancelRefused { reason: reason.into() },
            Attention::Unproven(trade_no) => Self::Unproven { trade_no: trade_no.clone() },
            Attention::DoorClosed(trouble) => Self::DoorClosed { trouble: trouble.into() },
            Attention::SellerBalance => Self::SellerBalance,
            Attention::Owing(reason) => Self::Owing { reason: reason.into() },
        }
    }
}

impl From<AttentionRow> for Attention {
    fn from(row: AttentionRow) -> Self {
        match row {
            AttentionRow::Unsettled { trouble } => Self::Unsettled(trouble.map(Into::into)),
            AttentionRow::Foreign { trouble } => Self::Foreign(trouble.map(Into::into)),
            AttentionRow::CancelRefused { reason } => Self::CancelRefused(reason.into()),
            AttentionRow::Unproven { trade_no } => Self::Unproven(trade_no),
            AttentionRow::DoorClosed { trouble } => Self::DoorClosed(trouble.into()),
            AttentionRow::SellerBalance => Self::SellerBalance,
            AttentionRow::Owing { reason } => Self::Owing(reason.into()),
        }
    }
}

// --- why it changed ----------------------------------------------------------

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepRow {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallRow>,
    /// Masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire: Option<WireRow>,
    /// Since version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asker: Option<AskerRow>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskerRow {
    uid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl From<&EntryStep> for StepRow {
    fn from(step: &EntryStep) -> Self {
        Self {
            name: step.name.name().to_owned(),
            call: step.call.map(Into::into),
            code: step.code.as_deref().map(hide_codes),
            verdict: step.judged.map(|judged| judged.name().to_owned()),
            wire: step.wire.as_ref().map(Into::into),
            asker: step.asker.map(|Asker { uid, pid }| AskerRow { uid, pid }),
        }
    }
}

impl TryFrom<StepRow> for EntryStep {
    type Error = RowError;

    fn try_from(row: StepRow) -> Result<Self, RowError> {
        let step = StepName::ALL.into_iter().find(|step| step.name() == row.name);
        let judged = |word: String| {
            let judged = Judged::ALL.into_iter().find(|judged| judged.name() == word);
            judged.ok_or_else(|| unheard(&word))
        };
        Ok(Self {
            name: step.ok_or_else(|| unheard(&row.name))?,
            call: row.call.map(Into::into),
            code: row.code,
            judged: row.verdict.map(judged).transpose()?,
            wire: row.wire.map(Into::into),
            asker: row.asker.map(|AskerRow { uid, pid }| Asker { uid, pid }),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_flag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    millis: u64,
}

impl From<&Wire> for WireRow {
    fn from(wire: &Wire) -> Self {
        let wire = wire.clone();
        Self {
            code: wire.code,
            sub_code: wire.sub_code,
            message: wire.message.as_deref().map(hide_codes),
            trade_status: wire.trade_status,
            action: wire.action,
            retry_flag: wire.retry_flag,
            trace_id: wire.trace_id,
            http_status: wire.http_status,
            millis: wire.millis,
        }
    }
}

impl From<WireRow> for Wire {
    fn from(row: WireRow) -> Self {
        Self {
            code: row.code,
            sub_code: row.sub_code,
            message: row.message,
            trade_status: row.trade_status,
            action: row.action,
            retry_flag: row.retry_flag,
            trace_id: row.trace_id,
            http_status: row.http_status,
            millis: row.millis,
        }
    }
}

// --- what concerns no payment ------------------------------------------------

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScanRow {
    pub(super) scanner: String,
    pub(super) kind: String,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aim: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScannerRow {
    pub(super) scanner: String,
    pub(super) news: NewsRow,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum NewsRow {
    Plugged,
    Unplugged { why: String },
    ScanLost { why: String },
}

impl From<&ScannerNews> for NewsRow {
    fn from(news: &ScannerNews) -> Self {
        match news {
            ScannerNews::Plugged => Self::Plugged,
            ScannerNews::Unplugged(why) => Self::Unplugged { why: why.clone() },
            ScannerNews::ScanLost(why) => Self::ScanLost { why: why.clone() },
        }
    }
}

impl From<NewsRow> for ScannerNews {
    fn from(row: NewsRow) -> Self {
        match row {
            NewsRow::Plugged => Self::Plugged,
            NewsRow::Unplugged { why } => Self::Unplugged(why),
            NewsRow::ScanLost { why } => Self::ScanLost(why),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayRow {
    pub(super) up: bool,
    pub(super) text: String,
}
