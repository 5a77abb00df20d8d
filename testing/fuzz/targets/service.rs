//! Any bytes as what a guest asks the VPC itself (ARP, ND, DHCP): an answer or none, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gp_services::fuzz_reply(bytes);
});
