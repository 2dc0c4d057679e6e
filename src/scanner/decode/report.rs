//! HID-POS reports, put together to codes.

use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use crate::payment::Timestamp;
use crate::scanner::decode::descriptor::{Layout, Part};
use crate::scanner::decode::framing::{Framed, Lost, frame};

/// The longest code that is taken, and more than a QR code has room for. The
/// reports of one code say that they belong together, so a long one costs
/// nothing but memory.
pub const LENGTH_MAX: usize = 4096;

/// Puts the parts of a code together.
pub struct Reports {
    layout: Layout,
    gap: Duration,
    text: Zeroizing<Vec<u8>>,
    aim: Option<String>,
    /// The first and the last report of what is pending.
    times: Option<(Timestamp, Timestamp)>,
    lost: bool,
    /// More was announced by a report that is full and long.
    roomy: bool,
}

impl Reports {
    /// `gap` is the silence after which a code is over although more of it was
    /// announced: some scanners announce more behind a full report whatever
    /// comes. Those have long reports; where reports are short what was
    /// announced is missing, and what is there may look like a whole code.
    #[must_use]
    pub fn new(layout: Layout, gap: Duration) -> Self {
        Self {
            layout,
            gap,
            text: Zeroizing::new(Vec::with_capacity(LENGTH_MAX)),
            aim: None,
            times: None,
            lost: false,
            roomy: false,
        }
    }

    /// Takes one report, number included, that came at `at`.
    pub fn push(&mut self, report: &[u8], at: Timestamp) -> Option<Framed> {
        let part = self.layout.part(report)?;
        let before = self.idle(at);
        let first = self.times.map_or(at, |(first, _)| first);
        self.times = Some((first, at));
        let framed = match part {
            Ok(part) => {
                let said = self.take(&part);
                let ended = if part.more { None } else { self.end() };
                said.or(ended)
            }
            Err(why) => {
                self.forget();
                Some(Framed::Lost(why))
            }
        };
        // Only a code that is longer than a report has a rest, and then it is
        // no payment code: what follows it matters more.
        framed.or(before)
    }

    /// Tells that nothing has come until `now`.
    pub fn idle(&mut self, now: Timestamp) -> Option<Framed> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let is_torn = !self.roomy && !self.lost && !self.text.is_empty();
        let framed = self.end();
        if is_torn { Some(Framed::Lost(Lost::Torn)) } else { framed }
    }

    /// When silence will have ended what is pending, if anything is.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.times.map(|(_, last)| last + self.gap)
    }

    fn take(&mut self, part: &Part<'_>) -> Option<Framed> {
        self.roomy = part.roomy;
        if self.lost {
            return None;
        }
        if self.text.len() + part.text.len() > LENGTH_MAX {
            self.text.zeroize();
            self.lost = true;
            return Some(Framed::Lost(Lost::TooLong));
        }
        self.text.extend_from_slice(part.text);
        self.aim = self.aim.take().or_else(|| part.aim.clone());
        None
    }

    fn end(&mut self) -> Option<Framed> {
        let (started_at, _) = self.times?;
        let ends = |b: &u8| matches!(b, b'\r' | b'\n' | b'\t' | 0 | 3);
        let length = self.text.iter().rposition(|b| !ends(b)).map_or(0, |last| last + 1);
        let text = self.text.get(..length).unwrap_or_default();
        // Set up for a serial line, it frames its codes all the same.
        let text = text.strip_prefix(b"\x02").unwrap_or(text);
        let framed = if self.lost { None } else { frame(text, started_at) };
        let aim = self.aim.take();
        self.forget();
        match framed {
            Some(Framed::Code(mut code)) => {
                code.aim = aim.or(code.aim);
                Some(Framed::Code(code))
            }
            other => other,
        }
    }

    fn forget(&mut self) {
        self.text.zeroize();
        self.aim = None;
        self.times = None;
        self.lost = false;
        self.roomy = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scanner::decode::descriptor::NoLayout;
    use proptest::prelude::*;

    const CODE: &[u8] = b"281234567890123494";

    /// Put together from the usage tables: a numbered report with everything.
    fn full() -> Vec<u8> {
        [
            &[0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01][..], // Bar Code Scanner
            &[0x09, 0x12, 0xa1, 0x02],                 // Scanned Data
            &[0x85, 0x02, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08],
            &[0x95, 0x01, 0x05, 0x01, 0x09, 0x3b, 0x81, 0x02], // Byte Count
            &[0x95, 0x03, 0x05, 0x8c, 0x09, 0xfb, 0x09, 0xfc, 0x09, 0xfd, 0x81, 0x02],
            &[0x95, 0x38, 0x09, 0xfe, 0x82, 0x02, 0x01], // 56 bytes of text
            &[0x06, 0x66, 0xff, 0x95, 0x02, 0x09, 0x04, 0x09, 0x00, 0x81, 0x02],
            &[0x05, 0x8c, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x09, 0xff, 0x81, 0x02],
            &[0xc0],
            // Orders to the scanner, which are no input.
            &[0x09, 0x14, 0xa1, 0x02, 0x85, 0x04, 0x95, 0x08, 0x09, 0x60, 0x91, 0x02, 0xc0],
            &[0xc0],
        ]
        .concat()
    }

    /// The same, with what Honeywell adds: where its codes go.
    fn redirecting(bits: u8) -> Vec<u8> {
        let mut descriptor = full();
        descriptor.pop();
        let vendors = [0x06, 0x66, 0xff, 0x09, 0x10, 0xa1, 0x02, 0x85, 0xfe, 0x09, 0x20];
        descriptor.extend(vendors);
        descriptor.extend([0x75, bits, 0x95, 0x01, 0xb1, 0x02]);
        // Bytes for the scanner, which are no setting.
        descriptor.extend([0x85, 0xfd, 0x75, 0x08, 0x95, 0x3f, 0x09, 0x21, 0x91, 0x02]);
        descriptor.extend([0xc0, 0xc0]);
        descriptor
    }

    /// Number, count, text, four bytes of nothing, the symbology, the bit.
    fn padded() -> Vec<u8> {
        [
            &[0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x85, 0x02, 0x75, 0x08, 0x95, 0x01][..],
            &[0xa4, 0x05, 0x01, 0x09, 0x3b, 0x81, 0x02, 0xb4],
            &[0x95, 0x38, 0x09, 0xfe, 0x81, 0x02, 0x95, 0x04, 0x81, 0x03],
            &[0xa4, 0x06, 0x00, 0xff, 0x95, 0x01, 0x09, 0x01, 0x81, 0x02, 0xb4],
            &[0x75, 0x01, 0x95, 0x01, 0x09, 0xff, 0x81, 0x02, 0x95, 0x07, 0x81, 0x03, 0xc0],
        ]
        .concat()
    }

    /// Count and text, and no number.
    fn bare() -> Vec<u8> {
        [
            &[0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x01][..],
            &[0xa4, 0x05, 0x01, 0x09, 0x3b, 0x81, 0x02, 0xb4],
            &[0x95, 0x3f, 0x09, 0xfe, 0x81, 0x02, 0xc0],
        ]
        .concat()
    }

    /// Short reports: a code takes several.
    fn short() -> Vec<u8> {
        [
            &[0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x08][..],
            &[0x09, 0xfe, 0x81, 0x02, 0x75, 0x01, 0x95, 0x08, 0x09, 0xff, 0x81, 0x02, 0xc0],
        ]
        .concat()
    }

    /// The plainest: no number, no count, no identifier.
    fn plain() -> Vec<u8> {
        [
            &[0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x75, 0x08, 0x95, 0x40][..],
            &[0x0b, 0xfe, 0x00, 0x8c, 0x00, 0x81, 0x02, 0xc0],
        ]
        .concat()
    }

    /// Number, count and text, as one maker has it.
    fn counted() -> Vec<u8> {
        [
            &[0x05, 0x8c, 0x09, 0x02, 0xa1, 0x01, 0x85, 0x01, 0x75, 0x08, 0x95, 0x01][..],
            &[0xa4, 0x05, 0x01, 0x09, 0x3b, 0x81, 0x02, 0xb4],
            &[0x95, 0x3e, 0x19, 0xfe, 0x29, 0xfe, 0x81, 0x02, 0xc0],
        ]
        .concat()
    }

    fn keyboard() -> Vec<u8> {
        [
            &[0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7][..],
            &[0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02],
            &[0x95, 0x01, 0x75, 0x08, 0x81, 0x01, 0x95, 0x06, 0x19, 0x00, 0x29, 0x65],
            &[0x81, 0x00, 0xc0],
        ]
        .concat()
    }

    fn reports(descriptor: &[u8]) -> Reports {
        Reports::new(Layout::read(descriptor).expect("a scanner"), Duration::from_millis(200))
    }

    fn full_report(text: &[u8], aim: &[u8; 3], more: bool) -> Vec<u8> {
        let mut report = vec![2, u8::try_from(text.len()).expect("short")];
        report.extend(aim);
        report.extend(text);
        report.resize(63, 0);
        report.push(u8::from(more));
        report
    }

    fn said(framed: Option<Framed>) -> String {
        match framed {
            Some(Framed::Code(frame)) => {
                format!("{}{}", frame.aim.unwrap_or_default(), frame.text.reveal())
            }
            Some(Framed::Lost(why)) => format!("{why:?}"),
            None => String::new(),
        }
    }

    #[test]
    fn finds_the_text_wherever_it_is() {
        let at = Timestamp(7);
        let code = String::from_utf8(CODE.to_vec()).expect("digits");
        let mut full = reports(&full());
        assert_eq!(said(full.push(&full_report(CODE, b"]Q1", false), at)), format!("]Q1{code}"));
        assert_eq!(said(full.push(&full_report(CODE, b"\0\0\0", false), at)), code);
        let with_end = [CODE, b"\r\n"].concat();
        assert_eq!(
            said(full.push(&full_report(&with_end, b"]C0", false), at)),
            format!("]C0{code}")
        );

        let framed = [b"\x02", CODE, b"\x03"].concat();
        assert_eq!(said(full.push(&full_report(&framed, b"]C0", false), at)), format!("]C0{code}"));

        let mut text = CODE.to_vec();
        text.resize(64, 0);
        assert_eq!(said(reports(&plain()).push(&text, at)), code);

        let mut report = [&[1, 18], CODE].concat();
        report.resize(64, b'9');
        assert_eq!(said(reports(&counted()).push(&report, at)), code);
        // What the count does not cover is left over from earlier codes.
        let short = [&[1, 18], CODE].concat();
        assert_eq!(said(reports(&counted()).push(&short, at)), code);

        let mut report = [&[2, 18], CODE].concat();
        report.resize(62, b'9');
        report.extend([7, 0]);
        assert_eq!(said(reports(&padded()).push(&report, at)), code);
        report[63] = 1;
        assert_eq!(said(reports(&padded()).push(&report, at)), "", "more comes");

        let mut report = [&[18], CODE].concat();
        report.resize(64, 0);
        assert_eq!(said(reports(&bare()).push(&report, at)), code);
    }

    #[test]
    fn an_identifier_may_come_a_byte_late() {
        let at = Timestamp(7);
        let code = String::from_utf8(CODE.to_vec()).expect("digits");
        let mut report = full_report(b"", b"\0]Q", false);
        report[1] = 18;
        report[5] = b'1';
        report[6..24].copy_from_slice(CODE);
        assert_eq!(said(reports(&full()).push(&report, at)), format!("]Q1{code}"));
        // Where there is none nothing is late.
        let report = full_report(CODE, b"\0\0\0", false);
        assert_eq!(said(reports(&full()).push(&report, at)), code);
        let report = full_report(b"-28", b"\0]Q", false);
        assert_eq!(said(reports(&full()).push(&report, at)), "-28");
        // A late one leaves a byte less room.
        let mut report = full_report(&[b'1'; 56], b"\0]Q", false);
        assert_eq!(said(reports(&full()).push(&report, at)), "Garbled");
        report[1] = 55;
        assert_eq!(said(reports(&full()).push(&report, at)), format!("]Q1{}", "1".repeat(55)));
    }

    #[test]
    fn only_scanners_that_have_the_setting_are_told_where_codes_go() {
        let layout = |descriptor: &[u8]| Layout::read(descriptor).expect("a scanner");
        for vendor in [0x0c2e, 0x23d0] {
            assert_eq!(layout(&redirecting(8)).redirect(vendor), Some([0xfe, 1]));
            assert_eq!(layout(&redirecting(7)).redirect(vendor), None);
            assert_eq!(layout(&full()).redirect(vendor), None);
        }
        assert_eq!(layout(&redirecting(8)).redirect(0x05e0), None);
        let code = redirecting(8);
        let framed = reports(&code).push(&full_report(CODE, b"]Q1", false), Timestamp(0));
        assert!(said(framed).starts_with("]Q12812"));
    }

    #[test]
    fn of_short_reports_none_may_be_missing() {
        let at = Timestamp;
        let part = |text: &[u8], more| [text, &[u8::from(more)]].concat();
        let mut short = reports(&short());
        for (digits, expected) in [
            (&b"2812345678901234"[..], ["", "2812345678901234", ""]),
            (b"281234567890123456789012", ["", "", "281234567890123456789012"]),
        ] {
            let parts = digits.chunks(8);
            let last = parts.len() - 1;
            for ((index, text), expected) in parts.enumerate().zip(expected) {
                assert_eq!(said(short.push(&part(text, index < last), at(0))), expected);
            }
        }
        // The third of three is missing, and two look like a payment code.
        for text in [b"28123456", b"78901234"] {
            assert_eq!(said(short.push(&part(text, true), at(1000))), "");
        }
        assert_eq!(said(short.idle(at(1200))), "Torn");
        for text in [b"28123456", b"78901234"] {
            assert_eq!(said(short.push(&part(text, true), at(2000))), "");
        }
        assert_eq!(said(short.push(&part(b"69\0\0\0\0\0\0", false), at(2200))), "69");
        // Nothing was announced by nothing.
        assert_eq!(said(short.push(&part(&[0; 8], true), at(3000))), "");
        assert_eq!(said(short.idle(at(3200))), "");
    }

    #[test]
    fn other_reports_and_impossible_ones_are_no_codes() {
        let mut full = reports(&full());
        let at = Timestamp(0);
        for report in [&[][..], &[2], &[4, 1], &[3, 18, 50, 56]] {
            assert_eq!(said(full.push(report, at)).replace("Garbled", ""), "");
        }
        let mut report = full_report(CODE, b"]Q1", false);
        report[1] = 57;
        assert_eq!(said(full.push(&report, at)), "Garbled");
        assert_eq!(said(full.push(&full_report(b"", b"\0\0\0", false), at)), "");
        assert_eq!(said(full.push(&full_report(b"NR", b"\0\0\0", false), at)), "");
        // A line break inside is part of the code, so it is no payment code.
        let framed = full.push(&full_report(b"2876\n1234", b"]Q1", false), at);
        assert_eq!(said(framed), "]Q12876\n1234");
    }

    #[test]
    fn long_codes_come_in_parts() {
        let mut full = reports(&full());
        let part = [b'7'; 56];
        assert_eq!(said(full.push(&full_report(&part, b"]Q1", true), Timestamp(5))), "");
        let framed = full.push(&full_report(b"89", b"]Q1", false), Timestamp(9));
        let Some(Framed::Code(frame)) = &framed else { panic!("{framed:?}") };
        assert_eq!(frame.started_at, Timestamp(5));
        assert_eq!(said(framed), format!("]Q1{}89", "7".repeat(56)));
        // More was announced, and never came.
        assert_eq!(said(full.push(&full_report(&part, b"]Q1", true), Timestamp(10))), "");
        assert_eq!(said(full.idle(Timestamp(209))), "");
        assert_eq!(said(full.idle(Timestamp(210))), format!("]Q1{}", "7".repeat(56)));
        // It did not come before the next code did, either.
        assert_eq!(said(full.push(&full_report(&part, b"]Q1", true), Timestamp(300))), "");
        let framed = full.push(&full_report(CODE, b"\0\0\0", false), Timestamp(500));
        assert_eq!(said(framed).as_bytes(), CODE);
    }

    #[test]
    fn too_long_is_dropped_whole() {
        let mut full = reports(&full());
        let mut all = Vec::new();
        let parts = LENGTH_MAX / 56 + 2;
        for part in 1..=parts {
            let report = full_report(&[b'7'; 56], b"]Q1", part < parts);
            all.push(said(full.push(&report, Timestamp(0))));
        }
        all.retain(|said| !said.is_empty());
        assert_eq!(all, ["TooLong"]);
        // As long as may be.
        let mut all = Vec::new();
        for part in 1..=73 {
            all.push(said(full.push(&full_report(&[b'7'; 56], b"]Q1", part < 73), Timestamp(0))));
        }
        assert_eq!(all.concat(), format!("]Q1{}", "7".repeat(73 * 56)));
        let framed = full.push(&full_report(CODE, b"\0\0\0", false), Timestamp(0));
        assert_eq!(said(framed).as_bytes(), CODE);
    }

    #[test]
    fn what_is_no_scanner_is_refused() {
        assert_eq!(Layout::read(&keyboard()), Err(NoLayout::NoScanner));
        assert_eq!(Layout::read(&[]), Err(NoLayout::NoScanner));
        for broken in [
            &[0x05][..],
            &[0xfe],
            &[0xfe, 0x10, 0x00],
            &[0xb4],
            &[0x75, 0x08, 0x97, 0xff, 0xff, 0xff, 0xff, 0x81, 0x02],
            &[0x77, 0xff, 0xff, 0xff, 0xff, 0x97, 0xff, 0xff, 0xff, 0xff, 0x81, 0x02],
            &[0x86, 0x00, 0x01],
            // Text in pieces of seven bits.
            &[0x05, 0x8c, 0x09, 0xfe, 0x75, 0x07, 0x95, 0x08, 0x81, 0x02],
        ] {
            assert_eq!(Layout::read(broken), Err(NoLayout::Broken), "{broken:x?}");
        }
        for cut in 1..full().len() {
            // Whatever is left of it, it is no reason to stumble.
            let _ = Layout::read(&full()[..cut]);
        }
    }

    proptest! {
        #[test]
        fn nothing_hostile_makes_it_stumble(
            descriptor in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0..80usize,
            flip in any::<u8>(),
            reports in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20),
        ) {
            let _ = Layout::read(&descriptor);
            let mut bent = full();
            if let Some(byte) = bent.get_mut(cut) {
                *byte = flip;
            }
            for layout in [Layout::read(&bent), Layout::read(&full())].into_iter().flatten() {
                let mut reader = Reports::new(layout, Duration::from_millis(200));
                for report in &reports {
                    reader.push(report, Timestamp(0));
                }
            }
        }
    }
}
