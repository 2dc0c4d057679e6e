//! What an answer says, and how it is put on the wire.

use std::borrow::Cow;

use crate::alipay::sign::{PrivateKey, SignType};

/// The four members with which the gateway says that something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The gateway's code, like `40004`.
    pub code: Cow<'static, str>,
    /// The finer code, like `ACQ.SYSTEM_ERROR`.
    #[serde(default)]
    pub sub_code: Cow<'static, str>,
    /// The sentence with it.
    #[serde(default)]
    pub sub_msg: Cow<'static, str>,
}

impl Said {
    /// A fixed answer.
    #[must_use]
    pub const fn new(code: &'static str, sub_code: &'static str, sub_msg: &'static str) -> Self {
        Self {
            code: Cow::Borrowed(code),
            sub_code: Cow::Borrowed(sub_code),
            sub_msg: Cow::Borrowed(sub_msg),
        }
    }

    /// A refusal by the business behind the gateway.
    pub(super) const fn business(sub_code: &'static str, sub_msg: &'static str) -> Self {
        Self::new("40004", sub_code, sub_msg)
    }
}

/// How an answer is spoken: truly, or with one of the ways in which it goes
/// wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voice {
    /// What is true, signed.
    True,
    /// Something else than what is true, signed.
    Says(Said),
    /// Something else than what is true, without a signature.
    SaysUnsigned(Said),
    /// What is true, after 30 s.
    Slow,
    /// Nothing: the connection is closed.
    Nothing,
    /// What is true, but half of it, and then the connection is closed.
    Cut,
    /// Another HTTP status and a page.
    Status(u16),
    /// A page of HTML with status 200.
    Garbage,
    /// What is true, with a signature that does not fit.
    BadSignature,
    /// A signed success of somebody else's order.
    OtherOrder,
    /// A signed success over another amount.
    OtherAmount,
    /// A success without a signature.
    Unsigned,
    /// What is true, signed, and after it the same member again with a success.
    Duplicate,
    /// What is true, signed, and beside it a member that nobody knows.
    ExtraMember,
    /// What is true, signed, with the shop's name in GBK and cut within a
    /// character.
    BadText,
    /// Interim answers (103) without end, and never the answer.
    InterimFlood,
    /// The bytes of the last answer to a request of the same kind about this
    /// order; nothing if there was none.
    Replay(String),
}

/// The members of an answer, in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Content(Vec<(Cow<'static, str>, Field)>);

#[derive(Clone, Debug)]
enum Field {
    Text(String),
    Raw(String),
}

impl Content {
    /// An answer that begins with so and so a code.
    pub(super) fn code(code: &str) -> Self {
        let mut content = Self::default();
        content.text("code", code);
        content.text("msg", message(code));
        content
    }

    /// An answer that says what is wrong.
    pub(super) fn said(said: &Said) -> Self {
        let mut content = Self::code(&said.code);
        if !said.sub_code.is_empty() {
            content.text("sub_code", said.sub_code.as_ref());
            content.text("sub_msg", said.sub_msg.as_ref());
        }
        content
    }

    /// Adds a text, or writes over the one of that name.
    pub(super) fn text(&mut self, name: &'static str, value: impl Into<String>) {
        self.put(name, Field::Text(value.into()));
    }

    /// Adds JSON as it is.
    pub(super) fn raw(&mut self, name: &'static str, json: impl Into<String>) {
        self.put(name, Field::Raw(json.into()));
    }

    fn put(&mut self, name: &'static str, field: Field) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = field,
            None => self.0.push((Cow::Borrowed(name), field)),
        }
    }

    /// Takes a member out again.
    pub(super) fn leave_out(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// The text under a name, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find_map(|(known, field)| match field {
                Field::Text(text) if known == name => Some(text.as_str()),
                Field::Text(_) | Field::Raw(_) => None,
            })
            .unwrap_or_default()
    }

    /// As JSON, with the slashes escaped the way Alipay does.
    fn render(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, field)| match field {
                Field::Text(text) => format!("{}:{}", quote(name), quote(text)),
                Field::Raw(json) => format!("{}:{json}", quote(name)),
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    fn with_other_amount(mut self) -> Self {
        for name in ["total_amount", "receipt_amount", "buyer_pay_amount", "invoice_amount"] {
            let amount = self.get(name).to_owned();
            if !amount.is_empty() && amount != "0.00" {
                self.text(name, format!("1{amount}"));
            }
        }
        self
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('/', "\\/")
}

fn message(code: &str) -> &'static str {
    match code {
        "10000" => "Success",
        // The blank in front and the missing one inside are Alipay's own.
        "10003" => " order success pay inprocess",
        "20000" => "Service Currently Unavailable",
        "20001" => "Insufficient Token Permissions",
        "40001" => "Missing Required Arguments",
        "40002" => "Invalid Arguments",
        "40003" => "Insufficient Conditions",
        "40004" => "Business Failed",
        "40005" => "Call Limited",
        "40006" => "Insufficient Permissions",
        _ => "Unknown",
    }
}

/// The bytes of an answer and what becomes of them on the way.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) delivery: Delivery,
}

/// How far an answer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Half,
    Nothing,
    Flood,
}

impl Voice {
    /// The word in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::True => "true",
            Self::Says(_) => "says",
            Self::SaysUnsigned(_) => "says, unsigned",
            Self::Slow => "slow",
            Self::Nothing => "nothing",
            Self::Cut => "cut",
            Self::Status(_) => "status",
            Self::Garbage => "garbage",
            Self::BadSignature => "bad signature",
            Self::OtherOrder => "other order",
            Self::OtherAmount => "other amount",
            Self::Unsigned => "unsigned",
            Self::Duplicate => "duplicate",
            Self::ExtraMember => "extra member",
            Self::BadText => "bad text",
            Self::InterimFlood => "interim flood",
            Self::Replay(_) => "replay",
        }
    }

    /// Whether a whole answer of any kind reaches the caller.
    pub(super) fn delivers(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Cut | Self::InterimFlood)
    }
}

/// Puts an answer on the wire. `forged` is the success that the lying voices
/// tell; without one they twist the truth.
pub(super) fn speak(
    key: &PrivateKey,
    sign_type: SignType,
    member: &str,
    truth: &Content,
    forged: Option<&Content>,
    voice: &Voice,
) -> Spoken {
    let lie = || forged.unwrap_or(truth).clone();
    let signed = |content: &Content| signed(key, sign_type, member, content);
    let unsigned = |content: &Content| format!("{{{}:{}}}", quote(member), content.render());
    let body = match voice {
        Voice::BadText => {
            let body = bad_text(key, sign_type, member, truth);
            return Spoken { status: 200, body, delivery: Delivery::Whole };
        }
        Voice::ExtraMember => {
            let genuine = signed(truth);
            let open = genuine.strip_suffix('}').unwrap_or(&genuine);
            format!("{open},\"a_new_member\":{{\"code\":\"10000\"}}}}")
        }
        Voice::True | Voice::Slow | Voice::Cut | Voice::InterimFlood => signed(truth),
        Voice::Says(said) => signed(&Content::said(said)),
        Voice::SaysUnsigned(said) => unsigned(&Content::said(said)),
        // The bytes of a replay are known where they were spoken.
        Voice::Nothing | Voice::Replay(_) => String::new(),
        Voice::Status(_) | Voice::Garbage => GARBAGE.to_owned(),
        Voice::BadSignature => {
            // A genuine signature, over something else.
            let mut other = truth.clone();
            other.text("msg", "signed something else");
            let sign = key.sign(sign_type, other.render().as_bytes());
            format!("{{{}:{},\"sign\":\"{sign}\"}}", quote(member), truth.render())
        }
        Voice::OtherOrder => {
            let mut other = lie();
            other.text("out_trade_no", "SOMEBODY_ELSES_ORDER");
            other.text("trade_no", "2026010122001999990000000001");
            signed(&other)
        }
        Voice::OtherAmount => signed(&lie().with_other_amount()),
        Voice::Unsigned => unsigned(&lie()),
        Voice::Duplicate => {
            let genuine = signed(truth);
            let open = genuine.strip_suffix('}').unwrap_or(&genuine);
            format!("{open},{}:{}}}", quote(member), lie().render())
        }
    };
    let status = if let Voice::Status(status) = voice { *status } else { 200 };
    let delivery = if voice.delivers() {
        Delivery::Whole
    } else if *voice == Voice::Cut {
        Delivery::Half
    } else if *voice == Voice::InterimFlood {
        Delivery::Flood
    } else {
        Delivery::Nothing
    };
    Spoken { status, body: body.into_bytes(), delivery }
}

/// 咖啡 in GBK, and the first byte of another character.
const SHOP: &[u8] = b"\xbf\xa7\xb7\xc8\xb5";

fn bad_text(key: &PrivateKey, sign_type: SignType, member: &str, content: &Content) -> Vec<u8> {
    let content = content.render();
    let open = content.strip_suffix('}').unwrap_or(&content);
    let content = [open.as_bytes(), b",\"store_name\":\"", SHOP, b"\"}"].concat();
    let sign = key.sign(sign_type, &content);
    let tail = format!(",\"sign\":\"{sign}\"}}");
    [b"{", quote(member).as_bytes(), b":", &content, tail.as_bytes()].concat()
}

fn signed(key: &PrivateKey, sign_type: SignType, member: &str, content: &Content) -> String {
    let content = content.render();
    let sign = key.sign(sign_type, content.as_bytes());
    format!("{{{}:{content},\"sign\":\"{sign}\"}}", quote(member))
}

/// An answer of the front door, which may be unable to sign.
pub(super) fn refuse(
    key: &PrivateKey,
    sign_type: Option<SignType>,
    member: &str,
    said: &Said,
) -> String {
    let content = Content::said(said);
    match sign_type {
        Some(sign_type) => signed(key, sign_type, member, &content),
        None => format!("{{{}:{}}}", quote(member), content.render()),
    }
}

const GARBAGE: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n\
    <body><h1>502 Bad Gateway</h1><p>The simulated gateway had a bad moment.</p></body></html>\n";
