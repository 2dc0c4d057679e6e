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

    fn line(self, text: &str, characters_max: usize) -> String {
        // The code first: it may touch other digits, and then no longer looks
        // like one. Masked before cutting: half a code would not be recognised.
        let text = match self.code {
            Some(code) => text.replace(code.reveal(), &code.masked()),
            None => text.to_owned(),
        };
        let text = hide_codes(&text);
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
}

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
    }
}
