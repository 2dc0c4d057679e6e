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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherCode {
    /// WeChat Pay: 18 digits that start with 10 to 15.
    WeChat,
    /// UnionPay QR: 19 digits that start with 62.
    UnionPay,
    /// The static code with which a person or shop *collects* money, shown by
    /// mistake in place of the code to *pay* with.
    CollectCode,
    /// Digits that start as a payment code of Alipay does, but are too few or
    /// too many: torn, or two run together.
    Torn,
    /// Goods, member cards and all the rest.
    Goods,
    /// Nothing, control characters, or far too long.
    Unreadable,
}

impl OtherCode {
    /// The stable name in events and problem details.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WeChat => "wechat",
            Self::UnionPay => "unionpay",
            Self::CollectCode => "collect_code",
            Self::Torn => "torn",
            Self::Goods => "goods",
            Self::Unreadable => "unreadable",
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
            let collects =
                lower.starts_with("https://qr.alipay.com/") || lower.starts_with("wxp://");
            return Err(if collects { OtherCode::CollectCode } else { OtherCode::Goods });
        }
        let starts_between = |low: &str, high: &str| {
            text.get(..2).is_some_and(|prefix| (low..=high).contains(&prefix))
        };
        match text.len() {
            16..=24 if starts_between("25", "30") => Ok(Self(text.to_owned())),
            18 if starts_between("10", "15") => Err(OtherCode::WeChat),
            19 if starts_between("62", "62") => Err(OtherCode::UnionPay),
            // EAN-13 and shorter are goods; digits beyond that with this prefix
            // are what is left of a payment code.
            14.. if starts_between("25", "30") => Err(OtherCode::Torn),
            _ => Err(OtherCode::Goods),
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
        use OtherCode::{CollectCode, Goods, Torn, UnionPay, Unreadable, WeChat};
        for (text, kind) in [
            ("134567890123456789", WeChat),
            ("6212345678901234567", UnionPay),
            ("https://qr.alipay.com/fkx1234", CollectCode),
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
        for harmless in ["6901234567892", "2013112011001004330000121536", "余额不足 88.88"] {
            assert_eq!(hide_codes(harmless), harmless);
        }
    }
}
