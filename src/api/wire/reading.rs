//! How forgiving whoever reads a view is.
//!
//! A member that is missing, null or of another type reads as its default, and
//! every default is the cautious one: not final, money unknown. A member that
//! nobody knows is ignored, and a word that nobody knows is kept as it came: the
//! other end may be newer.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Declares views: what one end tells whole, and the other reads as above.
macro_rules! view {
    ($(
        $(#[$about:meta])*
        pub struct $name:ident { $($(#[$what:meta])* pub $member:ident: $kind:ty,)* }
    )*) => {$(
        #[derive(
            Clone, Debug, Default, PartialEq, Eq,
            serde::Serialize, serde::Deserialize, utoipa::ToSchema,
        )]
        $(#[$about])*
        pub struct $name {
            $(
                $(#[$what])*
                #[serde(default, deserialize_with = "crate::api::wire::reading::lenient")]
                #[schema(required)]
                pub $member: $kind,
            )*
        }
    )*};
}
pub(super) use view;

/// Reads what can be read, else the default.
pub(super) fn lenient<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// A word out of a list that grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word<T> {
    /// One of those that this program knows.
    Known(T),
    /// Another one, as it came; empty if there was none.
    Other(String),
}

impl<T: Serialize> fmt::Display for Word<T> {
    /// As it stands on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        f.write_str(value.as_str().unwrap_or_default())
    }
}

impl<T> Default for Word<T> {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, word: &T) -> bool {
        matches!(self, Self::Known(known) if known == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{Code, MoneyView, PaymentView, ProblemView, StateView};

    #[test]
    fn what_is_missing_null_or_strange_reads_as_the_cautious_word() {
        for text in [
            "{}",
            r#"{"state":null,"final":null,"money":null,"rev":null,"cashier":null,"reason":null}"#,
            r#"{"state":7,"final":"true","money":"plenty","rev":-1,"cashier":3,"amount":12.5}"#,
        ] {
            let view: PaymentView = serde_json::from_str(text).expect(text);
            assert!(!view.is_final, "{text}");
            assert_eq!(view.money, MoneyView::Unknown, "{text}");
        }
        let problem: ProblemView = serde_json::from_str("{}").expect("an object");
        assert_eq!(problem.money, MoneyView::Unknown);
    }

    #[test]
    fn a_word_of_the_future_is_kept_as_it_came() {
        let text = r#"{"state":"held","code":"too_late","money":"split"}"#;
        let view: PaymentView = serde_json::from_str(text).unwrap();
        assert_eq!((view.state.to_string().as_str(), view.money), ("held", MoneyView::Unknown));
        assert!(view.state != StateView::Paid);
        let problem: ProblemView = serde_json::from_str(text).unwrap();
        assert_eq!(problem.code, Word::Other("too_late".to_owned()));
        assert_eq!(serde_json::to_value(&problem.code).unwrap(), "too_late");
        assert_eq!(Word::from(Code::NotFound).to_string(), "not_found");
        assert_eq!(Word::<Code>::default().to_string(), "");
    }

    #[test]
    fn reads_the_payment_of_the_contract() {
        let view: PaymentView = serde_json::from_str(
            r#"{ "out_trade_no": "20150320010101001", "state": "paid", "final": true,
                 "money": "taken", "rev": 4, "amount": "88.88", "subject": "咖啡",
                 "scanner": "lane-1", "trade_no": "2013112011001004330000121536",
                 "receipt_amount": "88.88", "buyer_logon_id": "159****5620", "reason": null,
                 "attention": null, "refunded_amount": "0.00", "sale": null,
                 "cashier": { "zh": "已收款 88.88 元", "en": "Paid 88.88 yuan" },
                 "created_at": "2026-11-20T10:00:00+08:00", "from_the_future": {"x": [1]},
                 "updated_at": "2026-11-20T10:00:02+08:00" }"#,
        )
        .expect("the contract's example");
        assert!(view.is_final && view.money == MoneyView::Taken && view.rev == 4);
        assert!(view.state == StateView::Paid);
        assert_eq!(view.cashier.en, "Paid 88.88 yuan");
        assert!(view.attention.is_none() && view.sale.is_none());
    }
}
