//! The members of a body, each still as it was written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Code, Problem};
use crate::payment::hide_codes;

/// The members of a JSON object, each still as it was written.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(super) fn read(bytes: &'a [u8], known: &[&str]) -> Result<Self, Problem> {
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
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let (_, raw) = self.0.iter().find(|(member, _)| member == name)?;
        Some(raw.get()).filter(|text| *text != "null")
    }

    pub(super) fn text(&self, name: &str, length_max: usize) -> Result<Option<String>, Problem> {
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

/// The sales that a body names, whatever else is wrong with it: so that they can
/// be looked up before anything is said of the money.
pub(in crate::api) fn sales_of(bytes: &[u8]) -> Vec<String> {
    let Ok(Members(members)) = serde_json::from_slice(without_mark(bytes)) else {
        return Vec::new();
    };
    let named = members.iter().filter(|(name, _)| name == "sale");
    named.filter_map(|(_, raw)| serde_json::from_str(raw.get()).ok()).collect()
}

pub(super) fn invalid(member: &str, detail: impl Into<String>) -> Problem {
    Problem::member(Code::InvalidRequest, member, detail)
}

pub(super) fn required<T>(value: Option<T>, member: &str) -> Result<T, Problem> {
    value.ok_or_else(|| invalid(member, format!("{member} is missing")))
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
