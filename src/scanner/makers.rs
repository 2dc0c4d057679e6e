//! What is known of makers and their scanners: numbers and commands as their
//! manuals have them, and what they call themselves. Nothing here is asked of a
//! device.

/// The feature report by which scanners of [`REDIRECTING`] makers are told where
/// their codes go, and the word for "to whoever reads the reports": such a
/// scanner is a keyboard at the same time, and types until it is told.
pub(super) const REDIRECT: [u8; 2] = [0xfe, 0x01];
/// Honeywell, and Metrologic that it bought.
pub(super) const REDIRECTING: [u16; 2] = [0x0c2e, 0x23d0];

/// Who makes scanners and nothing that people type on: Hand Held Products, Symbol and Zebra, PSC and Datalogic, Opticon, Metrologic
/// and Honeywell, Newland, Honeywell.
pub(super) const SCANNER_MAKERS: [u16; 7] =
    [0x0536, 0x05e0, 0x05f9, 0x065a, 0x0c2e, 0x1eab, 0x23d0];

/// Chips that make a serial line of USB, in scanners as in much else: FTDI,
/// Prolific, Silicon Labs, QinHeng.
pub(super) const SERIAL_CHIPS: [u16; 4] = [0x0403, 0x067b, 0x10c4, 0x1a86];
/// What scanners call themselves.
pub(super) const SCANNER_WORDS: [&str; 14] = [
    "scan",
    "barcode",
    "bar code",
    "honeywell",
    "metrologic",
    "symbol",
    "zebra",
    "datalogic",
    "newland",
    "opticon",
    "mindeo",
    "sunlux",
    "hand held",
    "reader",
];

/// The makers whose commands are known, as their manuals have them. All of them
/// want the scanner to be put into its host or serial trigger mode first.
pub(super) const TRIGGERS: [(&str, &[u8], &[u8]); 7] = [
    // SYN T CR and SYN U CR
    ("honeywell", b"\x16T\r", b"\x16U\r"),
    ("mindeo", b"\x16T\r", b"\x16U\r"),
    ("datalogic", b"T", b"X"),
    // SSI packets: START_SESSION and STOP_SESSION, with their checksums
    ("zebra", &[0x04, 0xe4, 0x04, 0x00, 0xff, 0x14], &[0x04, 0xe5, 0x04, 0x00, 0xff, 0x13]),
    ("newland", b"\x7e\x010000#SCNTRG1;\x03", b"\x7e\x010000#SCNTRG0;\x03"),
    // Stops by itself.
    ("gm65", &[0x7e, 0x00, 0x08, 0x01, 0x00, 0x02, 0x01, 0xab, 0xcd], &[]),
    ("zkteco", b"T", b"P"),
];
