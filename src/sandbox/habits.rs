//! How this gateway is, where the documents leave it open or the way to it is
//! bad; and what somebody else at the merchant does.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ledger::{Status, Trade};
use super::order::is_number;
use super::trade::{World, trade_no};
use crate::payment::Amount;

/// What holds for all answers until it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Habits {
    /// A cancel of a number that was never seen blocks it for ever. Alipay's
    /// documents do not say.
    pub fence: bool,
    /// Queries give back what came along with the pay (`passback_params`). The
    /// documents list it, and nobody has seen it.
    pub echo: bool,
    /// Answers have no `Date`, as behind some proxies.
    pub no_date: bool,
    /// How far the `Date` of an answer is from the gateway's clock.
    pub date_skew_ms: i64,
}

impl Default for Habits {
    fn default() -> Self {
        Self { fence: false, echo: true, no_date: false, date_skew_ms: 0 }
    }
}

impl Habits {
    /// Changes those that are named.
    pub(super) fn change(&mut self, named: Map<String, Value>) -> Result<(), String> {
        let all = serde_json::to_value(*self).map_err(|why| why.to_string())?;
        let Value::Object(mut all) = all else { return Err("no object".to_owned()) };
        all.extend(named);
        *self = serde_json::from_value(Value::Object(all)).map_err(|why| why.to_string())?;
        Ok(())
    }
}

/// A trade that another till of the merchant makes under a number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// The number, which ours may use as well.
    pub out_trade_no: String,
    /// What it is about, in yuan.
    pub total_amount: String,
    /// What the buyer reads. A pay of ours with another subject is inconsistent
    /// with it; with the same, it is a pay of a trade that was paid.
    pub subject: String,
    /// What the other till sent along.
    pub passback_params: Option<String>,
    /// The buyer has paid it.
    pub paid: bool,
    /// How long ago.
    #[serde(default)]
    pub ago_ms: i64,
}

/// How long an unpaid trade lives.
const LIFE_MS: i64 = 3 * 3600 * 1000;

impl World {
    /// Puts another till's trade into the ledger.
    pub(super) fn elsewhere(&mut self, other: &Elsewhere, now: i64) -> Result<(), String> {
        let name = &other.out_trade_no;
        if !is_number(name) {
            return Err(format!("{name:?} is no number of an order"));
        }
        let amount: Amount =
            other.total_amount.parse().map_err(|why| format!("total_amount: {why}"))?;
        let made = now.saturating_sub(other.ago_ms);
        let number = self.book.number(name, now);
        if number.trade.is_some() {
            return Err(format!("{name} has a trade already"));
        }
        let mut trade = Trade {
            trade_no: trade_no(name, made),
            status: Status::WaitBuyerPay,
            total_fen: amount.fen(),
            charged_fen: 0,
            refunded_fen: 0,
            subject: other.subject.clone(),
            passback_params: other.passback_params.clone(),
            store_id: None,
            terminal_id: Some("ANOTHER_TILL".to_owned()),
            created_ms: made,
            expire_ms: made.saturating_add(LIFE_MS),
            paid_ms: None,
            cancelled_by: None,
            refunds: Vec::new(),
        };
        if other.paid {
            trade.confirm(made);
        }
        number.trade = Some(trade);
        self.book.save(name).map_err(|why| why.to_string())
    }
}
