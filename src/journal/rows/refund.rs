//! A refund's body. As for payments, the first entry holds what was asked for, and
//! every one how the refund stands; each names its number, because a payment may
//! have several.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RowError;
use super::parts::{ReasonRow, StepRow, TroubleRow};
use crate::payment::{
    Amount, Back, EntryStep, Fen, Payment, Refund, RefundAttention, RefundCause, RefundHeard,
    RefundRecord, RefundRequest, RefundStage, RefundThen, Timestamp,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::journal) struct RefundRow {
    pub(in crate::journal) request: String,
    rev: u64,
    step: StepRow,
    /// The state as the register sees it: follows from the rest, and stands here
    /// for SQL and for people.
    public: String,
    stage: StageRow,
    updated_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    back: Option<BackRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<ReasonRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_its_way_until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<TroubleRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<RefundAttentionRow>,
    /// In the first entry only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::journal) requested: Option<RefundRequestedRow>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::journal) struct RefundRequestedRow {
    amount_fen: u64,
    cause: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<String>,
    before_fen: u64,
    created_at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
enum StageRow {
    Proving,
    Refunding,
    Asking,
    Resting { until: i64, then: ThenRow },
    Refunded,
    Refused,
}

words!(ThenRow = RefundThen { Prove, Refund, Ask });

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_fen: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_fen: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case", deny_unknown_fields)]
enum RefundAttentionRow {
    Unsettled { trouble: Option<TroubleRow> },
    SellerBalance,
    DoorClosed,
    Unproven,
    Elsewhere { total_fen: u64 },
}

impl RefundRow {
    pub(super) fn of(refund: &Refund, step: &EntryStep) -> Self {
        let RefundRecord { asked, rev, updated_at, back, heard, attention, stage } =
            refund.record();
        Self {
            request: asked.request.to_string(),
            rev,
            step: step.into(),
            public: refund.public().name().to_owned(),
            stage: stage.into(),
            updated_at: updated_at.millis(),
            back: (back != Back::default()).then(|| back.into()),
            refusal: heard.refusal.as_ref().map(Into::into),
            on_its_way_until: heard.on_its_way_until.map(Timestamp::millis),
            trouble: heard.trouble.as_ref().map(Into::into),
            attention: attention.as_ref().map(Into::into),
            requested: (rev == 1).then(|| RefundRequestedRow {
                amount_fen: asked.amount.fen(),
                cause: asked.cause.name().to_owned(),
                reason: asked.reason.clone(),
                operator_id: asked.operator_id.clone(),
                before_fen: asked.before.0,
                created_at: asked.created_at.millis(),
            }),
        }
    }

    /// The whole refund of this payment, and what happened to it.
    pub(in crate::journal) fn into_refund(
        self,
        requested: &RefundRequestedRow,
        payment: Payment,
    ) -> Result<(Refund, EntryStep), RowError> {
        let value = |error: &dyn std::error::Error| RowError::Value(error.to_string());
        let cause = RefundCause::ALL.into_iter().find(|cause| cause.name() == requested.cause);
        let unheard = || RowError::Value(format!("nobody knows a refund by {:?}", requested.cause));
        let asked = RefundRequest {
            payment,
            request: self.request.parse().map_err(|error| value(&error))?,
            amount: Amount::from_fen(requested.amount_fen).map_err(|error| value(&error))?,
            reason: requested.reason.clone(),
            operator_id: requested.operator_id.clone(),
            cause: cause.ok_or_else(unheard)?,
            before: Fen(requested.before_fen),
            created_at: Timestamp(requested.created_at),
        };
        let heard = RefundHeard {
            refusal: self.refusal.map(Into::into),
            on_its_way_until: self.on_its_way_until.map(Timestamp),
            trouble: self.trouble.map(Into::into),
            // What only a life counts: the restart begins anew.
            since: Timestamp(0),
            rounds: 0,
        };
        let refund = Refund::from(RefundRecord {
            asked: Arc::new(asked),
            rev: self.rev,
            updated_at: Timestamp(self.updated_at),
            back: self.back.map(Into::into).unwrap_or_default(),
            heard,
            attention: self.attention.map(Into::into),
            stage: self.stage.into(),
        });
        if refund.public().name() != self.public {
            return Err(RowError::Value(format!(
                "it calls itself {:?}, but is {:?}",
                self.public,
                refund.public().name()
            )));
        }
        Ok((refund, self.step.try_into()?))
    }
}

impl From<RefundStage> for StageRow {
    fn from(stage: RefundStage) -> Self {
        match stage {
            RefundStage::Proving => Self::Proving,
            RefundStage::Refunding => Self::Refunding,
            RefundStage::Asking => Self::Asking,
            RefundStage::Resting { until, then } => {
                Self::Resting { until: until.millis(), then: then.into() }
            }
            RefundStage::Refunded => Self::Refunded,
            RefundStage::Refused => Self::Refused,
        }
    }
}

impl From<StageRow> for RefundStage {
    fn from(row: StageRow) -> Self {
        match row {
            StageRow::Proving => Self::Proving,
            StageRow::Refunding => Self::Refunding,
            StageRow::Asking => Self::Asking,
            StageRow::Resting { until, then } => {
                Self::Resting { until: Timestamp(until), then: then.into() }
            }
            StageRow::Refunded => Self::Refunded,
            StageRow::Refused => Self::Refused,
        }
    }
}

impl From<Back> for BackRow {
    fn from(Back { trade_no, at, total, amount }: Back) -> Self {
        Self {
            trade_no,
            at: at.map(Timestamp::millis),
            total_fen: total.map(|Fen(fen)| fen),
            amount_fen: amount.map(|Fen(fen)| fen),
        }
    }
}

impl From<BackRow> for Back {
    fn from(BackRow { trade_no, at, total_fen, amount_fen }: BackRow) -> Self {
        Self {
            trade_no,
            at: at.map(Timestamp),
            total: total_fen.map(Fen),
            amount: amount_fen.map(Fen),
        }
    }
}

impl From<&RefundAttention> for RefundAttentionRow {
    fn from(attention: &RefundAttention) -> Self {
        match attention {
            RefundAttention::Unsettled(trouble) => {
                Self::Unsettled { trouble: trouble.as_ref().map(Into::into) }
            }
            RefundAttention::SellerBalance => Self::SellerBalance,
            RefundAttention::DoorClosed => Self::DoorClosed,
            RefundAttention::Unproven => Self::Unproven,
            RefundAttention::Elsewhere(Fen(fen)) => Self::Elsewhere { total_fen: *fen },
        }
    }
}

impl From<RefundAttentionRow> for RefundAttention {
    fn from(row: RefundAttentionRow) -> Self {
        match row {
            RefundAttentionRow::Unsettled { trouble } => Self::Unsettled(trouble.map(Into::into)),
            RefundAttentionRow::SellerBalance => Self::SellerBalance,
            RefundAttentionRow::DoorClosed => Self::DoorClosed,
            RefundAttentionRow::Unproven => Self::Unproven,
            RefundAttentionRow::Elsewhere { total_fen } => Self::Elsewhere(Fen(total_fen)),
        }
    }
}
