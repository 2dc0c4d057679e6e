//! Codes that were shown before, codes of others, and scanners that go away.

use super::*;
use crate::payment::{Call, Hint, OtherCode, ScanKind};

/// A label of the shop's scales, whose prefix the shop has told.
const LABEL: &str = "261234500999012348";

fn hint(till: &Till, number: &str) -> Option<Hint> {
    till.disk[&number.parse::<OutTradeNo>().expect("valid")].hint().cloned()
}

fn rev(till: &Till, number: &str) -> u64 {
    till.disk[&number.parse::<OutTradeNo>().expect("valid")].rev()
}

fn sentence(till: &Till, number: &str) -> (String, String) {
    let sentence = till.disk[&number.parse::<OutTradeNo>().expect("valid")].cashier();
    (sentence.zh, sentence.en)
}

/// What a note says of a scan, if it does.
fn scan_of(note: &Entry) -> Option<(ScanKind, &str)> {
    match note {
        Entry::Scan { kind, text, .. } => Some((*kind, text)),
        Entry::Payment { .. }
        | Entry::Refund { .. }
        | Entry::Scanner { .. }
        | Entry::Gateway { .. } => None,
    }
}

/// What the scan events so far say was read.
fn texts(till: &Till) -> Vec<&str> {
    till.notes.iter().filter_map(scan_of).map(|(_, text)| text).collect()
}

/// The kinds of the scan events so far.
fn kinds(till: &Till) -> Vec<&'static str> {
    till.notes.iter().filter_map(scan_of).map(|(kind, _)| kind.name()).collect()
}

fn on(number: &str, scanner: &str) -> PayRequest {
    let mut request = request(number);
    request.order.scanner = Some(scanner.to_owned());
    request
}

/// A payment that was paid with `CODE`.
fn paid_by_scan(till: &mut Till, number: &str) {
    till.pay(900, on(number, "a"));
    till.sync();
    till.scan("a", CODE, till.now);
    till.sync();
    till.answer(paid());
    till.sync();
    assert_eq!(till.state(number), State::Paid);
    till.now += 10_000;
}

#[test]
fn a_code_that_has_paid_is_not_charged_again() {
    for restarts in [false, true] {
        let mut till = Till::new(&["a", "b"]);
        paid_by_scan(&mut till, "T1");
        if restarts {
            till.restart(&["a", "b"]);
        }
        till.sent.clear();
        // By scan: the payment goes on waiting, and its cashier knows why.
        till.pay(1, on("T2", "b"));
        till.sync();
        till.scan("b", CODE, till.now);
        till.sync();
        assert_eq!(till.state("T2"), State::AwaitingCode { until: Timestamp(till.now + 120_000) });
        let Some(Hint::CodeUsed { number, amount, state }) = hint(&till, "T2") else {
            panic!("{:?}", hint(&till, "T2"))
        };
        let told = (number.as_str(), amount.to_string(), state);
        assert_eq!(told, ("T1", "12.50".to_owned(), crate::payment::Public::Paid));
        let (zh, en) = sentence(&till, "T2");
        assert!(zh.contains("已用于收款 T1（12.50 元，已收款）") && zh.contains("刷新"), "{zh}");
        assert!(en.contains("used for payment T1 (12.50 yuan, paid)"), "{en}");
        assert_eq!(kinds(&till).last(), Some(&"code_already_used"));
        // By the register, for the one that waits and for a new one.
        till.bring(2, "T2", CODE);
        till.pay(3, PayRequest { code: Some(code(CODE)), ..request("T3") });
        for id in [2, 3] {
            let Denied::CodeAlreadyUsed(earlier) = till.denied(id) else { panic!("{id}") };
            assert_eq!(earlier.order().out_trade_no.as_str(), "T1");
        }
        assert!(till.sent.is_empty(), "{:?}", till.sent);
        assert_eq!(till.terminal.open_count(), 1, "T3 was never begun");
        // A fresh code pays, and the hint is gone.
        till.bring(4, "T2", "281234567890123495");
        till.sync();
        assert_eq!(till.calls(), [Call::Pay]);
        assert_eq!(hint(&till, "T2"), None);
    }
}

#[test]
fn the_same_code_for_the_same_payment_is_the_same_payment() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    till.bring(2, "T1", CODE);
    till.bring(3, "T1", CODE);
    till.sync();
    till.answer(paid());
    till.sync();
    till.bring(4, "T1", CODE);
    till.pay(5, PayRequest { code: Some(code(CODE)), ..request("T1") });
    for id in 2..=5 {
        assert!(matches!(till.reply(id), Reply::Stands(_)), "{id}: {:?}", till.reply(id));
    }
    assert_eq!(till.calls(), [Call::Pay]);
    // Another code is no answer to anything.
    till.bring(6, "T1", "281234567890123495");
    assert!(matches!(till.denied(6), Denied::NotAwaitingCode(_)));
}

#[test]
fn two_payments_that_get_one_code_at_once_are_one_charge() {
    // Nothing of the first is on disk when the second comes.
    let mut till = Till::new(&["a", "b"]);
    till.pay(1, on("T1", "a"));
    till.pay(2, on("T2", "b"));
    till.sync();
    till.scan("a", CODE, till.now);
    till.scan("b", CODE, till.now);
    till.pay(3, PayRequest { code: Some(code(CODE)), ..request("T3") });
    let Denied::CodeAlreadyUsed(earlier) = till.denied(3) else { panic!() };
    assert_eq!(earlier.order().out_trade_no.as_str(), "T1");
    till.sync();
    assert_eq!(till.calls(), [Call::Pay]);
    let Some(Hint::CodeUsed { number, .. }) = hint(&till, "T2") else { panic!("no hint") };
    assert_eq!(number.as_str(), "T1");
}

#[test]
fn a_code_that_certainly_never_left_the_box_may_be_shown_again() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    till.scan("a", CODE, till.now);
    till.sync();
    let trouble = Trouble { kind: TroubleKind::Unreachable, text: "no route".to_owned() };
    till.answer(Answer::Pay(PayAnswer::NotSent(trouble)));
    till.sync();
    // While it is still to be sent, it is in use.
    till.pay(2, PayRequest { code: Some(code(CODE)), ..request("T2") });
    assert!(matches!(till.denied(2), Denied::CodeAlreadyUsed(_)));
    till.stop(3, "T1");
    till.sync();
    assert_eq!(till.state("T1"), State::Cancelled(CancelAction::None));
    till.pay(4, PayRequest { code: Some(code(CODE)), ..request("T2") });
    till.sync();
    assert!(matches!(till.reply(4), Reply::Started(_)));
    assert_eq!(till.calls(), [Call::Pay, Call::Pay]);
}

#[test]
fn a_code_is_known_again_for_a_day() {
    let mut till = Till::new(&["a"]);
    paid_by_scan(&mut till, "T1");
    let day = 24 * 3_600_000;
    till.now += day;
    till.pay(1, PayRequest { code: Some(code(CODE)), ..request("T2") });
    assert!(matches!(till.denied(1), Denied::CodeAlreadyUsed(_)));
    till.now += 60_000;
    till.pay(2, PayRequest { code: Some(code(CODE)), ..request("T3") });
    till.sync();
    assert!(matches!(till.reply(2), Reply::Started(_)));
}

#[test]
fn another_key_knows_no_code_again() {
    let mut till = Till::new(&["a"]);
    paid_by_scan(&mut till, "T1");
    let codes = Codes { key: CodeKey::derive(b"another key"), labels: ScaleLabels::default() };
    till.terminal = Terminal::new(Rules::default(), codes, Vec::new());
    till.pay(1, PayRequest { code: Some(code(CODE)), ..request("T2") });
    till.sync();
    assert!(matches!(till.reply(1), Reply::Started(_)));
}

#[test]
fn the_journal_never_holds_a_code() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.scan("a", "281234567890123495", till.now - 1);
    till.sync();
    till.scan("a", CODE, till.now);
    let written = format!("{:?}", till.unwritten);
    assert!(written.contains("CodeMark") && !written.contains(CODE), "{written}");
}

#[test]
fn what_is_shown_instead_of_a_code_is_told_to_the_cashier() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    let mut revs = vec![rev(&till, "T1")];
    for (text, aim, kind, zh, en) in [
        ("134567890123456789", None, "wechat", "微信", "WeChat"),
        ("6212345678901234567", None, "unionpay", "云闪付", "UnionPay"),
        ("511234567890123456", None, "other_wallet", "其他钱包", "another wallet"),
        ("https://qr.alipay.com/fkx1", None, "collect_code", "收款码", "collects money"),
        ("wxp://f2f0abcdef", None, "collect_code", "收款码", "collects money"),
        ("281234567890123", None, "torn", "没有扫完整", "not read in full"),
        ("s281234567890123494", None, "extra_characters", "多加了字符", "adds characters"),
        ("6901234567892", Some("]E0"), "goods", "不是付款码", "no payment code"),
        ("", None, "unreadable", "没有读出来", "could not be read"),
        (LABEL, None, "scale_label", "电子秤", "QR code"),
        (LABEL, Some("]E0"), "goods", "不是付款码", "no payment code"),
        (CODE, Some("]I0"), "goods", "不是付款码", "no payment code"),
    ] {
        till.now += 3_000;
        till.scan_as("a", text, aim, till.now);
        till.sync();
        assert_eq!(hint(&till, "T1").map(|hint| hint.name()), Some(kind), "{text}");
        assert_eq!(kinds(&till).last(), Some(&kind), "{text}");
        let told = sentence(&till, "T1");
        assert!(told.0.contains(zh) && told.0.contains("没有扣款"), "{told:?}");
        assert!(told.1.contains(en) && told.1.contains("nothing was charged"), "{told:?}");
        assert!(told.0.contains("12.50 元") && told.1.contains("12.50 yuan"), "{told:?}");
        revs.push(rev(&till, "T1"));
    }
    // The same hint again is no change.
    revs.dedup();
    assert_eq!(revs, (1..=11).collect::<Vec<u64>>());
    assert!(till.sent.is_empty());
    // As a QR code the digits of a label pay.
    till.scan_as("a", LABEL, Some("]Q1"), till.now);
    till.sync();
    assert_eq!((till.calls(), hint(&till, "T1")), (vec![Call::Pay], None));
}

#[test]
fn the_pieces_of_a_torn_code_are_told_as_their_length() {
    let mut till = Till::new(&["a", "b"]);
    let scan = |till: &mut Till, text: &str| {
        till.now += 100;
        till.scan("a", text, till.now);
        till.sync();
        texts(till).last().copied().unwrap_or_default().to_owned()
    };
    // Nobody pays: the second half shows what the first one was.
    assert_eq!(scan(&mut till, "281234567"), "281234567");
    assert_eq!(scan(&mut till, "890123494"), "*********");
    till.now += 5_000;
    assert_eq!(scan(&mut till, "890123494"), "890123494");
    // A payment waits on this scanner.
    till.pay(1, on("T1", "a"));
    till.sync();
    till.now += 5_000;
    for piece in ["281234567", "890123494", "8901", "28-1234"] {
        assert_eq!(scan(&mut till, piece), piece.replace(|c: char| c.is_ascii_digit(), "*"));
    }
    assert_eq!(scan(&mut till, "6901234567892"), "6901234567892");
    till.scan("b", "45678", till.now);
    till.sync();
    assert_eq!(texts(&till).last(), Some(&"45678"), "another scanner's");
    // It has just ceased to wait: the phone is still held out.
    till.stop(2, "T1");
    till.sync();
    assert_eq!(till.state("T1"), State::Cancelled(CancelAction::None));
    assert_eq!(scan(&mut till, "0123494"), "*******");
    till.now += 10_000;
    assert_eq!(scan(&mut till, "0123494"), "0123494");
    let written = format!("{:?}", till.notes);
    assert!(!written.contains("28-1234"), "{written}");
}

#[test]
fn a_code_in_groups_is_the_code() {
    let mut till = Till::new(&["a", "b"]);
    till.pay(1, on("T1", "a"));
    till.sync();
    till.scan("a", " 2812 3456 7890 1234 94", till.now);
    till.sync();
    assert_eq!(till.calls(), [Call::Pay]);
    till.answer(paid());
    till.sync();
    // It is known again however it is written.
    till.pay(2, on("T2", "b"));
    till.sync();
    till.scan("b", CODE, till.now);
    till.sync();
    assert!(matches!(hint(&till, "T2"), Some(Hint::CodeUsed { .. })));
    assert_eq!(till.calls(), [Call::Pay]);
}

#[test]
fn a_label_of_the_scales_does_not_pay_through_the_register_either() {
    let mut till = Till::new(&["a"]);
    till.pay(1, PayRequest { code: Some(code(LABEL)), ..request("T1") });
    till.pay(2, request("T2"));
    till.sync();
    till.bring(3, "T2", LABEL);
    for id in [1, 3] {
        assert_eq!(till.denied(id), &Denied::NotAPaymentCode(OtherCode::ScaleLabel), "{id}");
    }
    assert_eq!(till.terminal.open_count(), 1);
    // About a payment that is under way a register that asks again hears the
    // truth, not that its code is bad.
    till.bring(4, "T2", CODE);
    till.sync();
    till.bring(5, "T2", LABEL);
    assert!(matches!(till.denied(5), Denied::NotAwaitingCode(_)));
}

#[test]
fn a_code_held_before_the_scanner_is_one_scan() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    for _ in 0..20 {
        till.scan("a", "134567890123456789", till.now);
        till.sync();
        till.now += 400;
    }
    assert_eq!((kinds(&till), rev(&till, "T1")), (vec!["wechat"], 2));
    till.scan("a", CODE, till.now);
    till.sync();
    till.answer(paid());
    till.sync();
    // The phone is still there when the next payment begins.
    till.now += 500;
    till.pay(2, request("T2"));
    till.sync();
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!((kinds(&till), hint(&till, "T2")), (vec!["wechat"], None));
    // And still much later: then the cashier should know.
    till.now += 2_500;
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(kinds(&till), ["wechat", "code_already_used"]);
    assert!(matches!(hint(&till, "T2"), Some(Hint::CodeUsed { .. })));
    assert_eq!(till.calls(), [Call::Pay]);
}

#[test]
fn two_cans_are_two_scans() {
    let mut till = Till::new(&["a", "b"]);
    for (scanner, after) in [("a", 0), ("a", 600), ("b", 0), ("a", 100), ("a", 500)] {
        till.now += after;
        till.scan(scanner, "6901234567892", till.now);
    }
    till.sync();
    // The fourth is the second can, still before the scanner.
    assert_eq!(kinds(&till), ["goods"; 4]);
}

#[test]
fn a_cashier_who_was_too_quick_scans_again() {
    let mut till = Till::new(&["a"]);
    till.scan("a", CODE, till.now);
    till.now += 300;
    till.pay(1, request("T1"));
    till.sync();
    till.now += 300;
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.calls(), [Call::Pay]);

    // A code of somebody whose scan began before, and came after.
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    till.scan("a", CODE, till.now - 1);
    till.sync();
    assert_eq!(hint(&till, "T1"), Some(Hint::TooEarly));
    till.now += 300;
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!((till.calls(), hint(&till, "T1")), (vec![Call::Pay], None));
}

#[test]
fn the_cashier_knows_when_the_scanner_is_gone() {
    let mut till = Till::new(&["a", "b"]);
    let gone = || ScannerNews::Unplugged("no such device".to_owned());
    till.pay(1, on("T1", "a"));
    till.sync();
    till.news("b", gone());
    till.sync();
    assert_eq!(hint(&till, "T1"), None, "another lane's");
    till.news("a", ScannerNews::ScanLost("events were dropped".to_owned()));
    till.sync();
    assert_eq!(hint(&till, "T1"), Some(Hint::ScanLost));
    till.news("a", gone());
    till.news("a", gone());
    till.sync();
    assert_eq!((hint(&till, "T1"), rev(&till, "T1")), (Some(Hint::ScannerGone), 3));
    let (zh, en) = sentence(&till, "T1");
    assert!(zh.contains("扫码枪") && zh.contains("手工输入"), "{zh}");
    assert!(en.contains("unplugged") && en.contains("type it in"), "{en}");
    till.news("a", ScannerNews::Plugged);
    till.sync();
    assert_eq!(hint(&till, "T1"), None);
    assert!(sentence(&till, "T1").0.starts_with("请扫顾客的付款码"));
    // What is no news of the scanner stays.
    till.scan("a", "134567890123456789", till.now);
    till.news("a", ScannerNews::Plugged);
    till.sync();
    assert_eq!(hint(&till, "T1").map(|hint| hint.name()), Some("wechat"));

    // A payment that begins without its scanner says so from the start.
    till.pay(2, on("T2", "b"));
    till.sync();
    assert_eq!((hint(&till, "T2"), rev(&till, "T2")), (Some(Hint::ScannerGone), 1));
    // With the code there, nobody needs a scanner.
    let mut own = with_code("T3");
    own.order.scanner = Some("b".to_owned());
    till.pay(3, own);
    till.bring(4, "T2", CODE);
    till.sync();
    assert_eq!((hint(&till, "T3"), hint(&till, "T2")), (None, None));
    assert_eq!(till.calls(), [Call::Pay, Call::Pay]);
}

#[test]
fn without_any_scanner_the_cashier_knows_that_the_register_has_to_scan() {
    let mut till = Till::new(&[]);
    till.pay(1, request("T1"));
    till.sync();
    let (zh, en) = sentence(&till, "T1");
    assert!(zh.contains("没有扫码枪") && zh.contains("收银机") && zh.contains("12.50 元"), "{zh}");
    assert!(en.contains("no scanner") && en.contains("register"), "{en}");
    // It may still bring one.
    till.bring(2, "T1", CODE);
    till.sync();
    assert_eq!(till.calls(), [Call::Pay]);
}

#[test]
fn what_is_said_of_the_scanner_is_true_after_a_restart() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.news("a", ScannerNews::Unplugged("gone".to_owned()));
    till.sync();
    till.restart(&["a"]);
    till.sync();
    assert_eq!(hint(&till, "T1"), Some(Hint::ScannerGone));
    till.news("a", ScannerNews::Plugged);
    till.sync();
    assert_eq!(hint(&till, "T1"), None);
    till.restart(&["a"]);
    till.news("a", ScannerNews::Unplugged("gone".to_owned()));
    till.sync();
    assert_eq!(hint(&till, "T1"), Some(Hint::ScannerGone));
}

#[test]
fn what_could_not_be_written_is_told_later() {
    let mut till = Till::new(&["a"]);
    till.pay(1, request("T1"));
    till.sync();
    till.news("a", ScannerNews::Unplugged("gone".to_owned()));
    till.fail_writes();
    till.now += 1_000;
    till.handle(Input::Tick);
    till.sync();
    assert_eq!(hint(&till, "T1"), Some(Hint::ScannerGone));
    till.news("a", ScannerNews::Plugged);
    till.sync();
    // A code that came meanwhile is not kept: the customer shows it again.
    till.scan("a", "134567890123456789", till.now);
    till.scan("a", CODE, till.now);
    till.fail_writes();
    till.now += 5_000;
    till.handle(Input::Tick);
    till.sync();
    assert!(till.sent.is_empty());
    assert_eq!(hint(&till, "T1"), Some(Hint::ScanLost));
    till.scan("a", CODE, till.now);
    till.sync();
    assert_eq!(till.calls(), [Call::Pay]);
}
