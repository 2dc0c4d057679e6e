//! Where the money is, in one word.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::payment::Money;

/// Where the money is, as far as anybody can know.
///
/// * `none`: final; nothing was charged, and nothing will be.
/// * `open`: nothing has been charged so far, but it still may be. Cancel before
///   cash is taken.
/// * `taken`: it is the merchant's.
/// * `returned`: it had been charged and went back.
/// * `unknown`: only Alipay knows. Do not charge again for this sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Money)]
#[allow(missing_docs, reason = "the list above says it once, where people read it")]
pub enum MoneyView {
    None,
    Open,
    Taken,
    Returned,
    #[default]
    Unknown,
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        match money {
            Money::None => Self::None,
            Money::Open => Self::Open,
            Money::Taken => Self::Taken,
            Money::Returned => Self::Returned,
            Money::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_core() {
        for money in Money::ALL {
            assert_eq!(serde_json::to_value(MoneyView::from(money)).unwrap(), money.name());
        }
    }
}
