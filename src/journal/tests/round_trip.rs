//! What is written is what is read.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::payment::{
    Account, Asker, Attention, Call, CodeMark, Fen, Heard, Hint, How, Judged, Offer, OtherCode,
    Public, Reason, Record, Refusal, Said, ScanKind, ScannerNews, StepName, Tag, Till, Trouble,
    TroubleKind, Undo, Wire,
};

pub(super) fn text() -> impl Strategy<Value = String> {
    let chars = prop_oneof![
        Just('a'),
        Just('"'),
        Just('\\'),
        Just('\u{0}'),
        Just('咖'),
        Just('\u{1f600}'),
        any::<char>(),
    ];
    prop::collection::vec(chars, 0..12).prop_map(String::from_iter)
}

pub(super) fn maybe<T: std::fmt::Debug>(
    some: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::of(some)
}

pub(super) fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn length() -> impl Strategy<Value = Duration> {
    (any::<u32>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s.into(), n))
}

fn amount() -> impl Strategy<Value = Amount> {
    (1..=10_000_000_000_u64).prop_map(|fen| Amount::from_fen(fen).expect("in range"))
}

pub(super) fn reason() -> impl Strategy<Value = Reason> {
    (text(), maybe(text()), text()).prop_map(|(code, sub_code, message)| Reason {
        code,
        sub_code,
        message,
    })
}

pub(super) fn trouble() -> impl Strategy<Value = Trouble> {
    use TroubleKind::*;
    let kinds = vec![
        Unreachable,
        NoAnswer,
        Unverified,
        Busy,
        Refused,
        Unsettled,
        Foreign,
        Restart,
        SellerBalance,
    ];
    (prop::sample::select(kinds), text()).prop_map(|(kind, text)| Trouble { kind, text })
}

fn state() -> impl Strategy<Value = State> {
    use CancelAction::{Close, Refund};
    prop_oneof![
        time().prop_map(|until| State::AwaitingCode { until }),
        Just(State::Paying),
        time().prop_map(|until| State::Unsent { until }),
        time().prop_map(|until| State::Resting { until }),
        Just(State::Querying),
        Just(State::Cancelling),
        Just(State::Owing),
        Just(State::Paid),
        Just(State::Declined),
        prop::sample::select(vec![Close, Refund, CancelAction::None]).prop_map(State::Cancelled),
    ]
}

fn undo() -> impl Strategy<Value = Undo> {
    (any::<u32>(), maybe(reason()), any::<[bool; 3]>()).prop_map(|(rounds, refused, flags)| {
        let [sent, sent_past_late_pay, sent_to_untouched] = flags;
        Undo { rounds, sent, refused, sent_past_late_pay, sent_to_untouched }
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    let times = (prop::collection::vec(time(), 7), length());
    let mark = maybe(any::<[u8; 16]>().prop_map(CodeMark));
    let tag = maybe(any::<u64>().prop_map(Tag));
    let refused = maybe(prop::sample::select(vec![
        Refusal::Declined,
        Refusal::FrontDoor,
        Refusal::NumberInUse,
    ]));
    let shown = maybe(maybe(text()));
    (times, any::<[bool; 5]>(), mark, tag, refused, shown).prop_map(
        |((times, hold), flags, mark, tag, refused, shown)| {
            let [deadline, fresh_until, time_expire, hold_until, tried_since, sent_at, horizon] =
                times.try_into().expect("seven times");
            let [waiting, stopped, asked, foreign, late_over] = flags;
            Offer {
                how: match shown {
                    Some(text) => How::Qr { text },
                    None => How::Code { mark, fresh_until },
                },
                tag,
                tried_since,
                sent_at,
                deadline,
                time_expire,
                horizon,
                hold,
                hold_until,
                heard: Heard {
                    waiting,
                    refused,
                    stopped,
                    asked,
                    known: waiting,
                    foreign,
                    late_over,
                    ..Heard::default()
                },
            }
        },
    )
}

fn trade() -> impl Strategy<Value = Trade> {
    let fen = || maybe(any::<u32>().prop_map(|fen| Fen(fen.into())));
    let amounts = prop::collection::vec(fen(), 7);
    (maybe(text()), maybe(text()), maybe(time()), maybe(text()), amounts, maybe(text())).prop_map(
        |(trade_no, buyer_logon_id, paid_at, tag, amounts, fund_bill_list)| {
            let [total, receipt, buyer_pay, point, invoice, discount, mdiscount] =
                amounts.try_into().expect("seven amounts");
            let said = Said {
                total_amount: total,
                receipt_amount: receipt,
                buyer_pay_amount: buyer_pay,
                point_amount: point,
                invoice_amount: invoice,
                discount_amount: discount,
                mdiscount_amount: mdiscount,
                fund_bill_list,
            };
            Trade { trade_no, buyer_logon_id, paid_at, tag, said }
        },
    )
}

fn attention() -> impl Strategy<Value = Attention> {
    prop_oneof![
        maybe(trouble()).prop_map(Attention::Unsettled),
        maybe(trouble()).prop_map(Attention::Foreign),
        reason().prop_map(Attention::CancelRefused),
        maybe(text()).prop_map(Attention::Unproven),
        trouble().prop_map(Attention::DoorClosed),
        Just(Attention::SellerBalance),
        reason().prop_map(Attention::Owing),
    ]
}

fn any_order() -> impl Strategy<Value = Order> {
    let texts = prop::collection::vec(maybe(text()), 5);
    let method = prop::sample::select(Method::ALL.to_vec());
    let more = (maybe(length()), extras());
    ("[A-Za-z0-9_]{1,64}", amount(), method, text(), texts, more).prop_map(
        |(name, amount, method, subject, texts, (timeout, extras))| {
            let [sale, scanner, body, operator_id, goods_detail] =
                texts.try_into().expect("five texts");
            Order {
                out_trade_no: number(&name),
                amount,
                method,
                subject,
                sale,
                scanner,
                body,
                operator_id,
                goods_detail,
                timeout,
                extras,
            }
        },
    )
}

fn account() -> impl Strategy<Value = Option<Arc<Account>>> {
    maybe((text(), text(), maybe(text()))).prop_map(|parts| {
        parts.map(|(gateway, app_id, merchant)| Arc::new(Account { gateway, app_id, merchant }))
    })
}

fn extras() -> impl Strategy<Value = Extras> {
    let amounts = (maybe(amount()), maybe(amount()));
    (maybe(text()), amounts, maybe(text()), prop::collection::vec(text(), 0..3)).prop_map(
        |(
            seller_id,
            (discountable_amount, undiscountable_amount),
            extend_params,
            query_options,
        )| {
            Extras {
                seller_id,
                discountable_amount,
                undiscountable_amount,
                extend_params,
                query_options,
            }
        },
    )
}

fn till() -> impl Strategy<Value = Option<Arc<Till>>> {
    maybe((text(), maybe(text()), maybe(text()))).prop_map(|parts| {
        parts.map(|(terminal_id, store_id, operator_id)| {
            Arc::new(Till { terminal_id, store_id, operator_id })
        })
    })
}

pub(super) fn payment() -> impl Strategy<Value = Payment> {
    let words = (trade(), maybe(reason()), maybe(attention()), maybe(trouble()), maybe(hint()));
    let out = (maybe(offer()), offer(), maybe(undo()));
    let origin = (any_order(), account(), till());
    // Boxed: a payment is too much for the stack of a test's thread.
    (origin.boxed(), state(), time(), time(), out.boxed(), words.boxed()).prop_map(
        |((order, account, till), state, created_at, updated_at, out, words)| {
            let (trade, reason, attention, trouble, hint) = words;
            let (perhaps, certainly, undo) = out;
            // Each state has what belongs to it.
            let (offer, undo, hint) = match state {
                State::AwaitingCode { .. } => (None, None, hint),
                State::Unsent { .. } => (Some(certainly), None, None),
                State::Paid | State::Declined | State::Cancelled(_) => {
                    let undo = perhaps.as_ref().and(undo);
                    (perhaps, undo, None)
                }
                State::Paying
                | State::Precreating
                | State::Resting { .. }
                | State::Querying
                | State::Cancelling
                | State::Owing => (Some(certainly), undo, None),
            };
            let record = Record {
                order: order.into(),
                account,
                till,
                state,
                rev: 1,
                created_at,
                updated_at,
                offer,
                undo,
                trade,
                reason,
                attention,
                trouble,
                hint,
            };
            record.try_into().expect("possible")
        },
    )
}

fn hint() -> impl Strategy<Value = Hint> {
    let used = (amount(), prop::sample::select(Public::ALL.to_vec()), 0..1000_u32);
    prop_oneof![
        prop::sample::select(OtherCode::ALL.to_vec()).prop_map(Hint::Shown),
        Just(Hint::TooEarly),
        Just(Hint::ScanLost),
        Just(Hint::ScannerGone),
        used.prop_map(|(amount, state, number)| Hint::CodeUsed {
            number: format!("N{number}").parse().expect("a number"),
            amount,
            state,
        }),
    ]
}

fn wire() -> impl Strategy<Value = Wire> {
    (prop::collection::vec(maybe(text()), 7), any::<Option<u16>>(), any::<u64>()).prop_map(
        |(texts, http_status, millis)| {
            let [code, sub_code, message, trade_status, action, retry_flag, trace_id] =
                texts.try_into().expect("seven texts");
            Wire {
                code,
                sub_code,
                message,
                trade_status,
                action,
                retry_flag,
                trace_id,
                http_status,
                millis,
            }
        },
    )
}

pub(super) fn step() -> impl Strategy<Value = EntryStep> {
    let name = prop::sample::select(StepName::ALL.to_vec());
    let call = prop::sample::select(vec![
        Call::Pay,
        Call::Query,
        Call::Cancel,
        Call::Refund,
        Call::RefundQuery,
    ]);
    let judged = prop::sample::select(Judged::ALL.to_vec());
    let asker = (any::<u32>(), any::<Option<u32>>()).prop_map(|(uid, pid)| Asker { uid, pid });
    (name, maybe(call), maybe(text()), maybe(judged), maybe(wire()), maybe(asker)).prop_map(
        |(name, call, code, judged, wire, asker)| EntryStep {
            name,
            call,
            code,
            judged,
            wire,
            asker,
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let scanner_news = prop_oneof![
        Just(ScannerNews::Plugged),
        text().prop_map(ScannerNews::Unplugged),
        text().prop_map(ScannerNews::ScanLost),
    ];
    let scan_kind = prop::sample::select(ScanKind::all().collect::<Vec<_>>());
    prop_oneof![
        4 => (payment(), step()).prop_map(|(payment, step)| Entry::Payment { payment, step }),
        1 => (text(), scan_kind, text(), maybe(text()))
            .prop_map(|(scanner, kind, text, aim)| Entry::Scan { scanner, kind, text, aim }),
        1 => (text(), scanner_news).prop_map(|(scanner, news)| Entry::Scanner { scanner, news }),
        1 => (any::<bool>(), text()).prop_map(|(up, text)| Entry::Gateway { up, text }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn every_entry_is_read_as_it_was_written(
        entries in prop::collection::vec((any_entry(), any::<i64>()), 1..20)
    ) {
        let bench = Bench::new();
        let mut written = Vec::new();
        for (entry, at) in entries {
            // Two payments may have the same number or sale; then the journal
            // takes the first only, which another test is about.
            match wait(bench.writer.append(entry.clone(), Timestamp(at))) {
                Ok(seq) => written.push((seq, at, entry)),
                Err(AppendError::Refused(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        let recorded = bench.reader.after(0, 1000).expect("readable");
        let read: Vec<_> = recorded.into_iter().map(|r| (r.seq, r.at.millis(), r.entry)).collect();
        prop_assert_eq!(&read, &written);
        verify(&bench.path()).expect("sound");
    }

    #[test]
    fn a_later_entry_is_completed_with_the_order_of_the_first(
        first in payment(), second in payment(), step in step()
    ) {
        let bench = Bench::new();
        prop_assume!(!first.is_final());
        let second = altered(&second, |record| {
            (record.order, record.account) = (first.order().clone(), first.account().cloned());
            record.till = first.till().cloned();
            (record.created_at, record.rev) = (first.created_at(), 2);
        });
        bench.append(entry(&first)).expect("written");
        let later = Entry::Payment { payment: second.clone(), step };
        bench.append(later.clone()).expect("written");
        let steps = bench.reader.steps_after(&first.order().out_trade_no, 0, u32::MAX).expect("readable");
        prop_assert_eq!(&steps[1].entry, &later);
        let events = bench.reader.after(1, 10).expect("readable");
        prop_assert_eq!(&events[0].entry, &later);
        let stands = bench.reader.payment(&first.order().out_trade_no).expect("readable");
        prop_assert_eq!(stands, Some(second));
    }
}

#[test]
fn the_order_is_written_once() {
    let bench = Bench::new();
    let payment = requested("A1", None);
    bench.append(entry(&payment)).expect("written");
    bench.append(entry(&paid(&payment))).expect("written");
    let with_goods: i64 = bench
        .sql()
        .query_row("SELECT count(*) FROM entries WHERE body LIKE '%apple-01%'", [], |r| r.get(0))
        .expect("counted");
    assert_eq!(with_goods, 1);
}

#[test]
fn no_payment_code_reaches_the_disk() {
    let code = "287634438256643942";
    let echoed = format!("no such code {code}, sign {{\"auth_code\":\"{code}\"}}");
    let why = Reason { code: "40004".to_owned(), sub_code: None, message: echoed.clone() };
    let trouble = Trouble { kind: TroubleKind::Busy, text: echoed.clone() };
    let bench = Bench::new();
    let payment = altered(&requested("A1", None), |record| {
        record.reason = Some(why.clone());
        record.attention = Some(Attention::Unsettled(Some(trouble.clone())));
        record.trouble = Some(trouble);
    });
    let wire = Wire { message: Some(echoed.clone()), ..Wire::default() };
    let step = EntryStep {
        name: StepName::Code,
        code: Some(code.to_owned()),
        wire: Some(wire),
        ..EntryStep::default()
    };
    bench.append(Entry::Payment { payment, step }).expect("written");
    let scan = Entry::Scan {
        scanner: "lane-1".to_owned(),
        kind: ScanKind::Alipay,
        text: code.to_owned(),
        aim: None,
    };
    bench.append(scan).expect("written");
    bench.append(news(&echoed)).expect("written");
    let grep = |folder: &Path| {
        for file in std::fs::read_dir(folder).expect("a folder") {
            let path = file.expect("a file").path();
            let bytes = std::fs::read(&path).expect("readable");
            let found = bytes.windows(code.len()).any(|window| window == code.as_bytes());
            assert!(!found, "{} holds a payment code", path.display());
        }
    };
    grep(bench.folder.path());
    let folder = bench.close();
    grep(folder.path());
}
