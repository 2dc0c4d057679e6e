//! One request: what is signed is, value for value, what is sent.

use time::macros::{format_description, offset};
use zeroize::Zeroizing;

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
    /// Nor its further parameters.
    #[error("extend_params is not a JSON object")]
    ExtendParams,
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
