//! Man pages and completions of the commands.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Where the tables of exit codes are; tests/docs holds them to the code.
const OPERATORS: &str = include_str!("../../docs/operators.md");

/// What a page says beyond what the command says of itself.
struct Beyond {
    program: &'static str,
    section: &'static str,
    signals: &'static [(&'static str, &'static str)],
    environment: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    see_also: &'static str,
}

const TILL: Beyond = Beyond {
    program: "till",
    section: "1",
    signals: &[],
    environment: &[
        ("TILLD_SOCKET", "The terminal's socket, when --socket is not given."),
        (
            "LC_ALL, LC_MESSAGES, LANG",
            "The language, when --lang is not given: Chinese or English.",
        ),
    ],
    files: &[(
        "/run/tilld/tilld.sock",
        "Where the terminal listens. Who may connect is in the group tilld-clients.",
    )],
    see_also: "tilld(8), tilld.toml(5)",
};

const TILLD: Beyond = Beyond {
    program: "tilld",
    section: "8",
    signals: &[
        (
            "SIGTERM, SIGINT",
            "Take no new payments, finish what is being written, and end. Open payments go on after the next start.",
        ),
        ("SIGHUP", "Look at the key files again, and ask Alipay whether they are right."),
        ("SIGUSR1", "Drain: take no new payments and go on with the open ones, before an upgrade."),
    ],
    environment: &[
        (
            "CREDENTIALS_DIRECTORY",
            "Set by systemd. The credential alipay-app-key in it takes the place of alipay.private_key_file.",
        ),
        ("TILLD_LOG", "How much is logged: error, warn, info (usual), debug or trace."),
    ],
    files: &[
        ("/etc/tilld/tilld.toml", "The configuration, see tilld.toml(5)."),
        (
            "/etc/tilld/credentials/alipay-app-key.pem",
            "The application's private key: root's, mode 0600. systemd hands it over.",
        ),
        (
            "/var/lib/tilld/journal.db",
            "The journal: every payment ever taken. Never delete it, and never copy it while the daemon runs.",
        ),
        ("/run/tilld/tilld.sock", "Where registers connect, made by tilld.socket."),
        (
            "/usr/lib/udev/rules.d/70-tilld.rules",
            "Gives scanners to the group tilld and keeps them from the desktop.",
        ),
    ],
    see_also: "till(1), tilld.toml(5), systemctl(1), systemd-creds(1)",
};

/// till(1), tilld(8), and a page for each of their commands.
pub(crate) fn pages(folder: &Path) -> io::Result<()> {
    for (command, beyond) in [(tilld::cli::command(), TILL), (tilld::daemon::command(), TILLD)] {
        // Without `help`, which has no page; built, so that the options of the
        // whole program are in the pages of its commands as well.
        let mut command = command.disable_help_subcommand(true);
        command.build();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let page = man(sub.clone(), beyond.section);
            let mut text = Vec::new();
            page.render(&mut text)?;
            let see = format!("{}({}), {}", beyond.program, beyond.section, beyond.see_also);
            see_also(&see).to_writer(&mut text)?;
            save(folder, &page, &text)?;
        }
        let page = man(command, beyond.section);
        let mut text = Vec::new();
        page.render(&mut text)?;
        beyond.write(&mut text)?;
        save(folder, &page, &text)?;
    }
    Ok(())
}

fn man(command: Command, section: &str) -> Man {
    Man::new(command).section(section).manual("Alipay payment terminal")
}

fn save(folder: &Path, page: &Man, text: &[u8]) -> io::Result<()> {
    File::create(folder.join(page.get_filename()))?.write_all(text)
}

impl Beyond {
    fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut roff = Roff::new();
        list(&mut roff, "SIGNALS", self.signals);
        let codes = exit_codes(self.program);
        let codes: Vec<(&str, &str)> =
            codes.iter().map(|(code, meaning)| (code.as_str(), meaning.as_str())).collect();
        list(&mut roff, "EXIT STATUS", &codes);
        list(&mut roff, "ENVIRONMENT", self.environment);
        list(&mut roff, "FILES", self.files);
        roff.to_writer(out)?;
        see_also(&format!("{}\nThe manual is in /usr/share/doc/tilld/.", self.see_also))
            .to_writer(out)
    }
}

fn see_also(text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(line)]);
    }
    roff
}

fn list(roff: &mut Roff, heading: &str, rows: &[(&str, &str)]) {
    if rows.is_empty() {
        return;
    }
    roff.control("SH", [heading]);
    for (name, meaning) in rows {
        roff.control("TP", []).text([bold(*name)]).text([roman(*meaning)]);
    }
}

/// The table in docs/operators.md, without its marks.
fn exit_codes(program: &str) -> Vec<(String, String)> {
    let heading = format!("### Exit codes of `{program}`");
    let table = OPERATORS.split_once(&heading).map_or("", |(_, rest)| rest).trim_start();
    table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .filter_map(|line| line.trim_matches('|').split_once('|'))
        .map(|(code, meaning)| (code.trim().to_owned(), meaning.trim().replace('`', "")))
        .collect()
}

/// For bash, zsh and fish, each in a folder of its own and under the name that
/// the shell looks for.
pub(crate) fn completions(out: &Path) -> io::Result<()> {
    for (folder, shell) in [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)] {
        let folder = out.join(folder);
        fs::create_dir_all(&folder)?;
        for (name, mut command) in
            [("till", tilld::cli::command()), ("tilld", tilld::daemon::command())]
        {
            let file = generate_to(shell, &mut command, name, &folder)?;
            if shell == Shell::Bash {
                // bash loads completions by the command's bare name.
                fs::rename(file, folder.join(name))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_exit_codes_are_found() {
        let codes = |program| exit_codes(program).into_iter().map(|(code, _)| code);
        assert_eq!(codes("till").collect::<Vec<_>>(), ["0", "1", "2", "3", "10", "11", "20"]);
        assert_eq!(codes("tilld").collect::<Vec<_>>(), ["0", "1", "2", "69", "70", "78"]);
    }
}
