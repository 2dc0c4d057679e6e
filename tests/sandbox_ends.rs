//! Where the table of endings says that a right terminal arrives, this one does:
//! the core and the client of this project over TLS, on a clock that jumps from
//! deadline to deadline, and the sandbox's clock jumps along.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests count as tests"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tilld::alipay::ask::{self, Ask, Expect, Pay, Refund};
use tilld::alipay::sign::{PrivateKey, PublicKey, SignType};
use tilld::alipay::{Client, Gateway, Settings};
use tilld::payment::{
    Answer, Answered, AuthCode, Call, CancelAnswer, CodeMark, Event, Fen, Happened, Moment, Money,
    Order, PayAnswer, Payment, Public, QueryAnswer, Reason, RefundAnswer, RefundCause,
    RefundQueryAnswer, Rules, SecretText, State, Tag, Timestamp,
};
use tilld::sandbox::endings::{Back, BackEnds, ENDINGS, Ending, Ends, REFUND_ENDINGS};
use tilld::sandbox::{Elsewhere, Fault, Habits, Options, Running, Sandbox};

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
            Ends::Open => assert!(payment.attention().is_some(), "ending {number}"),
        }
    }
    running.stop().await;
}

/// Gives back as a right terminal does, as far as it can be told without one: it
/// asks whenever it does not know, asks again for what is not done, under one
/// number, and believes no refusal before it has asked.
#[tokio::test]
async fn a_refund_ends_where_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { speed: 10.0, ..Options::new(dir.path()) };
    let running = Sandbox::start(options).await.expect("the sandbox starts");
    let client = client(&running);
    for ending in REFUND_ENDINGS {
        let name = format!("BACK_{:02}", ending.number);
        let paid = tell(&client, Call::Pay, &name).await;
        let Answer::Pay(PayAnswer::Paid(trade)) = paid.answer else { panic!("{paid:?}") };
        let refund = Refund {
            number: name.parse().unwrap(),
            trade_no: trade.trade_no,
            trade_amount: "1.00".parse().unwrap(),
            request: format!("{name}_R1"),
            amount: "0.40".parse().unwrap(),
            reason: Some(format!("66.{:02}", ending.number)),
            operator_id: None,
            till: None,
        };
        let ends = give_back(&running, &client, &refund, ending.refund == Back::Late).await;
        assert_eq!(ends, ending.ends, "ending {}", ending.number);
        let trade = running.ledger().trade(&name).expect("a trade");
        let ours = trade.refunds.iter().filter(|one| one.out_request_no == refund.request);
        let ours: Vec<u64> = ours.map(|one| one.fen).filter(|fen| *fen == 40).collect();
        match ends {
            BackEnds::Returned => assert_eq!(ours, [40], "ending {}", ending.number),
            BackEnds::Refused => assert!(ours.is_empty(), "ending {}", ending.number),
            BackEnds::Open => {}
        }
    }
    running.stop().await;
}

async fn give_back(running: &Running, client: &Client, refund: &Refund, late: bool) -> BackEnds {
    let now = || moment(0).gateway;
    for _ in 0..10 {
        let ask = Ask::Refund(Box::new(refund.clone()));
        let answered = client.send(client.prepare(ask, now())).await;
        let Answer::Refund(answer) = answered.answer else { panic!("{answered:?}") };
        if matches!(answer, RefundAnswer::Done(_)) {
            return BackEnds::Returned;
        }
        if late {
            late_one_is_through(running, refund.number.as_str()).await;
        }
        let ask = Ask::RefundQuery(Box::new(refund.query()));
        let answered = client.send(client.prepare(ask, now())).await;
        let Answer::RefundQuery(told) = answered.answer else { panic!("{answered:?}") };
        match (told, answer) {
            (RefundQueryAnswer::Done(_), _) => return BackEnds::Returned,
            (RefundQueryAnswer::Foreign(_), _)
            | (RefundQueryAnswer::NotDone, RefundAnswer::Refused(_)) => return BackEnds::Refused,
            (RefundQueryAnswer::NotDone | RefundQueryAnswer::Unknown(_), _) => {}
        }
    }
    BackEnds::Open
}

/// What the gateway's other habits sound like to this project's own client.
#[tokio::test]
async fn what_a_gateway_adds_spoils_or_leaves_out_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let running = Sandbox::start(Options::new(dir.path())).await.expect("the sandbox starts");
    let client = client(&running);
    let near = |off: Option<i64>, time: Option<i64>| match (off, time) {
        (Some(off), Some(time)) => off.abs_diff(time) < 60_000,
        (off, time) => off == time,
    };
    let plain = Fault::default;
    let never = Timestamp(253_402_300_799_000);
    for (number, fault, time) in [
        (1, Fault { extra_member: true, ..plain() }, Some(0)),
        (2, Fault { bad_text: true, ..plain() }, Some(0)),
        (3, Fault { date: Some(String::new()), ..plain() }, None),
        (
            4,
            Fault { date: Some("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()), ..plain() },
            Some(never.millis() - moment(0).wall.millis()),
        ),
    ] {
        running.fault(fault).expect("it makes sense");
        let answered = tell(&client, Call::Pay, &format!("HABIT_{number}")).await;
        let Answer::Pay(PayAnswer::Paid(trade)) = &answered.answer else {
            panic!("{number}: {answered:?}")
        };
        assert!(trade.paid_at.is_some() && trade.said.fund_bill_list.is_some(), "{trade:?}");
        let off = answered.gateway_time.map(|at| at.millis() - moment(0).wall.millis());
        assert!(near(off, time), "{number}: {off:?}");
    }
    for (habits, time) in [
        (Habits { no_date: true, ..Habits::default() }, None),
        (Habits { date_skew_ms: -7_200_000, ..Habits::default() }, Some(-7_200_000_i64)),
    ] {
        running.set_habits(habits);
        let answered = tell(&client, Call::Query, "HABIT_1").await;
        let off = answered.gateway_time.map(|at| at.millis() - moment(0).wall.millis());
        assert!(near(off, time), "{habits:?}: {off:?}");
    }
    running.stop().await;
}

/// Two tills of one merchant use one number.
#[tokio::test]
async fn the_trade_of_another_till_is_seen_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let running = Sandbox::start(Options::new(dir.path())).await.expect("the sandbox starts");
    let client = client(&running);
    let theirs = |name: &str, subject: &str| Elsewhere {
        out_trade_no: name.to_owned(),
        total_amount: "1.00".to_owned(),
        subject: subject.to_owned(),
        passback_params: Some("theirs".to_owned()),
        paid: true,
        ago_ms: 600_000,
    };
    for (name, subject) in [("PAID", "咖啡"), ("OTHER_CONTENT", "茶")] {
        running.elsewhere(&theirs(name, subject)).expect("a trade");
        assert!(running.elsewhere(&theirs(name, subject)).is_err(), "there is one");
        let answered = tell(&client, Call::Pay, name).await;
        assert!(matches!(answered.answer, Answer::Pay(PayAnswer::Repeated(_))), "{answered:?}");
    }

    let query = async || {
        let answered = tell(&client, Call::Query, "PAID").await;
        let Answer::Query(QueryAnswer::Paid(trade)) = answered.answer else {
            panic!("{answered:?}")
        };
        trade
    };
    let trade = query().await;
    let ago = moment(0).wall.millis() - trade.paid_at.expect("a date").millis();
    assert!((590_000..660_000).contains(&ago), "{ago}");
    assert_eq!(trade.tag.as_deref(), Some("theirs"));
    running.set_habits(Habits { echo: false, ..Habits::default() });
    assert_eq!(query().await.tag, None);
    running.set_habits(Habits::default());

    // A cancel that does nothing.
    let method = Some("cancel".to_owned());
    running.fault(Fault { method, no_action: true, ..Fault::default() }).expect("makes sense");
    let answered = tell(&client, Call::Cancel, "PAID").await;
    assert_eq!(answered.answer, Answer::Cancel(CancelAnswer::NoAction));
    let trade = running.ledger().trade("PAID").expect("a trade");
    assert_eq!((trade.charged_fen, trade.refunded_fen), (100, 0));

    // Ours comes back with what we sent along.
    assert!(matches!(
        tell(&client, Call::Pay, "OURS").await.answer,
        Answer::Pay(PayAnswer::Paid(_))
    ));
    let Answer::Query(QueryAnswer::Paid(trade)) = tell(&client, Call::Query, "OURS").await.answer
    else {
        panic!("not paid")
    };
    assert_eq!(trade.tag.as_deref(), Some("0123456789abcdef"));
    running.stop().await;
}

/// Asks about one yuan under this number.
async fn tell(client: &Client, call: Call, name: &str) -> Answered {
    let now = moment(0).gateway;
    let amount = "1.00".parse().unwrap();
    let order = Order::new(name.parse().unwrap(), amount, "咖啡".to_owned());
    let ask = match call {
        Call::Pay => {
            // Another code for each name.
            let sum = name.bytes().fold(0_u64, |sum, b| (sum * 31 + u64::from(b)) % 100_000_000);
            let code = format!("2899{sum:014}");
            Ask::Pay(Box::new(Pay {
                order: Arc::new(order),
                code: AuthCode::read(&SecretText::new(code)).expect("a code"),
                time_expire: now + Duration::from_mins(2),
                tag: Some("0123456789abcdef".to_owned()),
                till: None,
            }))
        }
        Call::Query => Ask::Query(Expect::of(&order)),
        Call::Cancel => Ask::Cancel(Expect::of(&order)),
        Call::Precreate | Call::Refund | Call::RefundQuery => unreachable!("asked elsewhere"),
    };
    client.send(client.prepare(ask, now)).await
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
    let mut event = Event::Code(CodeMark([7; 16]), Tag(1));
    for _ in 0..STEPS_MAX {
        let stepped = payment.step(&event, moment(jumped), &rules).expect("a legal step");
        payment = stepped.payment;
        event = if let Some(call) = stepped.call {
            let ask = asked(call, &payment, &code);
            let answered = client.send(client.prepare(ask, moment(jumped).gateway)).await;
            if call == Call::Cancel && ending.number == 33 {
                late_one_is_through(running, &name(ending)).await;
            }
            Event::Answered(answered)
        } else if let Some(due) = payment.due() {
            jumped += (due.millis() - moment(jumped).steady.millis()).max(0);
            running.set_skew_ms(jumped);
            if ending.number == 32 {
                late_one_is_through(running, &name(ending)).await;
            }
            Event::Due
        } else if payment.state() == State::Owing {
            Event::GaveBack(give_back_what_is_owed(client, &payment).await)
        } else {
            assert!(payment.is_final());
            return payment;
        };
    }
    payment
}

/// What a payment owes goes back by a refund of its own.
async fn give_back_what_is_owed(client: &Client, payment: &Payment) -> Result<(), Reason> {
    let start = moment(0);
    let mut refund = tilld::payment::Refund::own(payment.clone(), RefundCause::Undo, Fen(0), start);
    let (mut happened, mut now) = (Happened::Requested, start);
    for _ in 0..STEPS_MAX {
        let turn = refund.step(&happened, now).expect("a legal step");
        refund = turn.refund;
        let number = refund.of().clone();
        let (request, amount) = (refund.asked().request.to_string(), refund.asked().amount);
        let ask = match turn.call {
            Some(Call::Query) => Ask::Query(Expect::of(payment.order())),
            Some(Call::Refund) => Ask::Refund(Box::new(ask::Refund {
                number,
                trade_no: None,
                trade_amount: payment.order().amount,
                request,
                amount,
                reason: None,
                operator_id: None,
                till: None,
            })),
            Some(Call::RefundQuery) => Ask::RefundQuery(Box::new(ask::RefundQuery {
                number,
                trade_no: None,
                trade_amount: payment.order().amount,
                request,
                amount,
            })),
            Some(call) => panic!("{call:?} of a refund"),
            None if refund.is_final() => break,
            None => {
                let due = refund.due().expect("it rests");
                now = Moment { steady: due, ..now };
                happened = Happened::Due;
                continue;
            }
        };
        happened = Happened::Answered(client.send(client.prepare(ask, now.gateway)).await);
    }
    assert!(refund.is_final(), "{:?}", refund.stage());
    refund.refusal().map_or(Ok(()), |reason| Err(reason.clone()))
}

fn asked(call: Call, payment: &Payment, code: &AuthCode) -> Ask {
    match call {
        Call::Pay => Ask::Pay(Box::new(Pay {
            order: payment.order().clone(),
            code: code.clone(),
            time_expire: payment.offer().expect("it was decided").time_expire,
            tag: payment.offer().and_then(|offer| offer.tag).map(|tag| tag.to_string()),
            till: payment.till().cloned(),
        })),
        Call::Query => Ask::Query(Expect::of(payment.order())),
        Call::Cancel => Ask::Cancel(Expect::of(payment.order())),
        Call::Precreate | Call::Refund | Call::RefundQuery => {
            unreachable!("by code it asks for none")
        }
    }
}

async fn late_one_is_through(running: &Running, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let through = || {
        let number = running.ledger().number(name);
        number.is_some_and(|n| n.history.iter().any(|one| one.method.starts_with("late")))
    };
    while !through() {
        assert!(Instant::now() < deadline, "what was late never came");
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
        gateway: Gateway::read(&running.gateway()).expect("an address"),
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
