//! The whole terminal against a gateway, a network, a disk, a buyer and a
//! cashier that all may do what they do in shops, on a virtual clock, from a
//! seed. At every step the books are compared.
//!
//! `SIM_PAYMENTS` says how many payments to play (CI: a million), `SIM_SEED`
//! where to start; a seed that fails is printed and replays the same.

#![allow(clippy::wildcard_enum_match_arm, reason = "a model tells apart only what it plays")]
#![allow(clippy::needless_pass_by_value, reason = "lines of the story are made to be given away")]
#![allow(clippy::indexing_slicing, reason = "the model's own numbers")]

mod books;
mod bugs;
mod ends;
mod gateway;
mod network;
mod refunds;
mod register;
mod shown;
mod shown_codes;
mod world;
mod writes;

pub(crate) use bugs::Bug;

/// A small generator of numbers (`SplitMix64`): the same for ever from a seed.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a hundred cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn no_seed_finds_a_payment_whose_books_differ() {
    let payments = setting("SIM_PAYMENTS", 20_000);
    let first = setting("SIM_SEED", 1);
    let (mut played, mut seed, mut ends) = (0, first, ends::Ends::default());
    while played < payments {
        let report = world::play(seed, None);
        if let Err(broken) = report.verdict {
            panic!("seed {seed}: {broken}\n{}", report.story.join("\n"));
        }
        played += report.payments;
        ends.add(&report.ends);
        seed += 1;
    }
    println!("{played} payments, seeds {first} to {}: {ends:?}", seed - 1);
    assert!(ends.has_all(), "some end was never reached: {ends:?}");
}

#[test]
fn every_planted_bug_is_found() {
    // Far below what the main test plays, so that it would have seen them.
    let limit = setting("SIM_BUG_PAYMENTS", 400_000);
    for bug in Bug::ALL {
        let (mut played, mut seed) = (0, 1);
        let found = loop {
            assert!(played < limit, "{bug:?} was not found in {played} payments");
            let report = world::play(seed, Some(bug));
            played += report.payments;
            if let Err(broken) = report.verdict {
                break broken;
            }
            seed += 1;
        };
        println!("{bug:?}: found after {played} payments (seed {seed}): {found}");
    }
}

#[test]
fn a_seed_replays_the_same() {
    for seed in 1..20 {
        let (one, two) = (world::play(seed, None), world::play(seed, None));
        assert_eq!(one.story, two.story);
    }
}
