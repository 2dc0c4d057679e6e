//! Who may do what: `[api.roles]` and `[api.refunds]`.

use super::*;

#[test]
fn roles_are_groups_of_this_box() {
    let folder = folder();
    let read = |text: &str| load_text(folder.path(), &format!("{GOOD}{text}"));
    assert_eq!(read("").expect("good").api.roles, None);
    let config = read("[api.roles]\ncashier = [\"root\", \"4711\"]\n").expect("good");
    let roles = Roles { observe: vec![], cashier: vec![0, 4711], supervisor: vec![] };
    assert_eq!(config.api.roles, Some(roles));
    // Nobody is in a group that there is not.
    let config = read("[api]\nroles = { observe = [\"no-such-group\"] }\n").expect("good");
    assert_eq!(config.api.roles.map(|roles| roles.observe), Some(vec![]));
    let warned = said(folder.path(), &config.warnings);
    assert!(warned.iter().any(|w| w.contains("api.roles.observe: `no-such-group`")), "{warned:?}");
    let faults = read("[api.roles]\nkassier = [\"root\"]\n").expect_err("a fault");
    let faults = said(folder.path(), &faults);
    assert!(faults[0].contains("api.roles.kassier: is no key of [api.roles]"), "{faults:?}");
}

#[test]
fn who_may_refund_and_how_much() {
    let folder = folder();
    let roles = "[api.roles]\ncashier = [\"root\"]\n";
    let read = |text: &str| load_text(folder.path(), &format!("{GOOD}{roles}{text}"));
    let usual = RefundsConfig { by_supervisor: false, cashier_limit: None };
    let limit = "200.00".parse().ok();
    for (text, refunds) in [
        ("", usual),
        ("[api.refunds]\n", usual),
        ("[api.refunds]\nby = \"cashier\"\n", usual),
        ("[api.refunds]\nby = \"supervisor\"\n", RefundsConfig { by_supervisor: true, ..usual }),
        (
            "[api.refunds]\nby = \"cashier\"\ncashier_limit = \"200.00\"\n",
            RefundsConfig { cashier_limit: limit, ..usual },
        ),
        (
            "[api.refunds]\ncashier_limit = \"200\"\n",
            RefundsConfig { cashier_limit: limit, ..usual },
        ),
    ] {
        let config = read(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        assert_eq!(config.api.refunds, refunds, "{text}");
        assert!(config.warnings.is_empty(), "{text}: {:?}", config.warnings);
    }
    let both = read("[api.refunds]\nby = \"supervisor\"\ncashier_limit = \"1\"\n").expect("good");
    let warned = said(folder.path(), &both.warnings);
    assert_eq!(
        warned,
        [
            "tilld.toml:12: api.refunds.cashier_limit: is of no use where by = \"supervisor\"; leave one of the two out"
        ]
    );
}

#[test]
fn what_is_wrong_with_who_may_refund() {
    let roles = "[api.roles]\ncashier = [\"root\"]\n[api.refunds]\n";
    for (line, says) in [
        (
            "by = \"everybody\"",
            "by: `everybody` is no role that may refund; write \"cashier\" or \"supervisor\"",
        ),
        ("by = true", "by: must be a text and is true or false; write by = \"cashier\""),
        (
            "cashier_limit = 200",
            "cashier_limit: must be a text and is a whole number; write cashier_limit = \"200.00\"",
        ),
        (
            "cashier_limit = \"0\"",
            "cashier_limit: `0` is no amount in yuan (the amount must lie between 0.01 and 100000000 yuan); write such as \"200.00\", or by = \"supervisor\" if cashiers may refund nothing",
        ),
        ("limit = \"200\"", "limit: is no key of [api.refunds]; write one of: by, cashier_limit"),
    ] {
        check_more(&format!("{roles}{line}\n"), &[&format!("tilld.toml:11: api.refunds.{says}")]);
    }
}

/// Bug to plant: take the limit without roles, and keep nobody out by it.
#[test]
fn a_limit_without_roles_is_a_fault() {
    for line in ["by = \"supervisor\"", "cashier_limit = \"200.00\""] {
        check_more(
            &format!("[api.refunds]\n{line}\n"),
            &[
                "tilld.toml:8: api.refunds: keeps nobody out while everybody may do everything; write api.roles as well, so that there are cashiers",
            ],
        );
    }
    check_more(
        "[api]\nrefunds = 7\n",
        &["tilld.toml:9: api.refunds: must be a table; write [api.refunds]"],
    );
}
