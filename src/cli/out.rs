//! Where words go: results to stdout, everything on the way to stderr.
//!
//! Nothing here panics on a closed pipe, and nothing that came from outside
//! reaches the terminal with control characters in it: a subject or a scanned
//! text could otherwise rewrite what the cashier reads.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Write};

use crate::api::client::{SecretText, hide_codes};
use crate::api::qr_text;

use super::words::{Lang, Phrase};

/// Shorter texts are no payment codes; masking every `7` would hide amounts.
const CODE_LENGTH_MIN: usize = 10;

/// The two streams of this process, and how to speak on them.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) lang: Lang,
    pub(super) json: bool,
    /// The payment code that this process was given. It is not repeated, even
    /// if a confused daemon does.
    secret: RefCell<Option<SecretText>>,
    /// The first line of the result that could not be written, and why.
    lost: RefCell<Option<io::Error>>,
    progress_is_terminal: bool,
    live: Cell<bool>,
}

impl Out {
    pub(super) fn new(lang: Lang, json: bool) -> Self {
        let progress_is_terminal = io::stderr().is_terminal();
        Self {
            lang,
            json,
            secret: RefCell::default(),
            lost: RefCell::default(),
            progress_is_terminal,
            live: Cell::new(false),
        }
    }

    /// Never print this text.
    pub(super) fn keep_secret(&self, code: &SecretText) {
        self.secret.replace(Some(code.clone()));
    }

    /// Why a part of the result could not be written, if that is so. Somebody
    /// who has stopped reading misses nothing.
    pub(super) fn lost(&self) -> Option<io::Error> {
        self.lost.take().filter(|why| why.kind() != io::ErrorKind::BrokenPipe)
    }

    /// Whether there is a line that can be written again and again.
    pub(super) fn is_live(&self) -> bool {
        self.progress_is_terminal
    }

    /// A line of the result for people; false when nobody reads any more.
    pub(super) fn line(&self, text: &str) -> bool {
        self.stdout(&printable(&self.masked(text)))
    }

    /// JSON for programs, the same value as it is; false when nobody reads any
    /// more. It may be a person who looks at it, so what a screen would obey is
    /// written as JSON writes it.
    pub(super) fn json(&self, text: &str) -> bool {
        self.stdout(&escaped(&self.masked(text)))
    }

    /// A line about how it goes on.
    pub(super) fn note(&self, text: &str) {
        self.end_live();
        let _ = writeln!(io::stderr(), "{}", printable(&self.masked(text)));
    }

    /// Draws what a customer scans, where progress is told. On a terminal in black
    /// on white, whatever its colours are; else as plain blocks, for a dark one.
    pub(super) fn draw(&self, text: &str) {
        let lines = qr_text(text, self.progress_is_terminal).unwrap_or_default();
        self.end_live();
        for line in lines {
            let line = if self.progress_is_terminal {
                format!("\x1b[38;5;16;48;5;231m{line}\x1b[0m")
            } else {
                line
            };
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// A phrase about how it goes on.
    pub(super) fn say(&self, phrase: Phrase, values: &[&str]) {
        self.note(&phrase.fill(self.lang, values));
    }

    /// A question, with the answer to be typed behind it.
    pub(super) fn ask(&self, phrase: Phrase, values: &[&str]) {
        self.end_live();
        let text = printable(&self.masked(&phrase.fill(self.lang, values)));
        let _ = write!(io::stderr(), "{text}");
        let _ = io::stderr().flush();
    }

    /// Writes the live line over itself. Wrapping is off meanwhile, so a narrow
    /// terminal cuts the line where a wrapped one would pile up.
    pub(super) fn live(&self, text: &str) {
        if self.progress_is_terminal {
            self.live.set(true);
            let text = printable(&self.masked(text));
            let mut stderr = io::stderr();
            let _ = write!(stderr, "\r\x1b[?7l\x1b[K{text}\x1b[?7h");
            let _ = stderr.flush();
        }
    }

    /// Takes the live line away.
    pub(super) fn end_live(&self) {
        if self.live.replace(false) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn stdout(&self, text: &str) -> bool {
        self.end_live();
        let mut stdout = io::stdout();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            Ok(()) => true,
            Err(why) => {
                self.lost.borrow_mut().get_or_insert(why);
                false
            }
        }
    }

    fn masked(&self, text: &str) -> String {
        match self.secret.borrow().as_ref().map(SecretText::reveal) {
            Some(code) if code.len() >= CODE_LENGTH_MIN && text.contains(code) => {
                text.replace(code, &"*".repeat(code.len()))
            }
            _ => text.to_owned(),
        }
    }
}

/// A line on stderr for the time before there is an [`Out`]. What was typed may
/// be repeated in it, so every run of digits that could be a code is masked.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{}", hide_codes(text).trim_end());
}

/// What a terminal obeys, or what turns the order of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` without what a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect()
}

/// The same JSON. Such characters stand in its texts only, but for the white
/// space between its members.
fn escaped(json: &str) -> String {
    let is_space = |c: char| matches!(c, '\n' | '\r' | '\t');
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_obeyed(c) && !is_space(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// How many columns a terminal gives to `text`: two to a Chinese character,
/// none to a mark on another one.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The columns of a terminal that nobody has made wider.
pub(super) const COLUMNS: usize = 80;

/// `text` on lines of at most [`COLUMNS`], those after the first indented.
/// Chinese breaks anywhere but before its stops, all else at spaces.
pub(super) fn folded(text: &str, indent: usize) -> Vec<String> {
    const STOPS: &str = "，。；：、！？）”」 ✓";
    let mut lines = vec![String::new()];
    let mut word = String::new();
    let mut put = |word: &mut String| {
        let line = lines.last().map(String::as_str).unwrap_or_default();
        let is_empty = line.trim().is_empty();
        if !is_empty && width(line) + width(word.trim_end()) > COLUMNS {
            lines.push(format!("{}{}", " ".repeat(indent), word.trim_start()));
        } else if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
        word.clear();
    };
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        word.push(c);
        let next = chars.peek().copied().unwrap_or(' ');
        let is_chinese = columns(c) == 2 || columns(next) == 2;
        let may_break = (c == ' ' && next != ' ') || is_chinese;
        if may_break && !STOPS.contains(next) && !"（“「".contains(c) {
            put(&mut word);
        }
    }
    put(&mut word);
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Which side of a column the texts stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The rows as lines, with every column as wide as its widest text. What would
/// turn the terminal is taken out before it is measured.
pub(super) fn table(sides: &[Side], rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<(Side, usize)> =
        sides.iter().enumerate().map(|(column, side)| (*side, widest(column))).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (cell, (side, wide)) in row.iter().zip(&widths) {
            let gap = " ".repeat(wide.saturating_sub(width(cell)));
            match side {
                Side::Left => line.push_str(&format!("{cell}{gap}  ")),
                Side::Right => line.push_str(&format!("{gap}{cell}  ")),
            }
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_scripts() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let lines =
            table(&[Side::Left, Side::Right], &[row("咖啡", "8.00"), row("tea, hot", "188.88")]);
        assert_eq!(lines, ["咖啡        8.00", "tea, hot  188.88"]);
        assert_eq!(width(&lines[0]), width(&lines[1]));
    }

    #[test]
    fn long_texts_fold_between_words_and_before_no_stop() {
        let said = "    0.75 s  register  is told HTTP 409: An earlier attempt for this sale is not settled yet: wait, and do not charge again";
        let lines = folded(said, 22);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| width(line) <= COLUMNS), "{lines:#?}");
        assert_eq!(
            lines[1],
            format!("{}settled yet: wait, and do not charge again", " ".repeat(22))
        );
        let chinese = "11 笔付款全部如约结束。终端收款 244.10 元；支付宝扣款 441.10 元，退还 197.00 元：账目一致 ✓";
        let lines = folded(chinese, 0);
        assert!(lines.iter().all(|line| width(line) <= COLUMNS), "{lines:#?}");
        assert!(lines.len() == 2 && !lines[1].starts_with(['：', '，', '✓']), "{lines:#?}");
        assert_eq!(lines.concat().replace(' ', ""), chinese.replace(' ', ""));
        assert_eq!(folded("  short", 2), ["  short"]);
        assert_eq!(folded("", 2), [""]);
        let word = "x".repeat(100);
        assert_eq!(folded(&word, 2), [word]);
    }

    #[test]
    fn what_came_from_outside_cannot_rewrite_the_screen() {
        let hostile = "咖啡\x1b[2K\r已收款\u{202e}\u{7}";
        assert_eq!(printable(hostile), "咖啡\u{fffd}[2K\u{fffd}已收款\u{fffd}\u{fffd}");
    }

    #[test]
    fn json_stays_the_same_value_without_what_a_screen_obeys() {
        let hostile = "a\u{9b}31m\u{85}\u{202e}\u{2066}\u{7f}\u{200f}咖啡";
        let value = serde_json::json!({ "text": hostile, "b": [1] });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON")] {
            let escaped = escaped(&text);
            assert!(escaped.contains("\\u009b31m\\u0085\\u202e\\u2066\\u007f\\u200f咖啡"));
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&escaped).ok(),
                Some(value.clone())
            );
        }
    }

    #[test]
    fn the_code_of_this_process_is_masked_wherever_it_turns_up() {
        let out = Out::new(Lang::En, false);
        out.keep_secret(&SecretText::new("281234567890123494".to_owned()));
        assert_eq!(out.masked("a 281234567890123494."), "a ******************.");
        out.keep_secret(&SecretText::new("7".to_owned()));
        assert_eq!(out.masked("7.00"), "7.00");
    }
}
