//! What is typed into the terminal while a payment waits: by the cashier, or by
//! a scanner that types.
//!
//! It is read without being shown, line by line, and what nobody has read is
//! thrown away at the end. Else the shell would find a payment code there, show
//! it and run it as a command.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, read, tcgetpgrp};
use tokio::sync::mpsc;

use crate::api::client::SecretText;

/// Lines that wait to be looked at. Nobody types as fast; a scanner that does
/// has more to say than a payment can use.
const LINES_MAX: usize = 8;
/// A terminal hands over no longer line.
const LINE_BYTES_MAX: usize = 4096;
/// So often the reader looks whether it is still wanted, and whether the
/// terminal is still its own.
const LOOK_AGAIN: u16 = 200;

/// The terminal on standard input, silent until this is dropped. Nothing when
/// standard input is no terminal, or when it belongs to another program.
pub(super) struct Silence {
    state: Arc<Mutex<State>>,
}

/// How the terminal was, while it is silent.
struct State {
    before: Option<Termios>,
}

impl Silence {
    /// Switches the echo off, and throws away what was typed before.
    pub(super) fn begin() -> Option<Self> {
        let before = tcgetattr(io::stdin().as_fd()).ok()?;
        if !is_ours() {
            return None;
        }
        hush(&before, SetArg::TCSAFLUSH)?;
        Some(Self { state: Arc::new(Mutex::new(State { before: Some(before) })) })
    }

    /// Reads what is typed from now on.
    pub(super) fn lines(&self) -> mpsc::Receiver<SecretText> {
        let (sink, lines) = mpsc::channel(LINES_MAX);
        let state = Arc::clone(&self.state);
        // Ends by itself soon after the silence does; nobody waits for it.
        let reader = std::thread::Builder::new().name("typed".to_owned());
        let _ = reader.spawn(move || listen(&state, &sink));
        lines
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let before = lock(&self.state).before.take();
        // From the background the shell has seen to it, and would stop us here.
        if let Some(before) = before.filter(|_| is_ours()) {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSAFLUSH, &before);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This program is in the foreground: it may read, and change, its terminal.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin().as_fd()).is_ok_and(|group| group == getpgrp())
}

/// The terminal without an echo. Ctrl-C goes on to mean what it means, and a
/// scanner may end its code by a tabulator as well.
fn hush(before: &Termios, how: SetArg) -> Option<()> {
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
    silent.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
    if let Some(end) = silent.control_chars.get_mut(SpecialCharacterIndices::VEOL as usize) {
        *end = b'\t';
    }
    tcsetattr(io::stdin().as_fd(), how, &silent).ok()
}

/// Hands over line after line until the silence ends.
fn listen(state: &Mutex<State>, sink: &mpsc::Sender<SecretText>) {
    loop {
        let stdin = io::stdin();
        if !is_readable(stdin.as_fd()) {
            match stay_silent(state) {
                true => continue,
                false => return,
            }
        }
        // Under the lock, so that nothing is taken from whoever comes after us.
        let held = lock(state);
        if held.before.is_none() {
            return;
        }
        if !is_ours() {
            drop(held);
            std::thread::sleep(Duration::from_millis(LOOK_AGAIN.into()));
            continue;
        }
        let mut line = zeroize::Zeroizing::new([0; LINE_BYTES_MAX]);
        let length = match read(std::os::fd::AsRawFd::as_raw_fd(&stdin), line.as_mut_slice()) {
            Ok(length) => length,
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return,
        };
        drop(held);
        if length == 0 {
            // Ctrl-D; or the terminal is gone, and says so again and again.
            std::thread::sleep(Duration::from_millis(LOOK_AGAIN.into()));
        }
        let text = line.get(..length).and_then(|line| str::from_utf8(line).ok());
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        if let Some(text) = text
            && sink.try_send(SecretText::new(text.to_owned())).is_err()
            && sink.is_closed()
        {
            return;
        }
    }
}

/// Whether there is a line, soon.
fn is_readable(stdin: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(stdin, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(LOOK_AGAIN)).is_ok_and(|ready| ready > 0)
}

/// A shell that has stopped this program and let it go on may have switched the
/// echo on meanwhile. False when the silence is over.
fn stay_silent(state: &Mutex<State>) -> bool {
    let held = lock(state);
    let Some(before) = &held.before else { return false };
    let echoes = |now: Termios| now.local_flags.contains(LocalFlags::ECHO) && is_ours();
    if tcgetattr(io::stdin().as_fd()).is_ok_and(echoes) {
        let _ = hush(before, SetArg::TCSANOW);
    }
    true
}
