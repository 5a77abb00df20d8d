//! NAT gateways' draining addresses that no connection uses any more: told to the server, which takes them away.
//!
//! It is asked of the engine after that has applied a view in which the address drains, so none will use it again. Told
//! once; if that came to nothing, the address goes when its time is over.

use gp_compile::{HostReport, HostView};
use gp_model::{NatGateway, NatGatewayId, Region, Timestamp};
use gp_slowpath::Engine;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Draining {
    region: Region,
    gateway: NatGatewayId,
    address: Ipv4Addr,
    until: Timestamp,
}

#[derive(Debug, Default)]
pub struct Drains {
    told: BTreeSet<Draining>,
}

impl Drains {
    /// What is to be told of a view that the engine obeys.
    pub fn newly_unused(&mut self, view: &HostView, engine: &Engine) -> Vec<HostReport> {
        let draining: BTreeSet<Draining> = draining(view).collect();
        self.told.retain(|told| draining.contains(told));
        let is_new = |one: &Draining| !self.told.contains(one) && !engine.is_nat_address_used(one.gateway, one.address);
        let new: Vec<Draining> = draining.into_iter().filter(is_new).collect();
        let reports = new.iter().map(Draining::report).collect();
        self.told.extend(new);
        reports
    }
}

impl Draining {
    fn report(&self) -> HostReport {
        let Self { region, gateway, address, until } = self;
        let (gateway, address, drains_until) = (*gateway, *address, *until);
        HostReport::NatAddressUnused { region: region.clone(), gateway, address, drains_until }
    }
}

fn draining(view: &HostView) -> impl Iterator<Item = Draining> + '_ {
    view.regions
        .iter()
        .flat_map(|(region, world)| world.draining_nat_gateways().flat_map(|(_, gateway)| of_gateway(region, gateway)))
}

fn of_gateway<'a>(region: &'a Region, gateway: &'a NatGateway) -> impl Iterator<Item = Draining> + 'a {
    gateway.addresses.iter().filter_map(|address| {
        let until = address.drains_until?;
        Some(Draining { region: region.clone(), gateway: gateway.id, address: address.private_ip, until })
    })
}
