//! Texts from outside, made fit for the journal, the log and the register.

use crate::payment::{AuthCode, hide_codes};

/// Makes texts of the gateway harmless: one line, of bounded length, and
/// without anybody's payment code, least of all the one just sent. A gateway
/// may repeat the whole request in its answer.
#[derive(Clone, Copy)]
pub(crate) struct Mask<'a> {
    code: Option<&'a AuthCode>,
}

impl<'a> Mask<'a> {
    pub(crate) fn new(code: Option<&'a AuthCode>) -> Self {
        Self { code }
    }

    /// A sentence: what the gateway says, or what went wrong.
    pub(crate) fn sentence(self, text: &str) -> String {
        self.line(text, 300)
    }

    /// A code, a number or a name.
    pub(crate) fn word(self, text: &str) -> String {
        self.line(text, 64)
    }

    /// JSON, kept as it is; none if it is no JSON, or too much of it.
    pub(crate) fn json(self, text: &str) -> Option<String> {
        let text = self.without_codes(text);
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        (is_json && text.len() <= JSON_MAX).then_some(text)
    }

    fn line(self, text: &str, characters_max: usize) -> String {
        // Masked before cutting: half a code would not be recognised.
        let text = self.without_codes(text);
        let mut line = String::with_capacity(text.len());
        for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
            if word.is_empty() {
                continue;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if line.chars().count() > characters_max {
            line = line.chars().take(characters_max - 1).chain(['…']).collect();
        }
        line
    }

    fn without_codes(self, text: &str) -> String {
        // The one that was sent first: it may touch other digits, and then no
        // longer looks like one.
        match self.code {
            Some(code) => hide_codes(&text.replace(code.reveal(), &code.masked())),
            None => hide_codes(text),
        }
    }
}

/// The longest JSON that is kept, in bytes: a list of a payment's sources has a
/// few hundred.
const JSON_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::SecretText;

    #[test]
    fn a_text_from_outside_becomes_one_line_without_codes() {
        let code = AuthCode::read(&SecretText::new("28763443825664394".into())).unwrap();
        let mask = Mask::new(Some(&code));
        assert_eq!(mask.sentence(" a\r\n\tb\u{0}c  d "), "a b c d");
        assert_eq!(mask.sentence("no 287634438256643941234567890123"), {
            "no 28*************941234567890123"
        });
        assert_eq!(mask.sentence("x 134567890123456789"), "x 13**************89");
        assert!(!mask.word(&format!("{}28763443825664394", "a".repeat(55))).contains("2876"));
        assert_eq!(mask.sentence(&"咖".repeat(400)).chars().count(), 300);

        assert_eq!(mask.json("[ {\"a\":1.20} ]").as_deref(), Some("[ {\"a\":1.20} ]"));
        let masked = mask.json("[\"28763443825664394\"]").unwrap();
        assert_eq!(masked, "[\"28*************94\"]");
        assert_eq!(mask.json("[1"), None);
        assert_eq!(mask.json(&format!("[\"{}\"]", "a".repeat(4096))), None, "cut it is no JSON");
    }
}
