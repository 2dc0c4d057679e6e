//! What the register sends, read strictly: an unknown member may be a misspelt
//! `auth_code`, so it is refused by name and never dropped in silence.
//!
//! The members are cut out of the body first and read one by one, so that every
//! fault has its own words. No message repeats a value: it might be a payment
//! code in the wrong place.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::members::{Members, invalid, required};
use super::{Code, Problem, extras};
use crate::payment::{Amount, AuthCode, Method, Order, OutTradeNo, SecretText};
use crate::terminal::PayRequest;

/// What a payment is asked for with. Unknown members are refused.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = PayRequest, example = json!({ "amount": "88.88", "subject": "咖啡" }))]
pub struct PayBody {
    /// How much to collect, in yuan: digits with at most two decimals, as a
    /// string. 0.01 to 100000000.
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,2})?$", example = "88.88")]
    pub amount: String,
    /// What the buyer sees on the phone. Passed on as it is; Alipay's pages
    /// advise against `/`, `=` and `&` in it.
    #[schema(min_length = 1, max_length = 256)]
    pub subject: String,
    /// How the buyer is to pay: `code` (the terminal takes the code on the phone), if
    /// nothing is said; or `qr` (the buyer scans what `qr_code` of the payment says).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The customer's payment code, when the register scanned it itself. Without
    /// it the terminal waits for its scanner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_code: Option<String>,
    /// Which scanner takes the code; needed when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub scanner: Option<String>,
    /// The register's name for the sale. At most one attempt of a sale is ever
    /// unsettled or paid. Required with `POST`, where it is the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub sale: Option<String>,
    /// Longer description, passed on to Alipay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128)]
    pub body: Option<String>,
    /// Who is at the register, passed on to Alipay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 28)]
    pub operator_id: Option<String>,
    /// The goods, passed on to Alipay: objects with at least `goods_id`,
    /// `goods_name`, `quantity` and `price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>, min_items = 1, max_items = 150)]
    pub goods_detail: Option<Vec<Value>>,
    /// How many seconds to try, from the pay request until the cancel; else as
    /// configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 600)]
    pub timeout: Option<u64>,
    /// The account that the money goes to, if it is not the contract's. This and
    /// all that follows is passed on to Alipay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 28)]
    pub seller_id: Option<String>,
    /// How much of the amount may be discounted, written like `amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,2})?$")]
    pub discountable_amount: Option<String>,
    /// How much may not. Both together are `amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^[0-9]+(\.[0-9]{1,2})?$")]
    pub undiscountable_amount: Option<String>,
    /// Further parameters, such as `sys_service_provider_id` or `hb_fq_num`: 1 to
    /// 32 strings or numbers by their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub extend_params: Option<Value>,
    /// What Alipay's answer shall tell besides, such as `fund_bill_list` or
    /// `mdiscount_amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 16)]
    pub query_options: Option<Vec<String>>,
}

/// A payment code for a payment that waits for one.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = CodeRequest, example = json!({ "auth_code": "280000000000000000" }))]
pub struct CodeBody {
    /// What was scanned or typed.
    pub auth_code: String,
}

const PAY_MEMBERS: [&str; 15] = [
    "amount",
    "method",
    "subject",
    "auth_code",
    "scanner",
    "sale",
    "body",
    "operator_id",
    "goods_detail",
    "timeout",
    extras::NAMES[0],
    extras::NAMES[1],
    extras::NAMES[2],
    extras::NAMES[3],
    extras::NAMES[4],
];

/// Reads the body of `PUT` (then `number` is the register's own) or of `POST`
/// (then it is one the terminal made, and the sale is the key).
pub(in crate::api) fn pay_request(
    bytes: &[u8],
    number: OutTradeNo,
    keyed_by_sale: bool,
) -> Result<PayRequest, Problem> {
    let members = Members::read(bytes, &PAY_MEMBERS)?;
    let sale = members.text("sale", 64)?;
    if keyed_by_sale && sale.is_none() {
        let detail = "sale is required: without a number of the register's own it is the key";
        return Err(invalid("sale", detail));
    }
    let (amount, method) = (amount(&members)?, method(&members)?);
    let order = Order {
        out_trade_no: number,
        amount,
        method,
        subject: required(members.text("subject", 256)?, "subject")?,
        sale,
        scanner: members.text("scanner", 64)?,
        body: members.text("body", 128)?,
        operator_id: members.text("operator_id", 28)?,
        goods_detail: goods(&members)?,
        timeout: timeout(&members)?,
        extras: extras::extras(&members, amount)?,
    };
    Ok(PayRequest { order, code: auth_code(&members)?, keyed_by_sale })
}

/// Reads the body of `POST …/code`.
pub(in crate::api) fn code_request(bytes: &[u8]) -> Result<AuthCode, Problem> {
    required(auth_code(&Members::read(bytes, &["auth_code"])?)?, "auth_code")
}

/// Whoever shows a code to the buyer takes none from him.
fn method(members: &Members<'_>) -> Result<Method, Problem> {
    let Some(name) = members.text("method", 16)? else { return Ok(Method::Code) };
    let known = Method::ALL.into_iter().find(|method| method.name() == name);
    let method = known.ok_or_else(|| invalid("method", "method is code or qr"))?;
    // Nothing that is asked for beside it comes with the code that is shown.
    for member in ["auth_code", "scanner", "query_options"] {
        if method != Method::Code && members.get(member).is_some() {
            return Err(invalid(member, format!("{member} goes with the method code only")));
        }
    }
    Ok(method)
}

pub(super) fn amount(members: &Members<'_>) -> Result<Amount, Problem> {
    required(amount_of(members, "amount")?, "amount")
}

pub(super) fn amount_of(members: &Members<'_>, name: &str) -> Result<Option<Amount>, Problem> {
    let Some(raw) = members.get(name) else { return Ok(None) };
    let wrong = |detail: String| Problem::member(Code::InvalidAmount, name, detail);
    let text: String = serde_json::from_str(raw).map_err(|_| {
        wrong(
            "write the amount as a string, like \"88.88\": numbers lose fen on the way".to_owned(),
        )
    })?;
    text.parse().map(Some).map_err(|why: crate::payment::AmountError| wrong(why.to_string()))
}

fn auth_code(members: &Members<'_>) -> Result<Option<AuthCode>, Problem> {
    let Some(raw) = members.get("auth_code") else { return Ok(None) };
    let Secret(text) = serde_json::from_str(raw)
        .map_err(|_| invalid("auth_code", "auth_code must be a string"))?;
    AuthCode::read(&text).map(Some).map_err(Problem::not_a_payment_code)
}

fn timeout(members: &Members<'_>) -> Result<Option<Duration>, Problem> {
    let Some(raw) = members.get("timeout") else { return Ok(None) };
    match serde_json::from_str::<u64>(raw) {
        Ok(seconds @ 1..=600) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(invalid("timeout", "timeout must be a whole number of seconds, 1 to 600")),
    }
}

/// The goods as compact JSON with sorted keys, so that the same goods written in
/// another way are still the same request.
fn goods(members: &Members<'_>) -> Result<Option<String>, Problem> {
    let Some(raw) = members.get("goods_detail") else { return Ok(None) };
    let wrong = |detail: String| invalid("goods_detail", detail);
    let goods: Vec<Value> = serde_json::from_str(raw)
        .map_err(|_| wrong("goods_detail must be an array of objects".to_owned()))?;
    if !(1..=150).contains(&goods.len()) {
        return Err(wrong("goods_detail must have 1 to 150 entries".to_owned()));
    }
    for (index, item) in goods.iter().enumerate() {
        let short_text = |name: &str, length_max: usize| {
            item.get(name)
                .and_then(Value::as_str)
                .is_some_and(|s| (1..=length_max).contains(&s.chars().count()))
        };
        let fault = if !item.is_object() {
            "must be an object"
        } else if !short_text("goods_id", 64) {
            "needs goods_id, a string of 1 to 64 characters"
        } else if !short_text("goods_name", 256) {
            "needs goods_name, a string of 1 to 256 characters"
        } else if !item.get("quantity").is_some_and(|v| is_decimal(v, 3)) {
            "needs quantity, a number above 0 or not negative, like 1"
        } else if !item.get("price").is_some_and(|v| is_decimal(v, 2)) {
            "needs price, in yuan with at most two decimals"
        } else {
            continue;
        };
        return Err(wrong(format!("goods_detail[{index}] {fault}")));
    }
    serde_json::to_string(&goods)
        .map(Some)
        .map_err(|_| wrong("goods_detail cannot be written as JSON".to_owned()))
}

/// A number, or digits in a string, not negative and not finer than that.
pub(super) fn is_decimal(value: &Value, decimals_max: usize) -> bool {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return false,
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && whole.len() <= 10 && digits(decimals) && decimals.len() <= decimals_max
}

/// A string that goes straight into [`SecretText`].
struct Secret(SecretText);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                // Keyboards and scanners leave a line end or a space behind.
                Ok(Secret(SecretText::new(text.trim_ascii().to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
