//! A public address as ENIs and instances show it.

use crate::Context;
use gp_ec2::shapes::{InstanceNetworkInterfaceAssociation, NetworkInterfaceAssociation};
use gp_model::{Eni, Region};
use std::net::Ipv4Addr;

/// What stands for a private address in public.
#[derive(Debug, Clone)]
pub(crate) struct Association {
    public_ip: Ipv4Addr,
    /// Empty where the VPC gives no names.
    public_dns_name: String,
    /// `amazon` for an automatic address.
    owner: String,
    allocation: Option<String>,
    association: Option<String>,
}

/// What stands for an ENI's private address, if anything does.
pub(crate) fn association_of(ctx: &Context<'_>, eni: &Eni, private: Ipv4Addr) -> Option<Association> {
    let world = ctx.world();
    let public_ip = world.public_of_private(eni, private)?;
    let elastic = world.address_of_private(eni.id, private);
    let named = world.vpc(eni.vpc).is_some_and(|vpc| vpc.dns_hostnames && vpc.dns_support);
    Some(Association {
        public_ip,
        public_dns_name: if named { public_dns_name(ctx.region(), public_ip) } else { String::new() },
        owner: elastic.map_or_else(|| "amazon".to_owned(), |address| address.owner.to_string()),
        allocation: elastic.map(|address| address.id.to_string()),
        association: elastic.and_then(|address| Some(address.association.as_ref()?.id.to_string())),
    })
}

impl Association {
    pub(crate) fn public_ip(&self) -> String {
        self.public_ip.to_string()
    }

    pub(crate) fn public_dns_name(&self) -> &str {
        &self.public_dns_name
    }

    pub(crate) fn of_eni(self) -> NetworkInterfaceAssociation {
        NetworkInterfaceAssociation {
            allocation_id: self.allocation,
            association_id: self.association,
            ip_owner_id: Some(self.owner),
            public_dns_name: Some(self.public_dns_name),
            public_ip: Some(self.public_ip.to_string()),
            ..Default::default()
        }
    }

    pub(crate) fn of_instance(self) -> InstanceNetworkInterfaceAssociation {
        InstanceNetworkInterfaceAssociation {
            ip_owner_id: Some(self.owner),
            public_dns_name: Some(self.public_dns_name),
            public_ip: Some(self.public_ip.to_string()),
            ..Default::default()
        }
    }
}

/// The name that a public address has (VPC user guide, "DNS attributes"): the oldest region's have a domain of their
/// own.
fn public_dns_name(region: &Region, address: Ipv4Addr) -> String {
    let host = address.to_string().replace('.', "-");
    match region.as_str() {
        "us-east-1" => format!("ec2-{host}.compute-1.amazonaws.com"),
        region => format!("ec2-{host}.{region}.compute.amazonaws.com"),
    }
}
