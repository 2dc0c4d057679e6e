//! What is remembered of a payment code once it is gone: enough to know it
//! again, not enough to find it out.

use std::fmt;

use aws_lc_rs::hmac;

use super::{AuthCode, Moment, OutTradeNo, SecretText, Tag};

/// The keyed mark of a payment code: HMAC-SHA-256, cut to 16 bytes.
///
/// It goes to disk, where a plain digest would be as good as the code: there are
/// few enough codes to try them all. Under a key that is not in the journal
/// nobody can try any. 128 bits never meet by chance in the life of a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeMark(pub [u8; 16]);

impl CodeMark {
    /// As it stands on disk: 32 digits of hexadecimal.
    #[must_use]
    pub fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// Reads what [`hex`](Self::hex) wrote, and nothing else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mark = u128::from_str_radix(text, 16).ok().map(|bits| Self(bits.to_be_bytes()))?;
        (mark.hex() == text).then_some(mark)
    }
}

/// The key under which codes are marked. It lives in memory only, and comes out
/// the same at every start with the same private key.
#[derive(Clone)]
pub struct CodeKey(hmac::Key);

/// What the application's private key is asked, so that the key for marks is
/// another than any that is derived from it for another purpose.
const PURPOSE: &[u8] = b"tilld: the key for marks of payment codes, version 1";

impl CodeKey {
    /// Derives the key from a secret that is not in the journal.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, PURPOSE).as_ref()))
    }

    /// The mark of a code.
    #[must_use]
    pub fn mark(&self, code: &AuthCode) -> CodeMark {
        self.mark_of(code.reveal())
    }

    /// The mark of whatever a scanner read, so that it is known again without
    /// being kept.
    #[must_use]
    pub fn mark_text(&self, text: &SecretText) -> CodeMark {
        self.mark_of(text.reveal())
    }

    /// A mark for the trade that a payment with this number will make if its pay
    /// leaves now. Whoever else uses the number, even under the same key, has
    /// another: no two boxes have the same two clocks.
    #[must_use]
    pub fn tag(&self, number: &OutTradeNo, now: Moment) -> Tag {
        let what = format!("trade {number} {} {}", now.steady.millis(), now.wall.millis());
        let CodeMark([a, b, c, d, e, f, g, h, ..]) = self.mark_of(&what);
        Tag(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    fn mark_of(&self, text: &str) -> CodeMark {
        let tag = hmac::sign(&self.0, text.as_bytes());
        let mut mark = [0; 16];
        for (byte, of_tag) in mark.iter_mut().zip(tag.as_ref()) {
            *byte = *of_tag;
        }
        CodeMark(mark)
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> AuthCode {
        AuthCode::read(&SecretText::new(text.to_owned())).expect("a code")
    }

    #[test]
    fn a_mark_depends_on_the_code_and_on_the_key() {
        let (one, two) = (code("281234567890123494"), code("281234567890123495"));
        let (ours, theirs) = (CodeKey::derive(b"ours"), CodeKey::derive(b"theirs"));
        assert_eq!(ours.mark(&one), CodeKey::derive(b"ours").mark(&one));
        assert_ne!(ours.mark(&one), ours.mark(&two));
        assert_ne!(ours.mark(&one), theirs.mark(&one));
        // It stands in journals, so it must come out the same for ever. The same
        // by other means:
        //   key=$(printf 'tilld: the key ... version 1' | openssl dgst -sha256 -hmac ours)
        //   printf 281234567890123494 | openssl dgst -sha256 -mac HMAC -macopt hexkey:$key
        assert_eq!(ours.mark(&one).hex(), "c08f7193681e2100442278e80974f828");
    }

    #[test]
    fn a_mark_survives_the_round_trip_and_nothing_else_is_one() {
        for bytes in [[0; 16], [0xab; 16]] {
            assert_eq!(CodeMark::from_hex(&CodeMark(bytes).hex()), Some(CodeMark(bytes)));
        }
        let long = "0".repeat(33);
        for text in
            ["", "0", "+0000000000000000000000000000000", "ABABABABABABABABABABABABABABABAB", &long]
        {
            assert_eq!(CodeMark::from_hex(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_never_prints_itself() {
        assert_eq!(format!("{:?}", CodeKey::derive(b"secret")), "CodeKey");
    }
}
