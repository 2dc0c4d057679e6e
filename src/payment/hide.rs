//! Payment codes in texts that are written down or told: never in the clear.

use zeroize::Zeroizing;

use super::code::{ascii_digit, check_digit_fits, grouped};
use super::{AuthCode, OtherCode, SecretText, is_printed_on_goods};

/// Digits beyond so many are no more groups of one code.
const GROUPED_MAX: usize = 40;

/// So many digits of a torn code leave so few to be found out that they are as
/// good as the code.
const TORN_MIN: usize = 12;

/// The first and last two digits.
pub(super) fn mask(digits: &str) -> String {
    let stars = "*".repeat(digits.len().saturating_sub(4));
    match (digits.get(..2), digits.get(digits.len().saturating_sub(2)..)) {
        (Some(first), Some(last)) if digits.len() >= 8 => format!("{first}{stars}{last}"),
        _ => "*".repeat(digits.len()),
    }
}

/// Masks every run of digits in `text` that could be somebody's payment code
/// (Alipay, WeChat, UnionPay), and whatever follows one without a break. Groups
/// that the same blank, hyphen or dot joins are one run.
///
/// For texts that come from outside: a gateway's `sub_msg` may repeat the whole
/// request, and a customer may show any wallet's code to the scanner.
#[must_use]
pub fn hide_codes(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_digit) {
        let (before, from) = rest.split_at(start);
        hidden.push_str(before);
        let runs: Vec<&str> =
            group_ends(from).into_iter().filter_map(|end| from.get(..end)).collect();
        let code = runs.iter().rev().find(|run| could_be_a_code(&digits_of(run)));
        let done = match (code, runs.first()) {
            (Some(code), _) => {
                hidden.push_str(&masked(code));
                code.len()
            }
            (None, Some(group)) => {
                hidden.push_str(group);
                group.len()
            }
            (None, None) => break,
        };
        rest = from.get(done..).unwrap_or_default();
    }
    hidden.push_str(rest);
    hidden
}

/// What may be told of a scan: all of it if it is goods, nothing of it that
/// could be money.
///
/// `read` is what it was taken for. `is_near` a payment the pieces of a torn code
/// are to be expected, and digits are told as their length then unless they are
/// an article's number for certain.
#[must_use]
pub fn show_scan(
    text: &SecretText,
    aim: Option<&str>,
    read: &Result<AuthCode, OtherCode>,
    is_near: bool,
) -> String {
    let text = text.reveal();
    match read {
        Ok(code) => code.masked(),
        // Goods for certain, whatever the digits look like.
        Err(_) if is_printed_on_goods(aim) => text.to_owned(),
        // Somebody's code with a digit missing is still nearly that code.
        Err(OtherCode::Torn | OtherCode::ExtraCharacters) => starred(text),
        Err(OtherCode::WeChat | OtherCode::UnionPay | OtherCode::OtherWallet) => masked(text),
        // A link, and no secret.
        Err(OtherCode::CollectCode) => hide_codes(text),
        Err(_) if is_article(text) => hide_codes(text),
        Err(_) if is_near || is_much_of_a_code(text) => starred(text),
        Err(_) => hide_codes(text),
    }
}

/// Two scans, one soon after the other, are the two halves of a code.
#[must_use]
pub fn are_halves(first: &SecretText, second: &SecretText) -> bool {
    let joined = Zeroizing::new(format!("{}{}", first.reveal(), second.reveal()));
    joined.len() <= GROUPED_MAX && could_be_a_code(&digits_of(&joined))
}

/// The check digit fits, and it does not begin as a payment code does.
fn is_article(text: &str) -> bool {
    let is_number = matches!(text.len(), 8 | 12..=14) && text.bytes().all(|b| b.is_ascii_digit());
    is_number && check_digit_fits(text) && !begins_as_a_code(text)
}

fn begins_as_a_code(digits: &str) -> bool {
    matches!(digits.get(..2).and_then(|prefix| prefix.parse::<u8>().ok()), Some(25..=30))
}

fn is_much_of_a_code(text: &str) -> bool {
    let is_ean = matches!(text.len(), 12..=14) && check_digit_fits(text);
    let digits = grouped(text, |c| !c.is_alphanumeric()).unwrap_or_default();
    digits.len() >= TORN_MIN && begins_as_a_code(&digits) && !is_ean
}

fn is_digit(c: char) -> bool {
    ascii_digit(c).is_some()
}

fn digits_of(text: &str) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    digits.extend(text.chars().filter_map(ascii_digit));
    digits
}

/// A code as it stands in a text.
fn masked(code: &str) -> String {
    if code.bytes().all(|b| b.is_ascii_digit()) { mask(code) } else { starred(code) }
}

/// Each digit a star, and the rest as it is.
fn starred(text: &str) -> String {
    text.chars().map(|c| if is_digit(c) { '*' } else { c }).collect()
}

/// Where the first group of digits ends, the first two, the first three ...
fn group_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let (mut at, mut count, mut joint) = (0, 0, None);
    while count < GROUPED_MAX {
        let rest = text.get(at..).unwrap_or_default();
        let group = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
        if group == 0 {
            break;
        }
        count += rest.get(..group).unwrap_or_default().chars().count();
        at += group;
        ends.push(at);
        let mut after = rest.get(group..).unwrap_or_default().chars();
        match after.next() {
            Some(c) if is_joint(c) && joint.is_none_or(|joint| joint == c) => {
                joint = Some(c);
                at += c.len_utf8();
            }
            Some(_) | None => break,
        }
    }
    ends
}

fn is_joint(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{3000}' | '-' | '.')
}

/// Digits that start as a wallet's payment code does and are long enough to be
/// one. A trade number of Alipay (28 digits starting with the year) is not.
fn could_be_a_code(digits: &str) -> bool {
    let prefix = digits.get(..2).and_then(|p| p.parse::<u8>().ok());
    match digits.len() {
        19 | 20 if prefix == Some(1) => true,
        16..=27 => matches!(prefix, Some(10..=15 | 25..=30 | 51 | 62 | 83 | 91)),
        28.. => matches!(prefix, Some(25..=30)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::ScaleLabels;

    #[test]
    fn hides_codes_in_foreign_texts() {
        assert_eq!(
            hide_codes("sign {\"auth_code\":\"28763443825664394\"}, twice 28763443825664394."),
            "sign {\"auth_code\":\"28*************94\"}, twice 28*************94."
        );
        for (text, hidden) in [
            ("134567890123456789", "13**************89"),
            ("0112345678901234567", "01***************67"),
            ("code 2876 3443 8256 6439 4!", "code **** **** **** **** *!"),
            ("2876-3443-8256-6439-4 1234", "****-****-****-****-* 1234"),
            ("2876.3443.8256.6439.4", "****.****.****.****.*"),
            ("２８７６３４４３８２５６６４３９４", "*****************"),
            // The code may begin with any group.
            ("7 2876 3443 8256 6439 4", "7 **** **** **** **** *"),
            ("7 2 28763443825664394", "7 2 28*************94"),
        ] {
            assert_eq!(hide_codes(text), hidden);
        }
        for harmless in [
            "6901234567892",
            "2013112011001004330000121536",
            "余额不足 88.88",
            "12.50 2026-11-26 22:41:06",
            "1250.00 2026-11-26 22:41:06",
            "127.0.0.1:18443 10.155.122.101",
        ] {
            assert_eq!(hide_codes(harmless), harmless);
        }
        // However many groups there are, each is looked at a few times only.
        let many = "7 ".repeat(200_000);
        assert_eq!(hide_codes(&many), many);
    }

    fn shown(text: &str, aim: Option<&str>, is_near: bool) -> String {
        let text = SecretText::new(text.to_owned());
        let read = AuthCode::read_scan(&text, aim, &ScaleLabels::default());
        show_scan(&text, aim, &read, is_near)
    }

    #[test]
    fn what_could_be_a_code_is_never_told() {
        for (text, told) in [
            ("281234567890123494", "28**************94"),
            (" 2812 3456 7890 1234 94", "28**************94"),
            ("]C1281234567890123494", "28**************94"),
            ("２８１２３４５６７８９０１２３４９４", "28**************94"),
            ("s281234567890123494", "s******************"),
            ("P01281234567890123494", "P********************"),
            ("2812.3456.7890.1234.94", "****.****.****.****.**"),
            ("28/1234:5678 9012+3494", "**/****:**** ****+****"),
            ("281234567890123", "***************"),
            ("2812345678901", "*************"),
            ("28-1234-567890-1", "**-****-******-*"),
            ("134567890123456789", "13**************89"),
            ("1345 6789 0123 4567 89", "**** **** **** **** **"),
        ] {
            for is_near in [false, true] {
                assert_eq!(shown(text, None, is_near), told, "{text} {is_near}");
            }
        }
    }

    #[test]
    fn near_a_payment_digits_are_told_as_their_length() {
        for (text, told) in [
            ("281234567", "*********"),
            ("890123494", "*********"),
            ("8901234", "*******"),
            ("A-17", "A-**"),
            // It fits, and begins as a payment code does.
            ("2812345678909", "*************"),
            // The check digit does not fit.
            ("6901234567893", "*************"),
            ("690123456789", "************"),
        ] {
            assert_eq!(shown(text, None, true), told);
            let is_in_clear = shown(text, None, false) == text;
            assert!(is_in_clear, "{text}: a shop's own numbers are of use when nobody pays");
            assert_eq!(shown(text, Some("]E0"), true), text, "goods for certain");
        }
        for article in ["6901234567892", "4006381333931", "73513537", "036000291452"] {
            assert_eq!(shown(article, None, true), article);
        }
    }

    #[test]
    fn halves_of_a_code_are_known_as_that() {
        let halves = |first: &str, second: &str| {
            let text = |text: &str| SecretText::new(text.to_owned());
            are_halves(&text(first), &text(second))
        };
        assert!(halves("281234567", "890123494"));
        assert!(halves("28", "1234567890123494"));
        assert!(halves("1345678901", "23456789"));
        assert!(!halves("6901234567892", "6901234567892"));
        assert!(!halves("281234567", "890123"));
    }
}
