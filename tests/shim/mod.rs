//! Shared objects that are loaded before the daemon, to play the world around it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` (below the repository), and says where the result is. Once
/// a process is enough.
pub(crate) fn compile(source: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let name = source.file_stem().expect("a name").to_string_lossy();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let beside = folder.join(format!("{name}-{}.so", std::process::id()));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let done = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&beside)
        .arg(&source)
        .arg("-ldl")
        .output()
        .expect("a C compiler, which building tilld needs as well");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    // Another test may have it loaded: replaced, not changed.
    let shim = folder.join(format!("{name}.so"));
    std::fs::rename(&beside, &shim).expect("the shim in its place");
    shim
}
