//! The stages that a packet passes, in order; one file per stage, each with one function over the journey so far.

pub(crate) mod deliver;
pub(crate) mod destination_check;
pub(crate) mod egress_only_gateway;
pub(crate) mod internet_gateway;
pub(crate) mod local_service;
pub(crate) mod nat_gateway;
pub(crate) mod network_acl;
pub(crate) mod route;
pub(crate) mod security_group;
pub(crate) mod source_check;
pub(crate) mod target;
pub(crate) mod uplink;

use serde::Serialize;

macro_rules! stages {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        /// The stages in the order in which a packet meets them. Their names are metric labels, trace output and
        /// headings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Stage { $($(#[doc = $doc])+ $name,)* }

        impl Stage {
            pub const ALL: &'static [Stage] = &[$(Stage::$name),*];

            pub fn name(self) -> &'static str {
                match self { $(Stage::$name => $text,)* }
            }

            /// What the stage decides, in one sentence.
            pub fn description(self) -> &'static str {
                match self { $(Stage::$name => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

stages! {
    /// The sender's ENI accepts only its own MAC address and, with its source/destination check on, its own addresses.
    SourceCheck = "source-check";
    /// ARP, neighbour discovery, DHCP and the link-local services are the VPC's own and exempt from groups and lists.
    LocalService = "local-service";
    /// An egress rule of one of the sender's security groups, or a tracked connection, lets the packet leave its ENI.
    SecurityGroupOut = "security-group-out";
    /// The network ACL of the sender's subnet judges what leaves the subnet.
    NetworkAclOut = "network-acl-out";
    /// The longest matching prefix of the subnet's route table names the target; inside a subnet no route is needed.
    Route = "route";
    /// The NAT gateway gives connections from inside its own address and a free port.
    NatGateway = "nat-gateway";
    /// The internet gateway exchanges private and public addresses.
    InternetGateway = "internet-gateway";
    /// The egress-only internet gateway lets IPv6 connections out that are opened from inside.
    EgressOnlyGateway = "egress-only-gateway";
    /// The packet leaves the region, or comes in from outside with a source address of the outside.
    Uplink = "uplink";
    /// The network ACL of the receiver's subnet judges what enters the subnet.
    NetworkAclIn = "network-acl-in";
    /// The receiver's ENI, with its source/destination check on, accepts only packets to its own addresses.
    DestinationCheck = "destination-check";
    /// An ingress rule of one of the receiver's security groups, or a tracked connection, lets the packet in.
    SecurityGroupIn = "security-group-in";
    /// The packet goes to the guest behind the ENI, with the Ethernet addresses that it must see.
    Deliver = "deliver";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_named_alike_in_text_and_json() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
            assert!(stage.description().ends_with('.'));
        }
    }
}
