//! What moves with an address, and what is pinned: Elastic IP addresses, the primary IPv6 address.

use super::managed_tests::{elastic_ip, is_associated};
use crate::instance::testing::Net;
use crate::testing::values;
use gp_compile::InstanceOutcome;
use gp_model::{AllocationId, EniId};

fn holder(net: &Net, elastic: AllocationId) -> Option<EniId> {
    net.lab.world.address(elastic).unwrap().association.as_ref().map(|association| association.eni)
}

fn with_secondary(net: &mut Net, address: &str) -> String {
    let form = format!(
        "Action=CreateNetworkInterface&SubnetId={}&PrivateIpAddresses.1.PrivateIpAddress={address}\
         &PrivateIpAddresses.1.Primary=false",
        net.subnet
    );
    net.lab.get(&form, "networkInterfaceId")
}

#[test]
fn an_elastic_ip_follows_its_private_address() {
    let mut net = Net::new();
    let (from, to) = (with_secondary(&mut net, "10.0.1.60"), net.eni(&net.subnet.clone()));
    let private = "10.0.1.60".parse().unwrap();
    let elastic = elastic_ip(&mut net, from.parse().unwrap(), private, 1);
    net.lab.xml(&format!(
        "Action=AssignPrivateIpAddresses&NetworkInterfaceId={to}&PrivateIpAddress.1=10.0.1.60&AllowReassignment=true"
    ));
    assert_eq!(holder(&net, elastic), Some(to.parse().unwrap()));
    let (eni, at) = net.lab.world.private_of_public("198.51.100.1".parse().unwrap()).unwrap();
    assert_eq!((eni.id.to_string(), at), (to.clone(), private));
    net.lab.xml(&format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={to}&PrivateIpAddress.1=10.0.1.60"));
    assert_eq!(holder(&net, elastic), None, "it stands for nothing any more");
}

#[test]
fn an_elastic_ip_of_a_prefix_or_of_a_deleted_eni_is_free() {
    let mut net = Net::new();
    let form = format!("Action=CreateNetworkInterface&SubnetId={}&Ipv4Prefix.1.Ipv4Prefix=10.0.1.32/28", net.subnet);
    let made = net.lab.xml(&form);
    let (eni, primary) = (values(&made, "networkInterfaceId").remove(0), values(&made, "privateIpAddress").remove(0));
    let id: EniId = eni.parse().unwrap();
    let within = elastic_ip(&mut net, id, "10.0.1.40".parse().unwrap(), 1);
    let kept = elastic_ip(&mut net, id, primary.parse().unwrap(), 2);
    let unassign = format!("Action=UnassignPrivateIpAddresses&NetworkInterfaceId={eni}&Ipv4Prefix.1=10.0.1.32/28");
    net.lab.xml(&unassign);
    assert_eq!((is_associated(&net, within), is_associated(&net, kept)), (false, true));
    net.lab.xml(&format!("Action=DeleteNetworkInterface&NetworkInterfaceId={eni}"));
    assert!(!is_associated(&net, kept));
}

#[test]
fn an_elastic_ip_of_a_terminated_instance_is_free() {
    let mut net = Net::new();
    let instance = net.running("t3.micro");
    let eni: EniId = net.enis_of(&instance)[0].parse().unwrap();
    let primary = net.lab.world.eni(eni).unwrap().primary_ipv4().unwrap();
    let elastic = elastic_ip(&mut net, eni, primary, 1);
    net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={instance}"));
    net.report(&instance, InstanceOutcome::Terminated);
    assert!(net.lab.world.eni(eni).is_none() && !is_associated(&net, elastic));
}

/// The network with an IPv6 block in its subnet.
fn dual_stack() -> Net {
    let mut net = Net::new();
    net.add_ipv6();
    net
}

#[test]
fn the_first_ipv6_address_is_pinned_until_the_eni_is_detached() {
    let mut net = dual_stack();
    let instance = net.running("t3.micro");
    let form =
        format!("Action=CreateNetworkInterface&SubnetId={}&Ipv6AddressCount=2&EnablePrimaryIpv6=true", net.subnet);
    let made = net.lab.xml(&form);
    let eni = values(&made, "networkInterfaceId").remove(0);
    let pinned = values(&made, "ipv6Address").remove(0);
    let describe = format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}");
    assert_eq!(net.lab.all(&describe, "isPrimaryIpv6"), ["true", "false"]);
    let unassign = format!("Action=UnassignIpv6Addresses&NetworkInterfaceId={eni}&Ipv6Addresses.1={pinned}");
    let modify = format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&EnablePrimaryIpv6=");
    net.lab.refuses(&[
        (&unassign, "InvalidParameterValue: Cannot unassign the primary IPv6 address"),
        (&format!("{modify}false"), "InvalidParameterValue: "),
    ]);
    let attachment = net.attach(&eni, &instance, 1);
    assert_eq!(net.lab.all("Action=DescribeInstances", "isPrimaryIpv6"), ["true", "false"]);
    net.lab.xml(&format!("Action=DetachNetworkInterface&AttachmentId={attachment}"));
    assert_eq!(net.lab.all(&describe, "isPrimaryIpv6"), ["false", "false"]);
    net.lab.xml(&unassign);
}

#[test]
fn a_primary_ipv6_address_is_chosen_by_name_or_later_on() {
    let mut net = dual_stack();
    let bare = net.eni(&net.subnet.clone());
    let modify = format!("Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={bare}&EnablePrimaryIpv6=true");
    assert!(net.lab.refusal(&modify).starts_with("InvalidParameterCombination: "), "there is none to pin");
    net.lab.xml(&format!("Action=AssignIpv6Addresses&NetworkInterfaceId={bare}&Ipv6AddressCount=1"));
    net.lab.xml(&modify);
    let describe = format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={bare}");
    assert_eq!(net.lab.all(&describe, "isPrimaryIpv6"), ["true"]);
    let address = net.lab.get(&describe, "ipv6Address");
    let network = address.split(':').take(4).collect::<Vec<_>>().join(":");
    let named = net.lab.xml(&format!(
        "Action=CreateNetworkInterface&SubnetId={}&Ipv6Addresses.1.Ipv6Address={network}::a\
         &Ipv6Addresses.2.Ipv6Address={network}::b&Ipv6Addresses.2.IsPrimaryIpv6=true",
        net.subnet
    ));
    assert_eq!(values(&named, "isPrimaryIpv6"), ["true", "false"]);
    assert!(values(&named, "ipv6Address")[0].ends_with(":b"), "{named}");
    let create = format!("Action=CreateNetworkInterface&SubnetId={}&EnablePrimaryIpv6=true", net.subnet);
    assert!(net.lab.refusal(&create).starts_with("InvalidParameterCombination: "));
}

#[test]
fn a_launch_pins_its_ipv6_address_until_the_instance_is_terminated() {
    let mut net = dual_stack();
    let form = net.launch_form("t3.micro", "&Ipv6AddressCount=1&EnablePrimaryIpv6=true");
    let instance = net.lab.get(&form, "instanceId");
    net.report(&instance, InstanceOutcome::Running);
    let eni = net.enis_of(&instance).remove(0);
    let describe = format!("Action=DescribeNetworkInterfaces&NetworkInterfaceId.1={eni}");
    assert_eq!(net.lab.all(&describe, "isPrimaryIpv6"), ["true"]);
    let attachment = net.lab.get(&describe, "attachmentId");
    net.lab.xml(&format!(
        "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId={eni}&Attachment.AttachmentId={attachment}\
         &Attachment.DeleteOnTermination=false"
    ));
    net.lab.xml(&format!("Action=TerminateInstances&InstanceId.1={instance}"));
    net.report(&instance, InstanceOutcome::Terminated);
    assert_eq!(net.lab.all(&describe, "isPrimaryIpv6"), ["false"]);
}
