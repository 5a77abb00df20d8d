//! An instance as the API shows it.

use super::metadata_options;
use super::state::state_shape;
use crate::address::{Association, association_of};
use crate::network_interface::{attachment_status, group_identifiers, private_dns_name, private_domain, wire_time};
use crate::subnet::hostname_type;
use crate::tag_spec::tag_list;
use crate::{Context, image};
use gp_ec2::shapes;
use gp_model::{ConnectionTracking, Eni, EniAttachment, HostnameType, Instance, InstanceState, Subnet, World};
use std::net::Ipv4Addr;
use std::sync::Arc;

pub(super) fn instance(ctx: &Context<'_>, instance: &Instance) -> shapes::Instance {
    let world = ctx.world();
    let enis = world.enis_of_instance(instance.id);
    let primary = enis.first();
    let image = image::find(ctx.region(), instance.image);
    let subnet = world.subnet(instance.subnet).filter(|_| !is_gone(instance));
    let ipv4 = primary.and_then(|eni| eni.primary_ipv4());
    let public = primary.zip(ipv4).and_then(|(eni, address)| association_of(ctx, eni, address));
    shapes::Instance {
        architecture: image.map(|image| image.architecture.to_owned()),
        client_token: Some(instance.client_token.clone().unwrap_or_default()),
        ebs_optimized: Some(instance.ebs_optimized),
        ena_support: Some(true),
        hypervisor: Some("xen".to_owned()),
        network_interfaces: enis.iter().map(|eni| network_interface(ctx, eni)).collect(),
        root_device_name: image.map(|image| image.root_device.to_owned()),
        root_device_type: Some("ebs".to_owned()),
        security_groups: primary.map(|eni| group_identifiers(world, &eni.groups)).unwrap_or_default(),
        source_dest_check: primary.map(|eni| eni.source_dest_check),
        state_reason: state_reason(instance),
        tags: tag_list(&instance.tags),
        virtualization_type: Some("hvm".to_owned()),
        metadata_options: Some(metadata_options::shape(&instance.metadata, "applied")),
        boot_mode: image.and_then(|image| image.boot_mode).map(str::to_owned),
        current_instance_boot_mode: Some("legacy-bios".to_owned()),
        platform_details: Some("Linux/UNIX".to_owned()),
        usage_operation: Some("RunInstances".to_owned()),
        usage_operation_update_time: Some(wire_time(instance.launched_at)),
        private_dns_name_options: subnet.map(|subnet| dns_options(subnet)),
        ipv6_address: primary.and_then(|eni| eni.ipv6.first()).map(ToString::to_string),
        instance_id: Some(instance.id.to_string()),
        image_id: Some(instance.image.to_string()),
        state: Some(state_shape(instance.state)),
        private_dns_name: Some(dns_name(ctx, instance, subnet, ipv4)),
        public_dns_name: Some(public.as_ref().map_or("", Association::public_dns_name).to_owned()),
        public_ip_address: public.as_ref().map(Association::public_ip),
        state_transition_reason: Some(instance.state_transition_reason.clone()),
        key_name: instance.key_name.clone(),
        ami_launch_index: Some(instance.launch_index.into()),
        instance_type: Some(instance.instance_type.clone()),
        launch_time: Some(wire_time(instance.launched_at)),
        placement: Some(placement(ctx, instance)),
        monitoring: Some(monitoring(instance)),
        subnet_id: subnet.map(|subnet| subnet.id.to_string()),
        vpc_id: subnet.map(|subnet| subnet.vpc.to_string()),
        private_ip_address: ipv4.map(|address| address.to_string()),
        ..fixed()
    }
}

/// A terminated instance has left its network.
fn is_gone(instance: &Instance) -> bool {
    instance.state == InstanceState::Terminated
}

/// What is the same for every instance.
fn fixed() -> shapes::Instance {
    shapes::Instance {
        capacity_reservation_specification: Some(shapes::CapacityReservationSpecificationResponse {
            capacity_reservation_preference: Some("open".to_owned()),
            ..Default::default()
        }),
        hibernation_options: Some(shapes::HibernationOptions { configured: Some(false) }),
        enclave_options: Some(shapes::EnclaveOptions { enabled: Some(false) }),
        maintenance_options: Some(shapes::InstanceMaintenanceOptions {
            auto_recovery: Some("default".to_owned()),
            ..Default::default()
        }),
        operator: Some(not_managed()),
        ..Default::default()
    }
}

fn not_managed() -> shapes::OperatorResponse {
    shapes::OperatorResponse { managed: Some(false), ..Default::default() }
}

fn state_reason(instance: &Instance) -> Option<shapes::StateReason> {
    let reason = instance.state_reason.as_ref()?;
    Some(shapes::StateReason { code: Some(reason.code.clone()), message: Some(reason.message.clone()) })
}

fn monitoring(instance: &Instance) -> shapes::Monitoring {
    let state = if instance.monitoring { "enabled" } else { "disabled" };
    shapes::Monitoring { state: Some(state.to_owned()), ..Default::default() }
}

fn placement(ctx: &Context<'_>, instance: &Instance) -> shapes::Placement {
    let zones = crate::zones_of(ctx.region(), ctx.settings);
    shapes::Placement {
        availability_zone: Some(instance.zone.to_string()),
        availability_zone_id: zones.into_iter().find(|facts| facts.zone == instance.zone).map(|facts| facts.id),
        group_name: Some(String::new()),
        tenancy: Some("default".to_owned()),
        ..Default::default()
    }
}

fn dns_options(subnet: &Subnet) -> shapes::PrivateDnsNameOptionsResponse {
    shapes::PrivateDnsNameOptionsResponse {
        hostname_type: Some(hostname_type(subnet.hostname_type).to_owned()),
        enable_resource_name_dns_a_record: Some(subnet.resource_name_dns_a_record),
        enable_resource_name_dns_aaaa_record: Some(subnet.resource_name_dns_aaaa_record),
    }
}

/// After its address or after its id, as its subnet says; empty once it is gone.
fn dns_name(ctx: &Context<'_>, instance: &Instance, subnet: Option<&Arc<Subnet>>, ipv4: Option<Ipv4Addr>) -> String {
    match (subnet.map(|subnet| subnet.hostname_type), ipv4) {
        (None, _) => String::new(),
        (Some(HostnameType::IpName), Some(address)) => private_dns_name(ctx.region(), address),
        (Some(_), _) => format!("{}.{}", instance.id, private_domain(ctx.region())),
    }
}

// === ENIs as the instance shows them ===

fn network_interface(ctx: &Context<'_>, eni: &Eni) -> shapes::InstanceNetworkInterface {
    let world = ctx.world();
    let vpc_names = world.vpc(eni.vpc).is_some_and(|vpc| vpc.dns_hostnames);
    let name = |address: Ipv4Addr| vpc_names.then(|| private_dns_name(ctx.region(), address));
    let association = |address| association_of(ctx, eni, address).map(Association::of_instance);
    shapes::InstanceNetworkInterface {
        association: eni.primary_ipv4().and_then(association),
        attachment: eni.attachment.as_ref().map(|attachment| attachment_shape(world, attachment)),
        connection_tracking_configuration: tracking(eni.connection_tracking),
        description: Some(eni.description.to_string()),
        groups: group_identifiers(world, &eni.groups),
        interface_type: Some(eni.interface_type.name().to_owned()),
        ipv6_addresses: ipv6_addresses(eni),
        ipv4_prefixes: eni.ipv4_prefixes.iter().map(ipv4_prefix).collect(),
        ipv6_prefixes: eni.ipv6_prefixes.iter().map(ipv6_prefix).collect(),
        mac_address: Some(eni.mac.to_string()),
        network_interface_id: Some(eni.id.to_string()),
        operator: Some(not_managed()),
        owner_id: Some(eni.owner.to_string()),
        private_dns_name: eni.primary_ipv4().and_then(name),
        private_ip_address: eni.primary_ipv4().map(|address| address.to_string()),
        private_ip_addresses: private_ip_addresses(ctx, eni, name),
        source_dest_check: Some(eni.source_dest_check),
        status: Some("in-use".to_owned()),
        subnet_id: Some(eni.subnet.to_string()),
        vpc_id: Some(eni.vpc.to_string()),
    }
}

fn private_ip_addresses(
    ctx: &Context<'_>,
    eni: &Eni,
    name: impl Fn(Ipv4Addr) -> Option<String>,
) -> Vec<shapes::InstancePrivateIpAddress> {
    let shape = |(place, address): (usize, &Ipv4Addr)| shapes::InstancePrivateIpAddress {
        association: association_of(ctx, eni, *address).map(Association::of_instance),
        primary: Some(place == 0),
        private_dns_name: name(*address),
        private_ip_address: Some(address.to_string()),
    };
    eni.private_ipv4.iter().enumerate().map(shape).collect()
}

fn ipv6_addresses(eni: &Eni) -> Vec<shapes::InstanceIpv6Address> {
    let shape = |(place, address): (usize, &std::net::Ipv6Addr)| shapes::InstanceIpv6Address {
        ipv6_address: Some(address.to_string()),
        is_primary_ipv6: Some(eni.primary_ipv6 && place == 0),
    };
    eni.ipv6.iter().enumerate().map(shape).collect()
}

fn ipv4_prefix(net: &ipnet::Ipv4Net) -> shapes::InstanceIpv4Prefix {
    shapes::InstanceIpv4Prefix { ipv4_prefix: Some(net.to_string()) }
}

fn ipv6_prefix(net: &ipnet::Ipv6Net) -> shapes::InstanceIpv6Prefix {
    shapes::InstanceIpv6Prefix { ipv6_prefix: Some(net.to_string()) }
}

fn attachment_shape(world: &World, attachment: &EniAttachment) -> shapes::InstanceNetworkInterfaceAttachment {
    shapes::InstanceNetworkInterfaceAttachment {
        attach_time: Some(wire_time(attachment.attached_at)),
        attachment_id: Some(attachment.id.to_string()),
        delete_on_termination: Some(attachment.delete_on_termination),
        device_index: Some(attachment.device_index.into()),
        network_card_index: Some(attachment.network_card_index.into()),
        status: Some(attachment_status(world, attachment).to_owned()),
        ..Default::default()
    }
}

fn tracking(tracking: ConnectionTracking) -> Option<shapes::ConnectionTrackingSpecificationResponse> {
    (tracking != ConnectionTracking::default()).then(|| shapes::ConnectionTrackingSpecificationResponse {
        tcp_established_timeout: tracking.tcp_established_secs.map(i64::from),
        udp_stream_timeout: tracking.udp_stream_secs.map(i64::from),
        udp_timeout: tracking.udp_secs.map(i64::from),
    })
}
