//! The members of the answers.

use super::answer::{Content, Said};
use super::clock::beijing;
use super::ledger::Trade;

/// The buyer, masked as Alipay masks.
pub(super) fn people(content: &mut Content) {
    content.text("buyer_logon_id", "159****5620");
    content.text("buyer_user_id", "2088101117955611");
}

pub(super) fn funds(sum: &str) -> String {
    format!("[{{\"amount\":\"{sum}\",\"fund_channel\":\"ALIPAYACCOUNT\"}}]")
}

pub(super) fn paid_answer(name: &str, trade: &Trade) -> Content {
    let sum = yuan(trade.total_fen);
    let mut content = Content::code("10000");
    people(&mut content);
    content.text("buyer_pay_amount", sum.as_str());
    content.text("discount_amount", "0.00");
    content.raw("fund_bill_list", funds(&sum));
    content.text("gmt_payment", beijing(trade.paid_ms.unwrap_or(trade.created_ms)));
    content.text("invoice_amount", sum.as_str());
    content.text("mdiscount_amount", "0.00");
    content.text("out_trade_no", name);
    content.text("point_amount", "0.00");
    content.text("receipt_amount", sum.as_str());
    content.text("total_amount", sum);
    content.text("trade_no", trade.trade_no.as_str());
    content
}

pub(super) fn waiting_answer(name: &str, trade: &Trade) -> Content {
    let mut content = Content::code("10003");
    people(&mut content);
    zeros(&mut content, name);
    content.text("total_amount", yuan(trade.total_fen));
    content.text("trade_no", trade.trade_no.as_str());
    content
}

/// Alipay's refusals of a pay name sums too, all zero.
pub(super) fn failed_pay(name: &str, said: &Said) -> Content {
    let mut content = Content::said(said);
    zeros(&mut content, name);
    content
}

fn zeros(content: &mut Content, name: &str) {
    content.text("buyer_pay_amount", "0.00");
    content.text("invoice_amount", "0.00");
    if !name.is_empty() {
        content.text("out_trade_no", name);
    }
    content.text("point_amount", "0.00");
    content.text("receipt_amount", "0.00");
}

pub(super) fn cancel_answer(name: &str, done: Option<(&str, &str)>, now: i64) -> Content {
    let mut content = Content::code("10000");
    if let Some((action, _)) = done {
        content.text("action", action);
        if action == "refund" {
            content.text("gmt_refund_pay", beijing(now));
        }
    }
    content.text("out_trade_no", name);
    content.text("retry_flag", "N");
    if let Some((_, trade_no)) = done {
        content.text("trade_no", trade_no);
    }
    content
}

/// Fen as yuan, with two decimals.
pub(super) fn yuan(fen: u64) -> String {
    format!("{}.{:02}", fen / 100, fen % 100)
}
