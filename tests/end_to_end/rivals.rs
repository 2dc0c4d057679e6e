//! Two daemons at one journal, or at one socket.

use crate::till::{Setup, Shop, is, outcome, with_code};

#[test]
fn a_second_daemon_refuses_to_start_and_the_first_goes_on() {
    let shop = Shop::usual();
    let first = shop.start();
    first.put("OPEN", &with_code("77.04")).expect(201);
    first.until_state("OPEN", "awaiting_buyer");

    let listening = |said: &str| {
        let socket = shop.socket();
        let line = said.lines().find(|line| line.contains(socket.to_str().unwrap()));
        assert!(line.is_some_and(|line| line.contains("another daemon is listening")), "{said}");
    };
    // All the same.
    let mut second = shop.spawn(shop.command());
    assert_eq!(second.ended().code(), Some(69), "{}", second.log());
    listening(&second.log());
    let journal = shop.journal();
    let named = |log: &str| {
        let line = log.lines().find(|line| line.contains(journal.to_str().unwrap()));
        line.is_some_and(|line| line.contains("in use by another tilld"))
    };

    // Another socket, the same journal.
    let text = shop.config_text();
    let config = shop.path("other-socket.toml");
    std::fs::write(&config, text.replace("\"tilld.sock\"", "\"other.sock\"")).unwrap();
    let mut second = shop.spawn(shop.command_with(&config));
    assert_eq!(second.ended().code(), Some(69), "{}", second.log());
    assert!(named(&second.log()), "{}", second.log());
    assert!(!shop.path("other.sock").exists());

    // Another journal, the same socket.
    let config = shop.path("other-journal.toml");
    std::fs::write(&config, text.replace("\"journal.db\"", "\"other.db\"")).unwrap();
    let mut second = shop.spawn(shop.command_with(&config));
    assert_eq!(second.ended().code(), Some(69), "{}", second.log());
    listening(&second.log());
    // It has begun nothing of its own by then.
    let begun = std::fs::read_dir(shop.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let begun: Vec<_> = begun.filter(|n| n.to_string_lossy().starts_with("other.db")).collect();
    assert!(begun.is_empty(), "{begun:?}");

    assert!(shop.gateway().ledger().confirm("OPEN"));
    assert_eq!(outcome(&first.settled("OPEN")), is("paid", "taken", ""));
    let paid = first.pay("AFTER", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    first.stop();
    // What is left behind keeps nobody out.
    let again = shop.start();
    assert_eq!(again.payment("AFTER"), paid);
}

#[test]
fn a_socket_of_a_dead_daemon_is_taken_over_and_a_file_is_not() {
    let shop = Shop::open(Setup::default());
    shop.start().kill();
    assert!(shop.socket().exists());
    shop.start().stop();
    std::fs::remove_file(shop.socket()).ok();
    std::fs::write(shop.socket(), "precious").unwrap();
    let mut daemon = shop.spawn(shop.command());
    assert_eq!(daemon.ended().code(), Some(69), "{}", daemon.log());
    assert!(daemon.log().contains("not a socket"), "{}", daemon.log());
    assert_eq!(std::fs::read_to_string(shop.socket()).unwrap(), "precious");
}
