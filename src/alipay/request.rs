//! One request: what is signed is, value for value, what is sent.

use serde::Serialize;
use serde_json::value::RawValue;
use time::macros::{format_description, offset};
use zeroize::Zeroizing;

use super::ask::{Expect, Pay};
use super::sign::{PrivateKey, SignType, canonical};
use crate::payment::Timestamp;

/// A request ready for the wire, form-encoded in both places.
pub struct Request {
    /// The URL's query: the common parameters, `charset` and `sign` among them.
    /// The gateway wants `charset` here, or it decodes the body as it likes.
    pub query: String,
    /// The form: `biz_content` alone. It is never in the URL, because URLs end
    /// up in logs.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why a request cannot be built. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A parameter came twice.
    #[error("the parameter {0} is there twice")]
    Twice(String),
    /// There is no text for a parameter that no request goes without.
    #[error("the parameter {0} has no value")]
    Missing(&'static str),
    /// The key would not sign.
    #[error("the request could not be signed")]
    NotSigned,
    /// The register's goods are not what Alipay takes.
    #[error("goods_detail is not a JSON array")]
    Goods,
    /// A point in time that no calendar has.
    #[error("the time {0} ms cannot be written as a date")]
    Time(i64),
}

/// The number that is asked about to learn whether the gateway answers, and what
/// its clock says. Nobody pays with it; and were there a payment under it after
/// all, a query would do it no harm.
pub const PROBE: &str = "TILLD_PROBE";

/// The common parameters of a request, in the order in which they are sent.
///
/// # Errors
///
/// [`RequestError::Time`].
pub fn common<'a>(
    app_id: &'a str,
    method: &'a str,
    sign_type: SignType,
    gateway_now: Timestamp,
) -> Result<Vec<(&'a str, String)>, RequestError> {
    Ok(vec![
        ("timestamp", beijing(gateway_now)?),
        ("app_id", app_id.to_owned()),
        ("method", method.to_owned()),
        ("charset", "utf-8".to_owned()),
        ("format", "json".to_owned()),
        ("version", "1.0".to_owned()),
        ("sign_type", sign_type.name().to_owned()),
    ])
}

/// Signs the common parameters together with `biz_content` and encodes both.
/// Empty parameters are neither signed nor sent.
///
/// # Errors
///
/// [`RequestError::Twice`], [`RequestError::Missing`], [`RequestError::NotSigned`].
pub fn build(
    common: &[(&str, String)],
    biz_content: &str,
    sign_type: SignType,
    key: &PrivateKey,
) -> Result<Request, RequestError> {
    let common: Vec<(&str, &str)> = common
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .collect();
    for (at, (name, _)) in common.iter().enumerate() {
        let again = common.iter().skip(at + 1).any(|(other, _)| other == name);
        if again || matches!(*name, "sign" | "biz_content") {
            return Err(RequestError::Twice((*name).to_owned()));
        }
    }
    for needed in ["app_id", "method", "charset", "sign_type", "timestamp", "version"] {
        if !common.iter().any(|(name, _)| *name == needed) {
            return Err(RequestError::Missing(needed));
        }
    }
    if biz_content.is_empty() {
        return Err(RequestError::Missing("biz_content"));
    }
    let signed = common.iter().copied().chain([("biz_content", biz_content)]);
    let sign = key.sign(sign_type, canonical(signed).as_bytes());
    if sign.is_empty() {
        return Err(RequestError::NotSigned);
    }
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(common)
        .append_pair("sign", &sign)
        .finish();
    // At most three characters for each byte, so that the buffer does not grow
    // and leave copies of the payment code behind.
    let body = String::with_capacity("biz_content=".len() + 3 * biz_content.len());
    let body = form_urlencoded::Serializer::new(body)
        .append_pair("biz_content", biz_content)
        .finish()
        .into_bytes();
    Ok(Request { query, body: Zeroizing::new(body) })
}

/// Which till this is, for Alipay's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Till {
    /// `terminal_id`.
    pub terminal_id: String,
    /// `store_id`.
    pub store_id: Option<String>,
    /// `operator_id`, unless the order names its own.
    pub operator_id: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal_id: Option<&'a str>,
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
/// [`RequestError::Goods`], [`RequestError::Time`].
pub fn pay(pay: &Pay, till: &Till) -> Result<Zeroizing<String>, RequestError> {
    // An empty text is no text: Alipay is never sent an empty member.
    fn filled(text: Option<&str>) -> Option<&str> {
        text.filter(|text| !text.is_empty())
    }
    let order = &pay.order;
    let goods = match filled(order.goods_detail.as_deref()) {
        Some(text) => {
            let raw: &RawValue = serde_json::from_str(text).map_err(|_| RequestError::Goods)?;
            if !raw.get().starts_with('[') {
                return Err(RequestError::Goods);
            }
            Some(raw)
        }
        None => None,
    };
    let content = PayContent {
        out_trade_no: order.out_trade_no.as_str(),
        scene: "bar_code",
        auth_code: pay.code.reveal(),
        subject: &order.subject,
        total_amount: &order.amount.wire(),
        product_code: "FACE_TO_FACE_PAYMENT",
        body: filled(order.body.as_deref()),
        operator_id: filled(order.operator_id.as_deref())
            .or_else(|| filled(till.operator_id.as_deref())),
        store_id: filled(till.store_id.as_deref()),
        terminal_id: filled(Some(&till.terminal_id)),
        goods_detail: goods,
        time_expire: &beijing(pay.time_expire)?,
        passback_params: filled(pay.tag.as_deref()),
    };
    // Room for the longest escapes, for the same reason as in `build`.
    let texts = [content.subject, content.body.unwrap_or_default()];
    let goods = content.goods_detail.map_or(0, |goods| goods.get().len());
    let room = 1024 + goods + 6 * texts.iter().map(|text| text.len()).sum::<usize>();
    let mut json = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *json, &content).map_err(|_| RequestError::Goods)?;
    let json = std::str::from_utf8(&json).map_err(|_| RequestError::Goods)?;
    Ok(Zeroizing::new(json.to_owned()))
}

/// The business content of a query and of a cancel.
#[must_use]
pub fn by_number(expect: &Expect) -> Zeroizing<String> {
    // The number has no character that JSON would escape (`OutTradeNo`).
    Zeroizing::new(format!("{{\"out_trade_no\":\"{}\"}}", expect.number))
}

/// A date as Alipay writes and reads it: `yyyy-MM-dd HH:mm:ss` at +08:00,
/// whatever the zone of this box.
///
/// # Errors
///
/// [`RequestError::Time`].
pub fn beijing(at: Timestamp) -> Result<String, RequestError> {
    let impossible = |_| RequestError::Time(at.millis());
    let date = time::OffsetDateTime::from_unix_timestamp(at.millis().div_euclid(1000))
        .map_err(|_| RequestError::Time(at.millis()))?
        .to_offset(offset!(+8));
    date.format(DATE).map_err(impossible)
}

/// Reads what [`beijing`] writes.
#[must_use]
pub fn from_beijing(text: &str) -> Option<Timestamp> {
    let date = time::PrimitiveDateTime::parse(text, DATE).ok()?.assume_offset(offset!(+8));
    Some(Timestamp(date.unix_timestamp().checked_mul(1000)?))
}

const DATE: &[time::format_description::BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
