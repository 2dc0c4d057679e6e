//! The real daemon, killed with SIGKILL: after every restart the terminal's word
//! is what the gateway's ledger holds.
//!
//! ```text
//!   register ──PUT──▶ tilld ──http──▶ sandbox            (this process)
//!      ▲  events ───────┘ │ killer.so: point 1, 2, 3 …
//!      │                  ▼ SIGKILL at point n
//!      └──────── tilld again, by itself ──▶ its word == the ledger, to the fen
//! ```
//!
//! The product has no hooks for this. A shim (`killer.c`) is loaded into the
//! debug binary with LD_PRELOAD and counts points: just before and just after
//! the journal is synced, a call is sent, a register is told; and when an answer
//! or a request was read. Every ending of the sandbox's table times every point
//! is a story of its own ([`story`]).
//!
//! `cargo test` plays a sample. `CRASH_POINTS=all cargo test --test crash` plays
//! everything, `CRASH_POINTS=33` every point of ending 33; `CRASH_SEED` repeats a
//! sample, `CRASH_AT_ONCE` is how many stories are played at a time. A disk that
//! hangs is played by the same shim ([`stall`]); `CRASH_STALLS=all` at every sync.
//! Refunds have stories of their own ([`refunds`]), every point of which
//! `CRASH_POINTS=refunds cargo test --test crash refunds` plays.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests count as tests")]
#![allow(clippy::indexing_slicing, reason = "helpers of tests count as tests")]
#![allow(clippy::print_stdout, reason = "helpers of tests count as tests")]

mod books;
mod crowd;
mod killer;
mod logless;
mod refunds;
mod register;
#[path = "../shim/mod.rs"]
mod shim;
mod shop;
mod stall;
mod story;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use tilld::sandbox::endings::{ENDINGS, Ending};

use crowd::Crowd;
use killer::{KINDS, Point, Since};
use shop::{LOOK_AGAIN, Shop};
use story::{Outcome, Plan, ends_as_the_table_says, play_all};

/// Stories played at a time; they mostly wait.
const AT_ONCE: usize = 40;

/// In a full run a story of so many is killed a second time while it recovers.
const AGAIN_EVERY: u64 = 3;

/// Of a recovery, so many points are tried; by then the payment is settled or
/// waits.
const AGAIN_MAX: u64 = 24;

#[test]
fn every_ending_survives_a_kill_at_every_point() {
    let endings = endings();
    let is_whole_table = endings.len() == ENDINGS.len();
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let mut tally = Tally::default();

    // Nobody is killed before the end: this counts the points.
    let plans: Vec<Plan> = endings.iter().copied().map(Plan::undisturbed).collect();
    let outcomes = play_all(&shop, &plans, at_once());
    let length = |o: &Outcome| u64::try_from(o.points.len()).unwrap();
    let lengths: BTreeMap<u8, u64> =
        plans.iter().zip(&outcomes).map(|(p, o)| (p.ending.number, length(o))).collect();
    let mut as_the_table_says = 0;
    for (plan, outcome) in plans.iter().zip(&outcomes) {
        let played = shop.ledger().number(&outcome.word.number).and_then(|held| held.ending);
        assert_eq!(played, Some(plan.ending.number), "{plan}");
        as_the_table_says += u64::from(ends_as_the_table_says(plan.ending, &outcome.word));
        the_shim_sees(&outcome.points);
    }
    for method in ["pay", "query", "cancel"] {
        let called = |o: &Outcome| o.points.iter().any(|p| p.kind == "call" && p.what == method);
        let seen = outcomes.iter().any(called);
        assert!(seen || !is_whole_table, "the shim has seen no {method}");
    }
    println!(
        "{} points in {} endings, {as_the_table_says} of which end as the table says",
        lengths.values().sum::<u64>(),
        endings.len()
    );
    tally.add(outcomes);

    let mut plans = Vec::new();
    for ending in endings {
        let length = lengths[&ending.number];
        let chosen: Vec<u64> = if is_full() {
            (1..=length).collect()
        } else {
            vec![1 + random.below(UNANSWERED.min(length)), 1 + random.below(length)]
        };
        for at in chosen {
            let again = random.below(AGAIN_EVERY) == 0;
            let again = again.then(|| 1 + random.below(AGAIN_MAX));
            let repeats = random.below(2) == 0;
            let slow = random.below(2) == 0;
            let plan = Plan { ending, at, repeats, again, tls: false, slow };
            plans.push(plan);
            // Early points are played twice, the second time the other way round.
            if is_full() && at <= UNANSWERED {
                plans.push(Plan { repeats: !repeats, slow: !slow, again: None, ..plan });
            }
        }
    }
    let outcomes = play_all(&shop, &plans, at_once());
    // A payment that takes a few points more than it did the first time has a
    // tail.
    let mut tails: Vec<Plan> = Vec::new();
    for (plan, outcome) in plans.iter().zip(&outcomes) {
        let is_last = lengths[&plan.ending.number] == plan.at;
        if is_full() && is_last && outcome.killed_at.is_some() {
            let tail = (1..=TAIL).map(|more| Plan { at: plan.at + more, again: None, ..*plan });
            tails.extend(tail);
        }
    }
    tally.add(outcomes);
    tally.add(play_all(&shop, &tails, at_once()));
    tally.show();

    // Whatever came late has come by now.
    for word in &tally.words {
        books::compare(word, shop.ledger()).unwrap();
    }
    if is_full() && is_whole_table {
        tally.has_everything();
    }
}

/// A daemon that gets past the shim would pass every test here.
fn the_shim_sees(points: &[Point]) {
    for kind in KINDS {
        assert!(points.iter().any(|p| p.kind == kind), "the shim has seen no {kind}: {points:?}");
    }
    let begun = points.iter().any(|point| point.phase == "begin");
    assert!(begun, "the shim has not seen an entry being written: {points:?}");
}

#[test]
fn an_ending_over_tls_survives_a_kill_at_every_point() {
    let mut random = Random::from_environment();
    let shop = Shop::open();
    // Declined with the trade left open: pay, query and cancel in few points.
    let ending = &ENDINGS[11];
    let again = |at: u64| (at % 3 == 1).then_some(1 + at % AGAIN_MAX);
    let plan = |at| Plan {
        at,
        repeats: at % 2 == 0,
        again: again(at),
        tls: true,
        ..Plan::undisturbed(ending)
    };
    let outcomes = play_all(&shop, &[plan(0)], 1);
    let length = u64::try_from(outcomes[0].points.len()).unwrap();
    // What is sent cannot be read any more. The handshake was the probe's, before the
    // request; it counts in the second life.
    assert!(outcomes[0].points.iter().filter(|point| point.kind == "call").count() >= 6);
    assert!(outcomes[0].points.iter().all(|p| p.kind != "call" || p.what == "-"));
    let chosen: Vec<u64> = if is_full() {
        (1..=length).collect()
    } else {
        (0..SAMPLE_OF_ONE).map(|_| 1 + random.below(length)).collect()
    };
    let plans: Vec<Plan> = chosen.into_iter().map(plan).collect();
    let mut tally = Tally::default();
    tally.add(play_all(&shop, &plans, at_once()));
    tally.show();
}

#[test]
fn a_first_start_survives_a_kill_at_every_point() {
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let start = |at: u64| {
        let terminal = shop.terminal(false);
        let killer = terminal.killer("points", at, Since::Start);
        let is_ready = terminal.start(Some(&killer)).is_ready().unwrap();
        (terminal, killer, is_ready)
    };
    let (_terminal, killer, is_ready) = start(0);
    assert!(is_ready);
    // Asking whether it is ready is the register's first request.
    let count = |p: &&Point| p.kind == "journal";
    let length = u64::try_from(killer.points().iter().filter(count).count()).unwrap();
    assert!(length > 0, "the shim has not seen the journal being made");
    let chosen: Vec<u64> = if is_full() {
        (1..=length).collect()
    } else {
        (0..SAMPLE_OF_ONE).map(|_| 1 + random.below(length)).collect()
    };
    println!("{length} points until it is ready; killed at {chosen:?}");
    for at in chosen {
        let (terminal, killer, is_ready) = start(at);
        assert!(!is_ready, "not killed at {at}: {:?}", killer.points());
        let plan = Plan::undisturbed(&ENDINGS[0]);
        if let Err(why) = story::play_in(&shop, &plan, &terminal) {
            panic!("{:?}\n{why}\n{}", killer.killed_at(), terminal.log());
        }
    }
}

#[test]
fn a_terminal_with_twenty_payments_is_killed_ten_times_in_a_row() {
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let mut crowd = Crowd::new(&shop);
    for _ in 0..10 {
        let moment = Duration::from_millis(random.below(1000));
        crowd.live(20, &mut random, |daemon, _| {
            // Not to wait for anything: the moment is the test.
            std::thread::sleep(moment);
            daemon.kill();
        });
    }
    crowd.judge();
}

#[test]
fn a_terminal_that_is_told_to_stop_stops_and_goes_on_at_the_next_start() {
    let mut random = Random::from_environment();
    let shop = Shop::open();
    let mut crowd = Crowd::new(&shop);
    for entries in [1, 20, 40] {
        crowd.live(20, &mut random, |daemon, listener| {
            let deadline = Instant::now() + STOPPED_WITHIN;
            while listener.count() < entries {
                assert!(Instant::now() < deadline, "told too little: {:?}", listener.told());
                std::thread::sleep(LOOK_AGAIN);
            }
            let ended = daemon.terminate(STOPPED_WITHIN);
            let ended = ended.expect("it stops when it is told to");
            assert!(ended.success(), "{ended}");
        });
    }
    crowd.judge();
}

/// The contract says 5 s; a machine that is busy with other tests is slower.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// Points that a test of one ending tries in a sample.
const SAMPLE_OF_ONE: u64 = 4;

/// The first points of a payment: until its request is answered and the pay is
/// sent. In a sample every second point is one of them.
const UNANSWERED: u64 = 12;

/// Points tried beyond the number that was counted.
const TAIL: u64 = 6;

/// What was played.
#[derive(Default)]
struct Tally {
    kills: BTreeMap<(String, String), u64>,
    past_the_end: u64,
    again: u64,
    words: Vec<books::Word>,
}

impl Tally {
    fn add(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome.killed_at {
                Some(point) => {
                    let what = if point.kind == "call" { point.what } else { point.phase.clone() };
                    *self.kills.entry((point.kind, what)).or_default() += 1;
                }
                None => self.past_the_end += 1,
            }
            self.again += u64::from(outcome.killed_again_at.is_some());
            self.words.push(outcome.word);
        }
    }

    /// A run that never came to one of these proves nothing about it.
    fn has_everything(&self) {
        for money in ["taken", "returned", "none", "unknown", "unheard of"] {
            let seen = self.words.iter().any(|word| word.money() == money);
            assert!(seen, "no story came to {money}");
        }
        for kind in KINDS {
            let seen = self.kills.keys().any(|(killed, _)| killed == kind);
            assert!(seen, "nobody was killed at {kind}");
        }
    }

    fn show(&self) {
        let killed: u64 = self.kills.values().sum();
        println!("{killed} kills at points of a payment, {} past its end", self.past_the_end);
        for ((kind, what), count) in &self.kills {
            println!("  {count:5} {kind} {what}");
        }
        println!("{} of them killed again while recovering", self.again);
        let mut words: BTreeMap<&str, u64> = BTreeMap::new();
        for word in &self.words {
            *words.entry(word.money()).or_default() += 1;
        }
        println!("money after all: {words:?}");
    }
}

/// Whether every point is wanted, of all endings or of one.
fn is_full() -> bool {
    std::env::var("CRASH_POINTS").is_ok()
}

fn endings() -> Vec<&'static Ending> {
    let wanted = std::env::var("CRASH_POINTS").unwrap_or_else(|_| "all".to_owned());
    let all = ENDINGS.iter().filter(|e| wanted == "all" || wanted == e.number.to_string());
    let endings: Vec<_> = all.collect();
    assert!(!endings.is_empty(), "CRASH_POINTS is \"all\" or the number of an ending");
    endings
}

fn at_once() -> usize {
    std::env::var("CRASH_AT_ONCE").map_or(AT_ONCE, |text| text.parse().unwrap())
}

/// Numbers that only look random (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// Prints its seed, so that a failure can be had again.
    pub(crate) fn from_environment() -> Self {
        let seed = match std::env::var("CRASH_SEED") {
            Ok(text) => text.parse().unwrap(),
            Err(_) => RandomState::new().build_hasher().finish() % 1_000_000,
        };
        println!("CRASH_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % end
    }
}
