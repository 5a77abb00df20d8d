//! DescribeInstanceTypes and DescribeInstanceTypeOfferings, from the catalogue. Every type is offered everywhere.
//!
//! What the catalogue doesn't know (disks, clocks, accelerators) is left out rather than guessed.

use crate::filter::{Filter, Tagged, one};
use crate::page::Query;
use crate::{Context, zones_of};
use gp_catalog::{EnaSupport, Hypervisor, InstanceType, NetworkCard, catalog};
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    DefaultConnectionTrackingConfiguration, DescribeInstanceTypeOfferingsRequest, DescribeInstanceTypeOfferingsResult,
    DescribeInstanceTypesRequest, DescribeInstanceTypesResult, EbsInfo, EfaInfo, InstanceTypeInfo,
    InstanceTypeOffering, MemoryInfo, NetworkCardInfo, NetworkInfo, PlacementGroupInfo, ProcessorInfo, Tag, VCpuInfo,
};

impl Tagged for InstanceTypeInfo {
    fn tags(&self) -> &[Tag] {
        &[]
    }
}

impl Tagged for InstanceTypeOffering {
    fn tags(&self) -> &[Tag] {
        &[]
    }
}

/// A filter on a member of the network part.
macro_rules! network {
    ($member:ident) => {
        |kind| one(&kind.network_info.as_ref().and_then(|network| network.$member.clone()))
    };
}

/// A filter on a member of the part on volumes.
macro_rules! ebs {
    ($member:ident) => {
        |kind| one(&kind.ebs_info.as_ref().and_then(|ebs| ebs.$member.clone()))
    };
}

const TYPE_FILTERS: &[Filter<InstanceTypeInfo>] = &[
    ("bare-metal", |kind| one(&kind.bare_metal)),
    ("burstable-performance-supported", |kind| one(&kind.burstable_performance_supported)),
    ("ebs-info.ebs-optimized-support", ebs!(ebs_optimized_support)),
    ("ebs-info.encryption-support", ebs!(encryption_support)),
    ("ebs-info.nvme-support", ebs!(nvme_support)),
    ("current-generation", |kind| one(&kind.current_generation)),
    ("free-tier-eligible", |kind| one(&kind.free_tier_eligible)),
    ("hibernation-supported", |kind| one(&kind.hibernation_supported)),
    ("hypervisor", |kind| one(&kind.hypervisor)),
    ("instance-type", |kind| one(&kind.instance_type)),
    ("memory-info.size-in-mib", |kind| one(&kind.memory_info.as_ref().and_then(|memory| memory.size_in_mi_b))),
    ("network-info.bandwidth-weightings", |kind| {
        kind.network_info.iter().flat_map(|network| network.bandwidth_weightings.clone()).collect()
    }),
    ("network-info.efa-info.maximum-efa-interfaces", |kind| {
        let efa = kind.network_info.as_ref().and_then(|network| network.efa_info.as_ref());
        one(&efa.and_then(|efa| efa.maximum_efa_interfaces))
    }),
    ("network-info.efa-supported", network!(efa_supported)),
    ("network-info.ena-support", network!(ena_support)),
    ("network-info.encryption-in-transit-supported", network!(encryption_in_transit_supported)),
    ("network-info.flexible-ena-queues-support", network!(flexible_ena_queues_support)),
    ("network-info.ipv4-addresses-per-interface", network!(ipv4_addresses_per_interface)),
    ("network-info.ipv6-addresses-per-interface", network!(ipv6_addresses_per_interface)),
    ("network-info.ipv6-supported", network!(ipv6_supported)),
    ("network-info.maximum-network-cards", network!(maximum_network_cards)),
    ("network-info.maximum-network-interfaces", network!(maximum_network_interfaces)),
    ("network-info.network-performance", network!(network_performance)),
    ("processor-info.supported-architecture", |kind| {
        kind.processor_info.iter().flat_map(|processor| processor.supported_architectures.clone()).collect()
    }),
    ("supported-root-device-type", |kind| kind.supported_root_device_types.clone()),
    ("supported-usage-class", |kind| kind.supported_usage_classes.clone()),
    ("supported-virtualization-type", |kind| kind.supported_virtualization_types.clone()),
    ("vcpu-info.default-vcpus", |kind| one(&kind.v_cpu_info.as_ref().and_then(|vcpu| vcpu.default_v_cpus))),
];

/// # Errors
/// `InvalidInstanceType` for an unknown name, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &DescribeInstanceTypesRequest,
) -> Result<DescribeInstanceTypesResult, ApiError> {
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.instance_types.is_empty(), "instanceTypes"),
    };
    let shapes = chosen(&request.instance_types)?.into_iter().map(shape);
    let key = |kind: &InstanceTypeInfo| kind.instance_type.clone().unwrap_or_default();
    let (instance_types, next_token) = ctx.list(shapes, query, TYPE_FILTERS, key)?;
    Ok(DescribeInstanceTypesResult { instance_types, next_token })
}

fn chosen(names: &[String]) -> Result<Vec<&'static InstanceType>, ApiError> {
    if names.is_empty() {
        return Ok(catalog().iter().collect());
    }
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| catalog().get(name).is_none()).collect();
    if !unknown.is_empty() {
        let message = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        return Err(ApiError::client("InvalidInstanceType", message));
    }
    Ok(names.iter().filter_map(|name| catalog().get(name)).collect())
}

fn shape(kind: &InstanceType) -> InstanceTypeInfo {
    let hypervisor = match kind.hypervisor {
        Hypervisor::Nitro => Some("nitro"),
        Hypervisor::Xen => Some("xen"),
        Hypervisor::Metal => None,
    };
    InstanceTypeInfo {
        instance_type: Some(kind.name.clone()),
        current_generation: Some(kind.current_generation),
        free_tier_eligible: Some(matches!(kind.name.as_str(), "t2.micro" | "t3.micro")),
        supported_usage_classes: vec!["on-demand".to_owned()],
        supported_root_device_types: vec!["ebs".to_owned()],
        supported_virtualization_types: vec!["hvm".to_owned()],
        bare_metal: Some(kind.is_bare_metal()),
        hypervisor: hypervisor.map(str::to_owned),
        processor_info: Some(ProcessorInfo {
            supported_architectures: kind.architectures.clone(),
            ..Default::default()
        }),
        v_cpu_info: Some(VCpuInfo { default_v_cpus: Some(kind.vcpus.into()), ..Default::default() }),
        memory_info: Some(MemoryInfo { size_in_mi_b: i64::try_from(kind.memory_mib).ok() }),
        ebs_info: Some(no_volumes()),
        network_info: Some(network_info(kind)),
        placement_group_info: Some(PlacementGroupInfo {
            supported_strategies: kind.placement_strategies.iter().map(|strategy| strategy.name().to_owned()).collect(),
        }),
        hibernation_supported: Some(false),
        burstable_performance_supported: Some(kind.burstable),
        dedicated_hosts_supported: Some(false),
        supported_in_region: Some(true),
        ..Default::default()
    }
}

/// There are no volumes. The part is there all the same, since Terraform's look-up of a type needs it.
fn no_volumes() -> EbsInfo {
    let unsupported = || Some("unsupported".to_owned());
    EbsInfo {
        ebs_optimized_support: unsupported(),
        encryption_support: unsupported(),
        nvme_support: unsupported(),
        ..Default::default()
    }
}

fn network_info(kind: &InstanceType) -> NetworkInfo {
    let support = |supported: bool| Some(if supported { "supported" } else { "unsupported" }.to_owned());
    NetworkInfo {
        network_performance: Some(kind.network_performance.clone()),
        maximum_network_interfaces: Some(kind.max_enis.into()),
        maximum_network_cards: i64::try_from(kind.cards.len()).ok(),
        default_network_card_index: Some(kind.default_card.into()),
        network_cards: kind.cards.iter().zip(0..).map(|(card, index)| card_info(kind, card, index)).collect(),
        ipv4_addresses_per_interface: Some(kind.ipv4_per_eni.into()),
        ipv6_addresses_per_interface: Some(kind.ipv6_per_eni.into()),
        ipv6_supported: Some(kind.ipv6_per_eni > 0),
        ena_support: Some(kind.ena.name().to_owned()),
        efa_supported: Some(kind.max_efas > 0),
        efa_info: (kind.max_efas > 0).then(|| EfaInfo { maximum_efa_interfaces: Some(kind.max_efas.into()) }),
        encryption_in_transit_supported: Some(kind.encryption_in_transit),
        ena_srd_supported: Some(kind.ena_srd),
        bandwidth_weightings: kind.bandwidth_weightings.clone(),
        flexible_ena_queues_support: support(kind.flexible_ena_queues),
        connection_tracking_configuration: Some(DefaultConnectionTrackingConfiguration {
            default_tcp_established_timeout: Some(kind.conntrack.tcp_established_secs.into()),
            default_udp_stream_timeout: Some(kind.conntrack.udp_stream_secs.into()),
            default_udp_timeout: Some(kind.conntrack.udp_secs.into()),
        }),
        ..Default::default()
    }
}

fn card_info(kind: &InstanceType, card: &NetworkCard, index: i64) -> NetworkCardInfo {
    // Queues are ENA's.
    let queues = (kind.ena != EnaSupport::Unsupported).then_some(i64::from(card.default_ena_queues));
    NetworkCardInfo {
        network_card_index: Some(index),
        network_performance: Some(kind.network_performance.clone()),
        maximum_network_interfaces: Some(card.max_enis.into()),
        baseline_bandwidth_in_gbps: Some(card.baseline_gbps),
        peak_bandwidth_in_gbps: Some(card.peak_gbps),
        default_ena_queue_count_per_interface: queues,
        ..Default::default()
    }
}

// === Offerings ===

const OFFERING_FILTERS: &[Filter<InstanceTypeOffering>] =
    &[("instance-type", |offering| one(&offering.instance_type)), ("location", |offering| one(&offering.location))];

/// # Errors
/// `UnsupportedOperation` for Outposts, and those of [`Context::list`].
pub(crate) fn describe_offerings(
    ctx: &Context<'_>,
    request: &DescribeInstanceTypeOfferingsRequest,
) -> Result<DescribeInstanceTypeOfferingsResult, ApiError> {
    let location_type = request.location_type.as_deref().unwrap_or("region");
    let zones = zones_of(ctx.region(), ctx.settings);
    let locations: Vec<String> = match location_type {
        "region" => vec![ctx.region().to_string()],
        "availability-zone" => zones.iter().map(|facts| facts.zone.to_string()).collect(),
        "availability-zone-id" => zones.iter().map(|facts| facts.id.clone()).collect(),
        other => return Err(ApiError::unsupported(format!("The location type {other} is not supported."))),
    };
    let offering = |kind: &InstanceType, location: &String| InstanceTypeOffering {
        instance_type: Some(kind.name.clone()),
        location_type: Some(location_type.to_owned()),
        location: Some(location.clone()),
    };
    let offerings = catalog().iter().flat_map(|kind| locations.iter().map(move |location| offering(kind, location)));
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, ""),
    };
    let key = |offering: &InstanceTypeOffering| {
        let part = |value: &Option<String>| value.clone().unwrap_or_default();
        format!("{}/{}", part(&offering.instance_type), part(&offering.location))
    };
    let (instance_type_offerings, next_token) = ctx.list(offerings, query, OFFERING_FILTERS, key)?;
    let result = DescribeInstanceTypeOfferingsResult { instance_type_offerings, next_token };
    Ok(result)
}

#[cfg(test)]
mod tests {
    use crate::testing::{Lab, values};

    #[test]
    fn types_are_described_filtered_and_paged() {
        let mut lab = Lab::new();
        let xml = lab.xml("Action=DescribeInstanceTypes&InstanceType.1=t2.micro");
        for (element, want) in [
            ("maximumNetworkInterfaces", "2"),
            ("ipv4AddressesPerInterface", "2"),
            ("sizeInMiB", "1024"),
            ("defaultVCpus", "1"),
            ("burstablePerformanceSupported", "true"),
            ("hypervisor", "xen"),
            ("nvmeSupport", "unsupported"),
        ] {
            assert_eq!(values(&xml, element).first().map(String::as_str), Some(want), "{element}");
        }
        let filter = |name: &str, value: &str| {
            format!("Action=DescribeInstanceTypes&Filter.1.Name={name}&Filter.1.Value.1={value}")
        };
        assert_eq!(lab.all(&filter("instance-type", "t2.*"), "instanceType").len(), 7);
        assert_eq!(lab.all(&filter("network-info.maximum-network-cards", "32"), "instanceType").len(), 2);
        assert!(lab.all(&filter("free-tier-eligible", "true"), "instanceType").contains(&"t3.micro".to_owned()));
        let first = lab.xml("Action=DescribeInstanceTypes&MaxResults=100");
        assert_eq!(values(&first, "instanceType").len(), 100);
        assert_eq!(values(&first, "nextToken").len(), 1);
        lab.refuses(&[
            (
                "Action=DescribeInstanceTypes&InstanceType.1=t9.huge",
                "InvalidInstanceType: The following supplied instance types do not exist: [t9.huge]",
            ),
            ("Action=DescribeInstanceTypes&MaxResults=101", "InvalidParameterValue: "),
        ]);
    }

    #[test]
    fn every_type_is_offered_in_every_zone() {
        let mut lab = Lab::new();
        let form = "Action=DescribeInstanceTypeOfferings&Filter.1.Name=instance-type&Filter.1.Value.1=t3.micro";
        assert_eq!(lab.all(form, "location"), ["us-east-1"]);
        assert_eq!(lab.all(&format!("{form}&LocationType=availability-zone"), "location").len(), 6);
        assert_eq!(lab.get(&format!("{form}&LocationType=availability-zone-id"), "location"), "use1-az1");
    }
}
