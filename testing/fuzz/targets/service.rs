//! Any bytes as what a guest asks the VPC itself (ARP, ND, DHCP): an answer or none, never a panic.
#![no_main]

use gp_model::{Eni, World};
use std::sync::LazyLock;

/// One ENI with an address of each family asks.
static ASKER: LazyLock<(World, Eni)> = LazyLock::new(|| {
    let scenario: gp_worlds::Scenario =
        "vpc a 10.0.0.0/16 2600:1f00::/56; subnet s a 10.0.1.0/24 2600:1f00::/64; eni e s 10.0.1.10 2600:1f00::10; eni f s 10.0.1.20"
            .parse()
            .expect("the world above is well-formed");
    let eni = scenario.world().eni(scenario.eni("e")).expect("the world has it").as_ref().clone();
    (scenario.world().clone(), eni)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (world, eni) = &*ASKER;
    gp_services::fuzz_reply(world, eni, bytes);
    gp_services::fuzz_dhcp(world, eni, bytes);
});
