//! An ENI as the API shows it.

use crate::address::{Association, association_of};
use crate::tag_spec::tag_list;
use crate::{Context, place};
use gp_ec2::{Timestamp, shapes};
use gp_model::{
    ConnectionTracking, Eni, EniAttachment, InstanceState, Region, SecurityGroupId, ServiceAttachment, World,
};
use std::net::Ipv4Addr;

pub(crate) fn network_interface(ctx: &Context<'_>, eni: &Eni) -> shapes::NetworkInterface {
    let world = ctx.world();
    let vpc_names = world.vpc(eni.vpc).is_some_and(|vpc| vpc.dns_hostnames);
    let name = |address: Ipv4Addr| vpc_names.then(|| private_dns_name(ctx.region(), address));
    let association = |address| association_of(ctx, eni, address).map(Association::of_eni);
    shapes::NetworkInterface {
        association: eni.primary_ipv4().and_then(association),
        attachment: attachment_of(world, eni),
        availability_zone: Some(eni.zone.to_string()),
        availability_zone_id: place::zone_id(ctx.region(), &eni.zone),
        connection_tracking_configuration: tracking_configuration(eni.connection_tracking),
        description: Some(eni.description.to_string()),
        groups: group_identifiers(world, &eni.groups),
        interface_type: Some(eni.interface_type.name().to_owned()),
        ipv6_address: eni.ipv6.first().map(ToString::to_string),
        ipv6_addresses: ipv6_addresses(eni),
        ipv4_prefixes: ipv4_prefixes(eni),
        ipv6_prefixes: ipv6_prefixes(eni),
        mac_address: Some(eni.mac.to_string()),
        network_interface_id: Some(eni.id.to_string()),
        operator: Some(shapes::OperatorResponse { managed: Some(false), ..Default::default() }),
        owner_id: Some(eni.owner.to_string()),
        private_dns_name: eni.primary_ipv4().and_then(name),
        private_ip_address: eni.primary_ipv4().map(|address| address.to_string()),
        private_ip_addresses: private_ip_addresses(ctx, eni, name),
        requester_id: eni.requester.as_ref().map(ToString::to_string),
        requester_managed: Some(eni.requester_managed),
        source_dest_check: Some(eni.source_dest_check),
        status: Some(status(world, eni).to_owned()),
        subnet_id: Some(eni.subnet.to_string()),
        tag_set: tag_list(&eni.tags),
        vpc_id: Some(eni.vpc.to_string()),
        ..Default::default()
    }
}

fn private_ip_addresses(
    ctx: &Context<'_>,
    eni: &Eni,
    name: impl Fn(Ipv4Addr) -> Option<String>,
) -> Vec<shapes::NetworkInterfacePrivateIpAddress> {
    let shape = |(place, address): (usize, &Ipv4Addr)| shapes::NetworkInterfacePrivateIpAddress {
        association: association_of(ctx, eni, *address).map(Association::of_eni),
        primary: Some(place == 0),
        private_dns_name: name(*address),
        private_ip_address: Some(address.to_string()),
    };
    eni.private_ipv4.iter().enumerate().map(shape).collect()
}

fn ipv6_addresses(eni: &Eni) -> Vec<shapes::NetworkInterfaceIpv6Address> {
    let shape = |(place, address): (usize, &std::net::Ipv6Addr)| shapes::NetworkInterfaceIpv6Address {
        ipv6_address: Some(address.to_string()),
        is_primary_ipv6: Some(eni.primary_ipv6 && place == 0),
        ..Default::default()
    };
    eni.ipv6.iter().enumerate().map(shape).collect()
}

fn ipv4_prefixes(eni: &Eni) -> Vec<shapes::Ipv4PrefixSpecification> {
    let shape = |net: &ipnet::Ipv4Net| shapes::Ipv4PrefixSpecification { ipv4_prefix: Some(net.to_string()) };
    eni.ipv4_prefixes.iter().map(shape).collect()
}

fn ipv6_prefixes(eni: &Eni) -> Vec<shapes::Ipv6PrefixSpecification> {
    let shape = |net: &ipnet::Ipv6Net| shapes::Ipv6PrefixSpecification { ipv6_prefix: Some(net.to_string()) };
    eni.ipv6_prefixes.iter().map(shape).collect()
}

fn status(world: &World, eni: &Eni) -> &'static str {
    let attached = eni.attachment.is_some() || eni.service_attachment.is_some();
    match attached {
        true => "in-use",
        false if world.trunk_of_branch(eni.id).is_some() => "associated",
        false => "available",
    }
}

/// What holds the ENI: an instance, or a service.
pub(super) fn attachment_of(world: &World, eni: &Eni) -> Option<shapes::NetworkInterfaceAttachment> {
    let by_instance = eni.attachment.as_ref().map(|attachment| attachment_shape(world, attachment));
    by_instance.or_else(|| eni.service_attachment.as_deref().map(service_attachment_shape))
}

fn service_attachment_shape(attachment: &ServiceAttachment) -> shapes::NetworkInterfaceAttachment {
    shapes::NetworkInterfaceAttachment {
        attach_time: Some(wire_time(attachment.attached_at)),
        attachment_id: Some(attachment.id.to_string()),
        delete_on_termination: Some(false),
        device_index: Some(attachment.device_index.into()),
        network_card_index: Some(0),
        instance_owner_id: Some(attachment.instance_owner.clone()),
        status: Some("attached".to_owned()),
        ..Default::default()
    }
}

pub(super) fn attachment_shape(world: &World, attachment: &EniAttachment) -> shapes::NetworkInterfaceAttachment {
    shapes::NetworkInterfaceAttachment {
        attach_time: Some(wire_time(attachment.attached_at)),
        attachment_id: Some(attachment.id.to_string()),
        delete_on_termination: Some(attachment.delete_on_termination),
        device_index: Some(attachment.device_index.into()),
        network_card_index: Some(attachment.network_card_index.into()),
        instance_id: Some(attachment.instance.to_string()),
        instance_owner_id: Some(attachment.instance_owner.to_string()),
        status: Some(attachment_status(world, attachment).to_owned()),
        ..Default::default()
    }
}

/// How long a detached attachment can still be found by its id.
const DETACHED_SECS: u64 = 10;

/// The ENI's last attachment as `detached`, for whoever looks for it by its id soon after it ended.
pub(super) fn detached_shape(ctx: &Context<'_>, eni: &Eni) -> Option<shapes::NetworkInterfaceAttachment> {
    let last = eni.last_attachment.as_ref().filter(|_| eni.attachment.is_none())?;
    let is_fresh = ctx.now < last.detached_at.plus_secs(DETACHED_SECS);
    is_fresh.then(|| shapes::NetworkInterfaceAttachment {
        status: Some("detached".to_owned()),
        ..attachment_shape(ctx.world(), &last.attachment)
    })
}

/// `attaching` until the instance's first start is done; after that every attachment is there when it is shown.
pub(crate) fn attachment_status(world: &World, attachment: &EniAttachment) -> &'static str {
    let instance = world.instance(attachment.instance);
    let launching =
        instance.is_some_and(|i| i.state == InstanceState::Pending && i.boot <= crate::instance::FIRST_BOOT);
    if launching { "attaching" } else { "attached" }
}

pub(crate) fn wire_time(at: gp_model::Timestamp) -> Timestamp {
    Timestamp::from_millis(i64::try_from(at.0).unwrap_or(i64::MAX))
}

/// Groups with the names that they have now.
pub(crate) fn group_identifiers(world: &World, groups: &[SecurityGroupId]) -> Vec<shapes::GroupIdentifier> {
    let shape = |id: &SecurityGroupId| shapes::GroupIdentifier {
        group_id: Some(id.to_string()),
        group_name: world.security_group(*id).map(|group| group.name.clone()),
    };
    groups.iter().map(shape).collect()
}

/// The timeouts that were set; nothing where none was.
pub(super) fn tracking_configuration(tracking: ConnectionTracking) -> Option<shapes::ConnectionTrackingConfiguration> {
    (tracking != ConnectionTracking::default()).then(|| shapes::ConnectionTrackingConfiguration {
        tcp_established_timeout: tracking.tcp_established_secs.map(i64::from),
        udp_stream_timeout: tracking.udp_stream_secs.map(i64::from),
        udp_timeout: tracking.udp_secs.map(i64::from),
    })
}

/// The name that a region's resolver has for a private address (VPC user guide, "DNS attributes").
pub(crate) fn private_dns_name(region: &Region, address: Ipv4Addr) -> String {
    let host = address.to_string().replace('.', "-");
    format!("ip-{host}.{}", private_domain(region))
}

/// `ec2.internal` in the oldest region, `<region>.compute.internal` in the others.
pub(crate) fn private_domain(region: &Region) -> String {
    match region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    }
}
