//! The dial on a NAT gateway: fewer connections per address and destination than AWS gives, so that a test can
//! exhaust them. Not an action of AWS's; the machine's operator turns it.

use gp_model::{Change, NAT_PORTS_PER_DESTINATION, NatGateway, NatGatewayId, World};

/// Why the dial can't be turned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    #[error("there is no NAT gateway {0}")]
    NotFound(NatGatewayId),
    #[error("ports must be 1 to {NAT_PORTS_PER_DESTINATION}, not {0}")]
    OutOfRange(u32),
}

/// The changes that hold a NAT gateway to that many connections per address and destination; `None` takes the dial
/// off. Connections that are open stay, also where there are more of them.
///
/// # Errors
/// [`DialError`].
pub fn plan_nat_ports(world: &World, id: NatGatewayId, ports: Option<u32>) -> Result<Vec<Change>, DialError> {
    let gateway = world.nat_gateway(id).ok_or(DialError::NotFound(id))?;
    if let Some(ports) = ports.filter(|ports| !(1..=NAT_PORTS_PER_DESTINATION).contains(ports)) {
        return Err(DialError::OutOfRange(ports));
    }
    if gateway.ports_per_destination == ports {
        return Ok(Vec::new());
    }
    Ok(vec![Change::Put(NatGateway { ports_per_destination: ports, ..(**gateway).clone() }.into())])
}
