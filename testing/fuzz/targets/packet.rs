//! Any bytes as a guest's frame: a packet or a reason, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gp_wire::fuzz_parse(bytes);
    gp_wire::fuzz_translate(bytes);
});
