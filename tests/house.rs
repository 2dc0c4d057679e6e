//! Rules about the code: who may import whom, who may read clocks, who may
//! speak to the world. Each failure says what the rule is for.

#![allow(clippy::expect_used, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains("/tests/") || text.ends_with("/tests.rs") || text.contains("/simulation/")
}

/// The code of a file without its comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let no_comment = |line: &&str| !line.trim_start().starts_with("//");
    shipped.lines().filter(no_comment).collect::<Vec<_>>().join("\n")
}

/// The room of a file: the first name below src.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(root().join("src")).expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The rooms that a file's code names.
fn imports(code: &str) -> Vec<String> {
    let name = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut rooms: Vec<String> = code.split("crate::").skip(1).map(name).collect();
    // `use crate::{one, two};`
    for group in code.split("crate::{").skip(1) {
        let inside = group.split('}').next().unwrap_or_default();
        rooms.extend(inside.split(',').map(|part| name(part.trim())));
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn the_arrows_between_the_rooms() {
    let allowed: &[(&str, &[&str], &str)] = &[
        ("payment", &["payment"], "the core depends on nothing, so that it can be tested whole"),
        ("terminal", &["terminal", "payment"], "the core depends on nothing but itself"),
        ("journal", &["journal", "payment"], "the journal remembers; it does not decide or send"),
        ("alipay", &["alipay", "payment"], "the client translates; it knows no till"),
        ("scanner", &["scanner", "payment"], "a scanner is read the same whatever it is for"),
        (
            "config",
            &["config", "alipay", "payment", "scanner"],
            "parsed once at the door, by whoever knows what is right",
        ),
        ("api", &["api", "terminal", "payment"], "the API speaks for the core, not around it"),
        (
            "cli",
            &["cli", "api", "payment", "sandbox", "scanner"],
            "people come in by the same socket; what is plugged in is seen without the daemon",
        ),
        (
            "sandbox",
            &["sandbox", "alipay", "payment"],
            "a neighbour: it shares the signing rules only",
        ),
        (
            "daemon",
            &["daemon", "alipay", "api", "config", "journal", "payment", "scanner", "terminal"],
            "it knows every room, but ships without the sandbox and the command line",
        ),
    ];
    let mut seen = 0;
    for path in files(&root().join("src"), "rs") {
        if is_test(&path) || path.ends_with("lib.rs") || path.starts_with(root().join("src/bin")) {
            continue;
        }
        let room = room(&path);
        let (_, may, why) = allowed
            .iter()
            .find(|(name, ..)| *name == room)
            .unwrap_or_else(|| panic!("{}: a new room; say whom it may import", path.display()));
        for imported in imports(&code(&path)) {
            assert!(
                may.contains(&imported.as_str()),
                "{}: {room} may not import {imported} ({why})",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "the test looks at the wrong files");
}

/// The server and the client speak of the same things, and know nothing of each
/// other; what they share waits for nothing and touches nothing.
#[test]
fn the_arrows_within_the_api() {
    let api = root().join("src/api");
    let mut seen = 0;
    for (part, others, rooms) in [
        ("wire", &["server", "client"][..], &["api", "payment", "terminal"][..]),
        ("server", &["client"], &["api", "payment", "terminal"]),
        ("client", &["server"], &["api", "payment"]),
    ] {
        for path in files(&api.join(part), "rs") {
            let code = code(&path);
            for other in others {
                let ways = [format!("api::{other}"), format!("super::{other}")];
                let named = ways.iter().any(|way| code.contains(way.as_str()));
                assert!(!named, "{}: {part} knows {other}", path.display());
            }
            // What the room as a whole hands out could be of any part.
            let past = code.contains("api::{") || code.contains("super::super::");
            assert!(!past, "{}: name the part of the room", path.display());
            for imported in imports(&code) {
                let may = rooms.contains(&imported.as_str());
                assert!(may, "{}: {part} may not import {imported}", path.display());
                seen += 1;
            }
            for word in ["async ", "tokio", "axum", "hyper", "std::fs", "std::net", "tracing"] {
                assert!(part != "wire" || !code.contains(word), "{}: {word}", path.display());
            }
        }
    }
    assert!(seen > 30, "the test looks at the wrong files");
}

#[test]
fn the_daemon_ships_without_the_sandbox() {
    for path in files(&root().join("src/daemon"), "rs") {
        assert!(!code(&path).contains("sandbox"), "{}: names the sandbox", path.display());
    }
    let main = code(&root().join("src/bin/tilld.rs"));
    assert!(!main.contains("sandbox") && !main.contains("cli"), "tilld is the daemon only");
}

/// What only the named files may do, and why.
#[test]
fn the_world_is_touched_where_it_is_said() {
    let rules: &[(&str, &[&str], &str)] = &[
        (
            "SystemTime::now",
            &["src/daemon/clock.rs", "src/sandbox/clock.rs", "src/cli/demo/lines.rs"],
            "time is an argument",
        ),
        ("reqwest::", &["src/alipay/https.rs", "src/alipay/https/"], "one file sends"),
        ("rusqlite", &["src/journal/"], "one room knows SQL"),
        ("evdev::", &["src/scanner/"], "one room reads keyboards"),
        ("serialport::", &["src/scanner/"], "one room reads serial lines"),
        (
            "env::var",
            &["src/daemon/log.rs", "src/config/", "src/cli/", "src/sandbox/"],
            "settings are in tilld.toml",
        ),
        (
            "unsafe ",
            &[
                "src/daemon/system.rs",
                "src/api/server/peer.rs",
                "src/scanner/",
                "src/cli/demo/stage.rs",
            ],
            "only where the kernel or the service manager is asked",
        ),
        (" println!", &["src/bin/"], "stdout belongs to the command line"),
        ("danger_accept", &[], "no TLS check can be switched off"),
        ("process::abort", &[], "a crash tells nobody why"),
    ];
    for path in files(&root().join("src"), "rs") {
        if is_test(&path) {
            continue;
        }
        let shown = path.strip_prefix(root()).expect("below").to_string_lossy().into_owned();
        let code = code(&path);
        for (what, may, why) in rules {
            let allowed = may.iter().any(|prefix| shown.starts_with(prefix));
            assert!(allowed || !code.contains(what), "{shown}: {what} ({why})");
        }
    }
}

#[test]
fn the_core_is_pure() {
    for room in ["src/payment", "src/terminal"] {
        for path in files(&root().join(room), "rs") {
            if is_test(&path) {
                continue;
            }
            let code = code(&path);
            for word in
                ["async ", "tokio", "std::fs", "std::net", "std::thread", "tracing", "Mutex"]
            {
                assert!(!code.contains(word), "{}: {word} in the core", path.display());
            }
        }
    }
}

/// A scanner's codes can be tried without a device, and its device be looked for
/// without opening one.
#[test]
fn only_one_part_of_the_scanners_room_opens_devices() {
    for (part, others) in [("decode", &["find", "device"][..]), ("find", &["device"])] {
        for path in files(&root().join("src/scanner").join(part), "rs") {
            let code = code(&path);
            for other in others {
                let named = code.contains(&format!("scanner::{other}"));
                assert!(!named, "{}: {part} knows {other}", path.display());
            }
        }
    }
}

/// Secrets have types without printing; nothing may give them some.
#[test]
fn secrets_do_not_derive_debug() {
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).expect("readable");
        for secret in ["AuthCode", "SecretText", "PrivateKey", "Token"] {
            for (at, found) in text.match_indices(&format!("pub struct {secret}")) {
                let next = text[at + found.len()..].chars().next();
                if next.is_some_and(char::is_alphanumeric) {
                    continue; // TokenError
                }
                let from = text[..at].rfind("\n\n").unwrap_or(0);
                let attributes = &text[from..at];
                for printing in ["Debug", "Serialize", "Deserialize"] {
                    let derives = attributes.contains("derive(") && attributes.contains(printing);
                    assert!(!derives, "{}: {secret} derives {printing}", path.display());
                }
            }
        }
    }
}

#[test]
fn files_are_tidy_and_small_enough_to_know() {
    for path in
        files(&root().join("src"), "rs").into_iter().chain(files(&root().join("tests"), "rs"))
    {
        let text = fs::read_to_string(&path).expect("readable");
        assert!(text.ends_with('\n'), "{}: no newline at the end", path.display());
        let lines = text.lines().count();
        assert!(lines <= 900, "{}: {lines} lines; is it one thing?", path.display());
        for word in ["dbg!(", "todo!(", "unimplemented!(", "TODO", "FIXME"] {
            let own = path.ends_with("house.rs");
            assert!(own || !text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Every dependency has its reason on the line above, or shares the one of its
/// group.
#[test]
fn every_dependency_has_a_reason() {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("readable");
    let section = |name: &str| {
        let from = text.split(&format!("[{name}]\n")).nth(1).unwrap_or_default();
        from.split("\n[").next().unwrap_or_default().to_owned()
    };
    let (mut reasoned, mut bare) = (0, Vec::new());
    for name in ["dependencies", "dev-dependencies"] {
        let mut reason = false;
        for line in section(name).lines() {
            match line.trim() {
                "" => reason = false,
                comment if comment.starts_with('#') => reason = !comment.starts_with("# ---"),
                dependency if reason => {
                    reasoned += usize::from(dependency.contains('='));
                }
                dependency => bare.push(dependency.to_owned()),
            }
        }
    }
    // The group of serde and its like, whose reason is the base of the project.
    assert!(bare.len() <= 8, "without a reason: {bare:#?}");
    assert!(reasoned > 20);
}

/// A rule about money as ARCHITECTURE.md has it: its number, and its text with
/// the files that enforce it and the tests that show it.
fn rules_about_money() -> Vec<(usize, String)> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("readable");
    let section = page.split("## Rules about money\n").nth(1).expect("the rules");
    let section = section.split("\n## ").next().expect("their end");
    let mut rules: Vec<(usize, String)> = Vec::new();
    for line in section.lines() {
        let head = line.split_once(". **").and_then(|(number, _)| number.parse().ok());
        match (head, rules.last_mut()) {
            (Some(number), _) => rules.push((number, line.to_owned())),
            // The lines of a rule are indented; what is not is between two of them.
            (None, Some((_, text))) if line.starts_with("   ") => {
                text.push('\n');
                text.push_str(line);
            }
            (None, _) => {}
        }
    }
    rules
}

/// The numbers in `(rule 4)`, `(rules 4 and 12)`, `Rule 4:`.
fn cited(text: &str) -> Vec<usize> {
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for rest in lower.split("rule").skip(1) {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        // A citation may be broken over two lines of a comment.
        let is_between = |c: char| c.is_whitespace() || matches!(c, '/' | '!' | ',');
        let mut rest = rest.trim_start_matches(is_between);
        loop {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let Ok(number) = rest[..digits].parse() else { break };
            found.push(number);
            rest = rest[digits..].trim_start_matches(is_between);
            rest = rest.strip_prefix("and").unwrap_or(rest).trim_start_matches(is_between);
        }
    }
    found
}

#[test]
fn every_rule_about_money_that_is_cited_is_in_the_list() {
    let rules: Vec<usize> = rules_about_money().into_iter().map(|(number, _)| number).collect();
    assert_eq!(rules, (1..=rules.len()).collect::<Vec<_>>(), "ARCHITECTURE.md numbers its rules");
    let mut seen = 0;
    let folders = ["src", "tests"].map(|folder| files(&root().join(folder), "rs"));
    for path in folders.concat().into_iter().filter(|path| !path.ends_with("house.rs")) {
        let text = fs::read_to_string(&path).expect("readable");
        for number in cited(&text) {
            assert!(rules.contains(&number), "{}: there is no rule {number}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "the test looks at the wrong files");
    assert_eq!(
        cited("// (rules 4 and\n    /// 12), Rule 9: rules of three, rule\n/// 8"),
        [4, 12, 9, 8]
    );
}

#[test]
fn every_rule_about_money_names_where_it_is_enforced_and_what_shows_it() {
    let sources = ["src", "tests"].map(|folder| files(&root().join(folder), "rs")).concat();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("readable");
    let all: String = sources.iter().map(read).collect();
    for (number, text) in rules_about_money() {
        let (mut places, mut tests) = (0, 0);
        for word in text.split('`').skip(1).step_by(2) {
            if word.starts_with("src/") {
                assert!(root().join(word).exists(), "rule {number}: there is no {word}");
                places += 1;
            } else if word.matches('_').count() >= 2
                && word.chars().all(|c| c.is_lowercase() || c == '_')
            {
                let is_there = all.contains(&format!("fn {word}("));
                assert!(is_there, "rule {number}: there is no test {word}");
                tests += 1;
            }
        }
        assert!(places > 0 && tests > 0, "rule {number} names no place, or no test");
    }
}

/// The picture of the way from an input to a call: every name on it is in the
/// file at the end of its line.
#[test]
fn the_ladder_is_drawn_as_it_is_built() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("readable");
    let ladder = page.split("## The ladder").nth(1).expect("the ladder");
    let ladder = ladder.split("```").nth(1).expect("the picture");
    let mut rungs = 0;
    for line in ladder.lines().filter(|line| line.contains("src/")) {
        let (drawn, file) = line.rsplit_once(' ').expect("a file at the end");
        let code = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let drawn = drawn.trim();
        let name = match drawn.strip_prefix('│') {
            Some(rest) => rest.trim(),
            None => drawn.trim_start_matches(['├', '─', '▶', ' ']),
        };
        let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let name = &name[..end.unwrap_or(name.len())];
        let last = name.rsplit("::").next().unwrap_or_default();
        let is_there = if drawn.starts_with('│') {
            code.contains(&format!("fn {last}("))
        } else {
            code.contains(last)
        };
        assert!(is_there, "{file} has no {name}: draw the ladder in ARCHITECTURE.md anew");
        rungs += 1;
    }
    assert!(rungs > 15, "the test looks at the wrong picture");
}
