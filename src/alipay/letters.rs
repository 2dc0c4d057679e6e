//! Texts from outside, read as far as they can be.
//!
//! A reply is bytes. What decides in it is ASCII; what people have written may
//! be in another charset than was agreed, cut in the middle of a character, or
//! half of a pair of escapes. None of that is a reason not to see the rest.

use std::borrow::Cow;

use encoding_rs::GB18030;
use serde_json::value::RawValue;

/// Bytes as a text of the same length, for a parser of JSON: what is no text
/// is stood in for, so that the parser sees where strings begin and end.
pub(super) struct Letters<'a> {
    bytes: &'a [u8],
    text: Cow<'a, str>,
}

impl<'a> Letters<'a> {
    /// As UTF-8. If that is no JSON because it is none, then as GB18030, in
    /// which the second byte of a character may be a backslash.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                let text = utf8_with_stand_ins(bytes);
                let is_json = serde_json::from_str::<&RawValue>(&text).is_ok();
                Cow::Owned(if is_json { text } else { gb18030_with_stand_ins(bytes) })
            }
        };
        Self { bytes, text }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes of a part of [`Letters::as_str`]; none for any other text.
    pub(super) fn bytes_of(&self, part: &str) -> &'a [u8] {
        let at = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        let range = at.and_then(|at| Some(at..at.checked_add(part.len())?));
        range.and_then(|range| self.bytes.get(range)).unwrap_or_default()
    }
}

fn utf8_with_stand_ins(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

fn gb18030_with_stand_ins(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte.is_ascii() {
            text.push(char::from(byte));
            continue;
        }
        text.push('?');
        // Of two bytes. (Those of four have digits in between, which may stand
        // for themselves.)
        let leads = (0x81..=0xfe).contains(&byte);
        if leads && rest.next_if(|second| matches!(*second, 0x40..=0x7e | 0x80..=0xfe)).is_some() {
            text.push('?');
        }
    }
    text
}

/// The text that a string of JSON stands for, its quotes included.
pub(super) fn unquoted(quoted: &[u8]) -> String {
    let spelt = spelt(quoted);
    serde_json::from_str(&spelt)
        .or_else(|_| serde_json::from_str(&without_halves(&spelt)))
        .unwrap_or_else(|_| spelt.trim_matches('"').to_owned())
}

/// Bytes as a text: UTF-8, or GB18030 if that is what they are, with a mark
/// where neither is.
pub(super) fn spelt(bytes: &[u8]) -> Cow<'_, str> {
    // Chinese characters have three bytes in UTF-8. A text in GB18030 has hardly
    // any that look so; one that is UTF-8 but for a hole often looks like GB18030.
    let (mut characters, mut holes) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| c.len_utf8() >= 3).count();
        holes += usize::from(!chunk.invalid().is_empty());
    }
    if holes > 0 && characters < holes {
        let (text, is_broken) = GB18030.decode_without_bom_handling(bytes);
        if !is_broken {
            return text;
        }
    }
    String::from_utf8_lossy(bytes)
}

/// JSON in which halves of pairs of escapes are replaced. They come of texts
/// that were cut between the two.
fn without_halves(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        text.push_str(before);
        let (kept, length) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (true, 12),
            (Some(0xd800..=0xdfff), _) => (false, 6),
            (Some(_), _) => (true, 6),
            (None, _) => (true, 2),
        };
        let (escape, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        text.push_str(if kept { escape } else { "\\ufffd" });
        rest = after;
    }
    text + rest
}

/// The code unit of an escape like `\u5496` at the beginning.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_as_far_as_they_can_be() {
        for (bytes, text) in [
            (&b"\"Latte\""[..], "Latte"),
            ("\"咖啡\"".as_bytes(), "咖啡"),
            // In GBK; and one whose second byte is a backslash.
            (b"\"\xbf\xa7\xb7\xc8\"", "咖啡"),
            (b"\"\xd5\x5c\xc6\xb7\"", "誠品"),
            (b"\"\xd5\x5c\"", "誠"),
            // In GB18030, with four bytes.
            (b"\"\x95\x32\x82\x36\"", "𠀀"),
            // Cut in the middle of a character.
            (b"\"\xe5\x92\x96\xe5\x95\"", "咖\u{fffd}"),
            (b"\"\xe5\x92\x96\xe5\"", "咖\u{fffd}"),
            // In the middle of a pair of escapes, or two halves that are none.
            (br#""a\ud83d""#, "a\u{fffd}"),
            (br#""\ud83d b""#, "\u{fffd} b"),
            (br#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (br#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (br#""\ud83d\u5496""#, "\u{fffd}咖"),
            // Not an escape at all.
            (br#""\\ud83d\"\/""#, "\\ud83d\"/"),
            // Neither the one nor the other.
            (b"\"\xff\xff a\"", "\u{fffd}\u{fffd} a"),
        ] {
            assert_eq!(unquoted(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn a_parser_sees_where_strings_end_and_each_byte_keeps_its_place() {
        for bytes in [
            "[\"咖\", 1]".as_bytes(),
            b"[\"\xbf\xa7\xe5\", 1]",
            b"[\"\xd5\x5c\", 1]",
            b"[\"\xd5\x5c\xc6\xb7\", 1]",
        ] {
            let letters = Letters::of(bytes);
            let parts: Vec<&RawValue> = serde_json::from_str(letters.as_str()).unwrap();
            let (first, second) = (parts[0].get(), parts[1].get());
            assert_eq!(letters.bytes_of(first), &bytes[1..bytes.len() - 4]);
            assert_eq!(letters.bytes_of(second), b"1");
        }
        let letters = Letters::of(b"[]");
        assert!(letters.bytes_of("elsewhere").is_empty());
    }

    proptest! {
        #[test]
        fn what_is_json_is_read_as_a_parser_reads_it(text in ".*") {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unquoted(quoted.as_bytes()), text);
            let letters = Letters::of(quoted.as_bytes());
            prop_assert_eq!(letters.as_str(), quoted.as_str());
        }

        #[test]
        fn no_bytes_make_it_panic_or_change_their_length(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let letters = Letters::of(&bytes);
            prop_assert_eq!(letters.as_str().len(), bytes.len());
            unquoted(&bytes);
        }
    }
}
