//! From the bytes of a reply to members that may be believed.
//!
//! ```text
//!  bytes ──▶ UTF-8? ──▶ members, each once, none foreign ──▶ signature over the
//!  raw bytes of the one member ──▶ the same bytes, parsed
//! ```
//!
//! The signature covers the member's value as it came: white space, order of
//! keys and `\/` count. So the value is cut out by a real JSON parser, never by
//! searching for text, and only the substring that verified is parsed. A name
//! that occurs twice is refused everywhere: two parsers could see two answers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::sign::{PublicKey, SignType};
use crate::payment::hide_codes;

/// The largest reply that is looked at.
pub const REPLY_MAX: usize = 1024 * 1024;

/// Why a reply cannot be believed. In every case the result of the call is
/// unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// More than [`REPLY_MAX`].
    #[error("the reply is larger than 1 MiB")]
    TooLarge,
    /// The gateway is asked for UTF-8.
    #[error("the reply is not UTF-8")]
    NotText,
    /// No JSON object, cut short, followed by something, or a name twice.
    #[error("the reply is not one JSON object with each name once")]
    NotJson,
    /// A member that does not belong there.
    #[error("the reply has a member that does not belong there")]
    Foreign,
    /// Neither or both of the method's member and `error_response`.
    #[error("the reply does not have exactly one answer to {0}")]
    NoAnswer(String),
    /// No `sign`. Such replies come when the gateway cannot tell which
    /// application is asking. What it says is kept for the technician.
    #[error("the reply has no signature, so it is not believed; it says: {0}")]
    Unsigned(String),
    /// Certificate mode.
    #[error("the reply names a certificate (alipay_cert_sn): certificate mode is not supported")]
    Certificate,
    /// The signature is somebody else's, or the content was changed.
    #[error(
        "the signature of the reply does not verify: is alipay_public_key_file really Alipay's public key, of this application and sign type?"
    )]
    BadSignature,
    /// A string where the members should be.
    #[error("the reply's content is encrypted: turn content encryption off on the platform")]
    Encrypted,
    /// Signed, but no object with each name once.
    #[error("the signed content is not a JSON object with each name once")]
    Content,
}

/// The members of a verified answer. Has no `Debug`: a gateway may repeat the
/// payment code in it.
pub struct Content(Vec<(String, Value)>);

enum Value {
    /// A string, or a number as it was written.
    Text(String),
    /// Anything else, as it was written.
    Other(String),
    Null,
}

impl Content {
    /// A member's text. Strings and numbers are the same here, because the
    /// gateway writes amounts as either. An empty one counts as absent.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(n, _)| n == name)?;
        match value {
            Value::Text(text) | Value::Other(text) => Some(text.as_str()).filter(|t| !t.is_empty()),
            Value::Null => None,
        }
    }
}

/// Verifies a reply to `method` and takes the answer out of it.
///
/// # Errors
///
/// Why it cannot be believed.
pub fn open(
    reply: &[u8],
    method: &str,
    sign_type: SignType,
    alipay: &PublicKey,
) -> Result<Content, EnvelopeError> {
    if reply.len() > REPLY_MAX {
        return Err(EnvelopeError::TooLarge);
    }
    let text = std::str::from_utf8(reply).map_err(|_| EnvelopeError::NotText)?;
    let Members(members) = serde_json::from_str(text).map_err(|_| EnvelopeError::NotJson)?;
    let own_name = format!("{}_response", method.replace('.', "_"));
    let (mut answer, mut sign, mut certificate) = (None, None, false);
    for (name, value) in members {
        match name.as_str() {
            "sign" => sign = Some(value),
            "alipay_cert_sn" => certificate = true,
            n if n == own_name || n == "error_response" => {
                if answer.replace(value).is_some() {
                    return Err(EnvelopeError::NoAnswer(method.to_owned()));
                }
            }
            _ => return Err(EnvelopeError::Foreign),
        }
    }
    let answer = answer.ok_or_else(|| EnvelopeError::NoAnswer(method.to_owned()))?.get();
    let Some(sign) = sign else {
        return Err(EnvelopeError::Unsigned(what_it_says(answer)));
    };
    if certificate {
        return Err(EnvelopeError::Certificate);
    }
    let sign: String = serde_json::from_str(sign.get()).map_err(|_| EnvelopeError::BadSignature)?;
    if !alipay.verify(sign_type, answer.as_bytes(), &sign) {
        return Err(EnvelopeError::BadSignature);
    }
    if answer.starts_with('"') {
        return Err(EnvelopeError::Encrypted);
    }
    read(answer)
}

/// Parses the substring that was verified.
pub(super) fn read(signed: &str) -> Result<Content, EnvelopeError> {
    let _: EachNameOnce = serde_json::from_str(signed).map_err(|_| EnvelopeError::Content)?;
    let Members(members) = serde_json::from_str(signed).map_err(|_| EnvelopeError::Content)?;
    let mut content = Vec::with_capacity(members.len());
    for (name, raw) in members {
        let raw = raw.get();
        let value = match raw.as_bytes().first() {
            Some(b'"') => {
                Value::Text(serde_json::from_str(raw).map_err(|_| EnvelopeError::Content)?)
            }
            Some(b'-' | b'0'..=b'9') => Value::Text(raw.to_owned()),
            Some(b'n') => Value::Null,
            _ => Value::Other(raw.to_owned()),
        };
        content.push((name, value));
    }
    Ok(Content(content))
}

/// The words of an unsigned reply, for a person; nothing is decided by them.
fn what_it_says(answer: &str) -> String {
    let Ok(content) = read(answer) else {
        return "nothing readable".to_owned();
    };
    let said: Vec<&str> = ["code", "sub_code", "sub_msg", "msg"]
        .into_iter()
        .filter_map(|name| content.text(name))
        .take(3)
        .collect();
    hide_codes(&said.join(" "))
}

/// The members of an object in their order, each with its raw value. A name
/// that occurs twice is an error, where a plain map would keep the last one.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = Names::default();
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    names.add::<A::Error>(&name)?;
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

/// Any JSON in which no object, however deep, has a name twice.
struct EachNameOnce;

impl<'de> Deserialize<'de> for EachNameOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = EachNameOnce;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut names = Names::default();
                while let Some((name, EachNameOnce)) = map.next_entry::<String, _>()? {
                    names.add::<A::Error>(&name)?;
                }
                Ok(EachNameOnce)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while let Some(EachNameOnce) = items.next_element()? {}
                Ok(EachNameOnce)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(EachNameOnce)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(EachNameOnce)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(EachNameOnce)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(EachNameOnce)
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(EachNameOnce)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(EachNameOnce)
            }
        }
        deserializer.deserialize_any(Walk)
    }
}

/// The names seen so far in one object.
#[derive(Default)]
struct Names(std::collections::BTreeSet<String>);

impl Names {
    fn add<E: serde::de::Error>(&mut self, name: &str) -> Result<(), E> {
        if self.0.insert(name.to_owned()) { Ok(()) } else { Err(E::custom("a name twice")) }
    }
}
