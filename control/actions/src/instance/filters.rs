//! The filters of DescribeInstances. Those that EC2 documents and that no sandbox has a value for fit nothing.

use crate::filter::{Filter, Tagged, each, one};
use gp_ec2::shapes::{Instance, InstanceNetworkInterface, InstanceNetworkInterfaceAttachment, Tag};
use gp_model::{Address, Eni};
use std::sync::Arc;

/// An instance with what its reservation adds to it, and what only filters show of its ENIs.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) reservation: String,
    pub(super) owner: String,
    pub(super) instance: Instance,
    pub(super) enis: Vec<Arc<Eni>>,
    /// The Elastic IP addresses of its ENIs.
    pub(super) elastic: Vec<Arc<Address>>,
}

impl Described {
    /// Keeps the instances of a launch together and in order.
    pub(super) fn key(&self) -> String {
        let index = self.instance.ami_launch_index.unwrap_or_default();
        let id = self.instance.instance_id.as_deref().unwrap_or_default();
        format!("{}/{index:010}/{id}", self.reservation)
    }
}

impl Tagged for Described {
    fn tags(&self) -> &[Tag] {
        &self.instance.tags
    }
}

/// A filter on a scalar of the instance, by the path of members that leads to it.
macro_rules! of {
    ($member:ident) => {
        |d| one(&d.instance.$member)
    };
    ($outer:ident . $member:ident) => {
        |d| one(&d.instance.$outer.as_ref().and_then(|outer| outer.$member.clone()))
    };
}

/// A filter on a scalar of each of the instance's ENIs.
macro_rules! eni {
    ($member:ident) => {
        |d| each(&d.instance.network_interfaces, |eni| eni.$member.clone())
    };
}

/// A filter on a scalar of each ENI's attachment.
macro_rules! attachment {
    ($member:ident) => {
        |d| attachments(d, |attachment| attachment.$member.as_ref().map(ToString::to_string))
    };
}

/// A filter on a scalar of each member of a list of each ENI.
macro_rules! eni_list {
    ($list:ident . $member:ident) => {
        |d| enis(d, |eni| each(&eni.$list, |item| item.$member.clone()))
    };
}

fn attachments(d: &Described, value: fn(&InstanceNetworkInterfaceAttachment) -> Option<String>) -> Vec<String> {
    each(&d.instance.network_interfaces, |eni| eni.attachment.as_ref().and_then(value))
}

fn enis(d: &Described, values: fn(&InstanceNetworkInterface) -> Vec<String>) -> Vec<String> {
    d.instance.network_interfaces.iter().flat_map(values).collect()
}

/// A filter on a member of what stands for each ENI's primary address.
macro_rules! association {
    ($member:ident) => {
        |d| each(&d.instance.network_interfaces, |eni| eni.association.as_ref()?.$member.clone())
    };
}

/// A filter on a member of what stands for each address of each ENI.
macro_rules! address_association {
    ($member:ident) => {
        |d| enis(d, |eni| each(&eni.private_ip_addresses, |address| address.association.as_ref()?.$member.clone()))
    };
}

/// Does the address stand for the primary one of an ENI?
fn of_primary(d: &Described, address: &Address) -> bool {
    let Some(association) = &address.association else { return false };
    let eni = d.enis.iter().find(|eni| eni.id == association.eni);
    eni.is_some_and(|eni| eni.primary_ipv4() == Some(association.private_ip))
}

fn association_id(address: &Address) -> Option<String> {
    address.association.as_ref().map(|association| association.id.to_string())
}

fn zone_ids(d: &Described) -> Vec<String> {
    one(&d.instance.placement.as_ref().and_then(|placement| placement.availability_zone_id.clone()))
}

pub(super) const FILTERS: &[Filter<Described>] = &[
    ("architecture", of!(architecture)),
    ("availability-zone", of!(placement.availability_zone)),
    ("availability-zone-id", zone_ids),
    ("boot-mode", of!(boot_mode)),
    (
        "capacity-reservation-specification.capacity-reservation-preference",
        of!(capacity_reservation_specification.capacity_reservation_preference),
    ),
    ("client-token", of!(client_token)),
    ("current-instance-boot-mode", of!(current_instance_boot_mode)),
    ("dns-name", of!(public_dns_name)),
    ("ebs-optimized", of!(ebs_optimized)),
    ("ena-support", of!(ena_support)),
    ("enclave-options.enabled", of!(enclave_options.enabled)),
    ("group-id", |d| each(&d.instance.security_groups, |group| group.group_id.clone())),
    ("group-name", |d| each(&d.instance.security_groups, |group| group.group_name.clone())),
    ("hibernation-options.configured", of!(hibernation_options.configured)),
    ("hypervisor", of!(hypervisor)),
    ("image-id", of!(image_id)),
    ("instance-id", of!(instance_id)),
    ("instance-state-code", of!(state.code)),
    ("instance-state-name", of!(state.name)),
    ("instance-type", of!(instance_type)),
    ("instance.group-id", |d| each(&d.instance.security_groups, |group| group.group_id.clone())),
    ("instance.group-name", |d| each(&d.instance.security_groups, |group| group.group_name.clone())),
    ("ip-address", of!(public_ip_address)),
    ("ipv6-address", eni_list!(ipv6_addresses.ipv6_address)),
    ("key-name", of!(key_name)),
    ("launch-index", of!(ami_launch_index)),
    ("launch-time", of!(launch_time)),
    ("maintenance-options.auto-recovery", of!(maintenance_options.auto_recovery)),
    ("metadata-options.http-endpoint", of!(metadata_options.http_endpoint)),
    ("metadata-options.http-protocol-ipv6", of!(metadata_options.http_protocol_ipv6)),
    ("metadata-options.http-put-response-hop-limit", of!(metadata_options.http_put_response_hop_limit)),
    ("metadata-options.http-tokens", of!(metadata_options.http_tokens)),
    ("metadata-options.instance-metadata-tags", of!(metadata_options.instance_metadata_tags)),
    ("metadata-options.state", of!(metadata_options.state)),
    ("monitoring-state", of!(monitoring.state)),
    ("network-interface.addresses.association.allocation-id", |d| each(&d.elastic, |address| Some(address.id))),
    ("network-interface.addresses.association.association-id", |d| each(&d.elastic, |address| association_id(address))),
    ("network-interface.addresses.association.ip-owner-id", address_association!(ip_owner_id)),
    ("network-interface.addresses.association.public-dns-name", address_association!(public_dns_name)),
    ("network-interface.addresses.association.public-ip", address_association!(public_ip)),
    ("network-interface.addresses.primary", eni_list!(private_ip_addresses.primary)),
    ("network-interface.addresses.private-dns-name", eni_list!(private_ip_addresses.private_dns_name)),
    ("network-interface.addresses.private-ip-address", eni_list!(private_ip_addresses.private_ip_address)),
    ("network-interface.association.allocation-id", |d| {
        each(&d.elastic, |address| of_primary(d, address).then_some(address.id))
    }),
    ("network-interface.association.association-id", |d| {
        each(&d.elastic, |address| association_id(address).filter(|_| of_primary(d, address)))
    }),
    ("network-interface.association.ip-owner-id", association!(ip_owner_id)),
    ("network-interface.association.public-dns-name", association!(public_dns_name)),
    ("network-interface.association.public-ip", association!(public_ip)),
    ("network-interface.attachment.attach-time", attachment!(attach_time)),
    ("network-interface.attachment.attachment-id", attachment!(attachment_id)),
    ("network-interface.attachment.delete-on-termination", attachment!(delete_on_termination)),
    ("network-interface.attachment.device-index", attachment!(device_index)),
    ("network-interface.attachment.instance-id", of!(instance_id)),
    ("network-interface.attachment.instance-owner-id", |d| vec![d.owner.clone()]),
    ("network-interface.attachment.network-card-index", attachment!(network_card_index)),
    ("network-interface.attachment.status", attachment!(status)),
    ("network-interface.availability-zone", of!(placement.availability_zone)),
    ("network-interface.description", eni!(description)),
    ("network-interface.group-id", eni_list!(groups.group_id)),
    ("network-interface.group-name", eni_list!(groups.group_name)),
    ("network-interface.ipv4-prefixes.ipv4-prefix", eni_list!(ipv4_prefixes.ipv4_prefix)),
    ("network-interface.ipv6-address", eni_list!(ipv6_addresses.ipv6_address)),
    ("network-interface.ipv6-addresses.ipv6-address", eni_list!(ipv6_addresses.ipv6_address)),
    ("network-interface.ipv6-addresses.is-primary-ipv6", eni_list!(ipv6_addresses.is_primary_ipv6)),
    ("network-interface.ipv6-prefixes.ipv6-prefix", eni_list!(ipv6_prefixes.ipv6_prefix)),
    ("network-interface.mac-address", eni!(mac_address)),
    ("network-interface.network-interface-id", eni!(network_interface_id)),
    ("network-interface.operator.managed", |d| {
        each(&d.instance.network_interfaces, |eni| eni.operator.as_ref().and_then(|operator| operator.managed))
    }),
    ("network-interface.owner-id", eni!(owner_id)),
    ("network-interface.private-dns-name", eni!(private_dns_name)),
    ("network-interface.private-ip-address", eni!(private_ip_address)),
    ("network-interface.requester-id", |d| each(&d.enis, |eni| eni.requester.clone())),
    ("network-interface.requester-managed", |d| each(&d.enis, |eni| Some(eni.requester_managed))),
    ("network-interface.source-dest-check", eni!(source_dest_check)),
    ("network-interface.status", eni!(status)),
    ("network-interface.subnet-id", eni!(subnet_id)),
    ("network-interface.vpc-id", eni!(vpc_id)),
    ("operator.managed", of!(operator.managed)),
    ("owner-id", |d| vec![d.owner.clone()]),
    ("platform-details", of!(platform_details)),
    ("private-dns-name", of!(private_dns_name)),
    (
        "private-dns-name-options.enable-resource-name-dns-a-record",
        of!(private_dns_name_options.enable_resource_name_dns_a_record),
    ),
    (
        "private-dns-name-options.enable-resource-name-dns-aaaa-record",
        of!(private_dns_name_options.enable_resource_name_dns_aaaa_record),
    ),
    ("private-dns-name-options.hostname-type", of!(private_dns_name_options.hostname_type)),
    ("private-ip-address", of!(private_ip_address)),
    ("reason", of!(state_transition_reason)),
    ("reservation-id", |d| vec![d.reservation.clone()]),
    ("root-device-name", of!(root_device_name)),
    ("root-device-type", of!(root_device_type)),
    ("source-dest-check", of!(source_dest_check)),
    ("state-reason-code", of!(state_reason.code)),
    ("state-reason-message", of!(state_reason.message)),
    ("subnet-id", of!(subnet_id)),
    ("tenancy", of!(placement.tenancy)),
    ("usage-operation", of!(usage_operation)),
    ("usage-operation-update-time", of!(usage_operation_update_time)),
    ("virtualization-type", of!(virtualization_type)),
    ("vpc-id", of!(vpc_id)),
];
