//! Compiles the kernel programs with clang, or takes the objects in the folder that `GROUNDPLANE_BPF_OBJ` names.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// `NAME.bpf.c` becomes `NAME.bpf.o`.
const PROGRAMS: &[&str] = &["from_eni", "from_card"];
/// Debian and Ubuntu also install clang under its version's name only.
const CLANGS: &[&str] = &["clang", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo:rerun-if-env-changed=GROUNDPLANE_BPF_OBJ");
    println!("cargo:rerun-if-env-changed=CLANG");
    println!("cargo:rerun-if-changed={}", folder.display());

    let made = PROGRAMS.iter().try_for_each(|program| {
        let name = format!("{program}.bpf.o");
        match env::var_os("GROUNDPLANE_BPF_OBJ") {
            Some(ready) => take(&Path::new(&ready).join(&name), &out.join(&name)),
            None => compile(&folder, &format!("{program}.bpf.c"), &out.join(&name)),
        }
    });
    if let Err(message) = made {
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn take(ready: &Path, object: &Path) -> Result<(), String> {
    println!("cargo:rerun-if-changed={}", ready.display());
    fs::copy(ready, object)
        .map(drop)
        .map_err(|error| format!("cannot copy {} of GROUNDPLANE_BPF_OBJ: {error}", ready.display()))
}

fn compile(folder: &Path, source: &str, object: &Path) -> Result<(), String> {
    let clang = find_clang()?;
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN").as_deref() {
        Ok("big") => "bpfeb",
        _ => "bpfel",
    };
    let output = Command::new(&clang)
        .current_dir(folder)
        // Version 3 of the instruction set: atomic operations that are no calls; every kernel since 5.12 has it.
        .args(["-target", target, "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra"])
        .arg(format!("-I{}", asm_headers()))
        .args(["-c", source, "-o"])
        .arg(object)
        .output()
        .map_err(|error| format!("cannot run {clang}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        // Shown and no fault: a newer clang may warn of more.
        said.lines().for_each(|line| println!("cargo:warning={line}"));
        return Ok(());
    }
    let hint = if said.contains("file not found") { "\nkernel headers: apt install linux-libc-dev" } else { "" };
    Err(format!("{clang} cannot compile dataplane/bpf/{source}:\n{said}{hint}"))
}

fn find_clang() -> Result<String, String> {
    let chosen = env::var("CLANG").ok();
    let mut candidates = chosen.iter().map(String::as_str).chain(CLANGS.iter().copied());
    candidates
        .find(|clang| Command::new(clang).arg("--version").output().is_ok_and(|output| output.status.success()))
        .map(str::to_owned)
        .ok_or_else(|| {
            "the kernel program is C and needs clang: apt install clang linux-libc-dev (or set CLANG to a \
             compiler, or GROUNDPLANE_BPF_OBJ to a folder of objects that are compiled already)"
                .to_owned()
        })
}

/// `<asm/types.h>` lies apart for each architecture (Debian's multiarch), and clang doesn't look there for BPF.
fn asm_headers() -> String {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    format!("/usr/include/{arch}-linux-gnu")
}
