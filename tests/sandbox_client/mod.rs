//! A terminal's side of the wire, as small as can be: it signs and verifies
//! without the code of the sandbox, and hears every way an answer can go wrong.

mod faults;
pub(crate) mod stories;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tilld::sandbox::{Options, Running, Sandbox};
use time::OffsetDateTime;
use time::macros::{format_description, offset};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A terminal's side of the wire, as small as can be.
pub(crate) struct Till {
    pub(crate) addr: SocketAddr,
    pub(crate) app_id: String,
    pub(crate) key: Arc<aws_lc_rs::rsa::KeyPair>,
    pub(crate) pem: String,
    pub(crate) alipay: Vec<u8>,
}

/// One request before it is sent.
pub(crate) struct Ask {
    pub(crate) verb: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) url: Vec<(String, String)>,
    pub(crate) body: Vec<(String, String)>,
}

/// What came back.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) whole: bool,
}

impl Ask {
    pub(crate) fn all(&mut self) -> [&mut Vec<(String, String)>; 2] {
        [&mut self.url, &mut self.body]
    }

    pub(crate) fn get(&self, name: &str) -> String {
        let mut all = self.url.iter().chain(&self.body);
        all.find(|(known, _)| known == name).unwrap().1.clone()
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        for list in self.all() {
            for (known, old) in list {
                if known == name {
                    value.clone_into(old);
                    return;
                }
            }
        }
        self.url.push(pair(name, value));
    }

    pub(crate) fn without(&mut self, name: &str) {
        for list in self.all() {
            list.retain(|(known, _)| known != name);
        }
    }

    pub(crate) fn again(&mut self, name: &str) {
        let value = self.get(name);
        let list = if name == "biz_content" { &mut self.body } else { &mut self.url };
        list.push(pair(name, &value));
    }

    pub(crate) fn move_to_body(&mut self, name: &str) {
        let value = self.get(name);
        self.without(name);
        self.body.push(pair(name, &value));
    }

    pub(crate) fn move_to_url(&mut self, name: &str) {
        let value = self.get(name);
        self.without(name);
        self.url.push(pair(name, &value));
    }

    /// The text to sign: the last of a name counts, which is only right for
    /// requests that are right.
    pub(crate) fn canonical(&self) -> String {
        let all: BTreeMap<&str, &str> = self
            .url
            .iter()
            .chain(&self.body)
            .filter(|(name, value)| name != "sign" && !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let pairs: Vec<String> =
            all.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

impl Till {
    pub(crate) fn of(running: &Running) -> Self {
        let pem = std::fs::read_to_string(running.folder().app_private_key()).unwrap();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = aws_lc_rs::rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let alipay = std::fs::read(running.folder().alipay_public_key()).unwrap();
        let alipay = SubjectPublicKeyInfoDer::from_pem_slice(&alipay).unwrap().to_vec();
        let app_id = running.app_id().to_owned();
        Self { addr: running.addr(), app_id, key: Arc::new(key), pem, alipay }
    }

    pub(crate) fn ask(&self, method: &str, biz: &Value) -> Ask {
        Ask {
            verb: "POST",
            content_type: "application/x-www-form-urlencoded;charset=utf-8",
            url: vec![
                pair("app_id", &self.app_id),
                pair("method", method),
                pair("format", "JSON"),
                pair("charset", "utf-8"),
                pair("sign_type", "RSA2"),
                pair("timestamp", &beijing(0)),
                pair("version", "1.0"),
            ],
            body: vec![pair("biz_content", &biz.to_string())],
        }
    }

    pub(crate) fn sign(&self, ask: &mut Ask) {
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        let text = ask.canonical();
        self.key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
        ask.url.push(pair("sign", &BASE64.encode(signature)));
    }

    pub(crate) fn sign_sha1(&self, ask: &mut Ask) {
        use tilld::alipay::sign::{PrivateKey, SignType};
        let key = PrivateKey::read(self.pem.as_bytes(), SignType::Rsa).unwrap();
        let sign = key.sign(SignType::Rsa, ask.canonical().as_bytes());
        ask.url.push(pair("sign", &sign));
    }

    pub(crate) async fn call(&self, method: &str, biz: &Value) -> Option<Heard> {
        let mut ask = self.ask(method, biz);
        self.sign(&mut ask);
        self.send(&ask).await
    }

    pub(crate) async fn send(&self, ask: &Ask) -> Option<Heard> {
        self.send_raw(ask, &encode(&ask.body)).await
    }

    pub(crate) async fn send_raw(&self, ask: &Ask, body: &str) -> Option<Heard> {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        exchange(&mut stream, ask, body, true).await
    }

    /// The answer's content, verified.
    pub(crate) fn content(&self, heard: &Option<Heard>) -> Value {
        let heard = heard.as_ref().expect("an answer");
        let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&heard.body).unwrap();
        let (_, content) = raw.iter().find(|(name, _)| name.ends_with("_response")).unwrap();
        let sign: String = serde_json::from_str(raw["sign"].get()).unwrap();
        assert!(self.verifies(content.get(), &sign), "{}", heard.body);
        serde_json::from_str(content.get()).unwrap()
    }

    pub(crate) fn verifies(&self, content: &str, sign: &str) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.alipay);
        key.verify(content.as_bytes(), &BASE64.decode(sign).unwrap()).is_ok()
    }

    /// An answer in a word or two, judged against the order and amount asked
    /// about (any, if empty).
    pub(crate) fn word(&self, heard: &Option<Heard>, name: &str, amount: &str) -> String {
        let Some(heard) = heard else { return "silence".to_owned() };
        if !heard.whole {
            return "cut".to_owned();
        }
        if heard.status != 200 {
            return format!("http {}", heard.status);
        }
        let Ok(raw) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&heard.body) else {
            return "garbage".to_owned();
        };
        let (member, last) = raw.iter().find(|(name, _)| name.ends_with("_response")).unwrap();
        let quoted = format!("{}:", json!(member));
        let twice = heard.body.matches(&quoted).count() > 1;
        let content = if twice {
            // The first of them is what was signed.
            let start = heard.body.find(&quoted).unwrap() + quoted.len();
            let mut all = serde_json::Deserializer::from_str(&heard.body[start..])
                .into_iter::<Box<RawValue>>();
            all.next().unwrap().unwrap()
        } else {
            last.clone()
        };
        let trust = match raw.get("sign") {
            None => "unsigned ",
            Some(sign) => {
                let sign: String = serde_json::from_str(sign.get()).unwrap();
                let good = self.verifies(content.get(), &sign);
                if good { "" } else { "wrong signature " }
            }
        };
        let content: Value = serde_json::from_str(content.get()).unwrap();
        let text = |name: &str| content[name].as_str().unwrap_or_default();
        let other_order =
            !name.is_empty() && !matches!(text("out_trade_no"), n if n.is_empty() || n == name);
        let other_amount =
            !amount.is_empty() && !matches!(text("total_amount"), a if a.is_empty() || a == amount);
        let said = match member.as_str() {
            _ if text("code") != "10000" => format!("{} {}", text("code"), text("sub_code")),
            "alipay_trade_query_response" => text("trade_status").to_owned(),
            "alipay_trade_cancel_response" => match (text("action"), text("retry_flag")) {
                ("", "Y") => "retry".to_owned(),
                ("", _) => "no action".to_owned(),
                (action, _) => action.to_owned(),
            },
            _ => text("code").to_owned(),
        };
        let mut word = trust.to_owned();
        for (is, what) in
            [(twice, "duplicate "), (other_order, "other order "), (other_amount, "other amount ")]
        {
            word += if is { what } else { "" };
        }
        word + said.trim_end()
    }
}

pub(crate) fn pay_biz(name: &str, amount: &str, code: &str) -> Value {
    json!({
        "out_trade_no": name, "scene": "bar_code", "auth_code": code, "subject": "咖啡",
        "total_amount": amount, "product_code": "FACE_TO_FACE_PAYMENT",
    })
}

pub(crate) async fn control(
    till: &Till,
    verb: &'static str,
    path: &str,
    json: &Value,
) -> (u16, Value) {
    let mut stream = TcpStream::connect(till.addr).await.unwrap();
    let body = if json.is_null() { String::new() } else { json.to_string() };
    let head = format!(
        "{verb} /sandbox/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let heard = read(&mut stream).await.unwrap();
    (heard.status, serde_json::from_str(&heard.body).unwrap())
}

pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ask: &Ask,
    body: &str,
    last: bool,
) -> Option<Heard> {
    let head = format!(
        "{} /gateway.do?{} HTTP/1.1\r\nHost: x\r\nConnection: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        ask.verb,
        encode(&ask.url),
        if last { "close" } else { "keep-alive" },
        ask.content_type,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    read(stream).await
}

/// Reads one answer; nothing if the connection ends before it begins.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    loop {
        let head_end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let head = head_end.map(|end| String::from_utf8(bytes[..end].to_vec()).unwrap());
        let headers: BTreeMap<String, String> = head
            .iter()
            .flat_map(|head| head.lines().skip(1))
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: Option<usize> = headers.get("content-length").map(|text| text.parse().unwrap());
        let have = head_end.map(|end| bytes.len() - end - 4);
        let whole = matches!((length, have), (Some(length), Some(have)) if have >= length);
        let read = if whole { 0 } else { stream.read(&mut some).await.unwrap_or(0) };
        bytes.extend_from_slice(&some[..read]);
        let ended = !whole && read == 0;
        if whole || ended {
            let (end, head) = (head_end?, head?);
            let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
            let status = head.split(' ').nth(1)?.parse().ok()?;
            return Some(Heard { status, headers, body, whole });
        }
    }
}

pub(crate) async fn start(options: Options) -> Running {
    Sandbox::start(options).await.expect("the sandbox starts")
}

/// Waits until something is so, but not for ever.
pub(crate) async fn until(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "it never came to be");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) fn number() -> String {
    format!("T{:08}", COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn code() -> String {
    format!("280000{:012}", COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

pub(crate) fn encode(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The time since 1970, moved by so many seconds.
#[allow(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub(crate) fn since_epoch(seconds: i64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Duration::from_secs(now.as_secs().checked_add_signed(seconds).unwrap())
}

/// Beijing's date, so many seconds from here.
pub(crate) fn beijing(seconds: i64) -> String {
    let date = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let at = OffsetDateTime::from(std::time::UNIX_EPOCH) + since_epoch(seconds);
    at.to_offset(offset!(+8)).format(&date).unwrap()
}
