//! A journal that is not sound, not ours, or not of our time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rusqlite::Connection;

use crate::till::{Shop, with_code};

/// Everything that there is in a folder.
type Contents = BTreeMap<String, (u32, i64, i64, Vec<u8>)>;

fn contents(folder: &Path) -> Contents {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    // SQLite's shared memory is its notice board for who reads at present, and
    // says nothing.
    entries
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with("-shm"))
        .map(|entry| {
            let data = entry.metadata().expect("metadata");
            let bytes = if data.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, (data.permissions().mode(), data.mtime(), data.mtime_nsec(), bytes))
        })
        .collect()
}

/// Changes bytes in a file, which must be there.
fn forge(path: &Path, from: &str, to: &str) {
    let mut bytes = fs::read(path).unwrap();
    let all: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!all.is_empty(), "{from} is not in the journal");
    for at in all {
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    }
    fs::write(path, bytes).unwrap();
}

/// `tilld verify`: its exit code and what it says.
fn verify(journal: &Path) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tilld"));
    let output = command.arg("verify").arg(journal).output().expect("tilld verify");
    let said = String::from_utf8_lossy(if output.status.success() {
        &output.stdout
    } else {
        &output.stderr
    });
    (output.status.code(), said.into_owned())
}

#[test]
fn a_journal_that_is_not_right_is_named_and_not_touched() {
    let shop = Shop::usual();
    // A sound one, to spoil copies of.
    fs::create_dir(shop.path("sound")).unwrap();
    let config = |folder: &str| {
        let path = shop.path(format!("{folder}.toml"));
        let journal = format!("\"{folder}/journal.db\"");
        fs::write(&path, shop.config_text().replace("\"journal.db\"", &journal)).unwrap();
        path
    };
    let daemon = shop.start_with(shop.command_with(&config("sound")));
    for round in 0..5 {
        daemon.pay(&format!("PAID{round}"), &with_code("12.34")).expect(201);
    }
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    daemon.stop();
    let (code, said) = verify(&shop.path("sound/journal.db"));
    assert!(code == Some(0) && said.contains(" 6 payments, 1 open, head "), "{said}");

    let sql = |path: &Path, text: &str| {
        let conn = Connection::open(path).unwrap();
        conn.execute_batch(text).unwrap();
    };
    type Spoil<'a> = (&'a str, &'a dyn Fn(&Path), &'a [&'a str]);
    let cases: [Spoil<'_>; 9] = [
        ("empty", &|path| fs::write(path, "").unwrap(), &["not a journal"]),
        (
            "text",
            &|path| fs::write(path, "precious notes\n".repeat(99)).unwrap(),
            &["not a journal"],
        ),
        (
            "foreign",
            &|path| {
                fs::remove_file(path).unwrap();
                sql(path, "CREATE TABLE precious (note TEXT); INSERT INTO precious VALUES ('x')");
            },
            &["not a journal", "another program"],
        ),
        ("newer", &|path| sql(path, "PRAGMA user_version = 99"), &["version 99", "tilld"]),
        ("forged", &|path| forge(path, "PAID3", "PAID9"), &["damaged"]),
        ("richer", &|path| forge(path, "1234", "9999"), &["damaged"]),
        (
            "torn",
            &|path| {
                let file = fs::OpenOptions::new().write(true).open(path).unwrap();
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            },
            &["damaged"],
        ),
        (
            "headless",
            &|path| {
                fs::rename(path, path.with_extension("db-wal")).unwrap();
            },
            &["missing"],
        ),
        (
            "folder",
            &|path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            &["not a journal", "it is a folder"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, spoil, words) in cases {
        let folder = shop.path(name);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(shop.path("sound")).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        let journal = folder.join("journal.db");
        spoil(&journal);
        let before = contents(&folder);
        let mut daemon = shop.spawn(shop.command_with(&config(name)));
        let status = daemon.ended();
        let said = daemon.log();
        let line = said.lines().find(|line| line.contains(journal.to_str().unwrap()));
        let is_told = line.is_some_and(|line| words.iter().all(|word| line.contains(word)));
        let touched: Vec<String> = contents(&folder)
            .into_iter()
            .filter(|(file, found)| before.get(file) != Some(found))
            .map(|(file, _)| file)
            .collect();
        let is_whole = contents(&folder).len() == before.len() && touched.is_empty();
        // Last: a reader leaves SQLite's empty side files behind.
        let (verified, verdict) = verify(&journal);
        // No restart helps, so the service manager is told not to try.
        if status.code() != Some(78) || !is_told || !is_whole || verified != Some(1) {
            wrong.push(format!(
                "{name}: {status}, touched {touched:?}, said:\n{said}\nverify: {verdict}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The copies were taken from one that is sound.
    let daemon = shop.start_with(shop.command_with(&config("sound")));
    assert_eq!(daemon.payment("PAID4")["state"], "paid");
}

#[test]
fn a_clean_stop_leaves_the_journal_and_nothing_of_sqlites_beside_it() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("PAID", &with_code("1.00")).expect(201);
    // Somebody is still reading when it is told to stop.
    let events = daemon.events(Some(0));
    daemon.stop();
    drop(events);
    let files: Vec<_> = contents(&shop.path("")).into_keys().collect();
    let left: Vec<_> = files.iter().filter(|name| name.starts_with("journal.db")).collect();
    assert_eq!(left, ["journal.db", "journal.db-lock", "journal.db-reserve"]);
    let all = fs::read_dir(shop.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!all.into_iter().any(|name| name.to_string_lossy().ends_with("-shm")));
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let shop = Shop::usual();
    let config = shop.path("typo.toml");
    let text = shop.config_text().replace("\"journal.db\"", "\"jurnal/journal.db\"");
    fs::write(&config, text).unwrap();
    let mut daemon = shop.spawn(shop.command_with(&config));
    assert_eq!(daemon.ended().code(), Some(78), "{}", daemon.log());
    assert!(daemon.log().contains("jurnal"), "{}", daemon.log());
    assert!(!shop.path("jurnal").exists());
}

#[test]
fn the_files_are_for_the_daemons_user_alone() {
    let shop = Shop::usual();
    let daemon = shop.start();
    daemon.pay("PAID", &with_code("1.00")).expect(201);
    let of_journal = |name: &str| name.starts_with("journal.db");
    let files = contents(shop.path("").as_path());
    let mut count = 0;
    for (name, (mode, ..)) in files.iter().filter(|(name, _)| of_journal(name)) {
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
        count += 1;
    }
    assert!(count >= 3, "{:?}", files.keys());
    assert_eq!(files["tilld.sock"].0 & 0o777, 0o600);
}
