//! `till pay`, `till code`, `till cancel`: what is asked for, and under which
//! name.
//!
//! The same request may be sent any number of times: it names its order, or its
//! sale, so a lost connection is answered by asking again.

use std::time::Duration;

use crate::api::MoneyView as Money;
use crate::api::client::{Client, SecretText};

use super::Exit;
use super::args::{PayArgs, seconds};
use super::out::Out;
use super::wait::{OnInterrupt, PayBody, Wait};
use super::words;

/// Takes a payment.
pub(super) async fn pay(client: &Client, out: &Out, args: &PayArgs) -> Exit {
    let number = match (&args.order, &args.sale) {
        (Some(order), _) => Some(order.clone()),
        (None, Some(_)) => None,
        // Made before anything is sent, so that a lost request can be repeated.
        (None, None) => match fresh_number() {
            Ok(number) => {
                out.say(words::ORDER_IS, &[&number]);
                Some(number)
            }
            Err(why) => {
                out.say(words::NO_RANDOM, &[&why]);
                return Exit::None;
            }
        },
    };
    // A number of the register's own, or a sale, may have an earlier request
    // behind it; a fresh number certainly has none.
    let untouched = args.order.is_none() && args.sale.is_none();
    let body = PayBody {
        amount: &args.amount,
        subject: &args.subject,
        method: args.qr.then_some("qr"),
        auth_code: args.code.as_ref().map(SecretText::reveal),
        scanner: args.scanner.as_deref(),
        sale: args.sale.as_deref(),
        timeout: args.timeout,
    };
    let mut wait = match Wait::new(client, out, number, seconds(args.wait), OnInterrupt::Cancel) {
        Ok(wait) => wait,
        Err(exit) => return exit,
    };
    wait.window = args.timeout.map(Duration::from_secs);
    if !args.qr {
        wait.take_typing();
    }
    let end = match wait.begin(&body).await {
        Ok(()) => wait.follow().await,
        Err(end) => end,
    };
    let money = if untouched { Money::None } else { Money::Unknown };
    wait.finish(end, money)
}

/// Gives a waiting payment its code.
pub(super) async fn code(
    client: &Client,
    out: &Out,
    order: &str,
    code: &SecretText,
    length: Option<Duration>,
) -> Exit {
    let number = Some(order.to_owned());
    let mut wait = match Wait::new(client, out, number, length, OnInterrupt::Leave) {
        Ok(wait) => wait,
        Err(exit) => return exit,
    };
    let end = match wait.give(code).await {
        Ok(()) => wait.follow().await,
        Err(end) => end,
    };
    wait.finish(end, Money::Unknown)
}

/// Cancels a payment.
pub(super) async fn cancel(
    client: &Client,
    out: &Out,
    order: &str,
    length: Option<Duration>,
) -> Exit {
    let number = Some(order.to_owned());
    let mut wait = match Wait::new(client, out, number, length, OnInterrupt::Leave) {
        Ok(wait) => wait,
        Err(exit) => return exit,
    };
    let end = match wait.ask_to_cancel().await {
        Ok(()) => wait.follow().await,
        Err(end) => end,
    };
    wait.finish(end, Money::Unknown)
}

/// A number that nobody else makes: 128 random bits.
pub(super) fn fresh_number() -> Result<String, String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|why| why.to_string())?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_number_is_a_merchant_order_number() {
        let (one, other) = (fresh_number().expect("random"), fresh_number().expect("random"));
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }
}
