//! Calls are signed while their entries are being written, and nothing of them
//! leaves before those are on disk.

use std::fs;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tilld::sandbox::Options;

use crate::http;
use crate::till::{Daemon, Gateway, Shop, is, outcome, until, with_code};
use crate::world::World;

/// A disk that hangs, and a pay whose entry waits for it.
struct Waiting {
    world: World,
    daemon: Daemon,
    /// The register's connection, which it keeps open.
    _register: UnixStream,
}

impl Waiting {
    fn of(shop: &Shop, number: &str) -> Self {
        let world = World::of(shop);
        let daemon = shop.start_with(world.around(shop.command()));
        daemon.until_ready();
        world.disk_hangs(true);
        let mut register = http::unix(&shop.socket()).expect("connected");
        let path = format!("/v1/payments/{number}");
        http::send(&mut register, "PUT", &path, "", &with_code("1.00").to_string()).expect("sent");
        // A request of no use is told that one is under way, and the loop has that
        // one before the next is answered.
        for _ in 0..2 {
            until("the loop has the request", || {
                let told = daemon.put(number, &json!({ "amount": "nothing" }));
                (told.expect(told.status)["money"] != "none").then_some(())
            });
        }
        Self { world, daemon, _register: register }
    }
}

/// When the gateway last answered anything.
fn last_answer(daemon: &Daemon) -> Value {
    daemon.status()["gateway"]["last_answer_at"].clone()
}

/// Bug to plant: send what is ready in `Loop::write`.
#[test]
fn a_signed_pay_does_not_leave_before_its_entry_is_on_disk() {
    let shop = Shop::usual();
    let Waiting { world, daemon, .. } = Waiting::of(&shop, "SIGNED");
    // Whatever left would have left before these questions.
    let before = last_answer(&daemon);
    until("the gateway has answered something else", || {
        daemon.signal(Signal::SIGHUP);
        (last_answer(&daemon) != before).then_some(())
    });
    assert_eq!(shop.requests("SIGNED", "pay"), 0, "nothing of it is on disk");
    world.disk_hangs(false);
    until("it is on disk", || (daemon.get("/v1/payments/SIGNED").status == 200).then_some(()));
    assert_eq!(outcome(&daemon.settled("SIGNED")), is("paid", "taken", ""));
    assert_eq!(shop.requests("SIGNED", "pay"), 1);
}

/// Bug to plant: let `Ready::if_good` take it whoever has signed it.
#[test]
fn a_pay_that_was_signed_with_a_key_of_before_is_signed_anew() {
    let shop = Shop::usual();
    let Waiting { world, daemon, .. } = Waiting::of(&shop, "RENEWED");
    let stranger = shop.path("stranger");
    drop(Gateway::open(Options::new(stranger.clone())));
    let key = fs::read(stranger.join("app_private_key.pem")).expect("a key");
    fs::write(shop.path("sandbox/app_private_key.pem"), key).expect("in place of the old");
    until("the key is another", || {
        daemon.signal(Signal::SIGHUP);
        daemon.log().contains("the keys have changed").then_some(())
    });
    world.disk_hangs(false);
    // The gateway does not know this key; under the old signature it would be paid.
    let answered = until("the pay is answered", || {
        let log = daemon.log();
        let of_pay = |line: &&str| line.contains("RENEWED") && line.contains("pay_answered");
        log.lines().find(of_pay).map(str::to_owned)
    });
    assert!(answered.contains("isv.invalid-signature"), "{answered}");
    assert_eq!(shop.money("RENEWED"), (0, 0));
    daemon.kill();
}
