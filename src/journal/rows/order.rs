//! The parts of what a register asked for, and where.

use serde::{Deserialize, Serialize};

use super::RowError;
use crate::payment::{Amount, Extras, Till};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TillRow {
    terminal_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator_id: Option<String>,
}

impl From<&Till> for TillRow {
    fn from(till: &Till) -> Self {
        let Till { terminal_id, store_id, operator_id } = till.clone();
        Self { terminal_id, store_id, operator_id }
    }
}

impl From<TillRow> for Till {
    fn from(TillRow { terminal_id, store_id, operator_id }: TillRow) -> Self {
        Self { terminal_id, store_id, operator_id }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtrasRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seller_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discountable_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undiscountable_fen: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extend_params: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    query_options: Vec<String>,
}

impl ExtrasRow {
    /// Nothing is written of an order that says nothing besides.
    pub(super) fn of(extras: &Extras) -> Option<Self> {
        let Extras {
            seller_id,
            discountable_amount,
            undiscountable_amount,
            extend_params,
            query_options,
        } = extras.clone();
        (*extras != Extras::default()).then(|| Self {
            seller_id,
            discountable_fen: discountable_amount.map(Amount::fen),
            undiscountable_fen: undiscountable_amount.map(Amount::fen),
            extend_params,
            query_options,
        })
    }
}

impl TryFrom<ExtrasRow> for Extras {
    type Error = RowError;

    fn try_from(row: ExtrasRow) -> Result<Self, RowError> {
        let amount = |fen: Option<u64>| {
            let amount = fen.map(Amount::from_fen).transpose();
            amount.map_err(|why| RowError::Value(why.to_string()))
        };
        Ok(Self {
            seller_id: row.seller_id,
            discountable_amount: amount(row.discountable_fen)?,
            undiscountable_amount: amount(row.undiscountable_fen)?,
            extend_params: row.extend_params,
            query_options: row.query_options,
        })
    }
}
