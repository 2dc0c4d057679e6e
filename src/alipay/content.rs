//! What each call says to the business behind the gateway: `biz_content`, member
//! by member.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::ask::{Expect, Pay, Precreate, Refund, RefundQuery};
use super::request::{RequestError, beijing};
use crate::payment::{Amount, Order, Till};

/// Where a call comes from, as the gateway's members.
#[derive(Serialize)]
struct Place<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_id: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(till: &'a Till, operator_id: Option<&'a str>) -> Self {
        Self {
            operator_id: filled(operator_id).or_else(|| filled(till.operator_id.as_deref())),
            store_id: filled(till.store_id.as_deref()),
            terminal_id: filled(Some(&till.terminal_id)),
        }
    }
}

/// What the register adds, as the gateway's members.
#[derive(Serialize)]
struct More<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seller_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discountable_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undiscountable_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extend_params: Option<&'a RawValue>,
}

impl<'a> More<'a> {
    fn of(order: &'a Order) -> Result<Self, RequestError> {
        let extras = &order.extras;
        let params = filled(extras.extend_params.as_deref());
        Ok(Self {
            seller_id: filled(extras.seller_id.as_deref()),
            discountable_amount: extras.discountable_amount.map(Amount::wire),
            undiscountable_amount: extras.undiscountable_amount.map(Amount::wire),
            extend_params: raw(params, '{', RequestError::ExtendParams)?,
        })
    }
}

/// JSON as the register wrote it.
fn raw(
    text: Option<&str>,
    begins: char,
    wrong: RequestError,
) -> Result<Option<&RawValue>, RequestError> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) if raw.get().starts_with(begins) => Ok(Some(raw)),
        Ok(_) | Err(_) => Err(wrong),
    }
}

/// An empty text is no text: Alipay is never sent an empty member.
fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[derive(Serialize)]
struct PayContent<'a> {
    out_trade_no: &'a str,
    scene: &'static str,
    auth_code: &'a str,
    subject: &'a str,
    total_amount: &'a str,
    product_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(flatten)]
    place: Place<'a>,
    #[serde(flatten)]
    more: More<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    query_options: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    goods_detail: Option<&'a RawValue>,
    time_expire: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passback_params: Option<&'a str>,
}

/// The business content of a pay.
///
/// # Errors
///
/// [`RequestError::Goods`], [`RequestError::ExtendParams`], [`RequestError::Time`].
pub fn pay(pay: &Pay, till: &Till) -> Result<Zeroizing<String>, RequestError> {
    let order = &pay.order;
    let goods = goods(order)?;
    let content = PayContent {
        out_trade_no: order.out_trade_no.as_str(),
        scene: "bar_code",
        auth_code: pay.code.reveal(),
        subject: &order.subject,
        total_amount: &order.amount.wire(),
        product_code: "FACE_TO_FACE_PAYMENT",
        body: filled(order.body.as_deref()),
        place: Place::of(till, order.operator_id.as_deref()),
        more: More::of(order)?,
        query_options: &order.extras.query_options,
        goods_detail: goods,
        time_expire: &beijing(pay.time_expire)?,
        passback_params: filled(pay.tag.as_deref()),
    };
    // Room for the longest escapes, for the same reason as in `build`.
    let texts = [content.subject, content.body.unwrap_or_default()];
    let raws = [content.goods_detail, content.more.extend_params];
    let raws = raws.into_iter().flatten().map(|raw| raw.get().len()).sum::<usize>();
    let texts = texts.into_iter().chain(content.query_options.iter().map(String::as_str));
    let room = 1024 + raws + texts.map(|text| 6 * text.len() + 3).sum::<usize>();
    let mut json = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *json, &content).map_err(|_| RequestError::Goods)?;
    let json = std::str::from_utf8(&json).map_err(|_| RequestError::Goods)?;
    Ok(Zeroizing::new(json.to_owned()))
}

fn goods(order: &Order) -> Result<Option<&RawValue>, RequestError> {
    raw(filled(order.goods_detail.as_deref()), '[', RequestError::Goods)
}

#[derive(Serialize)]
struct PrecreateContent<'a> {
    out_trade_no: &'a str,
    subject: &'a str,
    total_amount: &'a str,
    product_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(flatten)]
    place: Place<'a>,
    #[serde(flatten)]
    more: More<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goods_detail: Option<&'a RawValue>,
    time_expire: &'a str,
    qr_code_timeout_express: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passback_params: Option<&'a str>,
}

/// The business content of a precreate. The order's end and the code's are two
/// things: without the second a code can be scanned for two hours.
///
/// # Errors
///
/// [`RequestError::Goods`], [`RequestError::ExtendParams`], [`RequestError::Time`].
pub fn precreate(precreate: &Precreate, till: &Till) -> Result<Zeroizing<String>, RequestError> {
    let order = &precreate.order;
    let content = PrecreateContent {
        out_trade_no: order.out_trade_no.as_str(),
        subject: &order.subject,
        total_amount: &order.amount.wire(),
        product_code: "FACE_TO_FACE_PAYMENT",
        body: filled(order.body.as_deref()),
        place: Place::of(till, order.operator_id.as_deref()),
        more: More::of(order)?,
        goods_detail: goods(order)?,
        time_expire: &beijing(precreate.time_expire)?,
        qr_code_timeout_express: &minutes(precreate.code_lives),
        passback_params: filled(precreate.tag.as_deref()),
    };
    Ok(json(&content))
}

/// A length of time as Alipay writes it: whole minutes, at least one.
fn minutes(length: Duration) -> String {
    format!("{}m", length.as_secs().div_ceil(60).max(1))
}

/// The business content of a query and of a cancel.
#[must_use]
pub fn by_number(expect: &Expect) -> Zeroizing<String> {
    // The number has no character that JSON would escape (`OutTradeNo`).
    Zeroizing::new(format!("{{\"out_trade_no\":\"{}\"}}", expect.number))
}

#[derive(Serialize)]
struct RefundContent<'a> {
    out_trade_no: &'a str,
    refund_amount: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_reason: Option<&'a str>,
    out_request_no: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
}

/// The business content of a refund. Without a number of the request it would be
/// a new refund each time it is sent, so there is none without.
///
/// # Errors
///
/// [`RequestError::Missing`].
pub fn refund(refund: &Refund, till: &Till) -> Result<Zeroizing<String>, RequestError> {
    let content = RefundContent {
        out_trade_no: refund.number.as_str(),
        refund_amount: &refund.amount.wire(),
        refund_reason: filled(refund.reason.as_deref()),
        out_request_no: needed(&refund.request, "out_request_no")?,
        place: Place::of(till, refund.operator_id.as_deref()),
    };
    Ok(json(&content))
}

#[derive(Serialize)]
struct RefundQueryContent<'a> {
    out_trade_no: &'a str,
    out_request_no: &'a str,
    query_options: [&'static str; 1],
}

/// The business content of a refund query. The date is told only if it is asked
/// for.
///
/// # Errors
///
/// [`RequestError::Missing`].
pub fn refund_query(query: &RefundQuery) -> Result<Zeroizing<String>, RequestError> {
    let content = RefundQueryContent {
        out_trade_no: query.number.as_str(),
        out_request_no: needed(&query.request, "out_request_no")?,
        query_options: ["gmt_refund_pay"],
    };
    Ok(json(&content))
}

fn needed<'a>(text: &'a str, name: &'static str) -> Result<&'a str, RequestError> {
    filled(Some(text)).ok_or(RequestError::Missing(name))
}

/// As JSON, where every name is a text and every value has one.
fn json(content: &impl Serialize) -> Zeroizing<String> {
    let json = serde_json::to_string(content);
    Zeroizing::new(json.unwrap_or_else(|_| unreachable!("texts are JSON")))
}
