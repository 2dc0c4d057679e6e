//! What can be seen on the box itself, beside the socket: the configuration, the
//! journal's file, the disk, who sets the clock, the units, who may use the
//! socket, and programs that take scanners for something else.
//!
//! It only looks. What it cannot see for want of rights it says, and names the
//! remedy; that is no fault.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::statvfs::statvfs;

use super::super::words;
use super::Finding;

/// With less room than this the journal is about to refuse payments.
const ROOM_LOW: u64 = 32 << 20;
/// With less than this somebody should look soon.
const ROOM_SCARCE: u64 = 512 << 20;

/// Programs that open every new serial port, and where they lie.
const INTRUDERS: [(&str, [&str; 2]); 2] = [
    ("ModemManager", ["usr/sbin/ModemManager", "usr/bin/ModemManager"]),
    ("brltty", ["usr/bin/brltty", "sbin/brltty"]),
];

/// What a program said when it was run.
pub(super) struct Ran {
    pub(super) is_good: bool,
    pub(super) text: String,
}

/// Runs a program with its arguments; nothing if the box has none of that name.
type Runner = Box<dyn Fn(&str, &[&str]) -> Option<Ran>>;

/// A box to look at.
pub(super) struct Host {
    /// Where its files begin.
    root: PathBuf,
    /// Root may read everything.
    is_root: bool,
    run: Runner,
}

/// What the configuration says that matters here.
#[derive(Default)]
struct Settings {
    journal: Option<PathBuf>,
    private_key: Option<PathBuf>,
    socket: Option<PathBuf>,
    /// `tilld check` has read all of it, the private key too.
    is_whole: bool,
}

impl Host {
    /// This one.
    pub(super) fn this() -> Self {
        let is_root = nix::unistd::geteuid().is_root();
        Self { root: PathBuf::from("/"), is_root, run: Box::new(run) }
    }

    /// Looks at everything. `answers`: the daemon answers on its socket, and so
    /// has started with this configuration or an earlier one.
    pub(super) fn examine(&self, config: &Path, socket: &Path, answers: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let settings = self.config(config, answers, &mut findings);
        if let Some(journal) = &settings.journal {
            findings.push(self.journal(journal, settings.is_whole.then_some(config)));
            findings.extend(self.disk(journal));
        }
        findings.push(self.time());
        findings.extend(self.units());
        findings.extend(self.access(socket));
        findings.extend(self.intruders());
        findings
    }

    /// The socket that the configuration names.
    pub(super) fn socket_of(&self, config: &Path) -> Option<PathBuf> {
        let text = fs::read_to_string(self.path(config)).ok()?;
        Settings::read(&text, config.parent()?).socket
    }

    fn path(&self, absolute: &Path) -> PathBuf {
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }

    // --- the configuration ----------------------------------------------------

    fn config(&self, config: &Path, answers: bool, findings: &mut Vec<Finding>) -> Settings {
        let shown = config.display().to_string();
        let text = match fs::read_to_string(self.path(config)) {
            Ok(text) => text,
            Err(why) => {
                let text = words::CONFIG_UNREADABLE.both(&[&shown, &why.to_string()]);
                findings.push(if why.kind() == ErrorKind::PermissionDenied {
                    Finding::note("config", text, words::FIX_ROOT.both(&[]))
                } else {
                    Finding::bad("config", text, words::FIX_CONFIG_NONE.both(&[]))
                });
                return Settings::default();
            }
        };
        let mut settings = Settings::read(&text, config.parent().unwrap_or(Path::new("/")));
        let key = settings.private_key.as_ref().map(|key| self.path(key));
        let may_read = key.is_none_or(|key| match fs::File::open(key) {
            Ok(_) => true,
            Err(why) => why.kind() != ErrorKind::PermissionDenied,
        });
        if !self.is_root && !may_read {
            let text = words::CONFIG_UNCHECKED.both(&[&shown]);
            findings.push(Finding::note("config", text, words::FIX_ROOT.both(&[])));
            return settings;
        }
        let file = self.path(config).display().to_string();
        let Some(checked) = (self.run)("tilld", &["check", "--config", &file]) else {
            let text = words::NO_TILLD.both(&[]);
            findings.push(Finding::note("config", text, words::FIX_NO_TILLD.both(&[])));
            return settings;
        };
        settings.is_whole = checked.is_good;
        let fix = || words::FIX_CONFIG.both(&[&file]);
        let lines = checked.text.lines().filter(|line| !line.is_empty());
        for line in lines {
            let text = words::CONFIG_BAD.both(&[line]);
            // The key may be handed over as a credential and lie nowhere; a daemon
            // that answers has it.
            let is_elsewhere = answers && line.contains("alipay.private_key_file");
            let is_fault = !checked.is_good && !is_elsewhere;
            let finding = if is_fault { Finding::bad } else { Finding::note };
            findings.push(finding("config", text, fix()));
        }
        if checked.is_good && checked.text.trim().is_empty() {
            findings.push(Finding::good("config", words::CONFIG_GOOD.both(&[&shown])));
        }
        settings
    }

    // --- the journal and its disk -----------------------------------------------

    /// With the configuration that has the key, it is also proven who wrote the
    /// entries.
    fn journal(&self, journal: &Path, config: Option<&Path>) -> Finding {
        let (file, shown) = (self.path(journal), journal.display().to_string());
        match fs::File::open(&file) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                let text = words::JOURNAL_NONE.both(&[&shown]);
                return Finding::note("journal_file", text, words::FIX_JOURNAL_NONE.both(&[]));
            }
            Err(why) if !self.is_root && why.kind() == ErrorKind::PermissionDenied => {
                let text = words::JOURNAL_UNCHECKED.both(&[&shown]);
                return Finding::note("journal_file", text, words::FIX_ROOT.both(&[]));
            }
            // The check itself says it best.
            Ok(_) | Err(_) => {}
        }
        let file = file.display().to_string();
        let config = config.map(|config| self.path(config).display().to_string());
        let with_key = config.as_ref().map(|config| ["--config", config.as_str()]);
        let mut arguments = vec!["verify"];
        arguments.extend(with_key.iter().flatten());
        arguments.push(&file);
        let Some(checked) = (self.run)("tilld", &arguments) else {
            let text = words::NO_TILLD.both(&[]);
            return Finding::note("journal_file", text, words::FIX_NO_TILLD.both(&[]));
        };
        let said = checked.text.lines().next().unwrap_or_default();
        if checked.is_good {
            Finding::good("journal_file", words::VERIFY_GOOD.both(&[said]))
        } else {
            let text = words::VERIFY_BAD.both(&[said]);
            Finding::bad("journal_file", text, words::FIX_VERIFY.both(&[]))
        }
    }

    #[allow(clippy::useless_conversion, reason = "these are 32 bits wide on some machines")]
    fn disk(&self, journal: &Path) -> Option<Finding> {
        let folder = journal.parent()?;
        let disk = statvfs(&self.path(folder)).ok()?;
        let room =
            u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size()));
        let shown = folder.display().to_string();
        let (text, fix) = (
            words::DISK.both(&[&(room >> 20).to_string(), &shown]),
            words::FIX_DISK.both(&[&shown]),
        );
        Some(if room < ROOM_LOW {
            Finding::bad("disk", text, fix)
        } else if room < ROOM_SCARCE {
            Finding::note("disk", text, fix)
        } else {
            Finding::good("disk", text)
        })
    }

    // --- who sets the clock -------------------------------------------------------

    fn time(&self) -> Finding {
        let by = |who: &str| Finding::good("time", words::TIME_SYNCED.both(&[who]));
        if self.root.join("run/systemd/timesync/synchronized").exists() {
            return by("systemd-timesyncd");
        }
        let normal = |ran: &Ran| ran.is_good && ran.text.contains("Leap status     : Normal");
        if (self.run)("chronyc", &["-n", "tracking"]).is_some_and(|ran| normal(&ran)) {
            return by("chrony");
        }
        let show = ["show", "--property=NTPSynchronized", "--value"];
        let told = (self.run)("timedatectl", &show).filter(|ran| ran.is_good);
        match told.as_ref().map(|ran| ran.text.trim()) {
            Some("yes") => by("timedatectl"),
            Some(_) => {
                Finding::note("time", words::TIME_UNSYNCED.both(&[]), words::FIX_CLOCK.both(&[]))
            }
            None => Finding::note("time", words::TIME_UNTOLD.both(&[]), words::FIX_CLOCK.both(&[])),
        }
    }

    // --- units --------------------------------------------------------------------

    fn units(&self) -> Vec<Finding> {
        let ask = |what: &str, unit: &str| {
            (self.run)("systemctl", &[what, unit]).map(|ran| {
                let first = ran.text.lines().next().unwrap_or_default();
                first.trim().to_owned()
            })
        };
        let mut findings = Vec::new();
        for unit in ["tilld.service", "tilld.socket"] {
            let (Some(enabled), Some(active)) = (ask("is-enabled", unit), ask("is-active", unit))
            else {
                let text = words::UNITS_UNTOLD.both(&[]);
                return vec![Finding::note("units", text, words::FIX_UNITS_UNTOLD.both(&[]))];
            };
            let is_told = ["active", "inactive", "failed", "activating", "deactivating"];
            if !is_told.contains(&active.as_str()) {
                let text = words::UNITS_UNTOLD.both(&[]);
                return vec![Finding::note("units", text, words::FIX_UNITS_UNTOLD.both(&[]))];
            }
            findings.push(match (enabled.as_str(), active.as_str()) {
                ("enabled", "active") => Finding::good("units", words::UNIT_GOOD.both(&[unit])),
                (_, "active") => Finding::note(
                    "units",
                    words::UNIT_DISABLED.both(&[unit, &enabled]),
                    words::FIX_UNIT_DISABLED.both(&[unit]),
                ),
                _ => Finding::bad(
                    "units",
                    words::UNIT_BAD.both(&[unit, &active]),
                    words::FIX_UNIT.both(&[unit, unit]),
                ),
            });
        }
        findings
    }

    // --- who may take payments ------------------------------------------------------

    fn access(&self, socket: &Path) -> Option<Finding> {
        let found = fs::metadata(self.path(socket)).ok()?;
        let shown = socket.display().to_string();
        if found.permissions().mode() & 0o002 != 0 {
            let text = words::ACCESS_ALL.both(&[&shown]);
            return Some(Finding::bad("access", text, words::FIX_ACCESS_ALL.both(&[])));
        }
        if found.permissions().mode() & 0o020 == 0 {
            return None;
        }
        let groups = fs::read_to_string(self.root.join("etc/group")).ok()?;
        let gid = found.gid().to_string();
        let mut rows = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let row = rows.find(|row| row.get(2) == Some(&gid.as_str()))?;
        let (name, listed) = (row.first()?, row.get(3).copied().unwrap_or_default());
        let mut people: Vec<String> =
            listed.split(',').filter(|who| !who.is_empty()).map(str::to_owned).collect();
        // Those whose own group it is are not listed there.
        let users = fs::read_to_string(self.root.join("etc/passwd")).unwrap_or_default();
        let own = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let own = own.filter(|row| row.get(3) == Some(&gid.as_str()));
        people.extend(own.filter_map(|row| row.first().map(|who| (*who).to_owned())));
        Some(if people.is_empty() {
            let text = words::ACCESS_NOBODY.both(&[name]);
            Finding::note("access", text, words::FIX_ACCESS.both(&[name]))
        } else {
            Finding::good("access", words::ACCESS_GOOD.both(&[name, &people.join(", ")]))
        })
    }

    // --- who takes scanners away ------------------------------------------------------

    fn intruders(&self) -> Vec<Finding> {
        let is_there = |paths: &[&str]| paths.iter().any(|path| self.root.join(path).exists());
        let there = INTRUDERS.iter().filter(|(_, paths)| is_there(paths));
        there
            .map(|(name, _)| {
                let text = words::INTRUDER.both(&[name]);
                Finding::note("intruders", text, words::FIX_INTRUDER.both(&[name]))
            })
            .collect()
    }
}

impl Settings {
    /// As far as it can be read; what is wrong with it is for `tilld check`.
    fn read(text: &str, folder: &Path) -> Self {
        let Ok(table) = text.parse::<toml::Table>() else { return Self::default() };
        let path = |section: &str, key: &str| {
            let text = table.get(section)?.get(key)?.as_str()?;
            Some(folder.join(text))
        };
        Self {
            journal: path("journal", "path"),
            private_key: path("alipay", "private_key_file"),
            socket: path("api", "socket"),
            is_whole: false,
        }
    }
}

/// Runs a program in plain English; `tilld` is the one that was installed with
/// this `till`.
fn run(program: &str, arguments: &[&str]) -> Option<Ran> {
    let beside = std::env::current_exe().ok().map(|till| till.with_file_name(program));
    let program = match beside {
        Some(path) if program == "tilld" && path.exists() => path,
        _ => PathBuf::from(program),
    };
    let ran = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [ran.stdout, ran.stderr].concat();
    Some(Ran { is_good: ran.status.success(), text: String::from_utf8_lossy(&text).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::super::super::words::Lang;
    use super::super::Grade;
    use super::*;

    /// What each command is answered with, and whether it went well.
    type Said = BTreeMap<String, (bool, String)>;

    /// A box made of a folder, and of what its programs say.
    struct Box {
        root: tempfile::TempDir,
        says: Rc<RefCell<Said>>,
        is_root: bool,
    }

    const CONFIG: &str = "/etc/tilld/tilld.toml";
    const SOCKET: &str = "/run/tilld/tilld.sock";

    impl Box {
        /// One where all is well.
        fn sound() -> Self {
            let root = tempfile::tempdir().expect("a folder");
            let own = fs::metadata(root.path()).expect("it is there").gid();
            let this = Self { root, says: Rc::default(), is_root: true };
            let text = "[alipay]\nprivate_key_file = \"key.pem\"\n[journal]\npath = \"/var/lib/tilld/journal.db\"\n";
            this.put(CONFIG, text);
            this.put("/etc/tilld/key.pem", "a key");
            this.put("/var/lib/tilld/journal.db", "a journal");
            this.put("/run/systemd/timesync/synchronized", "");
            this.put("/etc/group", &format!("x:x:4000000:\ntilld-clients:x:{own}:cashier\n"));
            this.put(SOCKET, "");
            this.mode(SOCKET, 0o660);
            let config = this.root.path().join("etc/tilld/tilld.toml");
            this.says(&format!("tilld check --config {}", config.display()), true, "");
            let journal = this.root.path().join("var/lib/tilld/journal.db");
            let verify =
                format!("tilld verify --config {} {}", config.display(), journal.display());
            this.says(&verify, true, "sound: 7 entries");
            // Without the key, when the configuration has a fault.
            this.says(&format!("tilld verify {}", journal.display()), true, "sound: 7 entries");
            for unit in ["tilld.service", "tilld.socket"] {
                this.says(&format!("systemctl is-enabled {unit}"), true, "enabled\n");
                this.says(&format!("systemctl is-active {unit}"), true, "active\n");
            }
            this
        }

        fn place(&self, path: &str) -> PathBuf {
            self.root.path().join(path.trim_start_matches('/'))
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.place(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }

        fn mode(&self, path: &str, mode: u32) {
            fs::set_permissions(self.place(path), PermissionsExt::from_mode(mode)).expect("set");
        }

        fn says(&self, command: &str, is_good: bool, text: &str) {
            self.says.borrow_mut().insert(command.to_owned(), (is_good, text.to_owned()));
        }

        /// What is found by those checks, in English.
        fn found(&self, checks: &[&str]) -> Vec<String> {
            let says = Rc::clone(&self.says);
            let run = move |program: &str, arguments: &[&str]| {
                let command = [&[program], arguments].concat().join(" ");
                let said = says.borrow().get(&command).cloned();
                said.map(|(is_good, text)| Ran { is_good, text })
            };
            let host = Host {
                root: self.root.path().to_owned(),
                is_root: self.is_root,
                run: std::boxed::Box::new(run),
            };
            let found = host.examine(Path::new(CONFIG), Path::new(SOCKET), true);
            let found = found.into_iter().filter(|finding| checks.contains(&finding.check));
            found
                .map(|finding| {
                    let grade = match finding.grade {
                        Grade::Good => "good",
                        Grade::Note => "note",
                        Grade::Bad => "fault",
                    };
                    assert_eq!(finding.fix.is_none(), finding.grade == Grade::Good);
                    format!("{grade}: {}", Lang::En.of(&finding.text))
                })
                .collect()
        }
    }

    #[track_caller]
    fn only(found: &[String], expected: &str) {
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:?}");
    }

    #[test]
    fn a_sound_box_has_no_fault() {
        let all = ["config", "journal_file", "time", "units", "access", "intruders"];
        let found = Box::sound().found(&all);
        assert!(found.iter().all(|line| line.starts_with("good: ")), "{found:?}");
        // Both units, and no intruder.
        assert_eq!(found.len(), 6, "{found:?}");
        assert!(found.iter().any(|line| line.ends_with("(group tilld-clients): cashier")));
    }

    #[test]
    fn the_configuration_is_checked_by_the_daemons_own_check() {
        let sound = Box::sound();
        let check = sound.says.borrow().keys().find(|c| c.contains("check")).cloned();
        let check = check.expect("it is asked");
        sound.says(&check, false, "tilld.toml:3: alipay.app_id: is missing\ntilld.toml:9: x: y\n");
        let found = sound.found(&["config"]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], "fault: Configuration: tilld.toml:3: alipay.app_id: is missing");
        sound.says(&check, true, "warning: key.pem can be read by others\n");
        only(&sound.found(&["config"]), "note: Configuration: warning: key.pem");
        // It may be handed over encrypted; the daemon answers, so it has it.
        sound.says(&check, false, "t:3: alipay.private_key_file: does not exist\n");
        only(&sound.found(&["config"]), "note: ");
        sound.says.borrow_mut().remove(&check);
        only(&sound.found(&["config"]), "note: There is no program tilld");
        fs::remove_file(sound.place(CONFIG)).expect("removed");
        only(&sound.found(&["config"]), "fault: Cannot read the configuration");
    }

    #[test]
    fn what_may_not_be_looked_at_is_no_fault() {
        if nix::unistd::geteuid().is_root() {
            // To root every file is open.
            return;
        }
        let sound = Box { is_root: false, ..Box::sound() };
        sound.mode("/etc/tilld/key.pem", 0);
        sound.mode("/var/lib/tilld/journal.db", 0);
        only(&sound.found(&["config"]), "note: The keys of the configuration");
        only(&sound.found(&["journal_file"]), "note: The journal");
    }

    #[test]
    fn the_journal_is_verified_where_it_is() {
        let sound = Box::sound();
        let verify = sound.says.borrow().keys().find(|c| c.contains("verify")).cloned();
        sound.says(&verify.expect("it is asked"), false, "it is broken at entry 7\n");
        only(&sound.found(&["journal_file"]), "fault: The journal is not sound: it is broken");
        // Whose key cannot be read can still have its hashes checked.
        let check = sound.says.borrow().keys().find(|c| c.contains("check")).cloned();
        sound.says(&check.expect("it is asked"), false, "t:3: alipay.private_key_file: x\n");
        only(&sound.found(&["journal_file"]), "good: ");
        fs::remove_file(sound.place("/var/lib/tilld/journal.db")).expect("removed");
        only(&sound.found(&["journal_file"]), "note: There is no journal");
    }

    #[test]
    fn whoever_sets_the_clock_is_found() {
        let sound = Box::sound();
        fs::remove_file(sound.place("/run/systemd/timesync/synchronized")).expect("removed");
        only(&sound.found(&["time"]), "note: Whether the clock is synchronised is not known");
        let timedatectl = "timedatectl show --property=NTPSynchronized --value";
        sound.says(timedatectl, true, "no\n");
        only(&sound.found(&["time"]), "note: The clock is not synchronised");
        sound.says(timedatectl, true, "yes\n");
        only(&sound.found(&["time"]), "good: ");
        sound.says("chronyc -n tracking", true, "Leap status     : Not synchronised\n");
        only(&sound.found(&["time"]), "good: The clock is synchronised (timedatectl)");
        sound.says("chronyc -n tracking", true, "Ref : x\nLeap status     : Normal\n");
        only(&sound.found(&["time"]), "good: The clock is synchronised (chrony)");
    }

    #[test]
    fn units_that_do_not_run_or_will_not_come_back_are_named() {
        let sound = Box::sound();
        sound.says("systemctl is-enabled tilld.service", false, "disabled\n");
        let found = sound.found(&["units"]);
        assert!(found[0].starts_with("note: tilld.service is active, but will not start"));
        sound.says("systemctl is-active tilld.service", false, "failed\n");
        let found = sound.found(&["units"]);
        assert_eq!(found[0], "fault: tilld.service is not active: failed");
        assert_eq!(found[1], "good: tilld.socket is enabled and active");
        let none = "System has not been booted with systemd as init system (PID 1)";
        sound.says("systemctl is-active tilld.service", false, none);
        only(&sound.found(&["units"]), "note: There is no systemd here");
        sound.says.borrow_mut().clear();
        only(&sound.found(&["units"]), "note: There is no systemd here");
    }

    #[test]
    fn who_may_take_payments_is_listed() {
        let sound = Box::sound();
        let own = fs::metadata(sound.root.path()).expect("it is there").gid();
        sound.put("/etc/group", &format!("tilld-clients:x:{own}:\n"));
        only(&sound.found(&["access"]), "note: The group tilld-clients has no members");
        sound.put("/etc/passwd", &format!("a:x:1:4000000::/:\nregister:x:2:{own}::/:\n"));
        only(
            &sound.found(&["access"]),
            "good: Users who may take payments (group tilld-clients): register",
        );
        sound.mode(SOCKET, 0o666);
        only(&sound.found(&["access"]), "fault: Any user of this box");
        fs::remove_file(sound.place(SOCKET)).expect("removed");
        assert!(sound.found(&["access"]).is_empty());
    }

    #[test]
    fn programs_that_take_scanners_are_named() {
        let sound = Box::sound();
        sound.put("/usr/sbin/ModemManager", "");
        sound.put("/usr/bin/brltty", "");
        let found = sound.found(&["intruders"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("note: ModemManager is installed"), "{found:?}");
    }
}
