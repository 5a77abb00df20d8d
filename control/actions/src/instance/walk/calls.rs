//! Further steps of a walk: kinds of ENIs, trunks, reservations, prefixes, what services do.

use super::super::testing::Net;
use crate::network_interface::Wanted;
use crate::network_interface::managed::{self, ManagedEni};
use gp_model::{Address, AddressAssociation, AddressAssociationId, AllocationId, Eni, EniId, InterfaceType, Tags};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// What a step calls; the numbers that come with it choose what it is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    CreateOfType,
    CreateNamed,
    AssociateTrunk,
    DisassociateTrunk,
    Reserve,
    EndReservation,
    AssignIpv6,
    UnassignIpv6,
    AssignPrefix,
    UnassignPrefix,
    MoveElastic,
    Modify,
    ChangeAttachment,
    PinIpv6,
    Manage,
    Release,
    ManageAddresses,
    ElasticIp,
}

/// Every call.
pub(super) const ALL: &[Call] = &[
    Call::CreateOfType,
    Call::CreateNamed,
    Call::AssociateTrunk,
    Call::AssociateTrunk,
    Call::DisassociateTrunk,
    Call::Reserve,
    Call::EndReservation,
    Call::AssignIpv6,
    Call::UnassignIpv6,
    Call::AssignPrefix,
    Call::UnassignPrefix,
    Call::MoveElastic,
    Call::Modify,
    Call::ChangeAttachment,
    Call::PinIpv6,
    Call::Manage,
    Call::Release,
    Call::ManageAddresses,
    Call::ElasticIp,
];

type Numbers = (usize, usize, u8);

fn some_eni(net: &Net, n: usize, fits: impl Fn(&Eni) -> bool) -> Option<Arc<Eni>> {
    let fitting: Vec<_> = net.lab.world.tables().enis.values().filter(|eni| fits(eni)).cloned().collect();
    super::pick(&fitting, n)
}

/// The request, if there is anything for it to be about.
pub(super) fn form(net: &Net, subnets: &[String], call: Call, (a, b, n): Numbers) -> Option<String> {
    let any = |n| some_eni(net, n, |_| true);
    let of_type = |kind: InterfaceType, n| some_eni(net, n, move |eni| eni.interface_type == kind);
    let tables = net.lab.world.tables();
    let last = n % 64;
    Some(match call {
        Call::CreateOfType => {
            let kind = ["trunk", "branch", "branch", "interface"][b % 4];
            format!("Action=CreateNetworkInterface&SubnetId={}&InterfaceType={kind}", super::pick(subnets, a)?)
        }
        Call::CreateNamed => format!(
            "Action=CreateNetworkInterface&SubnetId={}&PrivateIpAddress=10.0.{}.{last}&ClientToken={}",
            super::pick(subnets, a)?,
            1 + b % 3,
            n % 7,
        ),
        Call::AssociateTrunk => format!(
            "Action=AssociateTrunkInterface&BranchInterfaceId={}&TrunkInterfaceId={}&VlanId={}",
            of_type(InterfaceType::Branch, a)?.id,
            of_type(InterfaceType::Trunk, b)?.id,
            n % 12
        ),
        Call::DisassociateTrunk => {
            let ids: Vec<_> = tables.trunk_associations.keys().collect();
            format!("Action=DisassociateTrunkInterface&AssociationId={}", super::pick(&ids, a)?)
        }
        Call::Reserve => format!(
            "Action=CreateSubnetCidrReservation&SubnetId={}&Cidr=10.0.{}.{last}/{}&ReservationType={}",
            super::pick(subnets, a)?,
            1 + b % 3,
            27 + n % 6,
            ["prefix", "explicit"][b % 2],
        ),
        Call::EndReservation => {
            let ids: Vec<_> = tables.subnet_cidr_reservations.keys().collect();
            format!("Action=DeleteSubnetCidrReservation&SubnetCidrReservationId={}", super::pick(&ids, a)?)
        }
        Call::AssignIpv6 => format!(
            "Action=AssignIpv6Addresses&NetworkInterfaceId={}&Ipv6AddressCount={}&Ipv6PrefixCount={}",
            any(a)?.id,
            n % 3,
            b % 2
        ),
        Call::UnassignIpv6 => {
            let eni = any(a)?;
            let address = super::pick(&eni.ipv6, b)?;
            format!("Action=UnassignIpv6Addresses&NetworkInterfaceId={}&Ipv6Addresses.1={address}", eni.id)
        }
        Call::AssignPrefix => format!(
            "Action=AssignPrivateIpAddresses&NetworkInterfaceId={}&Ipv4Prefix.1=10.0.{}.{}/28",
            any(a)?.id,
            1 + b % 3,
            n & 0x70
        ),
        Call::UnassignPrefix => {
            let eni = some_eni(net, a, |eni| !eni.ipv4_prefixes.is_empty())?;
            let prefix = super::pick(&eni.ipv4_prefixes, b)?;
            format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={}&Ipv4Prefix.1={prefix}", eni.id)
        }
        Call::MoveElastic => {
            let held: Vec<_> = tables.addresses.values().filter_map(|address| address.association.as_ref()).collect();
            format!(
                "Action=AssignPrivateIpAddresses&NetworkInterfaceId={}&PrivateIpAddress.1={}&AllowReassignment=true",
                any(a)?.id,
                super::pick(&held, b)?.private_ip
            )
        }
        Call::Modify => {
            let change =
                ["Description.Value=x", "SourceDestCheck.Value=false", &format!("SecurityGroupId.1={}", net.group)]
                    [b % 3]
                    .to_owned();
            format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={}&{change}", any(a)?.id)
        }
        Call::ChangeAttachment => {
            let eni = some_eni(net, a, |eni| eni.attachment.is_some())?;
            format!(
                "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={}&Attachment.AttachmentId={}\
                 &Attachment.DeleteOnTermination={}",
                eni.id,
                eni.attachment.as_ref()?.id,
                n % 2 == 0
            )
        }
        Call::PinIpv6 => {
            format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={}&EnablePrimaryIpv6=true", any(a)?.id)
        }
        Call::Manage | Call::Release | Call::ManageAddresses | Call::ElasticIp => return None,
    })
}

/// Carries out what a service does. `false` for what is a user's call.
pub(super) fn by_service(net: &mut Net, subnets: &[String], call: Call, (a, b, n): Numbers) -> bool {
    let managed_eni = |net: &Net| some_eni(net, a, |eni| eni.requester_managed);
    match call {
        Call::Manage => manage(net, subnets, a),
        Call::Release => {
            if let Some(eni) = managed_eni(net) {
                let changes = managed::released(&net.lab.world, eni.id);
                net.lab.apply(changes);
            }
        }
        Call::ManageAddresses => {
            let Some(eni) = managed_eni(net) else { return true };
            if n % 2 == 0 {
                // A full subnet refuses.
                drop(net.lab.by_service(|ctx| managed::add_addresses(ctx, eni.id, &Wanted::Count(b % 3))));
            } else if let Some(address) = super::pick(&eni.private_ipv4, b) {
                let changes = managed::without_addresses(&net.lab.world, eni.id, &[address]);
                net.lab.apply(changes);
            }
        }
        Call::ElasticIp => {
            let Some(eni) = some_eni(net, a, |_| true) else { return true };
            let inside = eni.ipv4_prefixes.iter().map(|prefix| gp_model::nth_v4(*prefix, 3));
            let private: Vec<_> = eni.private_ipv4.iter().copied().chain(inside).collect();
            if let Some(private) = super::pick(&private, b) {
                elastic_ip(net, eni.id, private, n);
            }
        }
        _ => return false,
    }
    true
}

fn manage(net: &mut Net, subnets: &[String], n: usize) {
    let Some(subnet) = super::pick(subnets, n) else { return };
    let Some(subnet) = net.lab.world.subnet(subnet.parse().expect("an id")).cloned() else { return };
    let managed = ManagedEni {
        subnet,
        interface_type: InterfaceType::NatGateway,
        description: String::new(),
        requester_id: "727180483921".to_owned(),
        instance_owner: "amazon-aws".to_owned(),
        groups: Vec::new(),
        addresses: Default::default(),
        source_dest_check: false,
    };
    // A full subnet refuses.
    drop(net.lab.by_service(|ctx| managed::create(ctx, managed)));
}

/// Lets one of a few Elastic IP addresses stand for the private address, unless another does.
fn elastic_ip(net: &mut Net, eni: EniId, private_ip: Ipv4Addr, n: u8) {
    let id = AllocationId::from_bits(u128::from(n % 8) + 1);
    if net.lab.world.address_of_private(eni, private_ip).is_some_and(|other| other.id != id) {
        return;
    }
    let address = Address {
        id,
        owner: net.lab.caller.account,
        public_ip: Ipv4Addr::new(198, 51, 100, n % 8 + 1),
        pool: "amazon".to_owned(),
        network_border_group: "us-east-1".to_owned(),
        association: Some(AddressAssociation { id: AddressAssociationId::from_bits(id.bits()), eni, private_ip }),
        service_managed: None,
        domain_name: None,
        tags: Tags::new(),
    };
    net.lab.by_service(|ctx| ctx.put(address));
}
