//! What a scanner in HID-POS mode says about its reports: where the text is, how
//! long it may be, where the AIM identifier is, and which bit says that more
//! comes. Makers lay these out differently, so nothing is taken for granted but
//! the numbers of the usage tables.

use std::collections::BTreeMap;

use crate::scanner::decode::framing::Lost;
use crate::scanner::makers::{REDIRECT, REDIRECTING};

/// A field that is as long as this holds every payment code in one report.
const ROOMY: usize = 32;

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
    pub(super) fn part<'r>(&self, report: &'r [u8]) -> Option<Result<Part<'r>, Lost>> {
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

/// The part of a code that one report carries.
pub(super) struct Part<'r> {
    pub(super) text: &'r [u8],
    pub(super) aim: Option<String>,
    pub(super) more: bool,
    /// It is full, and has room for more than a payment code.
    pub(super) roomy: bool,
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
