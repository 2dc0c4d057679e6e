//! Money, as a whole number of fen.

use std::fmt;
use std::str::FromStr;

/// A sum in fen, between 0.01 and 100000000 yuan.
///
/// Yuan exist only as text at the edges: parsed once, printed once, and no
/// floating point in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Signs, spaces, exponents, letters, digits of other scripts, or nothing.
    #[error("write the amount in yuan as digits with at most two decimals, like \"88.88\"")]
    NotDecimal,
    /// More than two digits after the point.
    #[error("at most two decimals: a fen is the smallest sum")]
    TooPrecise,
    /// Below one fen, or above what Alipay takes.
    #[error("the amount must lie between 0.01 and 100000000 yuan")]
    OutOfRange,
}

impl Amount {
    /// The largest amount Alipay takes: 100000000 yuan
    /// (`total_amount` of alipay.trade.pay, "[0.01, 100000000]").
    const MAX_FEN: u64 = 100_000_000 * 100;

    /// An amount of so many fen.
    ///
    /// # Errors
    ///
    /// [`AmountError::OutOfRange`] for zero and for more than 100000000 yuan.
    pub fn from_fen(fen: u64) -> Result<Self, AmountError> {
        if (1..=Self::MAX_FEN).contains(&fen) {
            Ok(Self(fen))
        } else {
            Err(AmountError::OutOfRange)
        }
    }

    /// The sum in fen.
    #[must_use]
    pub fn fen(self) -> u64 {
        self.0
    }

    /// The sum as the gateway wants it: two decimals, but never more than the
    /// 11 characters that `total_amount` has room for.
    #[must_use]
    pub fn wire(self) -> String {
        let text = self.to_string();
        match text.strip_suffix(".00") {
            Some(whole) if text.len() > 11 => whole.to_owned(),
            _ => text,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads yuan with at most two decimals: `7`, `7.0`, `7.00` are the same.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (yuan, decimals) = match text.split_once('.') {
            Some((yuan, decimals)) if !decimals.is_empty() => (yuan, decimals),
            Some(_) => return Err(AmountError::NotDecimal),
            None => (text, ""),
        };
        let digits_only = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if yuan.is_empty() || !digits_only(yuan) || !digits_only(decimals) {
            return Err(AmountError::NotDecimal);
        }
        if decimals.len() > 2 {
            return Err(AmountError::TooPrecise);
        }
        // Twelve digits are far beyond the limit and far below an overflow.
        if yuan.trim_start_matches('0').len() > 12 {
            return Err(AmountError::OutOfRange);
        }
        let number = |s: &str| s.bytes().fold(0, |n: u64, b| n * 10 + u64::from(b - b'0'));
        let tenths = if decimals.len() == 1 { 10 } else { 1 };
        Self::from_fen(number(yuan) * 100 + number(decimals) * tenths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_yuan_with_at_most_two_decimals() {
        for (text, fen) in [
            ("7", 700),
            ("7.0", 700),
            ("7.00", 700),
            ("0.01", 1),
            ("88.88", 8888),
            ("007.5", 750),
            ("100000000", 10_000_000_000),
            ("100000000.00", 10_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Amount(fen)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else_by_name() {
        use AmountError::{NotDecimal, OutOfRange, TooPrecise};
        for (text, why) in [
            ("", NotDecimal),
            (".", NotDecimal),
            ("7.", NotDecimal),
            (".7", NotDecimal),
            ("+7", NotDecimal),
            ("-7", NotDecimal),
            (" 7", NotDecimal),
            ("7 ", NotDecimal),
            ("7e2", NotDecimal),
            ("7,5", NotDecimal),
            ("٧", NotDecimal),
            ("７", NotDecimal),
            ("0x7", NotDecimal),
            ("NaN", NotDecimal),
            ("1.2.3", NotDecimal),
            ("7.001", TooPrecise),
            ("7.000", TooPrecise),
            ("0", OutOfRange),
            ("0.00", OutOfRange),
            ("100000000.01", OutOfRange),
            ("99999999999999999999999999", OutOfRange),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(why), "{text}");
        }
    }

    #[test]
    fn never_needs_more_than_eleven_characters_on_the_wire() {
        for (text, wire) in
            [("7", "7.00"), ("99999999.99", "99999999.99"), ("100000000", "100000000")]
        {
            let amount: Amount = text.parse().expect("valid");
            assert_eq!(amount.wire(), wire);
            assert!(amount.wire().len() <= 11);
        }
    }
}
