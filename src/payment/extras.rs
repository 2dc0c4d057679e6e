//! What a pay may say besides, for Alipay alone.

use super::Amount;

/// What the register adds to an order, passed on to Alipay as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// `seller_id`: the account that the money goes to, if it is not the contract's.
    pub seller_id: Option<String>,
    /// `discountable_amount`: how much of the amount may be discounted.
    pub discountable_amount: Option<Amount>,
    /// `undiscountable_amount`: how much may not.
    pub undiscountable_amount: Option<Amount>,
    /// `extend_params`: a JSON object as text.
    pub extend_params: Option<String>,
    /// `query_options`: what the answer shall tell besides.
    pub query_options: Vec<String>,
}

impl Extras {
    /// The parts of an amount are not more than it, and all of it if both are told.
    #[must_use]
    pub fn add_up_to(&self, amount: Amount) -> bool {
        let fen = |part: Option<Amount>| part.map(Amount::fen);
        match (fen(self.discountable_amount), fen(self.undiscountable_amount)) {
            (Some(one), Some(other)) => one.checked_add(other) == Some(amount.fen()),
            (Some(part), None) | (None, Some(part)) => part <= amount.fen(),
            (None, None) => true,
        }
    }

    /// The members, and whether `other` says something else in them.
    pub(super) fn compared(&self, other: &Self) -> [(&'static str, bool); 5] {
        [
            ("seller_id", self.seller_id != other.seller_id),
            ("discountable_amount", self.discountable_amount != other.discountable_amount),
            ("undiscountable_amount", self.undiscountable_amount != other.undiscountable_amount),
            ("extend_params", self.extend_params != other.extend_params),
            ("query_options", self.query_options != other.query_options),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Order;
    use super::*;

    #[test]
    fn another_extra_is_another_order() {
        let plain = Order::new("A1".parse().unwrap(), "10.00".parse().unwrap(), "tea".to_owned());
        let two: Amount = "2.00".parse().unwrap();
        for (name, extras) in [
            ("seller_id", Extras { seller_id: Some("2088".to_owned()), ..Extras::default() }),
            ("discountable_amount", Extras { discountable_amount: Some(two), ..Extras::default() }),
            (
                "undiscountable_amount",
                Extras { undiscountable_amount: Some(two), ..Extras::default() },
            ),
            ("extend_params", Extras { extend_params: Some("{}".to_owned()), ..Extras::default() }),
            ("query_options", Extras { query_options: vec!["a".to_owned()], ..Extras::default() }),
        ] {
            let other = Order { extras, ..plain.clone() };
            assert_eq!(plain.differences(&other), [name]);
            assert_eq!(other.differences(&plain), [name]);
            assert!(other.differences(&other).is_empty());
        }
    }
}
