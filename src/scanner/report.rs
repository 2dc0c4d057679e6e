//! HID-POS reports, turned into codes by what the device says about itself.
//!
//! A scanner in HID-POS mode describes its reports: where the text is, how long
//! it may be, where the AIM identifier is, and which bit says that more comes.
//! Makers lay these out differently, so nothing is taken for granted but the
//! numbers of the usage tables.

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use super::framing::{Framed, Lost, frame};
use crate::payment::Timestamp;

/// The longest code that is taken, and more than a QR code has room for. The
/// reports of one code say that they belong together, so a long one costs
/// nothing but memory.
pub const LENGTH_MAX: usize = 4096;

/// A field that is as long as this holds every payment code in one report.
const ROOMY: usize = 32;

/// The feature report by which scanners of [`REDIRECTING`] makers are told where
/// their codes go, and the word for "to whoever reads the reports": such a
/// scanner is a keyboard at the same time, and types until it is told.
const REDIRECT: [u8; 2] = [0xfe, 0x01];
/// Honeywell, and Metrologic that it bought.
const REDIRECTING: [u16; 2] = [0x0c2e, 0x23d0];
const VENDOR_PAGES: u32 = 0xff00;

/// Usages: a page in the upper half, a number in the lower.
const DECODED_DATA: u32 = 0x8c_00fe;
const CONTINUED: u32 = 0x8c_00ff;
const AIM: [u32; 3] = [0x8c_00fb, 0x8c_00fc, 0x8c_00fd];
const BYTE_COUNT: u32 = 0x01_003b;

/// Reports longer than this are not believed.
const REPORT_BITS_MAX: usize = 4096 * 8;
/// The same for the lists in a descriptor.
const USAGES_MAX: usize = 256;
const STACK_MAX: usize = 16;

/// Where things are in the reports of one scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Reports begin with their number.
    numbered: bool,
    reports: BTreeMap<u8, Places>,
    /// The length in bits of the maker's own settings.
    settings: BTreeMap<u8, usize>,
}

/// Where things are in one report, counted from behind its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    data: Option<Bytes>,
    aim: [Option<Bits>; 3],
    count: Option<Bits>,
    more: Option<Bits>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits {
    offset: usize,
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bytes {
    offset: usize,
    length: usize,
}

/// Why a descriptor is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLayout {
    /// It describes something else.
    #[error("it is no scanner in HID-POS mode")]
    NoScanner,
    /// It breaks the rules of descriptors.
    #[error("it describes itself in a way that cannot be understood")]
    Broken,
}

/// What lasts from item to item of a descriptor.
#[derive(Clone, Copy, Default)]
struct Global {
    page: u32,
    size: usize,
    count: usize,
    report: u8,
}

impl Layout {
    /// Reads a report descriptor.
    ///
    /// # Errors
    ///
    /// When no report carries decoded data, or the descriptor is broken.
    pub fn read(descriptor: &[u8]) -> Result<Self, NoLayout> {
        let mut layout =
            Self { numbered: false, reports: BTreeMap::new(), settings: BTreeMap::new() };
        let mut offsets: BTreeMap<u8, usize> = BTreeMap::new();
        let mut global = Global::default();
        let mut stack = Vec::new();
        let mut usages: Vec<u32> = Vec::new();
        let mut least = None;
        let mut rest = descriptor;
        while let Some((prefix, after)) = rest.split_first() {
            if *prefix == 0xfe {
                // A long item: its length, its tag, its data.
                let length = usize::from(*after.first().ok_or(NoLayout::Broken)?);
                rest = after.get(2 + length..).ok_or(NoLayout::Broken)?;
                continue;
            }
            // None, one, two or four bytes.
            let length = (1_usize << (prefix & 3)) / 2;

            let (data, next) = after.split_at_checked(length).ok_or(NoLayout::Broken)?;
            rest = next;
            let value = data.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
            let number = usize::try_from(value).map_err(|_| NoLayout::Broken)?;
            // A usage of four bytes brings its own page.
            let usage = if length == 4 { value } else { global.page << 16 | value };
            match prefix & 0xfc {
                0x04 => global.page = value & 0xffff,
                0x74 => global.size = number,
                0x94 => global.count = number,
                0x84 => {
                    global.report = u8::try_from(value).map_err(|_| NoLayout::Broken)?;
                    layout.numbered = true;
                }
                0xa4 if stack.len() < STACK_MAX => stack.push(global),
                0xa4 => return Err(NoLayout::Broken),
                0xb4 => global = stack.pop().ok_or(NoLayout::Broken)?,
                0x08 if usages.len() < USAGES_MAX => usages.push(usage),
                0x18 => least = Some(usage),
                0x28 => {
                    let room = USAGES_MAX.saturating_sub(usages.len());
                    usages.extend((least.take().unwrap_or(usage)..=usage).take(room));
                }
                0x80 => {
                    let offset = offsets.entry(global.report).or_default();
                    let places = layout.reports.entry(global.report).or_default();
                    // Constants are padding and mean nothing.
                    let usages: &[u32] = if value & 1 == 0 { &usages } else { &[] };
                    *offset = places.add(*offset, global, usages)?;
                }
                0xb0 if global.page >= VENDOR_PAGES && value & 1 == 0 => {
                    let bits = global.size.saturating_mul(global.count);
                    let length = layout.settings.entry(global.report).or_default();
                    *length = length.saturating_add(bits);
                }
                _ => {}
            }
            // Input, output, feature, collection and its end use up what was
            // said for them alone.
            if matches!(prefix & 0x0c, 0x00) {
                usages.clear();
                least = None;
            }
        }
        layout.reports.retain(|_, places| places.data.is_some());
        if layout.reports.is_empty() { Err(NoLayout::NoScanner) } else { Ok(layout) }
    }

    /// The setting to send to this maker's scanner each time it is opened, if it
    /// is one of those that need it and says that it has it.
    #[must_use]
    pub fn redirect(&self, vendor: u16) -> Option<[u8; 2]> {
        let [number, _] = REDIRECT;
        let has = self.settings.get(&number) == Some(&8);
        (has && REDIRECTING.contains(&vendor)).then_some(REDIRECT)
    }

    /// The part of a code that a report carries, if it carries any.
    fn part<'r>(&self, report: &'r [u8]) -> Option<Result<Part<'r>, Lost>> {
        let (number, report) = if self.numbered {
            let (number, rest) = report.split_first()?;
            (*number, rest)
        } else {
            (0, report)
        };
        let places = self.reports.get(&number)?;
        let field = places.data?;
        let field = report.get(field.offset..)?.get(..field.length).unwrap_or_else(|| {
            // A report that was cut short is as long as it is.
            report.get(field.offset..).unwrap_or_default()
        });
        let aim = places.aim.map(|bits| {
            bits.and_then(|bits| u8::try_from(bits.of(report)).ok()).unwrap_or_default()
        });
        // Some send the identifier, and so the text, one byte later than they
        // say.
        let (aim, skip) = match (aim, field.first()) {
            ([first, b']', letter], Some(option)) if first != b']' => ([b']', letter, *option], 1),
            (aim, _) => (aim, 0),
        };
        let is_aim = is_aim(aim);
        let field = field.get(if is_aim { skip } else { 0 }..).unwrap_or_default();
        let (text, full) = match places.count {
            Some(count) => {
                let count = usize::try_from(count.of(report)).unwrap_or(usize::MAX);
                let Some(text) = field.get(..count) else { return Some(Err(Lost::Garbled)) };
                (text, count == field.len())
            }
            None => {
                let end = field.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                (field.get(..end)?, end == field.len())
            }
        };
        let aim = is_aim.then(|| aim.map(char::from).iter().collect());
        let more = places.more.is_some_and(|bits| bits.of(report) != 0);
        let roomy = full && text.len() >= ROOMY;
        Some(Ok(Part { text, aim, more, roomy }))
    }
}

fn is_aim(aim: [u8; 3]) -> bool {
    matches!(aim, [b']', letter, option]
        if letter.is_ascii_alphabetic() && option.is_ascii_alphanumeric())
}

struct Part<'r> {
    text: &'r [u8],
    aim: Option<String>,
    more: bool,
    /// It is full, and has room for more than a payment code.
    roomy: bool,
}

impl Places {
    /// Lays out one input item; says where the next one begins.
    fn add(&mut self, start: usize, item: Global, usages: &[u32]) -> Result<usize, NoLayout> {
        let bits = item.size.checked_mul(item.count).filter(|bits| *bits <= REPORT_BITS_MAX);
        let end = bits.and_then(|bits| start.checked_add(bits));
        let end = end.filter(|end| *end <= REPORT_BITS_MAX).ok_or(NoLayout::Broken)?;
        if item.size == 0 {
            return Ok(end);
        }
        for index in 0..item.count {
            // The last usage stands for all that follow.
            let Some(usage) = usages.get(index).or(usages.last()) else { break };
            let here = Bits { offset: start + index * item.size, length: item.size };
            match *usage {
                DECODED_DATA => self.add_data(here)?,
                BYTE_COUNT => _ = self.count.get_or_insert(here),
                // One bit counts; the rest of its byte is padding.
                CONTINUED => _ = self.more.get_or_insert(here),
                other => {
                    if let Some(place) = AIM.iter().position(|aim| *aim == other)
                        && let Some(place) = self.aim.get_mut(place)
                    {
                        place.get_or_insert(here);
                    }
                }
            }
        }
        Ok(end)
    }

    fn add_data(&mut self, here: Bits) -> Result<(), NoLayout> {
        if here.length != 8 || !here.offset.is_multiple_of(8) {
            return Err(NoLayout::Broken);
        }
        let offset = here.offset / 8;
        match &mut self.data {
            Some(data) if data.offset + data.length == offset => data.length += 1,
            Some(_) => {}
            None => self.data = Some(Bytes { offset, length: 1 }),
        }
        Ok(())
    }
}

impl Bits {
    /// The number in these bits; what lies beyond the report is zero.
    fn of(self, report: &[u8]) -> u32 {
        (0..self.length.min(32)).fold(0, |value, bit| {
            let at = self.offset + bit;
            let set = report.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            value | u32::from(set) << bit
        })
    }
}

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
