//! What must not be anywhere.

use std::fs;
use std::thread;

use serde_json::{Value, json};
use tilld::sandbox::{Fault, Said};

use crate::scanner::Pty;
use crate::till::{Setup, Shop, until, with_code, without_code};

/// Everything that may not be repeated, in pieces that are still too much.
struct Canaries(Vec<String>);

impl Canaries {
    fn add(&mut self, code: &str) {
        // Two digits at each end are shown; ten in the middle are the code.
        let middle = code.len() / 2;
        self.0.push(code[middle - 5..middle + 5].to_owned());
    }

    fn assert_not_in(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for canary in &self.0 {
            if let Some(at) = text.find(canary) {
                let before: String = text[..at].chars().rev().take(200).collect();
                let before: String = before.chars().rev().collect();
                panic!("{canary} is in {place}, after {before}");
            }
        }
    }
}

#[test]
fn no_code_and_no_key_is_told_to_anybody() {
    let shop = Shop::open(Setup {
        scanners: vec!["lane-1".to_owned()],
        timeout: "3s",
        expire_after: "3s",
        ..Setup::default()
    });
    let mut pty = Pty::plug(&shop.path("lane-1"));
    let daemon = shop.start();
    daemon.until_plugged();
    let mut canaries = Canaries(Vec::new());
    let mut random = {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        u64::from_le_bytes(seed)
    };
    // Digits that occur nowhere by chance.
    let mut canary = |prefix: &str, length: usize| {
        let mut text = prefix.to_owned();
        while text.len() < length {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push(char::from(b'0' + u8::try_from(random >> 33 & 0xff).unwrap() % 10));
        }
        canaries.add(&text);
        text
    };
    let mut replies = String::new();
    let tell = |replies: &mut String, reply: &crate::http::Reply| {
        replies.push_str(&reply.head);
        replies.push_str(&reply.text);
    };

    // By the register: in every way to go wrong.
    let endings = [1, 2, 5, 6, 18, 19, 21, 23, 24, 28, 38];
    let asked = endings.map(|ending| {
        let auth_code = canary(&format!("2877{ending:02}"), 20);
        json!({ "amount": "1.00", "subject": format!("R{ending}"), "auth_code": auth_code })
    });
    thread::scope(|scope| {
        let pay = |body: &Value| daemon.pay(body["subject"].as_str().unwrap(), body);
        let all: Vec<_> = asked.iter().map(|body| scope.spawn(move || pay(body))).collect();
        for one in all {
            tell(&mut replies, &one.join().unwrap());
        }
    });
    // A gateway that repeats what it was sent.
    for (number, code) in [("ECHO1", "40004"), ("ECHO2", "40002")] {
        let auth_code = canary("2850", 18);
        let text = format!("payment {auth_code} of {{\"auth_code\":\"{auth_code}\"}}");
        let answer = Said {
            code: code.into(),
            sub_code: "ACQ.INVALID_PARAMETER".into(),
            sub_msg: text.into(),
        };
        let fault = Fault {
            method: Some("pay".to_owned()),
            out_trade_no: Some(number.to_owned()),
            answer: Some(answer),
            ..Fault::default()
        };
        shop.gateway().fault(fault).unwrap();
        let body = json!({ "amount": "1.00", "subject": "咖啡", "auth_code": auth_code });
        tell(&mut replies, &daemon.pay(number, &body));
    }
    // In requests that are refused.
    let auth_code = canary("26", 19);
    let good = json!({ "amount": "1.00", "subject": "咖啡", "auth_code": auth_code });
    let mut refused: Vec<(String, u16)> = vec![(format!("{good}{auth_code}"), 400)];
    for (member, value, status) in [
        ("amount", json!(auth_code), 422),
        ("auth_code", json!([auth_code]), 422),
        ("auth_code", json!(format!("{auth_code}{auth_code}")), 422),
        ("scanner", json!(auth_code), 422),
        ("goods_detail", json!(auth_code), 422),
        (&*auth_code, json!("x"), 422),
        ("timeout", json!(auth_code), 422),
    ] {
        let mut body = good.clone();
        body[member] = value;
        refused.push((body.to_string(), status));
    }
    for (body, status) in refused {
        let reply = daemon.ask("PUT", "/v1/payments/REFUSED", &body).unwrap();
        assert_eq!(reply.status, status, "{reply:?}");
        tell(&mut replies, &reply);
    }
    for other in [canary("13", 18), canary("62", 19), canary("28", 15), canary("28", 25)] {
        let body = json!({ "amount": "1.00", "subject": "咖啡", "auth_code": other });
        tell(&mut replies, &daemon.put("REFUSED", &body));
        pty.scan(&other, 1);
    }
    // By the scanner: while nobody waits, and while somebody does; and by hand.
    pty.scan(&canary("26", 18), 2);
    let head = |events: usize| {
        until("all scans are known", || {
            let mut stream = daemon.events(Some(0));
            let head = daemon.status()["journal"]["head_seq"].as_u64().unwrap();
            let seen = stream.until(|event| event.id >= head);
            let scans = seen.iter().filter(|event| event.name == "scan").count();
            (scans >= events).then_some(seen)
        })
    };
    head(5);
    daemon.put("SCAN", &without_code("1.00")).expect(201);
    pty.scan(&canary("26", 24), 3);
    tell(&mut replies, &daemon.get("/v1/payments/SCAN?wait=60"));
    daemon.put("TYPED", &without_code("1.00")).expect(201);
    let typed = json!({ "auth_code": canary("27", 16) });
    tell(&mut replies, &daemon.post("/v1/payments/TYPED/code?wait=60", &typed));
    // Over a crash.
    let auth_code = canary("29", 22);
    let body = json!({ "amount": "77.04", "subject": "咖啡", "auth_code": auth_code });
    daemon.put("CRASH", &body).expect(201);
    let mut logs = daemon.log();
    let wal = || -> Vec<u8> {
        ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db-reserve"]
            .iter()
            .filter_map(|name| fs::read(shop.path(name)).ok())
            .flatten()
            .collect()
    };
    let mut files = wal();
    daemon.kill();
    let daemon = shop.start();
    daemon.settled("CRASH");
    daemon.pay("AFTER", &with_code("1.00")).expect(201);

    let numbers = daemon.get("/v1/payments?limit=500");
    tell(&mut replies, &numbers);
    let all = numbers.expect(200)["payments"].as_array().unwrap().clone();
    assert!(all.len() >= 17, "{}", all.len());
    for payment in &all {
        let number = payment["out_trade_no"].as_str().unwrap();
        tell(&mut replies, &daemon.get(&format!("/v1/payments/{number}/journal")));
    }
    for path in ["/v1/status", "/metrics"] {
        tell(&mut replies, &daemon.get(path));
    }
    let head = daemon.status()["journal"]["head_seq"].as_u64().unwrap();
    let events = daemon.events(Some(0)).until(|event| event.id >= head);
    let events: String = events.iter().map(|event| event.raw.as_str()).collect();
    logs.push_str(&daemon.log());
    files.extend(wal());
    daemon.stop();
    files.extend(wal());

    // The places are the right ones: what may be told is there.
    assert!(replies.contains("28**************") && events.contains("\"kind\":\"wechat\""));
    assert!(logs.contains("ECHO1") && files.windows(5).any(|w| w == b"ECHO1"));
    assert!(replies.contains("payment 28"), "the gateway's words are told, but for the code");

    for name in ["app_private_key.pem", "alipay_private_key.pem"] {
        let key = fs::read_to_string(shop.path("sandbox").join(name)).unwrap();
        // The last line is as long as the key happens to make it.
        let whole = key.lines().filter(|l| l.len() == 64 && !l.starts_with("---"));
        let before = canaries.0.len();
        canaries.0.extend(whole.map(|l| l[..24].to_owned()));
        assert!(canaries.0.len() > before + 10, "the key's lines are looked for");
    }
    // What is signed, and the signature.
    canaries.0.extend(["biz_content".to_owned(), "&sign=".to_owned(), "sign_type=".to_owned()]);
    for (place, bytes) in [
        ("a reply", replies.as_bytes()),
        ("the events", events.as_bytes()),
        ("the log", logs.as_bytes()),
        ("the journal's files", &files),
    ] {
        canaries.assert_not_in(place, bytes);
    }
}
