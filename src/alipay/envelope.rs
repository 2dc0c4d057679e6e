//! From the bytes of a reply to members that may be believed.
//!
//! ```text
//!  bytes ──▶ members, each once, one answer among them ──▶ signature over the
//!  raw bytes of the answer ──▶ the same bytes, parsed
//! ```
//!
//! The signature covers the member's value as it came: white space, order of
//! keys and `\/` count. So the value is cut out by a real JSON parser, never by
//! searching for text, and only the bytes that verified are parsed. A name
//! that occurs twice is refused everywhere: two parsers could see two answers.
//! What else stands beside the answer is not signed, and nobody looks at it.
//!
//! What decides is in ASCII. The texts are other people's: a shop's name in GBK,
//! or one that was cut in the middle of a character, is no reason not to know
//! that a payment was made. So the bytes are read as far as they can be
//! (`letters.rs`).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::letters::{self, Letters};
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
    /// No JSON object, cut short, followed by something, or a name twice.
    #[error("the reply is not one JSON object with each name once")]
    NotJson,
    /// An answer to another method, beside the right one or in its place.
    #[error("the reply has an answer to another method")]
    Foreign,
    /// Neither or both of the method's member and `error_response`.
    #[error("the reply does not have exactly one answer to {0}")]
    NoAnswer(String),
    /// No `sign`. Such replies come when the gateway cannot tell which
    /// application is asking. What it says is kept for the technician.
    #[error("the reply has no signature, so it is not believed; it says: {0}")]
    Unsigned(String),
    /// The signature is not by the key that we know, and the reply says that it
    /// is by one in a certificate.
    #[error(
        "the signature of the reply does not verify, and the reply names a certificate (alipay_cert_sn): certificate mode is not supported"
    )]
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
    let letters = Letters::of(reply);
    let Members(members) =
        serde_json::from_str(letters.as_str()).map_err(|_| EnvelopeError::NotJson)?;
    let own_name = format!("{}_response", method.replace('.', "_"));
    let (mut answers, mut sign, mut certificate) = (Vec::new(), None, false);
    for (name, value) in members {
        match name.as_str() {
            "sign" => sign = Some(value),
            "alipay_cert_sn" => certificate = true,
            n if n == own_name || n == "error_response" => answers.push(value.get()),
            n if n.ends_with("_response") => return Err(EnvelopeError::Foreign),
            // Whatever Alipay may add; it is not signed and says nothing.
            _ => {}
        }
    }
    let [answer] = answers[..] else {
        return Err(EnvelopeError::NoAnswer(method.to_owned()));
    };
    let signed = letters.bytes_of(answer);
    let Some(sign) = sign else {
        return Err(EnvelopeError::Unsigned(what_it_says(signed)));
    };
    let sign = serde_json::from_str::<String>(sign.get());
    if !sign.is_ok_and(|sign| alipay.verify(sign_type, signed, &sign)) {
        let why =
            if certificate { EnvelopeError::Certificate } else { EnvelopeError::BadSignature };
        return Err(why);
    }
    if answer.starts_with('"') {
        return Err(EnvelopeError::Encrypted);
    }
    read(signed)
}

/// Parses the bytes that were verified.
pub(super) fn read(signed: &[u8]) -> Result<Content, EnvelopeError> {
    let letters = Letters::of(signed);
    if !has_each_name_once(letters.as_str(), DEPTH_MAX) {
        return Err(EnvelopeError::Content);
    }
    let Members(members) =
        serde_json::from_str(letters.as_str()).map_err(|_| EnvelopeError::Content)?;
    let members = members.into_iter().map(|(name, raw)| {
        let (raw, bytes) = (raw.get(), letters.bytes_of(raw.get()));
        let value = match raw.as_bytes().first() {
            Some(b'"') => Value::Text(letters::unquoted(bytes)),
            Some(b'-' | b'0'..=b'9') => Value::Text(raw.to_owned()),
            Some(b'n') => Value::Null,
            _ => Value::Other(letters::spelt(bytes).into_owned()),
        };
        (name, value)
    });
    Ok(Content(members.collect()))
}

/// The words of an unsigned reply, for a person; nothing is decided by them.
fn what_it_says(answer: &[u8]) -> String {
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

/// How deep an answer may be nested. Alipay's have four levels.
const DEPTH_MAX: u32 = 32;

/// Whether no object in this JSON, however deep, has a name twice. What is
/// nested deeper than `depth` is not looked at, and so will not do.
fn has_each_name_once(json: &str, depth: u32) -> bool {
    let Some(below) = depth.checked_sub(1) else { return false };
    match json.trim_start().as_bytes().first() {
        Some(b'{') => serde_json::from_str(json).is_ok_and(|Members(members)| {
            members.iter().all(|(_, value)| has_each_name_once(value.get(), below))
        }),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(json)
            .is_ok_and(|items| items.iter().all(|item| has_each_name_once(item.get(), below))),
        _ => true,
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
