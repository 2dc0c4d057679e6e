//! What this room promises, in the order of a call's way through it.

mod envelope;
mod gateway;
mod keys;
mod link;
mod played;
mod precreate;
mod refund;
mod request;
mod told;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use super::ask::{Ask, Expect, Method, Pay, Precreate, Refund};
use super::sign::{PrivateKey, PublicKey, SignType};
use crate::payment::{AuthCode, Order, SecretText, Timestamp};

/// 2026-01-02 03:04:05 at +08:00.
const NOW: Timestamp = Timestamp(1_767_294_245_000);

/// The code on the buyer's phone; nothing that comes out may contain it.
const CANARY: &str = "28763443825664394";

fn code() -> AuthCode {
    AuthCode::read(&SecretText::new(CANARY.to_owned())).unwrap()
}

fn order() -> Order {
    Order::new("POS20260101000001".parse().unwrap(), "88.88".parse().unwrap(), "咖啡".to_owned())
}

/// A pay that is void two minutes from now.
fn pay(order: Order) -> Pay {
    Pay {
        order: Arc::new(order),
        till: None,
        code: code(),
        time_expire: NOW + Duration::from_mins(2),
        tag: None,
    }
}

/// A call for the usual order.
fn ask(method: Method) -> Ask {
    let expect = Expect::of(&order());
    match method {
        Method::Pay => Ask::Pay(Box::new(pay(order()))),
        Method::Query => Ask::Query(expect),
        Method::Cancel => Ask::Cancel(expect),
        Method::Refund => Ask::Refund(Box::new(refund())),
        Method::RefundQuery => Ask::RefundQuery(Box::new(refund().query())),
        Method::Precreate => Ask::Precreate(Box::new(precreate())),
    }
}

/// A precreate of the usual order, void two minutes from now.
fn precreate() -> Precreate {
    Precreate {
        order: Arc::new(order()),
        till: None,
        time_expire: NOW + Duration::from_mins(2),
        code_lives: Duration::from_mins(2),
        tag: Some("0123456789abcdef".to_owned()),
        notify_url: None,
    }
}

/// A refund of 12.33 yuan of the usual order's 88.88.
fn refund() -> Refund {
    Refund {
        number: order().out_trade_no,
        trade_no: Some("2026010222001455610500000001".to_owned()),
        trade_amount: order().amount,
        request: "HZ01RF001".to_owned(),
        amount: "12.33".parse().unwrap(),
        reason: Some("正常退款/部分".to_owned()),
        operator_id: None,
        till: None,
    }
}

fn app_private() -> PrivateKey {
    let pem = include_bytes!("../../../tests/vectors/keys/app_private_pkcs1.pem");
    PrivateKey::read(pem, SignType::Rsa2).unwrap()
}

fn alipay_private() -> PrivateKey {
    let pem = include_bytes!("../../../tests/vectors/keys/alipay_side_private_pkcs1.pem");
    PrivateKey::read(pem, SignType::Rsa2).unwrap()
}

fn alipay_public() -> PublicKey {
    let pem = include_bytes!("../../../tests/vectors/keys/alipay_side_public.pem");
    PublicKey::read(pem, SignType::Rsa2).unwrap()
}

/// `content` as the gateway would answer it.
fn signed_by(key: &PrivateKey, member: &str, content: &str) -> String {
    let sign = key.sign(SignType::Rsa2, content.as_bytes());
    format!("{{\"{member}\":{content},\"sign\":\"{sign}\"}}")
}
