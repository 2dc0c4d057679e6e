//! A gateway that is not there, and one that comes back.

use std::net::{Ipv6Addr, SocketAddr};

use serde_json::json;

use crate::till::{Setup, Shop, is, outcome, until, with_code};

/// An address that no other test's sandbox takes while this one's is closed.
fn setup() -> Setup {
    Setup { listen: SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), ..Setup::default() }
}

#[test]
fn nothing_is_sent_when_nobody_is_there() {
    let mut shop = Shop::open(Setup { timeout: "1s", ..setup() });
    let daemon = shop.start();
    daemon.until_ready();
    shop.close_gateway();
    let mut events = daemon.events(Some(0));
    let payment = daemon.pay("NOBODY", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&payment), is("cancelled", "none", "none"), "{payment}");
    let seen = events.until(|event| event.name == "gateway" && event.data["up"] == false);
    let gateway = &seen.last().unwrap().data;
    assert_eq!(gateway["up"], false);
    assert!(gateway["reason"].is_string(), "{gateway}");
    let status = daemon.status();
    assert_eq!(status["gateway"]["state"], "down", "{status}");
    assert!(status["gateway"]["trouble"].is_string(), "{status}");

    shop.open_gateway();
    let paid = daemon.pay("SOMEBODY", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    assert_eq!(daemon.status()["gateway"]["state"], "up");
    events.until(|event| event.name == "gateway" && event.data["up"] == true);
    assert!(shop.gateway().ledger().number("NOBODY").is_none());
}

#[test]
fn a_gateway_that_comes_back_settles_what_is_open() {
    let mut shop =
        Shop::open(Setup { timeout: "4s", expire_after: "4s", request_timeout: "2s", ..setup() });
    let daemon = shop.start();
    daemon.put("WAITS", &with_code("77.04")).expect(201);
    daemon.until_state("WAITS", "awaiting_buyer");
    shop.close_gateway();
    until("the gateway is down", || (daemon.status()["gateway"]["state"] == "down").then_some(()));
    // The window closes meanwhile: the money will not be kept, and nobody knows
    // yet whether there is any.
    let payment = daemon.until_state("WAITS", "cancelling");
    assert_eq!((&payment["money"], &payment["final"]), (&json!("unknown"), &json!(false)));
    shop.open_gateway();
    assert_eq!(outcome(&daemon.settled("WAITS")), is("cancelled", "none", "close"));
    assert_eq!(daemon.status()["gateway"]["state"], "up");
    assert_eq!(shop.money("WAITS"), (0, 0));
}
