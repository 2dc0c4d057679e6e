//! What is shown: payments, the terminal, events, help; on terminals and pipes.

use std::process::Stdio;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use serde_json::{Value, json};

use crate::PAY;
use crate::fake::{Act, Fake, Seen, until};
use crate::run::{both_languages, command, end, golden, interrupt, shown, start, till};
use crate::says::*;

fn shop(request: &Seen) -> Act {
    let status = json!({
        "version": "0.0.9", "uptime": 93784, "stopping": false, "open_payments": 2,
        "scanners": [
            {"id": "lane-1", "kind": "serial", "device": "/dev/ttyACM0", "present": true,
             "last_news": null},
            {"id": "收银台二", "kind": "evdev", "device": "/dev/input/by-id/x", "present": false,
             "last_news": "No such file"},
        ],
        "gateway": {"state": "down", "trouble": "dns error", "clock_skew_ms": -42_400},
        "keys": {"state": "app_key_wrong", "trouble": {"zh": "核对 app_id", "en": "see that app_id is right"}},
        "journal": {"writable": true, "path": "/var/lib/tilld/journal.db"},
    });
    let mut stuck = cancelling("B7");
    stuck["attention"] = json!({"zh": "迟迟没有结果", "en": "Not settled for long"});
    stuck["subject"] = json!("a long subject: \u{1b}[31mtea, cake and everything else");
    match request.path.as_str() {
        "/v1/status" => say(&status),
        "/v1/payments/A1" => say(&paid("A1")),
        "/v1/payments/A2" => say(&awaiting_code("A2")),
        "/v1/payments/A3" => say(&declined("A3")),
        "/v1/payments/B7" => say(&stuck),
        "/v1/payments/A5" => say(&paid_less("A5", "5.00")),
        "/v1/payments/A5/refunds" => {
            let mut late = refunding("A5", "R2");
            late["amount"] = json!("13.50");
            late["attention"] = json!({"zh": "商家支付宝账户余额不足。请充值，终端会继续重试",
                "en": "The merchant's account has not enough. Top it up; the terminal goes on trying"});
            say(&json!({"refunds": [refunded("A5", "R1"), late, refused("A5", "R3")]}))
        }
        "/v1/payments/A1/journal" => say(&json!({"entries": [
            {"seq": 7, "at": "2026-11-20T10:00:00+08:00", "step": "requested", "answered": null,
             "auth_code": "28**************94", "sent": {"method": "alipay.trade.pay"}},
            {"seq": 12, "at": "2026-11-20T10:00:02.345+08:00", "step": "pay_answered",
             "answered": {"verdict": "paid", "code": "10000", "sub_code": null, "msg": "Success",
                          "trade_no": "2026112122001179329336497050"}},
        ]})),
        "/v1/payments?limit=3" => say(&json!({
            "payments": [stuck, declined("A3"), paid("A1")], "next_cursor": "c9"
        })),
        "/v1/payments?limit=2" => say(&json!({
            "payments": [paid_less("A6", "88.88"), paid_less("A5", "5.00")], "next_cursor": null
        })),
        "/v1/payments?state=open&limit=500" => {
            say(&json!({"payments": [stuck, awaiting_code("A2")], "next_cursor": null}))
        }
        _ => problem(404, "not_found", "unknown", None, "没有这笔付款", "There is no such payment"),
    }
}

#[test]
fn looking_shows_what_there_is() {
    for (name, arguments, code) in [
        ("show.txt", &["show", "A1"][..], 0),
        ("show-steps.txt", &["show", "A1", "--steps"], 0),
        ("show-refunds.txt", &["show", "A5"], 0),
        ("show-declined.txt", &["show", "A3"], 10),
        ("show-stuck.txt", &["show", "B7"], 20),
        ("show-awaiting-code.txt", &["show", "A2"], 20),
        ("show-not-found.txt", &["show", "../A9?x"], 20),
        ("list.txt", &["list", "--limit", "3"], 0),
        ("list-refunds.txt", &["list", "--limit", "2"], 0),
        ("status.txt", &["status"], 0),
        ("scanners.txt", &["scanners", "--sysroot", "/none"], 0),
        ("doctor.txt", &["doctor"], 1),
    ] {
        for ran in both_languages(name, arguments, || Fake::new(shop)) {
            assert_eq!(ran.code, code, "{name}");
        }
        let fake = Fake::new(shop);
        let ran = till(&fake.socket(), &[arguments, &["--json"]].concat());
        assert_eq!(ran.code, code, "{name} in JSON");
        assert!(ran.json().is_object(), "{name}");
    }
    let shown = till(&Fake::new(shop).socket(), &["show", "A5", "--json"]).json();
    assert_eq!(
        (&shown["out_trade_no"], &shown["refunds"][1]["amount"]),
        (&json!("A5"), &json!("13.50"))
    );
    let fake = Fake::new(shop);
    let with_steps = till(&fake.socket(), &["show", "A1", "--steps", "--json"]).json();
    assert_eq!(
        (&with_steps["out_trade_no"], &with_steps["entries"][1]["seq"]),
        (&json!("A1"), &json!(12))
    );
}

/// Bug to plant: show the first part for the whole.
#[test]
fn the_steps_of_a_payment_are_shown_to_the_last_part() {
    let fake = Fake::new(|request: &Seen| {
        let part = |seq: u32, next: Value| {
            let at = "2026-11-20T10:00:00+08:00";
            say(
                &json!({ "entries": [{ "seq": seq, "at": at, "step": "due" }], "next_cursor": next }),
            )
        };
        match request.path.as_str() {
            "/v1/payments/A1/journal" => part(7, json!("c7")),
            "/v1/payments/A1/journal?cursor=c7" => part(9, json!("c9")),
            "/v1/payments/A1/journal?cursor=c9" => part(12, Value::Null),
            _ => say(&paid("A1")),
        }
    });
    let shown = till(&fake.socket(), &["show", "A1", "--steps", "--json"]).json();
    let steps: Vec<_> = shown["entries"].as_array().unwrap().iter().map(|e| &e["seq"]).collect();
    assert_eq!(steps, [7, 9, 12]);
    assert_eq!(shown.get("next_cursor"), None, "there is no next part");
    let shown = till(&fake.socket(), &["show", "A1", "--steps", "--lang", "en"]);
    assert_eq!(shown.out.matches("  due").count(), 3, "{shown:?}");
}

#[test]
fn a_sound_terminal_has_no_fault() {
    let sound = || {
        Fake::new(|request| match request.path.as_str() {
            "/v1/status" => say(&json!({
                "version": env!("CARGO_PKG_VERSION"), "uptime": 60,
                "scanners": [{"id": "lane-1", "kind": "serial", "device": "d", "present": true}],
                "gateway": {"state": "up", "clock_skew_ms": 200}, "keys": {"state": "proven"}, "journal": {"writable": true},
                "open_payments": 0,
            })),
            _ => say(&json!({"payments": [], "next_cursor": null})),
        })
    };
    for ran in both_languages("doctor-sound.txt", &["doctor"], sound) {
        assert_eq!(ran.code, 0);
    }
    for ran in both_languages("list-empty.txt", &["list"], sound) {
        assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    }
    for ran in both_languages("status-sound.txt", &["status"], sound) {
        assert_eq!(ran.code, 0);
    }
}

/// Thirty-two hex digits are nothing to type.
#[test]
fn a_payment_is_found_by_how_its_number_begins() {
    let numbers = ["7f3a01", "7f3b02", "91c003"];
    let fake = || {
        Fake::new(move |request: &Seen| {
            if let Some(query) = request.path.strip_prefix("/v1/payments?limit=") {
                let count = query.parse().unwrap_or(0);
                let views: Vec<Value> = numbers.iter().take(count).map(|n| paid(n)).collect();
                return say(&json!({"payments": views, "next_cursor": null}));
            }
            match numbers.iter().find(|number| request.path.ends_with(&format!("/{number}"))) {
                Some(number) => say(&paid(number)),
                None => problem(404, "not_found", "unknown", None, "没有", "No such payment"),
            }
        })
    };
    for (typed, found) in [
        ("91", Some("91c003")),
        ("7f3a", Some("7f3a01")),
        ("7f3b02", Some("7f3b02")),
        ("last", Some("7f3a01")),
        // Two of them; none of them.
        ("7f3", None),
        ("8", None),
    ] {
        let fake = fake();
        let ran = till(&fake.socket(), &["show", typed, "--json"]);
        assert_eq!(ran.code, if found.is_some() { 0 } else { 20 }, "{typed}: {ran:?}");
        assert_eq!(ran.json()["out_trade_no"].as_str(), found, "{typed}");
    }
}

#[test]
fn payments_since_a_day_are_asked_for_by_the_time_at_which_it_began() {
    let fake = Fake::new(|_| say(&json!({"payments": [], "next_cursor": null})));
    till(&fake.socket(), &["list", "--since", "2026-11-27"]);
    assert_eq!(fake.lines(), ["GET /v1/payments?since=2026-11-27T00%3A00%3A00%2B08%3A00"]);
    let ran = till(&fake.socket(), &["list", "--since", "yesterday"]);
    assert_eq!((ran.code, fake.lines().len()), (2, 1), "{ran:?}");
    assert!(ran.err.contains("2026-11-20"), "{ran:?}");
}

#[test]
fn the_doctor_tells_what_keeps_the_socket_shut() {
    for ran in both_languages("doctor-absent.txt", &["doctor"], Fake::absent) {
        assert_eq!(ran.code, 1);
    }
    let nonsense = || Fake::new(|_| Act::Say(200, "<html>".to_owned()));
    for ran in both_languages("doctor-nonsense.txt", &["doctor"], nonsense) {
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn help_speaks_both_languages() {
    for (name, arguments, code) in [
        ("help.txt", &["--help"][..], 0),
        ("help-pay.txt", &["pay", "--help"], 0),
        ("usage.txt", &["pay", "--subject", "x"], 2),
        ("usage-command.txt", &["check"], 2),
    ] {
        for ran in both_languages(name, arguments, Fake::absent) {
            assert_eq!(ran.code, code, "{name}");
        }
    }
    let fake = Fake::absent();
    let ran = till(&fake.socket(), &["pay", "--subject", "x", "--json"]);
    assert_eq!((ran.code, &ran.json()["code"]), (2, &json!("usage")));
}

#[test]
fn the_locale_chooses_the_language() {
    let fake = Fake::new(|_| say(&paid("A1")));
    for (name, value, sentence) in [
        ("LANG", "zh_CN.UTF-8", "已收款 88.88 元\n"),
        ("LC_ALL", "zh_TW.UTF-8", "已收款 88.88 元\n"),
        ("LANG", "en_GB.UTF-8", "Paid 88.88 yuan\n"),
    ] {
        let child = command(&fake.socket(), PAY).env(name, value).spawn().expect("till starts");
        assert_eq!(end(child).out, sentence);
    }
}

// --- Events -------------------------------------------------------------------------

#[test]
fn watching_goes_on_where_the_stream_was_lost() {
    let event =
        |id: u32, name: &str, data: &Value| format!("id: {id}\nevent: {name}\ndata: {data}\n\n");
    let at = "2026-11-20T10:00:02+08:00";
    let first = vec![
        ": alive\n\n".to_owned(),
        event(40, "payment", &awaiting_buyer("A1")),
        event(41, "scan", &json!({"at": at, "scanner": "lane-1", "kind": "goods", "text": "690"})),
        "id: 42\nevent: payment\ndata: {\"half\":".to_owned(),
    ];
    let second = vec![
        event(42, "payment", &paid("A1")),
        event(43, "from_the_future", &json!({"x": 1})),
        event(44, "refund", &refunding("A1", "R1")),
        event(45, "refund", &refunded("A1", "R1")),
        event(46, "gateway", &json!({"at": at, "up": false, "reason": "dns error"})),
        event(
            47,
            "scanner",
            &json!({"at": at, "scanner": "lane-1", "news": "unplugged", "reason": null}),
        ),
    ];
    let mut text = String::new();
    for arguments in
        [&["watch", "--lang", "zh"][..], &["watch", "--lang", "en"], &["watch", "--json"]]
    {
        let (first, second) = (first.clone(), second.clone());
        let mut connections = 0;
        let fake = Fake::new(move |_| {
            connections += 1;
            match connections {
                1 => Act::Stream(first.clone()),
                2 => Act::Cut,
                3 => problem(503, "starting", "unknown", None, "", ""),
                _ => Act::StreamAndHold(second.clone()),
            }
        });
        let mut child = start(&fake.socket(), arguments);
        // It never ends by itself: read the expected lines, then interrupt it.
        let mut reader = std::io::BufReader::new(child.stdout.take().expect("stdout"));
        let count = if arguments.contains(&"--json") { 8 } else { 7 };
        let mut lines = String::new();
        for _ in 0..count {
            std::io::BufRead::read_line(&mut reader, &mut lines).expect("a line");
        }
        interrupt(&child);
        let mut ran = end(child);
        ran.out = lines;
        assert_eq!(ran.code, 0, "{ran:?}");
        let resumed: Vec<Option<String>> = fake
            .seen()
            .iter()
            .map(|seen| {
                assert_eq!(seen.path, "/v1/events");
                seen.headers.iter().find(|h| h.starts_with("last-event-id")).cloned()
            })
            .collect();
        let again = Some("last-event-id: 41".to_owned());
        assert_eq!(resumed, [None, again.clone(), again.clone(), again]);
        if arguments.contains(&"--json") {
            let ids: Vec<String> = ran
                .out
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].to_string())
                .collect();
            let expected: Vec<String> = (40..48).map(|id| format!("\"{id}\"")).collect();
            assert_eq!(ids, expected);
        }
        text.push_str(&shown(arguments, &ran, &fake.socket()));
    }
    golden("watch.txt", &text);
}

// --- Terminals and pipes ---------------------------------------------------------------

#[test]
fn a_closed_pipe_is_no_panic() {
    let stream = || {
        let event = format!("id: 1\nevent: payment\ndata: {}\n\n", paid("A1"));
        Act::StreamAndHold(vec![event.repeat(50)])
    };
    let fake = Fake::new(move |request| match request.path.as_str() {
        "/v1/events" => stream(),
        _ => shop(request),
    });
    for arguments in [&["watch"][..], &["list", "--limit", "3"], &["show", "A1"], &["--help"]] {
        let mut command = command(&fake.socket(), arguments);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ran = end(command.stdout(writer).stdin(Stdio::null()).spawn().expect("till starts"));
        assert_eq!((ran.code, ran.err.contains("panic")), (0, false), "{arguments:?} {ran:?}");
    }
}

/// On a real terminal one line is written over itself, and is gone at the end.
#[test]
fn the_live_line_counts_down_on_a_terminal() {
    let mut counting = awaiting_buyer("A1");
    counting["seconds_left"] = json!(42);
    let story = vec![say(&counting), say(&counting), say(&paid("A1"))];
    let fake = Fake::new(in_turn(story));
    // Neither end goes to children that other tests start meanwhile.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let slave = ptsname_r(&master).expect("its name");
    let slave = std::fs::File::options().read(true).write(true).open(slave).expect("its end");
    let mut command = command(&fake.socket(), PAY);
    let child = command.stderr(slave).spawn().expect("till starts");
    drop(command);
    let ran = end(child);
    let mut screen = vec![];
    // A terminal whose last writer is gone ends with EIO.
    let _ = std::io::Read::read_to_end(&mut { master }, &mut screen);
    let screen = String::from_utf8_lossy(&screen);
    assert_eq!((ran.code, ran.out.as_str()), (0, "Paid 88.88 yuan\n"));
    let live = "\r\x1b[?7l\x1b[KWaiting for the customer to confirm 88.88 yuan  42 s left\x1b[?7h";
    assert!(screen.contains(live), "{screen:?}");
    assert!(screen.ends_with("\r\x1b[K"), "{screen:?}");
    until("the script is played", || fake.lines().len() >= 3);
}
