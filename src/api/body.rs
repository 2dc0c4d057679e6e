//! What the register sends, read strictly: an unknown member may be a misspelt
//! `auth_code`, so it is refused by name and never dropped in silence.
//!
//! The members are cut out of the body first and read one by one, so that every
//! fault has its own words. No message repeats a value: it might be a payment
//! code in the wrong place.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::code::Code;
use super::problem::Problem;
use crate::payment::{Amount, AuthCode, Order, OutTradeNo, SecretText, hide_codes};
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
}

/// A payment code for a payment that waits for one.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = CodeRequest, example = json!({ "auth_code": "280000000000000000" }))]
pub struct CodeBody {
    /// What was scanned or typed.
    pub auth_code: String,
}

const PAY_MEMBERS: [&str; 9] = [
    "amount",
    "subject",
    "auth_code",
    "scanner",
    "sale",
    "body",
    "operator_id",
    "goods_detail",
    "timeout",
];

/// Reads the body of `PUT` (then `number` is the register's own) or of `POST`
/// (then it is one the terminal made, and the sale is the key).
pub(super) fn pay_request(
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
    let order = Order {
        out_trade_no: number,
        amount: amount(&members)?,
        subject: required(members.text("subject", 256)?, "subject")?,
        sale,
        scanner: members.text("scanner", 64)?,
        body: members.text("body", 128)?,
        operator_id: members.text("operator_id", 28)?,
        goods_detail: goods(&members)?,
        timeout: timeout(&members)?,
    };
    Ok(PayRequest { order, code: auth_code(&members)?, keyed_by_sale })
}

/// Reads the body of `POST …/code`.
pub(super) fn code_request(bytes: &[u8]) -> Result<AuthCode, Problem> {
    required(auth_code(&Members::read(bytes, &["auth_code"])?)?, "auth_code")
}

/// The byte order mark that some programs write in front of UTF-8 says nothing.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Why a body cannot be JSON in UTF-8 at all, where the cause is known.
fn not_text(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(b"\x1f\x8b") {
        return Some("the body is compressed (gzip); send it as it is".to_owned());
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some("the body is UTF-16; send it as UTF-8".to_owned());
    }
    let nul = bytes.iter().position(|byte| *byte == 0)?;
    Some(format!(
        "the body has a NUL byte (the {}.); count its length without the one that ends a string in C",
        nul + 1
    ))
}

/// Whether an escape in this JSON names half a character: what a program writes
/// that cuts a text in the middle of a symbol.
fn has_half_a_pair(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at..).unwrap_or_default();
        let (half, length) = match (unit(escape), unit(escape.get(6..).unwrap_or_default())) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (false, 12),
            (Some(0xd800..=0xdfff), _) => (true, 6),
            (Some(_), _) => (false, 6),
            (None, _) => (false, 2),
        };
        if half {
            return true;
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    false
}

/// The number in a `\\uXXXX` at the beginning of this.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// The sales that a body names, whatever else is wrong with it: so that they can
/// be looked up before anything is said of the money.
pub(super) fn sales_of(bytes: &[u8]) -> Vec<String> {
    let Ok(Members(members)) = serde_json::from_slice(without_mark(bytes)) else {
        return Vec::new();
    };
    let named = members.iter().filter(|(name, _)| name == "sale");
    named.filter_map(|(_, raw)| serde_json::from_str(raw.get()).ok()).collect()
}

fn invalid(member: &str, detail: impl Into<String>) -> Problem {
    Problem::member(Code::InvalidRequest, member, detail)
}

fn required<T>(value: Option<T>, member: &str) -> Result<T, Problem> {
    value.ok_or_else(|| invalid(member, format!("{member} is missing")))
}

fn amount(members: &Members<'_>) -> Result<Amount, Problem> {
    let raw = required(members.get("amount"), "amount")?;
    let wrong = |detail: String| Problem::member(Code::InvalidAmount, "amount", detail);
    let text: String = serde_json::from_str(raw).map_err(|_| {
        wrong(
            "write the amount as a string, like \"88.88\": numbers lose fen on the way".to_owned(),
        )
    })?;
    text.parse().map_err(|why: crate::payment::AmountError| wrong(why.to_string()))
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
fn is_decimal(value: &Value, decimals_max: usize) -> bool {
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

/// The members of a JSON object, each still as it was written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(bytes: &'a [u8], known: &[&str]) -> Result<Self, Problem> {
        let not_json = |why: &str| Problem::new(Code::InvalidJson, why);
        if let Some(why) = not_text(bytes) {
            return Err(not_json(&why));
        }
        let bytes = without_mark(bytes);
        let text = std::str::from_utf8(bytes).map_err(|_| not_json("the body is not UTF-8"))?;
        if text.trim_ascii().is_empty() {
            return Err(not_json("the body is empty; send a JSON object"));
        }
        let whole: &RawValue = serde_json::from_str(text).map_err(|why| {
            not_json(&format!(
                "the body is not JSON (line {}, column {})",
                why.line(),
                why.column()
            ))
        })?;
        if has_half_a_pair(whole.get()) {
            let why = "half of a surrogate pair stands alone (\\ud800 to \\udfff); write the character itself, in UTF-8";
            return Err(not_json(why));
        }
        let Self(members) = serde_json::from_str(whole.get())
            .map_err(|_| Problem::new(Code::InvalidRequest, "the body must be a JSON object"))?;
        for (index, (name, _)) in members.iter().enumerate() {
            let shown: String = hide_codes(name).chars().take(64).collect();
            if !known.contains(&name.as_str()) {
                let detail =
                    format!("there is no member {shown:?}; known are {}", known.join(", "));
                return Err(invalid(&shown, detail));
            }
            if members.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(invalid(&shown, format!("{shown} occurs twice")));
            }
        }
        Ok(Self(members))
    }

    /// A member as it was written; `null` is the same as leaving it out.
    fn get(&self, name: &str) -> Option<&'a str> {
        let (_, raw) = self.0.iter().find(|(member, _)| member == name)?;
        Some(raw.get()).filter(|text| *text != "null")
    }

    fn text(&self, name: &str, length_max: usize) -> Result<Option<String>, Problem> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        let wrong = |fault: &str| invalid(name, format!("{name} {fault}"));
        let text: String = serde_json::from_str(raw).map_err(|_| wrong("must be a string"))?;
        if text.trim().is_empty() {
            return Err(wrong("must not be empty; leave it out instead"));
        }
        if text.chars().count() > length_max {
            return Err(wrong(&format!("must have at most {length_max} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("must not contain control characters"));
        }
        Ok(Some(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}
