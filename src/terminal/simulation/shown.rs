//! What buyers hold before scanners and registers: fresh codes, codes that were
//! shown before, and what is no payment code at all.

use std::collections::{BTreeSet, HashMap};

use super::Random;

/// No payment codes, whatever they look like.
const WRONG: [&str; 8] = [
    "134567890123456789",
    "6212345678901234567",
    "511234567890123456",
    "https://qr.alipay.com/fkx1234",
    "281234567890123",
    "6901234567892",
    "",
    // A label of the scales, whose prefix the shop has told.
    "261234500999012348",
];

#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Every payment code that was shown, oldest first.
    codes: Vec<String>,
    good: BTreeSet<String>,
    /// The code that a register sends along with a number.
    of_number: HashMap<String, String>,
    /// For which payment a code has left the box.
    left: HashMap<String, String>,
}

impl Shown {
    fn fresh(&mut self) -> String {
        let code = format!("28{:016}", self.codes.len());
        self.codes.push(code.clone());
        self.good.insert(code.clone());
        code
    }

    /// A fresh code, or one that was shown before, to whomever.
    fn any(&mut self, random: &mut Random) -> String {
        let count = self.codes.len() as u64;
        if count > 0 && random.chance(35) {
            let index = usize::try_from(random.below(count)).expect("small");
            return self.codes[index].clone();
        }
        self.fresh()
    }

    pub(super) fn before_a_scanner(&mut self, random: &mut Random) -> String {
        if random.chance(20) {
            let index = usize::try_from(random.below(WRONG.len() as u64)).expect("small");
            return WRONG[index].to_owned();
        }
        self.any(random)
    }

    /// The same request has the same code.
    pub(super) fn with_request(&mut self, number: &str, random: &mut Random) -> String {
        if let Some(code) = self.of_number.get(number) {
            return code.clone();
        }
        let code = self.any(random);
        self.of_number.insert(number.to_owned(), code.clone());
        code
    }

    /// The customer has another code now.
    pub(super) fn refresh(&mut self, number: &str) {
        let code = self.fresh();
        self.of_number.insert(number.to_owned(), code);
    }

    /// A pay with this code leaves the box. Says what is wrong with that.
    pub(super) fn sent(&mut self, code: &str, number: &str) -> Option<String> {
        if !self.good.contains(code) {
            return Some(format!("{number} is charged to {code}, which is no payment code"));
        }
        let first = self.left.entry(code.to_owned()).or_insert_with(|| number.to_owned());
        (first != number).then(|| format!("{code} was charged for {first}, and for {number}"))
    }
}
