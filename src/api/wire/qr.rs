//! What a buyer scans, drawn: as SVG for screens, and as text for a terminal.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// So many light modules must surround a code (ISO/IEC 18004, quiet zone).
const QUIET: i32 = 4;

/// As an SVG of its own, black on white whatever the page looks like. None if the
/// text does not fit into a code.
#[must_use]
pub fn qr_svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size().checked_add(2 * QUIET)?;
    let mut path = String::new();
    for (x, y) in dark(&code) {
        let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

/// As lines for a terminal, two modules one above the other in each character.
/// What is light is written, so that a dark screen shows it as a phone wants it;
/// `dark_on_light` turns that round.
#[must_use]
pub fn qr_text(text: &str, dark_on_light: bool) -> Option<Vec<String>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let from = -QUIET;
    let to = code.size().checked_add(QUIET)?;
    let written = |x: i32, y: i32| y < to && (code.get_module(x, y) == dark_on_light);
    let line = |y: i32| {
        (from..to)
            .map(|x| match (written(x, y), written(x, y + 1)) {
                (true, true) => '\u{2588}',
                (true, false) => '\u{2580}',
                (false, true) => '\u{2584}',
                (false, false) => ' ',
            })
            .collect()
    };
    Some((from..to).step_by(2).map(line).collect())
}

fn dark(code: &QrCode) -> impl Iterator<Item = (i32, i32)> {
    let side = code.size();
    (0..side)
        .flat_map(move |y| (0..side).map(move |x| (x, y)))
        .filter(move |(x, y)| code.get_module(*x, *y))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "https://qr.alipay.com/bax00001abcdefghijk";

    #[test]
    fn what_is_drawn_has_its_quiet_zone() {
        let svg = qr_svg(TEXT).expect("it fits");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
        let side: i32 =
            svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let code = QrCode::encode_text(TEXT, QrCodeEcc::Medium).unwrap();
        assert_eq!(side, code.size() + 8);
        let first = svg.split("M").nth(1).unwrap();
        assert!(first.starts_with("4,4h1"), "the first dark module is behind four light ones");
    }

    #[test]
    fn what_a_terminal_shows_is_framed_in_light() {
        let lines = qr_text(TEXT, false).expect("it fits");
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        for line in [&lines[0], &lines[1]] {
            assert!(line.chars().all(|c| c == '\u{2588}'), "{line}");
        }
        assert!(lines.iter().all(|line| line.starts_with("\u{2588}\u{2588}\u{2588}\u{2588}")
            || line.starts_with("\u{2580}")));
        let dark = qr_text(TEXT, true).expect("it fits");
        assert!(dark[0].trim().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(qr_svg(&"x".repeat(5000)), None);
    }
}
