//! Scanners in HID-POS mode.
//!
//! Such a scanner is no keyboard, so nothing it reads can reach a window. The
//! device is only read: a keyboard's node that was named by mistake is refused by
//! its descriptor before a single report is looked at. Those scanners alone that
//! are a keyboard at the same time are told not to be one.
//!
//! The kernel keeps 64 reports for a slow reader, and drops what comes then
//! without a word. A payment code is one report, so it is lost whole.

// Four requests that have no other name: the description of the reports and its
// size, who made the device, and a setting of it.
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

use crate::scanner::decode::descriptor::Layout;
use crate::scanner::decode::framing::{Framed, Lost};
use crate::scanner::decode::report::Reports;
use crate::scanner::device::handle::Handle;
use crate::scanner::device::link::Link;
use crate::scanner::device::thread;
use crate::scanner::device::thread::End;
use crate::scanner::device::wake::{Wake, Woken};
use crate::scanner::device::wake::{is_empty, wait};
use crate::scanner::find::sysfs::only_node;
use crate::scanner::input::{Clock, Input};
use crate::scanner::settings::ScannerSettings;
use crate::scanner::shut::Shut;
use crate::scanner::shut::cannot_open;

/// The kernel's own limits.
const DESCRIPTOR_MAX: usize = 4096;
const REPORT_MAX: usize = 16 * 1024;

mod request {
    #[repr(C)]
    pub(super) struct Descriptor {
        pub(super) size: u32,
        pub(super) bytes: [u8; super::DESCRIPTOR_MAX],
    }

    #[repr(C)]
    #[derive(Default)]
    pub(super) struct Info {
        pub(super) bus: u32,
        pub(super) vendor: i16,
        pub(super) product: i16,
    }

    nix::ioctl_read!(descriptor_size, b'H', 0x01, nix::libc::c_int);
    nix::ioctl_read!(descriptor, b'H', 0x02, Descriptor);
    nix::ioctl_read!(info, b'H', 0x03, Info);
    nix::ioctl_readwrite_buf!(set_feature, b'H', 0x06, u8);
}

pub(in crate::scanner) fn start(
    settings: ScannerSettings,
    clock: Clock,
    sink: Sender<Input>,
) -> Handle {
    let link = Link::new(settings.id.clone(), clock, sink);
    thread::start(
        settings.id.clone(),
        link,
        move |_, link| open(&only_node(&settings)?, settings.gap, link),
        |(file, reports), wake, link| read(file, reports, wake, link),
    )
}

fn open(path: &Path, gap: Duration, link: &mut Link) -> Result<(File, Reports), Shut> {
    let (file, layout) = look(path)?;
    let setting = vendor(&file).ok().and_then(|vendor| layout.redirect(vendor));
    if setting.is_some_and(|setting| set(path, setting).is_err()) {
        // It may have been told before, or by its maker's own set-up code.
        link.framed(Some(Framed::Lost(Lost::Keyboard)));
    }
    Ok((file, Reports::new(layout, gap)))
}

/// Opens a scanner as it is, and changes nothing of it.
pub(in crate::scanner) fn look(path: &Path) -> Result<(File, Layout), Shut> {
    let shown = path.display();
    let cannot = |error: &io::Error| cannot_open(path, "HID device (hidraw)", error);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| cannot(&error))?;
    let descriptor = descriptor(&file).map_err(|error| cannot(&error))?;
    let layout = Layout::read(&descriptor).map_err(|error| format!("{shown}: {error}"))?;
    Ok((file, layout))
}

fn vendor(file: &File) -> io::Result<u16> {
    let mut info = request::Info::default();
    // SAFETY: the request writes this structure, which lives across the call.
    unsafe { request::info(file.as_raw_fd(), &raw mut info) }?;
    Ok(info.vendor.cast_unsigned())
}

/// Sends a setting. Only for this the device is opened to be written. One that
/// does not answer holds this up for the five seconds of the kernel's time-out.
fn set(path: &Path, mut setting: [u8; 2]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open(path)?;
    // SAFETY: the request reads and may write as many bytes as the slice has.
    unsafe { request::set_feature(file.as_raw_fd(), &mut setting) }?;
    Ok(())
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
        let wait = wait(reports.due(), link.now());
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
                Err(error) if !gone && is_empty(&error) => {}
                Err(error) if !gone && error.raw_os_error() != Some(Errno::EIO as i32) => {
                    return End::Gone(format!("it cannot be read any more: {error}"));
                }
                Ok(_) | Err(_) => return End::Gone("it was unplugged".to_owned()),
            },
        }
    }
}
