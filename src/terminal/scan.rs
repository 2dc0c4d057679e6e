//! What a scan is for: the payment that waits for it, or nothing but an entry and
//! a word to the cashier.

use super::open::{Happening, Offered};
use super::sights::{GOODS_WINDOW, PHONE_WINDOW, Reading};
use super::{LostTrack, Output, Terminal};
use crate::payment::{
    AuthCode, Entry, Hint, Moment, Payment, ScanKind, SecretText, State, Timestamp, show_scan,
};

/// What a scanner has read.
pub(super) struct Scan<'a> {
    pub(super) scanner: &'a str,
    pub(super) text: &'a SecretText,
    pub(super) aim: Option<String>,
    pub(super) started_at: Timestamp,
    pub(super) known: Option<Box<Payment>>,
}

impl Terminal {
    /// A scan: for the payment that waits for one on this scanner, if it is a
    /// code of Alipay and began after the payment did. Else an event, and if a
    /// payment waits, its cashier is told what is wrong with it.
    pub(super) fn scan(
        &mut self,
        scan: Scan<'_>,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Result<(), LostTrack> {
        let Scan { scanner, text, aim, started_at, known } = scan;
        let read = AuthCode::read_scan(text, aim.as_deref(), &self.codes.labels);
        let waiting = self.waiting_on(scanner);
        let waiting_since =
            waiting.as_ref().and_then(|number| self.open.get(number)).map(|slot| slot.armed_at);
        let is_from_a_phone = read.as_ref().err().is_none_or(|other| other.is_from_a_phone());
        let window = if is_from_a_phone { PHONE_WINDOW } else { GOODS_WINDOW };
        // The same code in other clothes, such as with blanks, is the same code.
        let mark = match &read {
            Ok(code) => self.codes.key.mark(code),
            Err(_) => self.codes.key.mark_text(text),
        };
        let reading = Reading { scanner, mark, window, at: started_at, waiting_since };
        if self.sights.is_repeat(reading) {
            return Ok(());
        }
        let in_time = waiting_since.is_some_and(|since| started_at >= since);
        let is_near = self.sights.is_near(scanner, text, started_at) || waiting.is_some();
        let shown = show_scan(text, aim.as_deref(), &read, is_near);
        let entry = |kind| Entry::Scan { scanner: scanner.to_owned(), kind, text: shown, aim };
        let (kind, hint) = match (read, &waiting) {
            (Ok(code), Some(number)) if in_time => {
                let tag = self.codes.key.tag(number, now);
                let known = known.map(|payment| *payment);
                let offered = Offered { code, mark, tag, known };
                let scanned = Happening::Scanned(offered, entry(ScanKind::Alipay));
                return self.happen(number, scanned, now, out);
            }
            (Ok(_), Some(_)) => (ScanKind::TooEarly, Hint::TooEarly),
            (Ok(_), None) => {
                self.note(entry(ScanKind::Alipay), out);
                return Ok(());
            }
            (Err(other), _) => (ScanKind::Other(other), Hint::Shown(other)),
        };
        self.note(entry(kind), out);
        match waiting {
            // What was scanned before the payment began was not meant for it.
            Some(number) if in_time || hint == Hint::TooEarly => {
                self.happen(&number, Happening::Hint(Some(hint)), now, out)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The scanner that a payment waited on until it came to this.
pub(super) fn let_off(before: &Payment, after: &Payment) -> Option<String> {
    let waits = |payment: &Payment| matches!(payment.state(), State::AwaitingCode { .. });
    (waits(before) && !waits(after)).then(|| after.order().scanner.clone()).flatten()
}
