//! Any bytes as the form of a Query request: an action or an error, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gp_ec2::fuzz_decode(bytes);
});
