//! Tables, links, commands and keys in the pages are those of the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tilld::api::Code;
use tilld::payment::{Attention, Fen, Reason, RefundAttention, Sentence, Trouble, TroubleKind};

use super::terminal::Terminal;
use super::{page, section};

/// The rows of the first table in a text, cell by cell, without their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let table = text.lines().skip_while(|line| !line.starts_with('|'));
    table
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim()).collect())
        .collect()
}

/// A word in the API.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).expect("a word")
}

#[test]
fn the_table_of_errors_is_the_codes() {
    let page = page("docs/register.md");
    let told: Vec<Vec<&str>> =
        rows(section(&page, "## Errors")).into_iter().map(|row| row[..4].to_vec()).collect();
    let real: Vec<Vec<String>> = Code::ALL
        .into_iter()
        .map(|code| {
            let (money, retry) = (word(code.money()), word(code.retry()));
            let status = code.status().to_string();
            vec![format!("`{}`", code.name()), status, money, format!("`{retry}`")]
        })
        .collect();
    assert_eq!(told, real, "docs/register.md, Errors");
}

#[test]
fn the_table_of_figures_is_that_of_the_daemon() {
    let scanner = "\n[[scanner]]\nid = \"lane-1\"\nkind = \"serial\"\ndevice = \"none\"\n";
    let terminal = Terminal::start(scanner);
    // Until the gateway was called, what it last said cannot be told.
    let paid = Command::new(env!("CARGO_BIN_EXE_till"))
        .args(["pay", "1.00", "--subject", "x", "--code", "2800000000000001", "--socket"])
        .arg(terminal.socket())
        .output()
        .expect("till runs");
    assert!(paid.status.success(), "{}", String::from_utf8_lossy(&paid.stderr));
    let text = terminal.get("/metrics").expect("figures");
    let real: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(|name| format!("`{name}`"))
        .collect();
    let page = page("docs/operators.md");
    let told: BTreeSet<String> =
        rows(section(&page, "## Metrics")).iter().map(|row| row[0].to_owned()).collect();
    assert_eq!(told, real, "docs/operators.md, Metrics");
}

/// What the README shows was really answered: the same members, the same ending.
#[test]
fn the_answer_in_the_readme_has_the_members_of_a_real_one() {
    let terminal = Terminal::start("");
    let paid = Command::new(env!("CARGO_BIN_EXE_till"))
        .args(["pay", "12.50", "--subject", "咖啡", "--code", "2800000000000001"])
        .args(["--order", "A1001", "--json", "--socket"])
        .arg(terminal.socket())
        .output()
        .expect("till runs");
    let real: Value = serde_json::from_slice(&paid.stdout).expect("a payment");
    for name in ["README.md", "README.zh-CN.md"] {
        let page = page(name);
        let block = page.split("```json\n").nth(1).expect("the answer");
        let block = block.split("```").next().expect("its end");
        let told: Value = serde_json::from_str(block).expect("JSON");
        let members = |view: &Value| -> Vec<String> {
            view.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(members(&told), members(&real), "{name}");
        for member in ["state", "final", "money", "amount", "subject", "cashier", "out_trade_no"] {
            assert_eq!(told[member], real[member], "{name}: {member}");
        }
    }
}

#[test]
fn both_readmes_begin_with_the_two_commands() {
    for name in ["README.md", "README.zh-CN.md"] {
        let page = page(name);
        let block = page.split("```sh\n").nth(1).expect("commands");
        let commands: Vec<&str> = block
            .lines()
            .take_while(|line| !line.starts_with("```"))
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .collect();
        assert_eq!(commands, ["cargo run --release --bin till -- demo", "cargo test"], "{name}");
    }
}

/// All pages.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
    };
    [of(root), of(&root.join("docs"))].concat()
}

/// The lines of the code blocks of one kind.
fn code_lines(text: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(|block| block.lines().map(str::to_owned)).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let anchor = |heading: &str| -> String {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let mut seen = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).expect("readable");
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() {
                path.clone()
            } else {
                path.parent().expect("a folder").join(file)
            };
            assert!(there.exists(), "{}: {target} leads nowhere", path.display());
            if !place.is_empty() {
                let text = std::fs::read_to_string(&there).expect("readable");
                let has = text.lines().any(|line| {
                    line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == place
                });
                assert!(has, "{}: there is no heading for {target}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "the test looks at the wrong files");
}

/// The commands that a program's help lists.
fn commands_of(program: &str) -> BTreeSet<String> {
    let help = Command::new(program).args(["--help"]).env("LANG", "C").output().expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// A README also names commands that are not there yet, in a section that says so.
fn without_what_is_to_come(text: &str) -> String {
    let mut text = text.to_owned();
    for heading in ["## What it does not do yet", "## 目前还做不到"] {
        if text.contains(&format!("{heading}\n")) {
            let to_come = section(&text, heading).to_owned();
            text = text.replace(&to_come, "");
        }
    }
    text
}

#[test]
fn every_command_in_the_pages_exists() {
    let till = commands_of(env!("CARGO_BIN_EXE_till"));
    let tilld = commands_of(env!("CARGO_BIN_EXE_tilld"));
    assert!(till.contains("pay") && tilld.contains("check"), "{till:?} {tilld:?}");
    let mut seen = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let text = without_what_is_to_come(&text);
        // In code only: blocks of commands, and `till ...` in a sentence.
        let inline = text.split('`').skip(1).step_by(2).map(str::to_owned);
        for line in code_lines(&text, "sh").into_iter().chain(inline) {
            let line = line.replace("target/debug/", "").replace("target/release/", "");
            let line = line.replace("cargo run --release --bin till -- ", "till ");
            let words: Vec<&str> = line.split_whitespace().collect();
            let mut words = words.into_iter().skip_while(|word| *word == "sudo").peekable();
            let known = match words.next() {
                Some("till") => &till,
                Some("tilld") => &tilld,
                _ => continue,
            };
            // Options before the command, with their values.
            let mut command = words.next();
            while let Some(option) = command.filter(|word| word.starts_with("--")) {
                if !["--json", "--help", "--version"].contains(&option) {
                    words.next();
                }
                command = words.next();
            }
            let Some(command) = command.filter(|c| c.bytes().all(|b| b.is_ascii_lowercase()))
            else {
                continue;
            };
            assert!(known.contains(command), "{}: `{line}`: no {command}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "the test looks at the wrong files");
}

#[test]
fn every_key_in_the_pages_is_in_the_shipped_configuration() {
    let shipped = page("config/tilld.toml");
    let mut known = BTreeSet::new();
    let mut table = String::new();
    for line in shipped.lines() {
        let line = line.trim_start_matches('#');
        if let Some(name) = line.strip_prefix('[') {
            name.trim_matches(['[', ']']).clone_into(&mut table);
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        {
            known.insert(format!("{table}.{key}"));
        }
    }
    assert!(known.contains("payment.timeout") && known.contains("scanner.gap"), "{known:?}");
    let tables = ["terminal.", "alipay.", "payment.", "journal.", "api.", "scanner."];
    let mut seen = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).expect("readable");
        for word in text.split('`').skip(1).step_by(2) {
            let word = word.split(" = ").next().unwrap_or_default();
            let is_key = word.bytes().all(|b| b.is_ascii_lowercase() || b"_.".contains(&b));
            // A unit, a file or one of Alipay's methods is no key.
            let is_other = [".db", ".rs", ".service", ".socket"].iter().any(|e| word.ends_with(e))
                || word.starts_with("alipay.trade.");
            if is_key && !is_other && tables.iter().any(|table| word.starts_with(table)) {
                assert!(known.contains(word), "{}: no {word} in tilld.toml", path.display());
                seen += 1;
            }
        }
        let mut table = String::new();
        for line in code_lines(&text, "toml") {
            if let Some(name) = line.strip_prefix('[') {
                name.trim_end().trim_matches(['[', ']']).clone_into(&mut table);
            } else if let Some((key, _)) = line.split_once(" = ") {
                let key = format!("{table}.{key}");
                assert!(known.contains(&key), "{}: no {key} in tilld.toml", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "the test looks at the wrong files");
}

#[test]
fn every_attention_is_explained_to_operators() {
    let page = page("docs/operators.md");
    let section = section(&page, "## Attention");
    let reason = Reason { code: String::new(), sub_code: None, message: String::new() };
    let trouble = Trouble { kind: TroubleKind::Refused, text: String::new() };
    for attention in [
        Attention::Unsettled(None),
        Attention::Foreign(None),
        Attention::Unproven(None),
        Attention::DoorClosed(trouble),
        Attention::SellerBalance,
        Attention::Owing(reason.clone()),
        Attention::CancelRefused(reason),
    ] {
        assert_explained(section, &attention.sentence());
    }
    // Those of refunds have a table of their own, the second one.
    let section = section.split("A refund has").nth(1).expect("what a refund has");
    for attention in [
        RefundAttention::Unsettled(None),
        RefundAttention::SellerBalance,
        RefundAttention::DoorClosed,
        RefundAttention::Unproven,
        RefundAttention::Elsewhere(Fen(1)),
    ] {
        assert_explained(section, &attention.sentence());
    }
}

fn assert_explained(section: &str, sentence: &Sentence) {
    for text in [&sentence.en, &sentence.zh] {
        let ends = |c: char| "(:,.（：，。".contains(c) || c.is_ascii_digit();
        let start = text.split(ends).next().unwrap_or_default().trim();
        assert!(section.contains(start), "docs/operators.md, Attention: no {start:?}");
    }
}

#[test]
fn every_exit_code_is_explained() {
    use tilld::cli::Exit;
    let page = page("docs/operators.md");
    let told: Vec<&str> =
        rows(section(&page, "### Exit codes of `till`")).into_iter().map(|row| row[0]).collect();
    let all = [
        Exit::Taken,
        Exit::Fault,
        Exit::Usage,
        Exit::Absent,
        Exit::None,
        Exit::Returned,
        Exit::Unknown,
    ];
    assert_eq!(told, all.map(|exit| exit.code().to_string()), "docs/operators.md");
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for path in std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// What a page says is shown by a test, or stands in a file, is there.
#[test]
fn every_test_and_file_in_the_pages_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code: String = [sources(&root.join("src")), sources(&root.join("tests"))]
        .concat()
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("readable"))
        .collect();
    let mut seen = 0;
    for path in pages() {
        let text = std::fs::read_to_string(&path).expect("readable");
        for word in text.split('`').skip(1).step_by(2) {
            if ["src/", "tests/", "docs/", "examples/"].iter().any(|start| word.starts_with(start))
            {
                assert!(root.join(word).exists(), "{}: there is no {word}", path.display());
            } else if is_test_name(word) {
                let is_there = code.contains(&format!("fn {word}("));
                assert!(is_there, "{}: there is no test {word}", path.display());
            } else {
                continue;
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "the test looks at the wrong files");
}

/// Tests are named by sentences; no member, key or figure is as long.
fn is_test_name(word: &str) -> bool {
    let is_name = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name
        && word.matches('_').count() >= 3
        && !word.starts_with("tilld_")
        && word != "alipay_public_key_file"
}
