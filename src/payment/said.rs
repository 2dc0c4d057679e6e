//! What the gateway said of the money: kept, because it cannot be had later.

use std::fmt;

/// A sum in fen that somebody else has worked out. It may be nothing, where an
/// [`Amount`](super::Amount) may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(pub u64);

impl fmt::Display for Fen {
    /// In yuan, with two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// The money of a trade, in the gateway's words (`alipay.trade.pay`,
/// `alipay.trade.query`: answer). Nothing is decided by it; receipts and books
/// need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `total_amount`: what was asked for.
    pub total_amount: Option<Fen>,
    /// `receipt_amount`: what the merchant gets.
    pub receipt_amount: Option<Fen>,
    /// `buyer_pay_amount`: what the buyer pays.
    pub buyer_pay_amount: Option<Fen>,
    /// `point_amount`: what was paid with points.
    pub point_amount: Option<Fen>,
    /// `invoice_amount`: what the buyer can have an invoice for.
    pub invoice_amount: Option<Fen>,
    /// `discount_amount`: what Alipay and others gave.
    pub discount_amount: Option<Fen>,
    /// `mdiscount_amount`: what the merchant gave.
    pub mdiscount_amount: Option<Fen>,
    /// `fund_bill_list`: where the money came from, as JSON text.
    pub fund_bill_list: Option<String>,
}

impl Said {
    /// Takes over what `newer` knows, and keeps the rest.
    #[must_use]
    pub fn updated(&self, newer: &Self) -> Self {
        Self {
            total_amount: newer.total_amount.or(self.total_amount),
            receipt_amount: newer.receipt_amount.or(self.receipt_amount),
            buyer_pay_amount: newer.buyer_pay_amount.or(self.buyer_pay_amount),
            point_amount: newer.point_amount.or(self.point_amount),
            invoice_amount: newer.invoice_amount.or(self.invoice_amount),
            discount_amount: newer.discount_amount.or(self.discount_amount),
            mdiscount_amount: newer.mdiscount_amount.or(self.mdiscount_amount),
            fund_bill_list: newer.fund_bill_list.clone().or_else(|| self.fund_bill_list.clone()),
        }
    }
}
