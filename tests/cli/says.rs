//! What the terminal of the stories says.

use serde_json::{Value, json};

use crate::fake::{Act, Seen};

pub(crate) fn payment(order: &str, state: &str, money: &str, zh: &str, en: &str) -> Value {
    json!({
        "out_trade_no": order, "state": state, "money": money, "rev": 2,
        "final": matches!(state, "paid" | "declined" | "cancelled"),
        "amount": "88.88", "subject": "咖啡", "scanner": "lane-1", "trade_no": null,
        "receipt_amount": null, "buyer_logon_id": null, "reason": null, "attention": null,
        "refunded_amount": "0.00", "sale": null, "from_the_future": [1, {"x": null}],
        "cashier": { "zh": zh, "en": en },
        "created_at": "2026-11-20T10:00:00+08:00", "updated_at": "2026-11-20T10:00:02+08:00",
    })
}

pub(crate) fn awaiting_code(order: &str) -> Value {
    payment(
        order,
        "awaiting_code",
        "open",
        "请扫顾客的付款码，收款 88.88 元",
        "Scan the customer's payment code for 88.88 yuan",
    )
}

pub(crate) fn processing(order: &str) -> Value {
    payment(order, "processing", "unknown", "正在确认收款结果", "Finding out whether it was paid")
}

pub(crate) fn awaiting_buyer(order: &str) -> Value {
    payment(
        order,
        "awaiting_buyer",
        "unknown",
        "请顾客在手机上确认付款",
        "The customer must confirm on the phone",
    )
}

pub(crate) fn cancelling(order: &str) -> Value {
    let mut payment = payment(order, "cancelling", "unknown", "正在撤销", "Cancelling");
    payment["attention"] = json!("无法连接网关");
    payment
}

pub(crate) fn paid(order: &str) -> Value {
    let mut paid = payment(order, "paid", "taken", "已收款 88.88 元", "Paid 88.88 yuan");
    paid["trade_no"] = json!("2013112011001004330000121536");
    paid["receipt_amount"] = json!("88.88");
    paid["buyer_logon_id"] = json!("159****5620");
    paid
}

pub(crate) fn declined(order: &str) -> Value {
    let mut declined = payment(
        order,
        "declined",
        "none",
        "未收款：余额不足。没有扣款，可以重新收款",
        "Not paid: balance too low. Nothing was charged; you may charge again",
    );
    declined["reason"] = json!({"code": "40004", "sub_code": "ACQ.BUYER_BALANCE_NOT_ENOUGH",
        "message": "余额不足"});
    declined
}

pub(crate) fn cancelled(order: &str) -> Value {
    let mut cancelled = payment(
        order,
        "cancelled",
        "none",
        "已撤销，没有扣款，可以重新收款",
        "Cancelled; nothing was charged; you may charge again",
    );
    cancelled["cancel_action"] = json!("close");
    cancelled
}

pub(crate) fn given_back(order: &str) -> Value {
    let mut cancelled = payment(
        order,
        "cancelled",
        "returned",
        "已撤销，88.88 元已退还给顾客",
        "Cancelled; 88.88 yuan went back to the customer",
    );
    cancelled["cancel_action"] = json!("refund");
    cancelled
}

/// A refund of 5 yuan as the terminal tells it.
pub(crate) fn refund(order: &str, request: &str, state: &str, zh: &str, en: &str) -> Value {
    json!({
        "out_trade_no": order, "out_request_no": request, "amount": "5.00", "state": state,
        "final": matches!(state, "refunded" | "refused"), "reason": "凉了", "refusal": null,
        "attention": null, "cause": "register", "rev": 2, "from_the_future": [1, {"x": null}],
        "cashier": { "zh": zh, "en": en },
        "created_at": "2026-11-20T10:05:00+08:00", "updated_at": "2026-11-20T10:05:02+08:00",
    })
}

pub(crate) fn refunding(order: &str, request: &str) -> Value {
    let (zh, en) = ("正在退款 5.00 元，结果未定", "Refunding 5.00 yuan, not settled yet");
    refund(order, request, "processing", zh, en)
}

pub(crate) fn refunded(order: &str, request: &str) -> Value {
    let (zh, en) = ("已退款 5.00 元", "Refunded: 5.00 yuan went back to the customer");
    refund(order, request, "refunded", zh, en)
}

pub(crate) fn refused(order: &str, request: &str) -> Value {
    let (zh, en) = (
        "退款 5.00 元被支付宝拒绝，钱没有退",
        "Alipay refused to refund 5.00 yuan. Nothing went back",
    );
    let mut refused = refund(order, request, "refused", zh, en);
    refused["refusal"] = json!({"code": "40004", "sub_code": "ACQ.TRADE_HAS_FINISHED",
        "message": "交易已经完结"});
    refused
}

/// A paid payment of which so much went back.
pub(crate) fn paid_less(order: &str, back: &str) -> Value {
    let mut payment = paid(order);
    payment["refunded_amount"] = json!(back);
    payment["money"] = json!(if back == "88.88" { "returned" } else { "taken" });
    payment
}

pub(crate) fn problem(
    status: u16,
    code: &str,
    money: &str,
    order: Option<&str>,
    zh: &str,
    en: &str,
) -> Act {
    let body = json!({
        "type": format!("https://tilld.example/problems/{code}"), "title": code, "status": status,
        "detail": format!("detail of {code}"), "code": code, "money": money, "retry": "after_fix",
        "cashier": {"zh": zh, "en": en}, "out_trade_no": order,
    });
    Act::Say(status, body.to_string())
}

pub(crate) fn say(value: &Value) -> Act {
    Act::Say(200, value.to_string())
}

/// A terminal that answers the n-th request with the n-th act, and goes on with
/// the last payment it told.
pub(crate) fn in_turn(acts: Vec<Act>) -> impl FnMut(&Seen) -> Act + Send {
    let mut acts = acts.into_iter();
    let mut last = None;
    move |request| match acts.next() {
        Some(Act::Say(status, body)) => {
            last = Some((status, body.clone()));
            Act::Say(status, body)
        }
        Some(act) => act,
        None => {
            let (status, body) = last.clone().unwrap_or_else(|| panic!("unasked: {request:?}"));
            Act::Say(status, body)
        }
    }
}
