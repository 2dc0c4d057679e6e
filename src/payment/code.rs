//! The code on the buyer's phone, and what else a scanner may read.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

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
    /// Goods, member cards and all the rest.
    Goods,
    /// Nothing, control characters, or far too long.
    Unreadable,
}

impl OtherCode {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::WeChat,
        Self::UnionPay,
        Self::OtherWallet,
        Self::CollectCode,
        Self::ScaleLabel,
        Self::Torn,
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
            Self::Goods => "goods",
            Self::Unreadable => "unreadable",
        }
    }

    /// It comes from a phone that somebody holds out to pay with, so that the
    /// same text again soon after is the same phone and not a second article.
    #[must_use]
    pub fn is_from_a_phone(self) -> bool {
        match self {
            Self::WeChat | Self::UnionPay | Self::OtherWallet | Self::CollectCode | Self::Torn => {
                true
            }
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
    /// # Errors
    ///
    /// What the text is instead.
    pub fn read(text: &SecretText) -> Result<Self, OtherCode> {
        let text = text.reveal();
        if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
            return Err(OtherCode::Unreadable);
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            let lower = text.to_ascii_lowercase();
            let collects = ["https://qr.alipay.com/", "http://qr.alipay.com/", "wxp://"]
                .iter()
                .any(|start| lower.starts_with(start));
            return Err(if collects { OtherCode::CollectCode } else { OtherCode::Goods });
        }
        let starts_between = |low: &str, high: &str| {
            text.get(..2).is_some_and(|prefix| (low..=high).contains(&prefix))
        };
        match text.len() {
            16..=24 if starts_between("25", "30") => Ok(Self(text.to_owned())),
            18 if starts_between("10", "15") => Err(OtherCode::WeChat),
            19 if starts_between("62", "62") => Err(OtherCode::UnionPay),
            18 if ["51", "83", "91"].iter().any(|prefix| text.starts_with(prefix)) => {
                Err(OtherCode::OtherWallet)
            }
            19 | 20 if starts_between("01", "01") => Err(OtherCode::OtherWallet),
            // EAN-13 and shorter are goods; digits beyond that with this prefix
            // are what is left of a payment code.
            14.. if starts_between("25", "30") => Err(OtherCode::Torn),
            _ => Err(OtherCode::Goods),
        }
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
        mask(&self.0)
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
fn check_digit_fits(digits: &str) -> bool {
    let weighted = |(index, byte): (usize, u8)| {
        let weight = if index % 2 == 1 { 3 } else { 1 };
        u32::from(byte.wrapping_sub(b'0')) * weight
    };
    digits.bytes().rev().enumerate().map(weighted).sum::<u32>() % 10 == 0
}

fn mask(digits: &str) -> String {
    let stars = "*".repeat(digits.len().saturating_sub(4));
    match (digits.get(..2), digits.get(digits.len().saturating_sub(2)..)) {
        (Some(first), Some(last)) if digits.len() >= 8 => format!("{first}{stars}{last}"),
        _ => "*".repeat(digits.len()),
    }
}

/// Masks every run of digits in `text` that could be somebody's payment code
/// (Alipay, WeChat, UnionPay), and whatever follows one without a break.
///
/// For texts that come from outside: a gateway's `sub_msg` may repeat the whole
/// request, and a customer may show any wallet's code to the scanner.
#[must_use]
pub fn hide_codes(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        hidden.push_str(before);
        if could_be_a_code(digits) {
            hidden.push_str(&mask(digits));
        } else {
            hidden.push_str(digits);
        }
        rest = after;
    }
    hidden.push_str(rest);
    hidden
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

    fn read(text: &str) -> Result<AuthCode, OtherCode> {
        AuthCode::read(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn tells_codes_apart() {
        use OtherCode::{CollectCode, Goods, OtherWallet, Torn, UnionPay, Unreadable, WeChat};
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
            ("28763443825664394a", Goods),
            ("", Unreadable),
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

    #[test]
    fn hides_codes_in_foreign_texts() {
        assert_eq!(
            hide_codes("sign {\"auth_code\":\"28763443825664394\"}, twice 28763443825664394."),
            "sign {\"auth_code\":\"28*************94\"}, twice 28*************94."
        );
        assert_eq!(hide_codes("134567890123456789"), "13**************89");
        assert_eq!(hide_codes("0112345678901234567"), "01***************67");
        for harmless in ["6901234567892", "2013112011001004330000121536", "余额不足 88.88"] {
            assert_eq!(hide_codes(harmless), harmless);
        }
    }
}
