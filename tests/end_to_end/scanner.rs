//! Scanners made of pseudo terminals.

pub(crate) use crate::pty::Pty;

impl Pty {
    /// Reads a code, with what this kind of scanner puts around it.
    pub(crate) fn scan(&mut self, text: &str, style: usize) {
        let framed = match style % 5 {
            0 => format!("{text}\r"),
            1 => format!("{text}\n"),
            2 => format!("{text}\r\n"),
            3 => format!("\x02{text}\x03"),
            _ => format!("\x02]Q1{text}\r\n"),
        };
        self.send(framed);
    }
}
