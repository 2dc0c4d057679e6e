//! Scanners in HID-POS mode.
//!
//! Such a scanner is no keyboard, so nothing it reads can reach a window. The
//! device is only read, never written: a keyboard's node that was named by
//! mistake is refused by its descriptor before a single report is looked at.

// Two requests for the description of the reports, which have no other name.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use tokio::sync::mpsc::Sender;
use zeroize::Zeroizing;

use super::link::{Link, Shut};
use super::report::{Layout, Reports};
use super::thread::{self, End, Wake, Woken};
use super::{Clock, Handle, Input, ScannerSettings};

/// The kernel's own limits.
const DESCRIPTOR_MAX: usize = 4096;
const REPORT_MAX: usize = 16 * 1024;

mod request {
    #[repr(C)]
    pub(super) struct Descriptor {
        pub(super) size: u32,
        pub(super) bytes: [u8; super::DESCRIPTOR_MAX],
    }

    nix::ioctl_read!(descriptor_size, b'H', 0x01, nix::libc::c_int);
    nix::ioctl_read!(descriptor, b'H', 0x02, Descriptor);
}

pub(super) fn start(settings: ScannerSettings, clock: Clock, sink: Sender<Input>) -> Handle {
    let link = Link::new(settings.id.clone(), clock, sink);
    thread::start(
        settings.id.clone(),
        link,
        move |_, _| open(&super::only_node(&settings)?, settings.gap),
        |(file, reports), wake, link| read(file, reports, wake, link),
    )
}

fn open(path: &Path, gap: Duration) -> Result<(File, Reports), Shut> {
    let shown = path.display();
    let cannot = |error: &io::Error| super::cannot_open(path, "HID device (hidraw)", error);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| cannot(&error))?;
    let descriptor = descriptor(&file).map_err(|error| cannot(&error))?;
    let layout = Layout::read(&descriptor).map_err(|error| format!("{shown}: {error}"))?;
    Ok((file, Reports::new(layout, gap)))
}

fn descriptor(file: &File) -> io::Result<Vec<u8>> {
    let mut size: libc::c_int = 0;
    // SAFETY: the request writes one int, which lives across the call.
    unsafe { request::descriptor_size(file.as_raw_fd(), &raw mut size) }?;
    let size = u32::try_from(size).unwrap_or(0);
    let mut descriptor = request::Descriptor { size, bytes: [0; DESCRIPTOR_MAX] };
    // SAFETY: the request writes at most `size` bytes, and at most the 4096
    // that there is room for, into the structure.
    unsafe { request::descriptor(file.as_raw_fd(), &raw mut descriptor) }?;
    let size = usize::try_from(descriptor.size).unwrap_or(0);
    Ok(descriptor.bytes.iter().take(size).copied().collect())
}

fn read(file: &mut File, reports: &mut Reports, wake: &Wake, link: &mut Link) -> End {
    let mut report = Zeroizing::new(vec![0; REPORT_MAX]);
    loop {
        link.beat();
        if link.is_closed() {
            return End::Stopped;
        }
        let wait = super::wait(reports.due(), link.now());
        match wake.poll(&[file.as_fd()], wait) {
            Woken::Stop => return End::Stopped,
            Woken::Told => {}
            Woken::Time => link.framed(reports.idle(link.now())),
            // One read, one report.
            Woken::Device(gone) => match file.read(&mut report) {
                Ok(length) if length > 0 => {
                    let report = report.get(..length).unwrap_or_default();
                    link.framed(reports.push(report, link.now()));
                }
                Err(error) if !gone && super::is_empty(&error) => {}
                Err(error) if !gone && error.raw_os_error() != Some(Errno::EIO as i32) => {
                    return End::Gone(format!("it cannot be read any more: {error}"));
                }
                Ok(_) | Err(_) => return End::Gone("it was unplugged".to_owned()),
            },
        }
    }
}
