//! What this room promises, in the order of a call's way through it.

mod envelope;
mod gateway;
mod keys;
mod played;
mod request;
mod verdict;

use std::time::Duration;

use super::sign::{PrivateKey, PublicKey, SignType};
use crate::payment::{
    AuthCode, CodeMark, Event, Moment, Order, Payment, Rules, SecretText, Timestamp,
};

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

/// A payment whose pay was decided.
fn payment(order: Order) -> Payment {
    let now = Moment::undisputed(Timestamp(5_000), NOW, NOW);
    let rules = Rules { expire_after: Duration::from_mins(2), ..Rules::default() };
    let requested = Payment::requested(order, now, &rules);
    requested.step(&Event::Code(CodeMark([7; 16])), now, &rules).unwrap().payment
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
