//! What of a record decides about packets.
//!
//! Whatever rests on a record is decided again when the record changes. Much of a record no stage ever reads: tags and texts,
//! and what only the API, the services of a VPC or the host obey. A change of that alone concerns no packet.

use gp_model::{PrefixListChange, Record, Timestamp};

/// The record with all of that blanked. Where two are equal, [`crate::trace`] can't tell them apart.
///
/// What is not blanked counts, so a field that comes later counts until it is named here.
pub fn decisive(mut record: Record) -> Record {
    match &mut record {
        Record::Vpc(vpc) => {
            vpc.tags.clear();
            vpc.dhcp_options = None;
            (vpc.dns_support, vpc.dns_hostnames, vpc.network_address_usage_metrics) = (false, false, false);
        }
        Record::Subnet(subnet) => {
            subnet.tags.clear();
            (subnet.map_public_ip_on_launch, subnet.assign_ipv6_address_on_creation) = (false, false);
            (subnet.enable_dns64, subnet.hostname_type) = (false, gp_model::HostnameType::IpName);
            (subnet.resource_name_dns_a_record, subnet.resource_name_dns_aaaa_record) = (false, false);
        }
        Record::RouteTable(table) => table.tags.clear(),
        Record::NetworkAcl(acl) => acl.tags.clear(),
        Record::InternetGateway(gateway) => gateway.tags.clear(),
        Record::EgressOnlyInternetGateway(gateway) => gateway.tags.clear(),
        Record::NatGateway(gateway) => gateway.tags.clear(),
        Record::SecurityGroup(group) => {
            group.tags.clear();
            group.name.clear();
            group.description.clear();
            for rule in group.rules.values_mut() {
                rule.tags.clear();
                rule.description = None;
            }
        }
        Record::PrefixList(list) => blank_prefix_list(list),
        Record::Eni(eni) => blank_eni(eni),
        Record::Instance(instance) => blank_instance(instance),
        Record::Address(address) => {
            address.tags.clear();
            address.domain_name = None;
        }
        Record::TrunkAssociation(association) => association.tags.clear(),
        Record::Account(_)
        | Record::AddressTransfer(_)
        | Record::ClientToken(_)
        | Record::DhcpOptions(_)
        | Record::KeyPair(_)
        | Record::SubnetCidrReservation(_) => {}
    }
    record
}

fn blank_eni(eni: &mut gp_model::Eni) {
    eni.tags.clear();
    eni.description.clear();
    // Of connections that there are: sweeps read it.
    eni.connection_tracking = gp_model::ConnectionTracking::default();
    (eni.associate_public_ip, eni.primary_ipv6) = (false, false);
    eni.last_attachment = None;
    if let Some(attachment) = &mut eni.attachment {
        (attachment.attached_at, attachment.delete_on_termination) = (Timestamp(0), false);
    }
}

fn blank_instance(instance: &mut gp_model::Instance) {
    instance.tags.clear();
    instance.state_reason = None;
    instance.state_transition_reason.clear();
    (instance.launched_at, instance.terminated_at) = (Timestamp(0), None);
    (instance.user_data, instance.client_token) = (None, None);
    (instance.disable_api_termination, instance.disable_api_stop) = (false, false);
    instance.shutdown_behavior.clear();
    (instance.ebs_optimized, instance.monitoring, instance.cpu_credits) = (false, false, None);
    instance.metadata = gp_model::MetadataOptions::default();
}

/// Only the entries of today act.
fn blank_prefix_list(list: &mut gp_model::PrefixList) {
    list.tags.clear();
    list.name.clear();
    (list.max_entries, list.last_change) = (0, PrefixListChange::default());
    let former = list.versions.len().saturating_sub(1);
    list.versions.drain(..former);
    for version in &mut list.versions {
        version.version = 0;
        version.entries.iter_mut().for_each(|entry| entry.description = None);
    }
}
