//! Every ending of a refund in the sandbox's table, all at once through one daemon.

use std::thread;

use serde_json::{Value, json};
use tilld::sandbox::endings::{BackEnds, REFUND_ENDINGS, RefundEnding};

use crate::till::{Daemon, Setup, Shop, until, with_code};

/// The merchant's account is filled after more than a minute, which another test
/// lets pass.
const TAKES_LONG: u8 = 9;

/// Refused behind a lost answer: the lost one may be on its way for a quarter of an
/// hour, which the machine's own tests let pass.
const MAY_BE_ON_ITS_WAY: u8 = 17;

#[test]
fn every_ending_of_a_refund_through_the_api() {
    // Slow answers take three seconds, and are not waited for.
    let shop = Shop::open(Setup { request_timeout: "2s", ..Setup::default() });
    let daemon = shop.start();
    let failed: Vec<u8> = thread::scope(|scope| {
        let play = |ending: &'static RefundEnding| {
            let (shop, daemon) = (&shop, &daemon);
            (ending.number, scope.spawn(move || play(shop, daemon, ending)))
        };
        let endings = REFUND_ENDINGS.iter().filter(|ending| ending.number != TAKES_LONG);
        let all: Vec<_> = endings.map(play).collect();
        all.into_iter().filter_map(|(number, one)| one.join().err().map(|_| number)).collect()
    });
    assert_eq!(failed, [0_u8; 0], "endings that went wrong; see above");
    let open = REFUND_ENDINGS.iter().filter(|ending| ending.ends == BackEnds::Open).count();
    assert_eq!(daemon.status()["open_payments"], open + 1, "and the one that may be on its way");
    daemon.stop();
    let report = tilld::journal::verify(&shop.journal(), None).expect("a sound journal");
    assert_eq!((report.payments, report.open), (REFUND_ENDINGS.len() as u64 - 1, 0));
}

fn play(shop: &Shop, daemon: &Daemon, ending: &RefundEnding) {
    let number = format!("BACK_{:02}", ending.number);
    // As a register does: one of these closes the door for a moment.
    let ask = |path: &str, body: &Value| {
        until("it is taken", || {
            let reply = daemon.put(path, body);
            assert!([201, 503].contains(&reply.status), "{reply:?}");
            (reply.status == 201).then(|| reply.json())
        })
    };
    ask(&format!("{number}?wait=60"), &with_code("100.00"));
    let reason = format!("66.{:02} 凉了", ending.number);
    let body = json!({ "amount": "40.00", "reason": reason });
    let refund = ask(&format!("{number}/refunds/R1"), &body);
    assert_eq!(refund["out_request_no"], "R1");
    let given_back = |shop: &Shop| {
        let all = shop.given_back(&number);
        all.iter().filter(|(request, fen)| request == "R1" && *fen == 40_00).count()
    };
    match ending.ends {
        BackEnds::Returned => {
            let refund = daemon.refund_settled(&number, "R1");
            assert_eq!(refund["state"], "refunded", "{refund}");
            assert!(refund["refusal"].is_null() && refund["attention"].is_null(), "{refund}");
            assert_eq!(given_back(shop), 1);
            let payment = daemon.payment(&number);
            assert_eq!(
                (&payment["refunded_amount"], &payment["money"]),
                (&json!("40.00"), &json!("taken"))
            );
            // The rest may follow.
            let path = format!("{number}/refunds/R2?wait=60");
            let rest = ask(&path, &json!({ "amount": "60.00" }));
            assert_eq!(rest["state"], "refunded", "{rest}");
            assert_eq!(shop.money(&number), (10_000, 10_000));
        }
        BackEnds::Refused => {
            let refund = until("it is refused", || {
                let refund = daemon.refund(&number, "R1");
                let is_over = refund["final"] == true || ending.number == MAY_BE_ON_ITS_WAY;
                (is_over && shop.requests(&number, "fastpay.refund.query") > 0).then_some(refund)
            });
            assert_ne!(refund["state"], "refunded", "{refund}");
            if ending.number != MAY_BE_ON_ITS_WAY {
                assert_eq!(refund["state"], "refused", "{refund}");
                assert!(refund["refusal"]["message"].is_string(), "{refund}");
            }
            assert_eq!(given_back(shop), 0);
            assert_eq!(daemon.payment(&number)["refunded_amount"], "0.00");
        }
        BackEnds::Open => {
            let refund = until("it has been asked about", || {
                let asked = shop.requests(&number, "fastpay.refund.query") > 0;
                asked.then(|| daemon.refund(&number, "R1"))
            });
            assert_eq!((&refund["state"], &refund["final"]), (&json!("processing"), &json!(false)));
            assert_eq!(daemon.payment(&number)["money"], "taken");
        }
    }
    // Under one number, whatever happens.
    let held = shop.gateway().ledger().number(&number).expect("known");
    let numbers: Vec<&String> = held.requested.keys().collect();
    assert!(numbers.iter().all(|number| ["R1", "R2"].contains(&number.as_str())), "{numbers:?}");
}
