//! What a receipt of a paid payment says.

use serde_json::Value;

use super::reading::view;
use super::time_text;
use crate::payment::{Fen, Payment, Public};

view! {
    /// What a receipt says of a paid payment: the amounts and the buyer as Alipay
    /// told them, and where it was taken. Null is what was not told. Amounts are in
    /// yuan with two decimals.
    #[schema(as = Receipt, example = json!({
        "total_amount": "88.88", "receipt_amount": "88.88", "buyer_pay_amount": "80.88",
        "point_amount": "0.00", "invoice_amount": "80.88", "discount_amount": "8.00",
        "mdiscount_amount": null,
        "fund_bill_list": [
            { "fund_channel": "ALIPAYACCOUNT", "amount": "80.88" },
            { "fund_channel": "COUPON", "amount": "8.00" }
        ],
        "paid_at": "2026-11-20T10:00:01+08:00", "buyer_logon_id": "159****5620",
        "store_id": "NJ_001", "terminal_id": "T_001", "operator_id": "yx_001"
    }))]
    pub struct ReceiptView {
        /// What was asked for.
        pub total_amount: Option<String>,
        /// What the merchant gets.
        pub receipt_amount: Option<String>,
        /// What the buyer pays.
        pub buyer_pay_amount: Option<String>,
        /// What was paid with points.
        pub point_amount: Option<String>,
        /// What the buyer can have an invoice for.
        pub invoice_amount: Option<String>,
        /// What Alipay and others gave.
        pub discount_amount: Option<String>,
        /// What the merchant gave.
        pub mdiscount_amount: Option<String>,
        /// Where the money came from, as Alipay lists it: objects with `fund_channel`
        /// and `amount`, and what else it tells.
        #[schema(value_type = Option<Vec<Object>>)]
        pub fund_bill_list: Option<Vec<Value>>,
        /// When it was paid, on Alipay's clock.
        #[schema(format = DateTime)]
        pub paid_at: Option<String>,
        /// The buyer's account, masked by Alipay.
        pub buyer_logon_id: Option<String>,
        /// The shop that Alipay was told of with the pay.
        pub store_id: Option<String>,
        /// The till that Alipay was told of.
        pub terminal_id: Option<String>,
        /// Who was at the register, as Alipay was told.
        pub operator_id: Option<String>,
    }
}

impl ReceiptView {
    /// The receipt of a payment that is paid; there is none of any other.
    #[must_use]
    pub fn of(payment: &Payment) -> Option<Self> {
        if payment.public() != Public::Paid {
            return None;
        }
        let (trade, till) = (payment.trade(), payment.till());
        let said = &trade.said;
        let yuan = |amount: Option<Fen>| amount.map(|amount| amount.to_string());
        let funds = said.fund_bill_list.as_deref();
        Some(Self {
            total_amount: yuan(said.total_amount),
            receipt_amount: yuan(said.receipt_amount),
            buyer_pay_amount: yuan(said.buyer_pay_amount),
            point_amount: yuan(said.point_amount),
            invoice_amount: yuan(said.invoice_amount),
            discount_amount: yuan(said.discount_amount),
            mdiscount_amount: yuan(said.mdiscount_amount),
            fund_bill_list: funds.and_then(|list| serde_json::from_str(list).ok()),
            paid_at: trade.paid_at.map(time_text),
            buyer_logon_id: trade.buyer_logon_id.clone(),
            store_id: till.and_then(|till| till.store_id.clone()),
            terminal_id: till.map(|till| till.terminal_id.clone()),
            operator_id: (payment.order().operator_id.clone())
                .or_else(|| till.and_then(|till| till.operator_id.clone())),
        })
    }
}
