//! Any bytes as what a guest asks the VPC itself (ARP, ND, DHCP): an answer or none, never a panic.
#![no_main]

use gp_model::{Eni, World};
use std::sync::LazyLock;

/// One ENI with an address of each family asks.
static ASKER: LazyLock<(World, Eni)> = LazyLock::new(|| {
    let scenario: gp_worlds::Scenario =
        "vpc a 10.0.0.0/16,3fff::/56; subnet s a 10.0.1.0/24,3fff::/64; sg g a; eni e s 10.0.1.10,3fff::10 sg g; eni f s 10.0.1.20 sg g"
            .parse()
            .expect("the world above is well-formed");
    let eni = scenario.world.eni(scenario.eni("e")).expect("the world has it").as_ref().clone();
    (scenario.world.clone(), eni)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (world, eni) = &*ASKER;
    gp_services::fuzz_reply(world, eni, bytes);
    gp_services::fuzz_dhcp(world, eni, bytes);
});
