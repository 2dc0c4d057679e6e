//! Started by a service manager: its socket, its notifications, its watchdog.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::http;
use crate::till::{Daemon, PATIENCE, Setup, Shop, clean, is, outcome, until, with_code};
use crate::world::World;

/// Hands the listener over as descriptor 3, as the service manager does.
fn activated(shop: &Shop, listener: &UnixListener) -> Command {
    let mut command = Command::new("sh");
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" --config \"$1\" 3<&0 0</dev/null";
    command.args(["-c", script, env!("CARGO_BIN_EXE_tilld")]).arg(shop.config());
    clean(&mut command);
    let listener = listener.try_clone().expect("the listener twice");
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    command
}

#[test]
fn a_socket_that_is_handed_over_outlives_the_daemon() {
    let shop = Shop::usual();
    let listener = UnixListener::bind(shop.socket()).expect("a listener");
    let daemon = shop.start_with(activated(&shop, &listener));
    let paid = daemon.pay("ACTIVE", &with_code("1.00")).expect(201);
    assert_eq!(outcome(&paid), is("paid", "taken", ""));
    daemon.stop();
    assert!(shop.socket().exists(), "the socket is the service manager's");

    // A register that calls while nobody is there is served by the next daemon.
    let mut early = http::unix(&shop.socket()).expect("the socket takes calls");
    http::send(&mut early, "GET", "/v1/payments/ACTIVE", "", "").expect("sent");
    let daemon = shop.start_with(activated(&shop, &listener));
    assert_eq!(http::receive(&mut early).expect("a reply").expect(200), paid);
    daemon.kill();
    assert!(shop.socket().exists());
}

/// Hands two sockets over, as descriptors 3 and 4.
fn activated_twice(shop: &Shop, first: OwnedFd, second: OwnedFd) -> Daemon {
    let mut command = Command::new("sh");
    let script = "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=tilld.socket:more.socket; \
                  exec \"$0\" --config \"$1\" 3<&0 4<&1 0</dev/null 1>&2";
    command.args(["-c", script, env!("CARGO_BIN_EXE_tilld")]).arg(shop.config());
    clean(&mut command);
    command.env_remove("LISTEN_FDNAMES").stdin(Stdio::from(first));
    shop.spawn_with_output(command, second)
}

#[test]
fn a_socket_and_a_port_that_are_handed_over_are_both_served() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    for port_first in [false, true] {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = port.local_addr().expect("its address");
        let api = format!("listen = \"{address}\"\ntoken_file = \"api.token\"");
        let shop = Shop::open(Setup { api, ..Setup::default() });
        fs::write(shop.path("api.token"), TOKEN).expect("a token");
        let listener = UnixListener::bind(shop.socket()).expect("a listener");
        let (unix, tcp) = (OwnedFd::from(listener), OwnedFd::from(port));
        let (first, second) = if port_first { (tcp, unix) } else { (unix, tcp) };
        let mut daemon = activated_twice(&shop, first, second);
        daemon.until_it_answers();
        let paid = daemon.pay("BOTH", &with_code("1.00")).expect(201);
        let mut stream = http::tcp(address).expect("a connection");
        let head = format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n");
        http::send(&mut stream, "GET", "/v1/payments/BOTH", &head, "").expect("sent");
        assert_eq!(http::receive(&mut stream).expect("a reply").expect(200), paid);
        daemon.stop();
    }
}

/// It would take calls and answer none: the registers at it would hang.
///
/// Bug to plant: drop the second listener in `ways`.
#[test]
fn a_second_socket_of_one_kind_that_is_handed_over_is_refused_by_name() {
    let shop = Shop::usual();
    let listener = |name| OwnedFd::from(UnixListener::bind(shop.path(name)).expect("a listener"));
    let port = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").expect("a port"));
    let mut two_sockets = activated_twice(&shop, listener("tilld.sock"), listener("more.sock"));
    assert_eq!(two_sockets.ended().code(), Some(78), "{}", two_sockets.log());
    let says = two_sockets.log();
    assert!(says.contains("a second socket of the same kind (more.socket)"), "{says}");
    assert!(shop.path("more.sock").exists(), "it is the service manager's");

    // A port that the configuration does not know of has no token.
    let mut stray_port = activated_twice(&shop, listener("again.sock"), port());
    assert_eq!(stray_port.ended().code(), Some(78), "{}", stray_port.log());
    let says = stray_port.log();
    assert!(says.contains("(more.socket), and api.listen is not set"), "{says}");
}

#[test]
fn variables_that_are_meant_for_somebody_else_are_not_obeyed() {
    let shop = Shop::usual();
    let mut command = shop.command();
    // Some other process's.
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    shop.start_with(command).stop();
}

#[test]
fn the_service_manager_is_told() {
    let shop = Shop::usual();
    let path = shop.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut command = shop.command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "4000000");
    let mut daemon = shop.spawn(command);
    let mut heard = String::new();
    let until_told = |heard: &mut String, what: &str| {
        let deadline = Instant::now() + PATIENCE;
        let mut bytes = [0; 4096];
        while !heard.lines().any(|line| line == what) {
            assert!(Instant::now() < deadline, "{what} never came: {heard}");
            let read = manager.recv(&mut bytes).expect("a notification");
            heard.push_str(std::str::from_utf8(&bytes[..read]).expect("text"));
        }
    };
    until_told(&mut heard, "READY=1");
    // No second try: ready means that it answers.
    daemon.get("/v1/status").expect(200);
    assert!(heard.contains("STATUS="), "{heard}");
    until_told(&mut heard, "STATUS=ready; 0 open payments");
    for _ in 0..2 {
        heard.clear();
        until_told(&mut heard, "WATCHDOG=1");
    }
    heard.clear();
    daemon.put("OPEN", &with_code("77.04")).expect(201);
    until_told(&mut heard, "STATUS=ready; 1 open payments");
    daemon.signal(Signal::SIGUSR1);
    let draining = "STATUS=draining for an upgrade, takes no new payments; 1 open payments";
    until_told(&mut heard, draining);
    assert!(!heard.contains("STOPPING=1"), "{heard}");
    daemon.signal(Signal::SIGTERM);
    until_told(&mut heard, "STOPPING=1");
    assert_eq!(daemon.ended().code(), Some(0));

    // One that cannot start says why.
    std::fs::write(shop.config(), "[terminal]\n").unwrap();
    let mut command = shop.command();
    command.env("NOTIFY_SOCKET", &path);
    let mut daemon = shop.spawn(command);
    assert_eq!(daemon.ended().code(), Some(78));
    heard.clear();
    let mut bytes = [0; 4096];
    let read = manager.recv(&mut bytes).expect("the last word");
    let said = std::str::from_utf8(&bytes[..read]).expect("text");
    assert!(said.contains("STATUS=") && said.contains("tilld.toml"), "{said}");
    assert!(!said.contains("READY"), "{said}");
}

/// A disk that does not come back holds up the journal's thread, and nothing else
/// shows it: the loop still answers.
#[test]
fn a_stuck_part_starves_the_watchdog() {
    let shop = Shop::usual();
    let path = shop.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let world = World::of(&shop);
    let mut command = world.around(shop.command());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "6000000");
    let daemon = shop.start_with(command);
    let mut bytes = [0; 4096];
    let mut is_fed = || {
        let read = manager.recv(&mut bytes).expect("a notification");
        std::str::from_utf8(&bytes[..read]).expect("text").contains("WATCHDOG=1")
    };
    while !is_fed() {}
    let complaints = || daemon.log().matches("made no progress").count();
    assert_eq!(complaints(), 0);

    world.disk_hangs(true);
    // Nothing is written for it, and so nothing is told about it.
    let request = with_code("1.00").to_string();
    let mut waits = http::unix(&shop.socket()).expect("connected");
    http::send(&mut waits, "PUT", "/v1/payments/STUCK", "", &request).expect("sent");
    until("the stuck part is named", || (complaints() >= 3).then_some(()));
    assert!(daemon.log().contains("part=\"journal\""), "{}", daemon.log());
    assert_eq!(daemon.status()["version"], env!("CARGO_PKG_VERSION"), "the loop still turns");
    // Whatever was told until now, was told before the first complaint.
    manager.set_nonblocking(true).expect("no waiting");
    while manager.recv(&mut [0; 4096]).is_ok() {}
    let before = complaints();
    until("it complains again", || (complaints() > before).then_some(()));
    let mut bytes = [0; 4096];
    while let Ok(read) = manager.recv(&mut bytes) {
        let told = std::str::from_utf8(&bytes[..read]).expect("text");
        assert!(!told.contains("WATCHDOG=1"), "{told}");
    }

    world.disk_hangs(false);
    manager.set_nonblocking(false).expect("waiting");
    while !is_fed() {}
    assert_eq!(outcome(&daemon.settled("STUCK")), is("paid", "taken", ""));
}
