//! What a scan is for: the payment that waits for it, or nothing but an entry and
//! a word to the cashier.

use super::sights::{GOODS_WINDOW, PHONE_WINDOW, Reading};
use super::slot::{Happening, Offered};
use super::{Output, Terminal};
use crate::payment::{
    AuthCode, Entry, Hint, Illegal, Moment, OtherCode, Payment, SecretText, Timestamp, hide_codes,
    is_printed_on_goods,
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
    ) -> Result<(), Illegal> {
        let Scan { scanner, text, aim, started_at, known } = scan;
        let read = AuthCode::read_scan(text, aim.as_deref(), &self.codes.labels);
        let waiting = self.waiting_on(scanner);
        let waiting_since =
            waiting.as_ref().and_then(|number| self.open.get(number)).map(|slot| slot.armed_at);
        let is_from_a_phone = read.as_ref().err().is_none_or(|other| other.is_from_a_phone());
        let window = if is_from_a_phone { PHONE_WINDOW } else { GOODS_WINDOW };
        let mark = self.codes.key.mark_text(text);
        let reading = Reading { scanner, mark, window, at: started_at, waiting_since };
        if self.sights.is_repeat(reading) {
            return Ok(());
        }
        let in_time = waiting_since.is_some_and(|since| started_at >= since);
        let shown = match (&read, &read.as_ref().err()) {
            (Ok(code), _) => code.masked(),
            // Somebody's code with a digit missing is still nearly that code.
            (_, Some(OtherCode::Torn)) => "*".repeat(text.reveal().len()),
            // Goods for certain, whatever the digits look like.
            _ if is_printed_on_goods(aim.as_deref()) => text.reveal().to_owned(),
            _ => hide_codes(text.reveal()),
        };
        let entry = |kind: &str| Entry::Scan {
            scanner: scanner.to_owned(),
            kind: kind.to_owned(),
            text: shown,
            aim,
        };
        let hint = match (read, &waiting) {
            (Ok(code), Some(number)) if in_time => {
                let offered = Offered { code, mark, known: known.map(|payment| *payment) };
                let scanned = Happening::Scanned(offered, entry("alipay"));
                return self.happen(number, scanned, now, out);
            }
            (Ok(_), Some(_)) => Hint::TooEarly,
            (Ok(_), None) => {
                self.note(entry("alipay"), out);
                return Ok(());
            }
            (Err(other), _) => Hint::Shown(other),
        };
        self.note(entry(hint.name()), out);
        match waiting {
            // What was scanned before the payment began was not meant for it.
            Some(number) if in_time || hint == Hint::TooEarly => {
                self.happen(&number, Happening::Hint(Some(hint)), now, out)
            }
            Some(_) | None => Ok(()),
        }
    }
}
