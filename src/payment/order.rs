//! What the register asked for; it never changes afterwards.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Amount, Extras};

/// The merchant's number for a payment, chosen by the register and used once:
/// 1 to 64 of `[A-Za-z0-9_]` (`out_trade_no` of alipay.trade.pay).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutTradeNo(String);

/// A text that is not a merchant order number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a merchant order number has 1 to 64 of the characters A-Z a-z 0-9 _")]
pub struct InvalidNumber;

impl OutTradeNo {
    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OutTradeNo {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNumber)
        }
    }
}

impl fmt::Display for OutTradeNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the buyer is to pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// The terminal takes the code on the buyer's phone.
    #[default]
    Code,
    /// The buyer scans a code that is shown.
    Qr,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Code, Self::Qr];

    /// The name in the API and in the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Qr => "qr",
        }
    }
}

/// What the register asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The payment's name, here and at Alipay.
    pub out_trade_no: OutTradeNo,
    /// How much to collect.
    pub amount: Amount,
    /// How the buyer is to pay.
    pub method: Method,
    /// What the buyer sees on the phone.
    pub subject: String,
    /// The register's name for the sale this is an attempt at. At most one
    /// attempt of a sale is ever in doubt or paid.
    pub sale: Option<String>,
    /// The scanner that takes the code; none when codes come with requests only.
    pub scanner: Option<String>,
    /// Longer description, passed on to Alipay.
    pub body: Option<String>,
    /// Who is at the register, passed on to Alipay.
    pub operator_id: Option<String>,
    /// The goods, passed on to Alipay: a JSON array as text.
    pub goods_detail: Option<String>,
    /// The register's own length of the window; else the configured one.
    pub timeout: Option<Duration>,
    /// What is said to Alipay besides.
    pub extras: Extras,
}

impl Order {
    /// An order for nothing but this amount; all else is left to the terminal.
    #[must_use]
    pub fn new(out_trade_no: OutTradeNo, amount: Amount, subject: String) -> Self {
        Self {
            out_trade_no,
            amount,
            method: Method::Code,
            subject,
            sale: None,
            scanner: None,
            body: None,
            operator_id: None,
            goods_detail: None,
            timeout: None,
            extras: Extras::default(),
        }
    }

    /// The names of the members in which `other` asks for something else.
    ///
    /// A register that repeats its request without naming the scanner still
    /// asks for the same: the terminal had chosen one for it.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let scanner_differs = other.scanner.is_some() && self.scanner != other.scanner;
        [
            ("amount", self.amount != other.amount),
            ("method", self.method != other.method),
            ("subject", self.subject != other.subject),
            ("sale", self.sale != other.sale),
            ("scanner", scanner_differs),
            ("body", self.body != other.body),
            ("operator_id", self.operator_id != other.operator_id),
            ("goods_detail", self.goods_detail != other.goods_detail),
            ("timeout", self.timeout != other.timeout),
        ]
        .into_iter()
        .chain(self.extras.compared(&other.extras))
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}
