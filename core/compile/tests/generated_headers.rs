//! The generated headers of the kernel program are what the Rust side says. `UPDATE=1 cargo test -p gp-compile` rewrites
//! them. Here and not beside the kernel program's loader, which can't be built while a header lacks what C names.

#![expect(clippy::disallowed_methods, reason = "a test of files reads files; core itself does no I/O")]

use gp_trace::DropReason;
use std::path::{Path, PathBuf};

fn generated(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dataplane/bpf/generated").join(name)
}

fn compare(name: &str, expected: &str) {
    let path = generated(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{} is stale: run UPDATE=1 cargo test -p gp-compile", path.display());
}

fn drop_reasons() -> String {
    let mut text = String::from(
        "/* Generated from core/trace/src/drop_reason.rs; a test of gp-compile compares, and rewrites it with UPDATE=1. */\n\
         #pragma once\n\n",
    );
    for reason in DropReason::ALL {
        let name = reason.name().to_uppercase().replace('-', "_");
        text += &format!("/* {} */\n#define GP_DROP_{name} {}u\n", reason.description(), reason.code());
    }
    text
}

#[test]
fn the_structs_of_c_are_those_of_rust() {
    compare("abi.h", &gp_abi::header::text());
}

#[test]
fn the_drop_reasons_of_c_are_those_of_rust() {
    compare("drop_reasons.h", &drop_reasons());
}

#[test]
fn every_drop_reason_has_a_counter() {
    for reason in DropReason::ALL {
        assert!(u32::from(reason.code()) < gp_abi::DROP_COUNTERS, "{}", reason.name());
    }
}
