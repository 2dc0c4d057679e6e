//! Journals of a shop that has been open for long.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tilld::journal::{self, ChainKey, Pending};
use tilld::payment::{Entry, OutTradeNo, Recorded, Timestamp};

/// Entries under way: the writer puts what waits into one transaction.
const UNDER_WAY: usize = 600;

/// Between two payments of this shop.
const PACE_MS: i64 = 30_000;

/// A journal of so many finished payments, each with the entries that `model`
/// has, a real payment's.
///
/// Made by the journal's own writer, so it is a journal like any other, and kept
/// in `cache` for the next run, because a million takes minutes.
pub(crate) fn of(cache: &Path, payments: u64, model: &[Recorded]) -> PathBuf {
    let finished = cache.join(format!("{payments}-payments"));
    let journal = finished.join("journal.db");
    if holds(&journal, payments, model) {
        return journal;
    }
    let unfinished = cache.join(format!("{payments}-payments-unfinished"));
    for old in [&finished, &unfinished] {
        let _ = fs::remove_dir_all(old);
    }
    fs::create_dir_all(&unfinished).expect("a folder for the journal");
    write(&unfinished.join("journal.db"), payments, model);
    fs::rename(&unfinished, &finished).expect("the journal in its place");
    journal
}

/// A journal from an earlier run, whole and with the same entries.
fn holds(journal: &Path, payments: u64, model: &[Recorded]) -> bool {
    if !journal.exists() {
        return false;
    }
    let Ok((_writer, reader)) = journal::open(journal, &key()) else { return false };
    let Ok(steps) = reader.steps_after(&number(payments - 1), 0, u32::MAX) else { return false };
    steps.len() == model.len()
        && steps.iter().zip(model).all(|(old, new)| step_of(old) == step_of(new))
        && reader.head().is_ok_and(|head| head.seq == payments * model.len() as u64)
}

/// Of no account: nothing is signed with what it is derived from.
pub(crate) fn key() -> ChainKey {
    ChainKey::new(b"benchmark")
}

fn step_of(recorded: &Recorded) -> &str {
    match &recorded.entry {
        Entry::Payment { step, .. } | Entry::Refund { step, .. } => step.name.name(),
        Entry::Scan { .. } | Entry::Scanner { .. } | Entry::Gateway { .. } => {
            recorded.entry.event_name()
        }
    }
}

fn write(journal: &Path, payments: u64, model: &[Recorded]) {
    let (writer, _reader) = journal::open(journal, &key()).expect("a new journal");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut under_way: VecDeque<Pending> = VecDeque::new();
    let written = |under_way: &mut VecDeque<Pending>, at_most: usize| {
        while under_way.len() > at_most {
            let oldest = under_way.pop_front().expect("there is one");
            runtime.block_on(oldest).expect("an entry on disk");
        }
    };
    for count in 0..payments {
        // The last payment is as old as the model.
        let earlier = PACE_MS * i64::try_from(payments - 1 - count).expect("few enough");
        for recorded in model {
            let at = Timestamp(recorded.at.millis() - earlier);
            under_way.push_back(writer.append(another(&recorded.entry, count, earlier), at));
        }
        written(&mut under_way, UNDER_WAY);
    }
    written(&mut under_way, 0);
}

/// The model's entry as payment number `count`, so much earlier.
fn another(entry: &Entry, count: u64, earlier: i64) -> Entry {
    let Entry::Payment { payment, step } = entry else {
        panic!("{} in a payment's steps", entry.event_name())
    };
    let mut record = payment.record();
    let mut order = (*record.order).clone();
    order.out_trade_no = number(count);
    record.order = Arc::new(order);
    record.created_at = Timestamp(record.created_at.millis() - earlier);
    record.updated_at = Timestamp(record.updated_at.millis() - earlier);
    let payment = record.try_into().expect("a payment");
    Entry::Payment { payment, step: step.clone() }
}

fn number(count: u64) -> OutTradeNo {
    format!("20250101{count:016}").parse().expect("digits are a number")
}
