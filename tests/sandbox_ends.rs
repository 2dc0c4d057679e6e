//! Where the table of endings says that a right terminal arrives, this one does:
//! the core and the client of this project over TLS, on a clock that jumps from
//! deadline to deadline, and the sandbox's clock jumps along.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests count as tests")]

use std::time::{Duration, Instant};

use tilld::alipay::ask::{Ask, Expect, Pay};
use tilld::alipay::sign::{PrivateKey, PublicKey, SignType};
use tilld::alipay::{Client, Settings};
use tilld::payment::{
    AuthCode, Call, CodeMark, Event, Moment, Money, Order, Payment, Public, Rules, SecretText,
    Timestamp,
};
use tilld::sandbox::endings::{ENDINGS, Ending, Ends};
use tilld::sandbox::{Options, Running, Sandbox};

/// More steps than any payment needs that ends at all.
const STEPS_MAX: usize = 60;

#[tokio::test]
async fn a_right_terminal_ends_where_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    // Slow answers take 3 s, late pays are 0.3 s late.
    let options = Options { speed: 10.0, ..Options::new(dir.path()) };
    let running = Sandbox::start(options).await.expect("the sandbox starts");
    let client = client(&running);
    for ending in ENDINGS {
        // Everything before is history; time only ever goes forward.
        let payment = play(&running, &client, ending).await;
        let expected = match ending.ends {
            Ends::Paid => (Public::Paid, Money::Taken, 0),
            Ends::Declined => (Public::Declined, Money::None, 0),
            Ends::Closed => (Public::Cancelled, Money::None, 0),
            Ends::Returned => (Public::Cancelled, Money::Returned, 1),
            Ends::Open => (payment.public(), Money::Unknown, 0),
        };
        let trade = running.ledger().trade(&name(ending));
        let (charged, refunded) = trade.map_or((0, 0), |t| (t.charged_fen, t.refunded_fen));
        let number = ending.number;
        assert_eq!(
            (payment.public(), payment.money()),
            (expected.0, expected.1),
            "ending {number}"
        );
        match ending.ends {
            Ends::Paid => assert!(charged > 0 && refunded == 0, "ending {number}"),
            Ends::Declined | Ends::Closed => assert_eq!(charged, 0, "ending {number}"),
            Ends::Returned => assert!(charged > 0 && refunded == charged, "ending {number}"),
            Ends::Open => assert!(payment.attention.is_some(), "ending {number}"),
        }
    }
    running.stop().await;
}

fn name(ending: &Ending) -> String {
    format!("ENDS_{:02}", ending.number)
}

async fn play(running: &Running, client: &Client, ending: &Ending) -> Payment {
    let rules = Rules::default();
    let code = format!("2899{:014}", ending.number);
    let code = AuthCode::read(&SecretText::new(code)).expect("a code");
    let order = Order::new(
        name(ending).parse().unwrap(),
        format!("77.{:02}", ending.number).parse().unwrap(),
        "咖啡".to_owned(),
    );
    // How far the clocks were moved from deadline to deadline.
    let mut jumped = 0;
    running.set_skew_ms(0);
    let mut payment = Payment::requested(order, moment(jumped), &rules);
    let mut event = Event::Code(CodeMark([7; 16]));
    for _ in 0..STEPS_MAX {
        let stepped = payment.step(&event, moment(jumped), &rules).expect("a legal step");
        payment = stepped.payment;
        event = if let Some(call) = stepped.call {
            let ask = ask(call, &payment, &code);
            let answered = client.send(client.prepare(ask, moment(jumped).gateway)).await;
            if call == Call::Cancel && ending.number == 33 {
                late_pay_is_through(running, &name(ending)).await;
            }
            Event::Answered(answered)
        } else if let Some(due) = payment.due() {
            jumped += (due.millis() - moment(jumped).steady.millis()).max(0);
            running.set_skew_ms(jumped);
            if ending.number == 32 {
                late_pay_is_through(running, &name(ending)).await;
            }
            Event::Due
        } else {
            assert!(payment.is_final());
            return payment;
        };
    }
    payment
}

fn ask(call: Call, payment: &Payment, code: &AuthCode) -> Ask {
    match call {
        Call::Pay => Ask::Pay(Box::new(Pay {
            order: payment.order.clone(),
            code: code.clone(),
            time_expire: payment.pay.as_ref().expect("it was decided").time_expire,
            tag: None,
        })),
        Call::Query => Ask::Query(Expect::of(&payment.order)),
        Call::Cancel => Ask::Cancel(Expect::of(&payment.order)),
    }
}

async fn late_pay_is_through(running: &Running, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let through = || {
        let number = running.ledger().number(name);
        number.is_some_and(|n| n.history.iter().any(|one| one.method.starts_with("late")))
    };
    while !through() {
        assert!(Instant::now() < deadline, "the late pay never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "this test is its own daemon")]
fn moment(jumped: i64) -> Moment {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp(i64::try_from(now.as_millis()).unwrap() + jumped);
    Moment::undisputed(now, now, now)
}

fn client(running: &Running) -> Client {
    let folder = running.folder();
    let read = |path| std::fs::read(path).unwrap();
    Client::new(Settings {
        gateway: running.gateway(),
        app_id: running.app_id().to_owned(),
        sign_type: SignType::Rsa2,
        private_key: PrivateKey::read(&read(folder.app_private_key()), SignType::Rsa2).unwrap(),
        alipay_public_key: PublicKey::read(&read(folder.alipay_public_key()), SignType::Rsa2)
            .unwrap(),
        ca_pem: Some(read(folder.ca())),
        proxy: None,
        request_timeout: Duration::from_secs(1),
        terminal_id: "T_001".to_owned(),
        store_id: Some("NJ_001".to_owned()),
        operator_id: None,
    })
    .expect("a client")
}
