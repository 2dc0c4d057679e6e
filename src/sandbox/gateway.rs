//! The front door: one request, checked as strictly as Alipay checks it.
//!
//! Nothing here knows a socket or a ledger. What gets through is a [`Call`];
//! what does not is a [`Refusal`] with Alipay's own codes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::answer::Said;
use super::clock::read_beijing;
use crate::alipay::form;
use crate::alipay::sign::{PublicKey, SignType, canonical};

/// The application that the sandbox knows.
pub(super) struct App {
    pub(super) app_id: String,
    pub(super) public_key: PublicKey,
}

/// One request as it arrived.
pub(super) struct Request<'a> {
    /// The query of the URL, still encoded.
    pub(super) query: &'a str,
    /// The form in the body, still encoded; nothing if it was no form.
    pub(super) form: &'a [u8],
}

/// The methods that the sandbox plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Pay,
    Query,
    Cancel,
    Refund,
    RefundQuery,
    Precreate,
}

impl Method {
    pub(super) const ALL: [Self; 6] =
        [Self::Pay, Self::Query, Self::Cancel, Self::Refund, Self::RefundQuery, Self::Precreate];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pay => "alipay.trade.pay",
            Self::Query => "alipay.trade.query",
            Self::Cancel => "alipay.trade.cancel",
            Self::Refund => "alipay.trade.refund",
            Self::RefundQuery => "alipay.trade.fastpay.refund.query",
            Self::Precreate => "alipay.trade.precreate",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The member of the answer.
    pub(super) fn member(self) -> String {
        member(self.name())
    }
}

/// A request that got through.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) sign_type: SignType,
    pub(super) biz: Map<String, Value>,
}

/// A request that did not.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The member of the answer.
    pub(super) member: String,
    /// How the answer is signed; not at all while the application is unknown.
    pub(super) sign_type: Option<SignType>,
    pub(super) said: Said,
}

/// How far the clocks of a terminal and of the gateway may be apart.
const WINDOW_MS: i64 = 15 * 60 * 1000;

/// The parameters with a room of their own, and how many characters it has.
const ROOMS: &[(&str, usize)] = &[
    ("app_id", 32),
    ("method", 128),
    ("format", 40),
    ("charset", 10),
    ("sign_type", 10),
    ("timestamp", 19),
    ("version", 3),
    ("notify_url", 256),
    ("return_url", 256),
    ("app_auth_token", 40),
    ("encrypt_type", 10),
];

/// Checks everything that does not depend on the business.
pub(super) fn front_door(app: &App, request: &Request<'_>, now: i64) -> Result<Call, Refusal> {
    let mut door = Door { member: "error_response".to_owned(), sign_type: None };
    let in_url = decode(request.query.as_bytes()).ok_or_else(|| door.garbled())?;
    let in_body = decode(request.form).ok_or_else(|| door.garbled())?;
    let all = || in_url.iter().chain(&in_body);
    let value = |name: &str| {
        all().find_map(|(known, value)| (known == name).then_some(value.as_str())).unwrap_or("")
    };
    if value("method").bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        && !value("method").is_empty()
    {
        door.member = member(value("method"));
    }

    // Without a known application there is no key to sign an answer with.
    if value("app_id").is_empty() {
        return Err(door.missing("isv.missing-app-id", "缺少AppID参数"));
    }
    if all().any(|(name, value)| name == "app_id" && *value != app.app_id) {
        return Err(door.invalid("isv.invalid-app-id", "无效的AppID参数"));
    }
    let sign_type = SignType::from_name(value("sign_type"));
    door.sign_type = Some(sign_type.unwrap_or(SignType::Rsa2));

    let mut params = BTreeMap::new();
    for (name, value) in all() {
        if params.insert(name.clone(), value.clone()).is_some() {
            return Err(door.parameter(&format!("参数 {name} 重复")));
        }
    }
    for (name, sub_code) in [
        ("method", "isv.missing-method"),
        ("sign_type", "isv.missing-signature-type"),
        ("sign", "isv.missing-signature"),
        ("timestamp", "isv.missing-timestamp"),
        ("version", "isv.missing-version"),
    ] {
        if value(name).is_empty() {
            return Err(door.missing(sub_code, &format!("缺少参数 {name}")));
        }
    }
    if let Some((name, _)) = params.iter().find(|(_, value)| value.is_empty()) {
        let sub_code =
            if name == "charset" { "isv.invalid-charset" } else { "isv.invalid-parameter" };
        return Err(door.invalid(sub_code, &format!("参数 {name} 为空")));
    }
    let too_long = |(name, room): &&(&str, usize)| {
        params.get(*name).is_some_and(|v| v.chars().count() > *room)
    };
    let Some(method) = Method::from_name(value("method")) else {
        return Err(door.invalid("isv.invalid-method", "不存在的方法名"));
    };
    if !in_url.iter().any(|(name, _)| name == "charset") {
        return Err(
            door.invalid("isv.invalid-charset", "字符集错误，charset 必须放在 URL 的查询字符串里")
        );
    }
    if !value("charset").eq_ignore_ascii_case("utf-8") {
        return Err(door.invalid("isv.invalid-charset", "字符集错误，沙箱只支持 utf-8"));
    }
    let Some(sign_type) = sign_type else {
        return Err(door.invalid("isv.invalid-signature-type", "无效签名类型"));
    };
    let text = canonical(params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if !app.public_key.verify(sign_type, text.as_bytes(), value("sign")) {
        // The original, too, says what it would have signed.
        let shown = text.replace('&', "&amp;").replace('"', "&quot;");
        return Err(door.invalid(
            "isv.invalid-signature",
            &format!(
                "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：{shown}"
            ),
        ));
    }
    if params.get("format").is_some_and(|format| !format.eq_ignore_ascii_case("json")) {
        return Err(door.invalid("isv.invalid-format", "无效的数据格式"));
    }
    if value("version") != "1.0" {
        return Err(door.parameter("version 只能为 1.0"));
    }
    match read_beijing(value("timestamp"), true) {
        Some(at) if at.abs_diff(now) <= WINDOW_MS.unsigned_abs() => {}
        Some(_) => {
            return Err(
                door.invalid("isv.invalid-timestamp", "非法的时间戳参数，与网关时间相差太大")
            );
        }
        None => return Err(door.invalid("isv.invalid-timestamp", "非法的时间戳参数")),
    }
    if let Some((name, room)) = ROOMS.iter().find(too_long) {
        return Err(door.parameter(&format!("参数 {name} 超过 {room} 个字符")));
    }
    for name in ["notify_url", "return_url"] {
        let url = value(name);
        if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(door.parameter(&format!("参数 {name} 不是 http(s) 地址")));
        }
    }
    if params.contains_key("app_auth_token") {
        return Err(door.says("20001", "aop.invalid-app-auth-token", "无效的应用授权令牌"));
    }
    if params.contains_key("encrypt_type") {
        return Err(door.invalid("isv.invalid-encrypt-type", "无效的加密类型，应用未开启内容加密"));
    }
    if params.contains_key("app_cert_sn") || params.contains_key("alipay_root_cert_sn") {
        return Err(door.invalid("isv.app-cert-not-exist", "应用证书不存在，应用为公钥模式"));
    }
    if in_url.iter().any(|(name, _)| name == "biz_content") {
        return Err(door.parameter("biz_content 必须放在请求体里，不能放在 URL 里"));
    }
    let Some(biz) = params.get("biz_content") else {
        return Err(door.parameter("缺少参数 biz_content"));
    };
    match serde_json::from_str(biz) {
        Ok(Value::Object(biz)) => Ok(Call { method, sign_type, biz }),
        _ => Err(door.invalid("isv.illegal-json", "biz_content 不是 JSON 对象")),
    }
}

/// What a refusal needs to know about the request.
struct Door {
    member: String,
    sign_type: Option<SignType>,
}

impl Door {
    fn says(&self, code: &'static str, sub_code: &'static str, sub_msg: &str) -> Refusal {
        let mut said = Said::new(code, sub_code, "");
        said.sub_msg = sub_msg.to_owned().into();
        Refusal { member: self.member.clone(), sign_type: self.sign_type, said }
    }

    fn missing(&self, sub_code: &'static str, sub_msg: &str) -> Refusal {
        self.says("40001", sub_code, sub_msg)
    }

    fn invalid(&self, sub_code: &'static str, sub_msg: &str) -> Refusal {
        self.says("40002", sub_code, sub_msg)
    }

    fn parameter(&self, sub_msg: &str) -> Refusal {
        self.invalid("isv.invalid-parameter", sub_msg)
    }

    fn garbled(&self) -> Refusal {
        self.parameter("参数编码错误")
    }
}

fn member(method: &str) -> String {
    format!("{}_response", method.replace('.', "_"))
}

/// Decodes a form in UTF-8; bytes that are none are an error as well.
fn decode(form: &[u8]) -> Option<Vec<(String, String)>> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let pairs = form::decode(form)?;
    pairs.into_iter().map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_forms_without_repairing_them() {
        let pairs = decode("a=1+2&b=%E5%92%96&c&=d&e=f%3D%26".as_bytes()).unwrap();
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1 2"), ("b", "咖"), ("c", ""), ("", "d"), ("e", "f=&")]);
        for bad in ["a=%", "a=%E", "a=%zz", "a=%E5", "%FF=1"] {
            assert!(decode(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
