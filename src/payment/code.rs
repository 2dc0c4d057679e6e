//! The code on the buyer's phone, and what else a scanner may read.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The longest text that is looked at.
const LENGTH_MAX: usize = 512;

/// A text that may be, or contain, a payment code: it cannot be printed, is
/// wiped when dropped, and is never journaled.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. Whoever asks must not log, store or answer it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} characters>", self.0.chars().count())
    }
}

/// A payment code of Alipay: 16 to 24 digits that start with 25 to 30.
///
/// It is payment power for about a minute, so it prints masked
/// (`28**************94`), is wiped when dropped, and never goes to disk.
/// Recovery needs none: it never pays.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AuthCode(String);

/// What a text is that is no payment code of Alipay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherCode {
    /// WeChat Pay: 18 digits that start with 10 to 15.
    WeChat,
    /// UnionPay QR: 19 digits that start with 62.
    UnionPay,
    /// Another wallet: Bestpay (51), Suning (83), QQ (91), 18 digits; e-CNY
    /// (01), 19 or 20 digits.
    OtherWallet,
    /// The static code with which a person or shop *collects* money, shown by
    /// mistake in place of the code to *pay* with.
    CollectCode,
    /// A label of the shop's scales that has the shape of a payment code, and
    /// nothing says which of the two it is ([`ScaleLabels`]).
    ScaleLabel,
    /// Digits that start as a payment code of Alipay does, but are too few or
    /// too many: torn, or two run together.
    Torn,
    /// A payment code of Alipay with a few characters before or behind it that no
    /// phone shows: the scanner adds them.
    ExtraCharacters,
    /// Goods, member cards and all the rest.
    Goods,
    /// Nothing, control characters, or far too long.
    Unreadable,
}

impl OtherCode {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WeChat,
        Self::UnionPay,
        Self::OtherWallet,
        Self::CollectCode,
        Self::ScaleLabel,
        Self::Torn,
        Self::ExtraCharacters,
        Self::Goods,
        Self::Unreadable,
    ];

    /// The stable name in events and problem details.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WeChat => "wechat",
            Self::UnionPay => "unionpay",
            Self::OtherWallet => "other_wallet",
            Self::CollectCode => "collect_code",
            Self::ScaleLabel => "scale_label",
            Self::Torn => "torn",
            Self::ExtraCharacters => "extra_characters",
            Self::Goods => "goods",
            Self::Unreadable => "unreadable",
        }
    }

    /// It comes from a phone that somebody holds out to pay with, so that the
    /// same text again soon after is the same phone and not a second article.
    #[must_use]
    pub fn is_from_a_phone(self) -> bool {
        match self {
            Self::WeChat
            | Self::UnionPay
            | Self::OtherWallet
            | Self::CollectCode
            | Self::Torn
            | Self::ExtraCharacters => true,
            Self::ScaleLabel | Self::Goods | Self::Unreadable => false,
        }
    }
}

impl AuthCode {
    /// Tells a payment code of Alipay from everything else.
    ///
    /// The rule is Alipay's: prefix 25 to 30, 16 to 24 digits, "length as
    /// obtained" (quick start of barcode payment). There is no check digit.
    ///
    /// What people and scanners put around digits without meaning anything by it
    /// is left out: blanks and line ends, the blanks or hyphens between groups of
    /// digits, an AIM identifier, the wide digits of a Chinese input method.
    ///
    /// # Errors
    ///
    /// What the text is instead.
    pub fn read(text: &SecretText) -> Result<Self, OtherCode> {
        let text = text.reveal();
        let (aim, bare) = split_aim(text.trim());
        let bare = bare.trim();
        if bare.is_empty() || text.len() > LENGTH_MAX || bare.chars().any(char::is_control) {
            return Err(OtherCode::Unreadable);
        }
        if is_printed_on_goods(aim) {
            return Err(OtherCode::Goods);
        }
        if let Some(mut digits) = grouped(bare, joins_groups) {
            classify(&digits)?;
            return Ok(Self(std::mem::take(&mut *digits)));
        }
        Err(of_mixed_text(bare))
    }

    /// The same for what a scanner read, with the AIM symbology identifier that
    /// it came with: what is printed as EAN, GS1 DataBar or ITF is goods, whatever
    /// its digits look like, and a label of the shop's scales pays only as a QR
    /// code.
    ///
    /// # Errors
    ///
    /// What the text is instead.
    pub fn read_scan(
        text: &SecretText,
        aim: Option<&str>,
        labels: &ScaleLabels,
    ) -> Result<Self, OtherCode> {
        let read = Self::read(text);
        if is_printed_on_goods(aim) && read != Err(OtherCode::Unreadable) {
            return Err(OtherCode::Goods);
        }
        let is_qr = aim.is_some_and(|aim| aim.starts_with("]Q"));
        match read {
            Ok(code) if !is_qr && labels.could_be(&code) => Err(OtherCode::ScaleLabel),
            read => read,
        }
    }

    /// The digits, for the one place that sends them.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first and last two digits, for the journal and for people.
    #[must_use]
    pub fn masked(&self) -> String {
        super::hide::mask(&self.0)
    }
}

/// The kind of code that so many digits with this beginning are.
fn classify(digits: &str) -> Result<(), OtherCode> {
    let prefix = digits.get(..2).and_then(|prefix| prefix.parse::<u8>().ok());
    match (digits.len(), prefix) {
        (16..=24, Some(25..=30)) => Ok(()),
        (18, Some(10..=15)) => Err(OtherCode::WeChat),
        (19, Some(62)) => Err(OtherCode::UnionPay),
        (18, Some(51 | 83 | 91)) | (19 | 20, Some(1)) => Err(OtherCode::OtherWallet),
        // EAN-13 and shorter are goods; digits beyond that with this prefix are
        // what is left of a payment code.
        (14.., Some(25..=30)) => Err(OtherCode::Torn),
        _ => Err(OtherCode::Goods),
    }
}

/// What a text is that has more in it than digits in groups.
fn of_mixed_text(text: &str) -> OtherCode {
    let lower = text.to_ascii_lowercase();
    let collects = ["https://qr.alipay.com/", "http://qr.alipay.com/", "wxp://"];
    if collects.iter().any(|start| lower.starts_with(start)) {
        return OtherCode::CollectCode;
    }
    // Dots and stars between or around the digits of a code.
    if let Some(digits) = grouped(text, |c| !c.is_alphanumeric()) {
        match classify(&digits) {
            Ok(()) => return OtherCode::ExtraCharacters,
            Err(OtherCode::Goods) => {}
            Err(other) => return other,
        }
    }
    if is_wrapped_code(text) { OtherCode::ExtraCharacters } else { OtherCode::Goods }
}

/// A code in what makers put around what they read when nobody told their
/// scanners not to: a letter for the symbology (`s`, `j`), a letter and a number
/// (`P01`), a sign behind.
fn is_wrapped_code(text: &str) -> bool {
    const AROUND_MAX: usize = 3;
    let is_digit = |c: char| ascii_digit(c).is_some();
    let Some(first) = text.find(is_digit) else { return false };
    let (head, rest) = text.split_at(first);
    let inner = rest.trim_end_matches(|c| !is_digit(c));
    let tail = rest.get(inner.len()..).unwrap_or_default();
    let numbered = if head.is_empty() { 0 } else { 2 };
    head.chars().count() <= AROUND_MAX
        && tail.chars().count() <= AROUND_MAX
        && (0..=numbered).any(|number| {
            let digits = grouped(inner, |_| false).unwrap_or_default();
            digits.get(number..).is_some_and(|digits| classify(digits).is_ok())
        })
}

/// The digits of a text that has nothing else in it but what `joins` them.
pub(super) fn grouped(text: &str, joins: impl Fn(char) -> bool) -> Option<Zeroizing<String>> {
    // Room for all of them from the start, so that growing leaves no copy.
    let mut digits = Zeroizing::new(String::with_capacity(text.len()));
    for c in text.chars() {
        match ascii_digit(c) {
            Some(digit) => digits.push(digit),
            None if joins(c) => {}
            None => return None,
        }
    }
    (!digits.is_empty()).then_some(digits)
}

/// What stands between groups of digits when people write them down.
fn joins_groups(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
}

/// A digit, also a wide one.
pub(super) fn ascii_digit(c: char) -> Option<char> {
    let digit = match c {
        '0'..='9' => return Some(c),
        '\u{ff10}'..='\u{ff19}' => u32::from(c) - 0xff10,
        _ => return None,
    };
    char::from_digit(digit, 10)
}

/// Takes off the AIM symbology identifier that a scanner may put before what it
/// read: `]`, a letter for the symbology, a character for its options. Nothing
/// but AIM is taken off, because the makers' own prefixes cannot be told from
/// data.
#[must_use]
pub fn split_aim(text: &str) -> (Option<&str>, &str) {
    match text.as_bytes() {
        [b']', letter, option, ..]
            if letter.is_ascii_alphabetic() && option.is_ascii_alphanumeric() =>
        {
            let (aim, rest) = text.split_at(3);
            (Some(aim), rest)
        }
        _ => (None, text),
    }
}

impl fmt::Debug for AuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// The symbology is one of goods: EAN and UPC (`]E`), GS1 DataBar (`]e`), ITF
/// (`]I`). No wallet shows its code in any of them.
#[must_use]
pub fn is_printed_on_goods(aim: Option<&str>) -> bool {
    aim.is_some_and(|aim| ["]E", "]e", "]I"].iter().any(|symbology| aim.starts_with(symbology)))
}

/// How the labels of the shop's scales begin, where the scales print labels of
/// 18 digits that look like payment codes of Alipay. Usually none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScaleLabels(Vec<String>);

impl ScaleLabels {
    /// Labels with these prefixes.
    #[must_use]
    pub fn new(prefixes: Vec<String>) -> Self {
        Self(prefixes)
    }

    /// The digits may be such a label: 18 of them, a prefix of the shop's scales,
    /// and the check digit fits. One payment code in ten fits by chance.
    #[must_use]
    pub fn could_be(&self, code: &AuthCode) -> bool {
        let digits = code.reveal();
        digits.len() == 18
            && self.0.iter().any(|prefix| digits.starts_with(prefix))
            && check_digit_fits(digits)
    }
}

/// The check digit of EAN: weights 1 and 3 by turns, 3 beside the check digit.
pub(super) fn check_digit_fits(digits: &str) -> bool {
    let weighted = |(index, byte): (usize, u8)| {
        let weight = if index % 2 == 1 { 3 } else { 1 };
        u32::from(byte.wrapping_sub(b'0')) * weight
    };
    digits.bytes().rev().enumerate().map(weighted).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AuthCode, OtherCode> {
        AuthCode::read(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn tells_codes_apart() {
        use OtherCode::{
            CollectCode, ExtraCharacters, Goods, OtherWallet, Torn, UnionPay, Unreadable, WeChat,
        };
        for (text, kind) in [
            ("134567890123456789", WeChat),
            ("6212345678901234567", UnionPay),
            ("511234567890123456", OtherWallet),
            ("831234567890123456", OtherWallet),
            ("911234567890123456", OtherWallet),
            ("0112345678901234567", OtherWallet),
            ("01123456789012345678", OtherWallet),
            ("5112345678901234567", Goods),
            ("https://qr.alipay.com/fkx1234", CollectCode),
            ("http://qr.alipay.com/fkx1234", CollectCode),
            ("wxp://f2f0abcdef", CollectCode),
            ("HTTPS://QR.ALIPAY.COM/FKX1234", CollectCode),
            ("6901234567892", Goods),
            ("28123456", Goods),
            ("281234567890123", Torn),
            ("2812345678901234567890123", Torn),
            ("24000000000000000000", Goods),
            ("31000000000000000000", Goods),
            ("28763443825664394a", ExtraCharacters),
            ("28763443825664394abcd", Goods),
            ("SN-28763443825664394", ExtraCharacters),
            ("SN01-28763443825664394", Goods),
            ("A1B28763443825664394", Goods),
            ("", Unreadable),
            ("   ", Unreadable),
            ("]C1", Unreadable),
            ("]E0281234567890123494", Goods),
            (" ]I1 281234567890123494", Goods),
            ("1345 6789 0123 4567 89", WeChat),
            ("2812.3456.7890.1234.94", ExtraCharacters),
            ("1345.6789.0123.4567.89", WeChat),
            ("281234567 890123", Torn),
            ("978-7-111-12345-6", Goods),
            ("2876344382566\u{1}4394", Unreadable),
        ] {
            assert_eq!(read(text), Err(kind), "{text:?}");
        }
        for prefix in 25..=30 {
            for length in 16..=24 {
                let text = format!("{prefix}{}", "7".repeat(length - 2));
                assert!(read(&text).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn what_stands_around_a_code_without_meaning_anything_is_left_out() {
        for text in [
            " 281234567890123494",
            "281234567890123494 ",
            "281234567890123494\r\n",
            "2812 3456 7890 1234 94",
            "2812-3456-7890-1234-94",
            "2812  3456\u{3000}7890\u{a0}123494",
            "]C1281234567890123494",
            "]Q1 281234567890123494",
            "２８１２３４５６７８９０１２３４９４",
        ] {
            let code = read(text);
            assert_eq!(code.as_ref().map(AuthCode::reveal), Ok("281234567890123494"), "{text:?}");
        }
    }

    #[test]
    fn a_code_in_what_a_scanner_adds_is_told_as_that() {
        for (before, behind) in [
            ("s", ""),
            ("j", ""),
            ("P01", ""),
            ("*", ""),
            ("*", "*"),
            ("", "*"),
            ("", "#"),
            ("QR:", ""),
            ("<", ">"),
            ("~0", ""),
            ("", " a"),
        ] {
            for code in ["2812345678901234", "281234567890123494", "301234567890123494000000"] {
                let text = format!("{before}{code}{behind}");
                assert_eq!(read(&text), Err(OtherCode::ExtraCharacters), "{text:?}");
            }
        }
    }

    /// A label of scales: prefix 26, article, amount, weight, check digit.
    const LABEL: &str = "261234500999012348";

    #[test]
    fn a_label_of_the_scales_pays_only_as_a_qr_code() {
        use OtherCode::{Goods, ScaleLabel, Unreadable};
        let scan = |text: &str, aim: Option<&str>, prefixes: &[&str]| {
            let labels = ScaleLabels::new(prefixes.iter().map(|p| (*p).to_owned()).collect());
            AuthCode::read_scan(&SecretText::new(text.to_owned()), aim, &labels).err()
        };
        // Without the setting digits are digits, except where the symbology says
        // that they are printed on goods.
        for aim in [None, Some("]C0"), Some("]C1"), Some("]Q1"), Some("]X0")] {
            assert_eq!(scan(LABEL, aim, &[]), None, "{aim:?}");
            assert_eq!(scan(LABEL, aim, &["25", "27"]), None, "{aim:?}");
        }
        for aim in ["]E0", "]E3", "]e0", "]I0", "]I1"] {
            for text in [LABEL, "281234567890123494", "134567890123456789", "281234567890123"] {
                assert_eq!(scan(text, Some(aim), &[]), Some(Goods), "{text} {aim}");
            }
            assert_eq!(scan("", Some(aim), &[]), Some(Unreadable));
        }
        for (aim, verdict) in [
            (None, Some(ScaleLabel)),
            (Some("]C0"), Some(ScaleLabel)),
            (Some("]Q1"), None),
            (Some("]Q3"), None),
            (Some("]E0"), Some(Goods)),
        ] {
            assert_eq!(scan(LABEL, aim, &["25", "26"]), verdict, "{aim:?}");
        }
        // A check digit that does not fit, another length, a longer prefix.
        assert_eq!(scan("261234500999012341", None, &["26"]), None);
        assert_eq!(scan("2612345009990123488", None, &["26"]), None);
        assert_eq!(scan(LABEL, None, &["2612"]), Some(ScaleLabel));
        assert_eq!(scan(LABEL, None, &["2613"]), None);
    }

    #[test]
    fn the_check_digit_is_that_of_ean() {
        for digits in ["6901234567892", "4006381333931", "73513537", "036000291452", LABEL] {
            assert!(check_digit_fits(digits), "{digits}");
        }
        assert!(!check_digit_fits("6901234567893"));
    }

    #[test]
    fn a_code_never_prints_itself() {
        let code = read("281234567890123494").expect("a code");
        assert_eq!(format!("{code:?}"), "28**************94");
        let text = SecretText::new("281234567890123494".to_owned());
        assert!(!format!("{text:?}").contains("28"));
    }
}
