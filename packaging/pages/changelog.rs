//! Debian's changelog, from CHANGELOG.md.

use std::fmt::Write;

const CHANGELOG: &str = include_str!("../../CHANGELOG.md");

/// One entry a released version, newest first. What is not released yet belongs
/// to the version that is being packaged.
pub(crate) fn debian(version: &str, date: &str) -> String {
    of(CHANGELOG, version, date)
}

fn of(text: &str, version: &str, date: &str) -> String {
    let maintainer = maintainer();
    let mut out = String::new();
    for part in text.split("\n## ").skip(1) {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let points = points(body);
        if points.is_empty() {
            continue;
        }
        // `[0.2.0] - 2026-12-01`, or `[Unreleased]`.
        let (name, day) = head.split_once(" - ").unwrap_or((head, ""));
        let name = name.trim_matches(['[', ']', ' ']);
        let (shown, when) = if name == "Unreleased" {
            (version.to_owned(), date.to_owned())
        } else {
            (format!("{name}-1"), rfc2822(day.trim()).unwrap_or_else(|| date.to_owned()))
        };
        let _ = write!(out, "tilld ({shown}) unstable; urgency=medium\n\n");
        for point in points {
            out.push_str(&wrapped(&point));
        }
        let _ = write!(out, "\n -- {maintainer}  {when}\n\n");
    }
    out.trim_end().to_owned() + "\n"
}

/// As in the package's metadata; Debian wants the same name in both.
fn maintainer() -> &'static str {
    let text = include_str!("../../Cargo.toml");
    let line = text.lines().find_map(|line| line.strip_prefix("maintainer = "));
    line.unwrap_or_default().trim_matches('"')
}

/// The bullets, each in one line.
fn points(body: &str) -> Vec<String> {
    let mut points: Vec<String> = Vec::new();
    for line in body.lines() {
        if let Some(text) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
            points.push(text.trim().replace('`', ""));
        } else if line.starts_with("  ")
            && let Some(point) = points.last_mut()
        {
            point.push(' ');
            point.push_str(&line.trim().replace('`', ""));
        }
    }
    points
}

/// A point of the list, in lines of at most 78 characters.
fn wrapped(text: &str) -> String {
    let mut out = "  *".to_owned();
    let mut width = out.len();
    for word in text.split_whitespace() {
        if width + 1 + word.chars().count() > 78 {
            out.push_str("\n   ");
            width = 3;
        }
        out.push(' ');
        out.push_str(word);
        width += 1 + word.chars().count();
    }
    out + "\n"
}

/// `2026-12-01` as Debian writes it.
fn rfc2822(day: &str) -> Option<String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let day = time::Date::parse(day, &format).ok()?.midnight().assume_utc();
    day.format(&time::format_description::well_known::Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_entries() {
        let text = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n* Take `money`, and\n  give it back.\n\n\
                    ## [0.1.0] - 2026-12-01\n\n* Begin.\n";
        let maintainer = maintainer();
        assert!(maintainer.ends_with('>'), "{maintainer}");
        assert_eq!(
            of(text, "0.2.0-1", "Sat, 21 Nov 2026 10:00:00 +0000"),
            format!(
                "tilld (0.2.0-1) unstable; urgency=medium\n\n  * Take money, and give it back.\n\n \
                 -- {maintainer}  Sat, 21 Nov 2026 10:00:00 +0000\n\n\
                 tilld (0.1.0-1) unstable; urgency=medium\n\n  * Begin.\n\n \
                 -- {maintainer}  Tue, 01 Dec 2026 00:00:00 +0000\n"
            )
        );
    }

    #[test]
    fn the_real_one_has_an_entry_for_the_version_that_is_packaged() {
        let text = debian("9.9.9-1", "Sat, 21 Nov 2026 10:00:00 +0000");
        assert!(text.starts_with("tilld ("), "{text}");
        let mut points = text.lines().filter(|line| line.starts_with("  "));
        assert!(points.all(|line| line.chars().count() <= 78), "{text}");
    }
}
