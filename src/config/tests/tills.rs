//! Scanners that are tills of their own.

use super::{GOOD, check, folder, load_text};

#[test]
fn a_scanner_may_be_a_till_of_its_own() {
    let folder = folder();
    let text = GOOD.replace("id = \"T_001\"\n", "id = \"T_001\"\nstore_id = \"NJ_001\"\n");
    let text = format!(
        "{text}
[[scanner]]
id = \"lane-1\"
kind = \"serial\"
device = \"/dev/ttyS0\"
[[scanner]]
id = \"lane-2\"
kind = \"serial\"
device = \"/dev/ttyS1\"
terminal_id = \"T_002\"
store_id = \"NJ_002\"
"
    );
    let tills = load_text(folder.path(), &text).expect("good").tills;
    let names = |scanner| {
        let till = tills.at(scanner);
        (till.terminal_id.as_str(), till.store_id.as_deref())
    };
    assert_eq!(names(None), ("T_001", Some("NJ_001")));
    assert_eq!(names(Some("lane-1")), ("T_001", Some("NJ_001")));
    assert_eq!(names(Some("lane-2")), ("T_002", Some("NJ_002")));
}

#[test]
fn its_names_are_as_long_as_those_of_the_terminal() {
    let long = "t".repeat(33);
    check(
        &format!(
            "{GOOD}[[scanner]]\nid = \"a\"\nkind = \"serial\"\ndevice = \"/dev/ttyS0\"\nterminal_id = \"{long}\"\nstore_id = \"\"\n"
        ),
        &[
            "tilld.toml:12: scanner.terminal_id: is too long; write at most 32 characters",
            "tilld.toml:13: scanner.store_id: is empty; write a value, or leave the line out",
        ],
    );
}
