//! ENIs that services make in the user's subnets: what the user sees of them, and what is refused.

use super::managed::{self, ManagedEni};
use super::{AddressRequest, Wanted};
use crate::instance::testing::{Net, attach_form};
use crate::testing::values;
use gp_model::{Address, AddressAssociation, AddressAssociationId, AllocationId, EniId, InterfaceType, Tags};
use std::net::Ipv4Addr;

/// An ENI as a service makes it.
pub(crate) fn service_eni(net: &mut Net, interface_type: InterfaceType, groups: &[&str]) -> EniId {
    let subnet = net.lab.world.subnet(net.subnet.parse().unwrap()).unwrap().clone();
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    let managed = ManagedEni {
        subnet,
        interface_type,
        description: "Interface for NAT Gateway nat-0123456789abcdef0".to_owned(),
        requester_id: "727180483921".to_owned(),
        instance_owner: "amazon-aws".to_owned(),
        groups,
        addresses: AddressRequest::default(),
        source_dest_check: false,
    };
    net.lab.by_service(|ctx| managed::create(ctx, managed)).unwrap().id
}

pub(crate) fn elastic_ip(net: &mut Net, eni: EniId, private_ip: Ipv4Addr, n: u8) -> AllocationId {
    let id = AllocationId::from_bits(n.into());
    let address = Address {
        id,
        owner: net.lab.caller.account,
        public_ip: Ipv4Addr::new(198, 51, 100, n),
        pool: "amazon".to_owned(),
        network_border_group: "us-east-1".to_owned(),
        association: Some(AddressAssociation { id: AddressAssociationId::from_bits(n.into()), eni, private_ip }),
        service_managed: Some("nat".to_owned()),
        domain_name: None,
        tags: Tags::new(),
    };
    net.lab.by_service(|ctx| ctx.put(address));
    id
}

pub(crate) fn is_associated(net: &Net, id: AllocationId) -> bool {
    net.lab.world.address(id).unwrap().association.is_some()
}

#[test]
fn a_services_eni_shows_its_requester_and_an_attachment_without_an_instance() {
    let mut net = Net::new();
    let eni = service_eni(&mut net, InterfaceType::NatGateway, &[]);
    let xml = net.lab.xml(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"));
    let value = |element: &str| values(&xml, element).join(" ");
    assert!(value("attachmentId").starts_with("ela-attach-"), "{xml}");
    for (element, want) in [
        ("instanceOwnerId", "amazon-aws"),
        ("requesterId", "727180483921"),
        ("requesterManaged", "true"),
        ("interfaceType", "nat_gateway"),
        ("sourceDestCheck", "false"),
        ("status", "attached in-use"),
        ("instanceId", ""),
        ("groupId", ""),
    ] {
        assert_eq!(value(element), want, "{element} in {xml}");
    }
    for (name, wanted) in [
        ("interface-type", "nat_gateway"),
        ("interface-type", "natGateway"),
        ("requester-id", "727180483921"),
        ("attachment.instance-owner-id", "amazon-aws"),
        ("requester-managed", "true"),
    ] {
        let form = format!("Action=DescribeNetworkInterfaces&Filter.1.Name={name}&Filter.1.Value.1={wanted}");
        assert_eq!(net.lab.all(&form, "networkInterfaceId"), [eni.to_string()], "{name}={wanted}");
    }
    net.lab.xml(&format!("Action=CreateTags&ResourceId.1={eni}&Tag.1.Key=a&Tag.1.Value=b"));
}

#[test]
fn users_dont_manage_what_a_service_holds() {
    let mut net = Net::new();
    let (instance, group) = (net.running("t3.micro"), net.group.clone());
    let eni = service_eni(&mut net, InterfaceType::NatGateway, &[]);
    let attachment = net.lab.world.eni(eni).unwrap().service_attachment.clone().unwrap().id;
    let (subnet, vpc) = (net.subnet.clone(), net.vpc.clone());
    let no_permission = "AuthFailure: You do not have permission to access the specified resource.";
    let no_detach = "OperationNotPermitted: You are not allowed to manage 'ela-attach' attachments.";
    let of_eni = |action: &str, rest: &str| format!("Action={action}&NetworkInterfaceId={eni}&{rest}");
    net.lab.refuses(&[
        (&format!("Action=DetachNetworkInterface&AttachmentId={attachment}&Force=true"), no_detach),
        (
            &of_eni("DeleteNetworkInterface", ""),
            &format!("InvalidParameterValue: Network interface '{eni}' is currently in use."),
        ),
        (&attach_form(&eni.to_string(), &instance, 1), &format!("InvalidNetworkInterface.InUse: Interface: [{eni}]")),
        (&of_eni("ModifyNetworkInterfaceAttribute", "Description.Value=x"), no_permission),
        (&of_eni("ModifyNetworkInterfaceAttribute", "SourceDestCheck.Value=true"), no_permission),
        (&of_eni("ModifyNetworkInterfaceAttribute", &format!("SecurityGroupId.1={group}")), no_permission),
        (&of_eni("ResetNetworkInterfaceAttribute", "SourceDestCheck=true"), no_permission),
        (&of_eni("AssignPrivateIpAddresses", "SecondaryPrivateIpAddressCount=1"), no_permission),
        (&of_eni("AssignIpv6Addresses", "Ipv6AddressCount=1"), no_permission),
        (&format!("Action=DeleteSubnet&SubnetId={subnet}"), "DependencyViolation: "),
        (&format!("Action=DeleteVpc&VpcId={vpc}"), "DependencyViolation: "),
    ]);
    // A service that uses ordinary interfaces leaves their groups to the user.
    let ordinary = service_eni(&mut net, InterfaceType::Interface, &[&group]);
    net.lab.xml(&format!(
        "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={ordinary}&SecurityGroupId.1={group}"
    ));
}

#[test]
fn a_released_eni_is_gone_and_its_elastic_ips_are_free() {
    let mut net = Net::new();
    let eni = service_eni(&mut net, InterfaceType::NatGateway, &[]);
    let added = net.lab.by_service(|ctx| managed::add_addresses(ctx, eni, &Wanted::Count(2))).unwrap();
    let primary = net.lab.world.eni(eni).unwrap().primary_ipv4().unwrap();
    let (first, second) = (elastic_ip(&mut net, eni, primary, 1), elastic_ip(&mut net, eni, added[0], 2));
    let changes = managed::without_addresses(&net.lab.world, eni, &[added[0], primary]);
    net.lab.apply(changes);
    assert_eq!(net.lab.world.eni(eni).unwrap().private_ipv4[..], [primary, added[1]]);
    assert_eq!((is_associated(&net, first), is_associated(&net, second)), (true, false));
    let changes = managed::released(&net.lab.world, eni);
    net.lab.apply(changes);
    assert!(net.lab.world.eni(eni).is_none() && !is_associated(&net, first));
    assert!(managed::released(&net.lab.world, eni).is_empty());
    assert!(net.lab.by_service(|ctx| managed::add_addresses(ctx, eni, &Wanted::Count(1))).is_err());
}

#[test]
fn what_a_service_left_behind_can_be_deleted() {
    let mut net = Net::new();
    let eni = service_eni(&mut net, InterfaceType::Interface, &[]);
    let left = net.lab.world.eni(eni).unwrap().clone();
    net.lab.by_service(|ctx| ctx.edit(&*left, |eni| eni.service_attachment = None));
    assert_eq!(
        net.lab.get(&format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}"), "status"),
        "available"
    );
    net.lab.xml(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={eni}"));
}
