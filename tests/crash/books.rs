//! Compares what the terminal says with what the gateway's ledger holds.

use serde_json::Value;
use tilld::sandbox::endings::{self, Ends};
use tilld::sandbox::{Ledger, Number, Status};

/// What a payment came to.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) number: String,
    /// The payment as the terminal tells it; nothing if it knows none.
    pub(crate) payment: Option<Value>,
}

impl Word {
    /// `taken`, `returned`, `none`, `unknown`; or `unheard of`.
    pub(crate) fn money(&self) -> &str {
        self.payment.as_ref().map_or("unheard of", |payment| text(payment, "money"))
    }
}

pub(crate) fn text<'a>(payment: &'a Value, name: &str) -> &'a str {
    payment[name].as_str().unwrap_or_default()
}

/// Nothing more will happen to it; or it is one that only a person can untangle,
/// and says so.
pub(crate) fn is_over(payment: &Value) -> bool {
    payment["final"] == true || (is_for_a_person(payment) && !payment["attention"].is_null())
}

/// The ending that its amount picks leaves it open.
fn is_for_a_person(payment: &Value) -> bool {
    let fen = text(payment, "amount").replace('.', "").parse().unwrap_or_default();
    endings::picked("", fen).is_some_and(|ending| ending.ends == Ends::Open)
}

/// Whether the terminal's word is what the ledger holds, and the buyer was asked
/// for money once at most.
pub(crate) fn compare(word: &Word, ledger: &Ledger) -> Result<(), String> {
    let held = ledger.number(&word.number);
    let differ = |what: &str| {
        let payment = word.payment.as_ref().map_or("404".to_owned(), Value::to_string);
        Err(format!("{what}\n  terminal: {payment}\n  ledger: {held:?}"))
    };
    let arrived =
        held.iter().flat_map(|n| &n.history).filter(|one| one.method == "alipay.trade.pay");
    if arrived.count() > 1 {
        return differ("pay was sent more than once");
    }
    let Some(payment) = &word.payment else {
        return if held.is_none() { Ok(()) } else { differ("sent without being written down") };
    };
    let (charged, refunded) = money(held.as_ref());
    let state = text(payment, "state");
    let action = text(payment, "cancel_action");
    let right = match text(payment, "money") {
        "taken" => {
            state == "paid" && charged == fen(payment, "amount") && refunded == given_back(payment)
        }
        "returned" => {
            let undone = state == "cancelled" && action == "refund";
            (undone || state == "paid") && charged > 0 && refunded == charged
        }
        "none" => {
            (state == "declined" || (state == "cancelled" && action != "refund"))
                && charged == 0
                && !can_be_charged(held.as_ref())
        }
        _ => is_for_a_person(payment) && !payment["attention"].is_null(),
    };
    if right { Ok(()) } else { differ("the books differ") }
}

/// Whether what the terminal says of this refund of a number is what the ledger
/// holds: given back once, or not at all, and never asked for under another number.
pub(crate) fn compare_refund(
    number: &str,
    request: &str,
    refund: Option<&Value>,
    ledger: &Ledger,
) -> Result<(), String> {
    let held = ledger.number(number);
    let trade = held.as_ref().and_then(|number| number.trade.as_ref());
    let given: Vec<(&str, u64)> = trade
        .map(|trade| trade.refunds.iter().map(|r| (r.out_request_no.as_str(), r.fen)).collect())
        .unwrap_or_default();
    let asked: Vec<&String> = held.iter().flat_map(|number| number.requested.keys()).collect();
    let right = match refund {
        None => given.is_empty() && asked.is_empty(),
        Some(refund) => match text(refund, "state") {
            "refunded" => given == [(request, fen(refund, "amount"))] && asked == [request],
            "refused" => given.is_empty() && asked == [request],
            _ => false,
        },
    };
    if right {
        return Ok(());
    }
    let refund = refund.map_or("404".to_owned(), Value::to_string);
    Err(format!("the books differ\n  terminal: {refund}\n  ledger: {held:?}"))
}

fn fen(view: &Value, name: &str) -> u64 {
    text(view, name).replace('.', "").parse().unwrap()
}

/// What went back of a payment that stays paid.
fn given_back(payment: &Value) -> u64 {
    if payment["refunded_amount"].is_null() { 0 } else { fen(payment, "refunded_amount") }
}

fn money(held: Option<&Number>) -> (u64, u64) {
    let trade = held.and_then(|number| number.trade.as_ref());
    trade.map_or((0, 0), |trade| (trade.charged_fen, trade.refunded_fen))
}

fn can_be_charged(held: Option<&Number>) -> bool {
    let trade = held.and_then(|number| number.trade.as_ref());
    trade.is_some_and(|trade| trade.status == Status::WaitBuyerPay)
}
