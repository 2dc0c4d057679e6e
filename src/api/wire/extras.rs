//! What a register may say to Alipay besides the order, read as strictly as the
//! rest of a body.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Problem;
use super::body::{amount_of, is_decimal};
use super::members::{Members, invalid};
use crate::payment::{Amount, Extras};

/// So many parameters, and so many options, are more than Alipay knows.
const PARAMS_MAX: usize = 32;
const OPTIONS_MAX: usize = 16;

/// The members of a body that are passed on.
pub(super) const NAMES: [&str; 5] =
    ["seller_id", "discountable_amount", "undiscountable_amount", "extend_params", "query_options"];

pub(super) fn extras(members: &Members<'_>, amount: Amount) -> Result<Extras, Problem> {
    let extras = Extras {
        seller_id: members.text("seller_id", 28)?,
        discountable_amount: amount_of(members, "discountable_amount")?,
        undiscountable_amount: amount_of(members, "undiscountable_amount")?,
        extend_params: extend_params(members)?,
        query_options: query_options(members)?,
    };
    if !extras.add_up_to(amount) {
        let detail = "discountable_amount and undiscountable_amount must be amount together, and neither may be more than it";
        let member = match extras.discountable_amount {
            Some(_) => "discountable_amount",
            None => "undiscountable_amount",
        };
        return Err(invalid(member, detail));
    }
    Ok(extras)
}

/// The parameters as compact JSON with sorted names, so that the same parameters
/// written in another way are still the same request.
fn extend_params(members: &Members<'_>) -> Result<Option<String>, Problem> {
    let Some(raw) = members.get("extend_params") else { return Ok(None) };
    let wrong = |detail: String| invalid("extend_params", detail);
    let Members(params) = serde_json::from_str(raw)
        .map_err(|_| wrong("extend_params must be an object".to_owned()))?;
    if !(1..=PARAMS_MAX).contains(&params.len()) {
        return Err(wrong(format!("extend_params must have 1 to {PARAMS_MAX} members")));
    }
    let mut sorted = BTreeMap::new();
    for (name, raw) in params {
        if !is_name(&name) {
            return Err(wrong(
                "the names in extend_params have 1 to 64 of the characters A-Z a-z 0-9 _"
                    .to_owned(),
            ));
        }
        let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let fault = match &value {
            Value::String(text) if (1..=512).contains(&text.chars().count()) => None,
            Value::String(_) => Some("must have 1 to 512 characters"),
            Value::Number(_) if is_decimal(&value, 4) => None,
            Value::Number(_) => Some("must be a plain number, not negative"),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Some("must be a string or a number")
            }
        };
        if let Some(fault) = fault {
            return Err(wrong(format!("extend_params.{name} {fault}")));
        }
        if sorted.insert(name.clone(), value).is_some() {
            return Err(wrong(format!("extend_params.{name} occurs twice")));
        }
    }
    serde_json::to_string(&sorted)
        .map(Some)
        .map_err(|_| wrong("extend_params cannot be written as JSON".to_owned()))
}

fn query_options(members: &Members<'_>) -> Result<Vec<String>, Problem> {
    let Some(raw) = members.get("query_options") else { return Ok(Vec::new()) };
    let wrong = |detail: &str| invalid("query_options", format!("query_options {detail}"));
    let options: Vec<String> =
        serde_json::from_str(raw).map_err(|_| wrong("must be an array of strings"))?;
    if !(1..=OPTIONS_MAX).contains(&options.len()) {
        return Err(wrong(&format!("must have 1 to {OPTIONS_MAX} entries")));
    }
    for (index, option) in options.iter().enumerate() {
        if !is_name(option) {
            return Err(wrong("have 1 to 64 of the characters A-Z a-z 0-9 _"));
        }
        if options.iter().take(index).any(|earlier| earlier == option) {
            return Err(wrong("must not name anything twice"));
        }
    }
    Ok(options)
}

fn is_name(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(legal)
}
