//! tilld.toml(5), from the commented configuration that is shipped.

use clap_mangen::roff::{Roff, bold, italic, roman};

const SHIPPED: &str = include_str!("../../config/tilld.toml");

/// The page.
pub(crate) fn page() -> String {
    let mut roff = Roff::new();
    let source = format!("tilld {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["tilld.toml", "5", "", &source, "Alipay payment terminal"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("tilld.toml - the configuration of the Alipay payment terminal")]);
    roff.control("SH", ["SYNOPSIS"]).text([roman("/etc/tilld/tilld.toml")]);
    roff.control("SH", ["DESCRIPTION"]);
    for line in [
        "The configuration of tilld(8), in TOML. tilld check --config FILE names every fault with its line: \
         an unknown key, a missing file, a wrong type, an impossible value.",
        "Lengths of time are written \"250ms\", \"5s\", \"2m\". Paths may be relative to the file itself. \
         What is shown with a key is its usual value, or an example where there is none.",
        "After a change: systemctl restart tilld. Open payments go on.",
    ] {
        roff.control("PP", []).text([roman(line)]);
    }
    for table in tables(SHIPPED) {
        roff.control("SH", [table.name.as_str()]);
        if !table.about.is_empty() {
            roff.control("PP", []).text([roman(&table.about)]);
        }
        for entry in table.entries {
            let mut request = "TP";
            for (name, value) in entry.keys {
                roff.control(request, []);
                roff.text([bold(name), roman(" = "), italic(value)]);
                request = "TQ";
            }
            roff.text([roman(entry.about)]);
        }
    }
    roff.control("SH", ["SEE ALSO"]).text([roman("tilld(8), till(1)")]);
    roff.to_roff()
}

struct Table {
    name: String,
    about: String,
    entries: Vec<Entry>,
}

/// What a comment is about: the keys below it, with their values.
struct Entry {
    keys: Vec<(String, String)>,
    about: String,
}

/// The file's tables, the keys with what the comment above them says.
fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut about = String::new();
    for line in text.lines() {
        let shown = line.strip_prefix('#').unwrap_or(line);
        let is_comment = line.starts_with("# ") || line == "#";
        if line.trim().is_empty() {
            about.clear();
        } else if is_comment {
            let words = english(line.trim_start_matches('#').trim());
            if !about.is_empty() && !words.is_empty() {
                about.push(' ');
            }
            about.push_str(words);
        } else if shown.starts_with('[') {
            let name = shown.to_owned();
            // A second [[scanner]] is an example.
            if tables.iter().all(|table| table.name != name) {
                tables.push(Table { name, about: std::mem::take(&mut about), entries: Vec::new() });
            }
            about.clear();
        } else if let Some((name, value)) = shown.split_once(" = ")
            && let Some(table) = tables.last_mut()
        {
            let key = (name.to_owned(), value.to_owned());
            let about = std::mem::take(&mut about);
            if table.entries.iter().any(|entry| entry.keys.iter().any(|(n, _)| *n == key.0)) {
                continue;
            }
            match table.entries.last_mut() {
                Some(entry) if about.is_empty() => entry.keys.push(key),
                _ => table.entries.push(Entry { keys: vec![key], about }),
            }
        }
    }
    tables
}

/// A comment without the Chinese word for it at its end.
fn english(line: &str) -> &str {
    let is_chinese = |c: char| ('\u{2e80}'..='\u{ffef}').contains(&c);
    let Some(at) = line.find(is_chinese) else { return line };
    let before = line.get(..at).unwrap_or(line);
    // The word stands for itself and may begin with other letters: `HTTP 代理`.
    let end = before.rfind("  ").unwrap_or(before.len());
    before.get(..end).unwrap_or(before).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_shipped_file_is_in_the_page() {
        let page = page();
        let mut seen = 0;
        for line in SHIPPED.lines() {
            let line = line.trim_start_matches('#');
            let Some((key, _)) = line.split_once(" = ") else { continue };
            if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                assert!(page.contains(&format!("\\fB{key}\\fR = ")), "{key} is not in the page");
                seen += 1;
            }
        }
        assert!(seen > 25, "the test reads the wrong file");
        assert!(page.is_ascii(), "the page has words of another language in it");
    }

    #[test]
    fn a_key_has_the_words_above_it() {
        let text = "# The till.\n[terminal]\n# Its name.     终端编号\nid = \"T\"\n#other = 1\n\
                    # How often.\n#beat = 2\n[terminal]\n# Again.\nid = \"X\"\n";
        let tables = tables(text);
        let [table] = tables.as_slice() else { panic!("one table") };
        assert_eq!((table.name.as_str(), table.about.as_str()), ("[terminal]", "The till."));
        let entries: Vec<(Vec<&str>, &str)> = table
            .entries
            .iter()
            .map(|e| (e.keys.iter().map(|(name, _)| name.as_str()).collect(), e.about.as_str()))
            .collect();
        let told = [(vec!["id", "other"], "Its name."), (vec!["beat"], "How often.")];
        assert_eq!(entries, told);
        assert_eq!(english("The way out.   HTTP 代理"), "The way out.");
    }
}
