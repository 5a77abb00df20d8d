//! Instance types: what limits an instance's ENIs, addresses, memory and bandwidth.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One type per line, keyed by its name; the short keys are those of [`Row`].
const BUILT_IN: &str = include_str!("../instance_types.json");

/// The built-in catalogue, parsed at first use.
pub fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::built_in);
    &CATALOG
}

/// Instance types by name.
#[derive(Debug, Clone)]
pub struct Catalog {
    types: BTreeMap<String, InstanceType>,
}

impl Catalog {
    /// Parses the table that is compiled in. Use [`catalog`] to parse it only once.
    pub fn built_in() -> Self {
        let rows: BTreeMap<String, Row> = serde_json::from_str(BUILT_IN).expect("the checked-in table is well-formed");
        let types = rows.into_iter().map(|(name, row)| (name.clone(), row.named(name))).collect();
        Self { types }
    }

    pub fn get(&self, name: &str) -> Option<&InstanceType> {
        self.types.get(name)
    }

    /// Every type, in name order.
    pub fn iter(&self) -> impl Iterator<Item = &InstanceType> {
        self.types.values()
    }

    pub fn len(&self) -> usize {
        self.types.len()
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct InstanceType {
    pub name: String,
    pub vcpus: u32,
    pub memory_mib: u64,
    pub hypervisor: Hypervisor,
    /// ENIs on all network cards together.
    pub max_enis: u32,
    /// Private IPv4 addresses per ENI: primary, secondary and /28 prefixes each take one.
    pub ipv4_per_eni: u32,
    /// IPv6 addresses and /80 prefixes per ENI; 0 where the type has no IPv6.
    pub ipv6_per_eni: u32,
    /// In order of card index; at least one.
    pub cards: Vec<NetworkCard>,
    pub default_card: u32,
    /// EC2's words for the bandwidth: `Up to 10 Gigabit`.
    pub network_performance: String,
    pub ena: EnaSupport,
    pub ena_srd: bool,
    /// EFA interfaces; 0 where the type has none.
    pub max_efas: u32,
    pub encryption_in_transit: bool,
    pub flexible_ena_queues: bool,
    /// Choices of BandwidthWeighting; empty where there is no choice.
    pub bandwidth_weightings: Vec<String>,
    /// May it carry a trunk ENI, and how many branches on it?
    pub trunk: bool,
    pub max_branch_enis: u32,
    pub conntrack: ConntrackDefaults,
    pub placement_strategies: Vec<PlacementStrategy>,
    /// EC2's names: `x86_64`, `arm64`, `i386`, `x86_64_mac`, `arm64_mac`.
    pub architectures: Vec<String>,
    pub current_generation: bool,
    /// Has CPU credits (the T families).
    pub burstable: bool,
}

impl InstanceType {
    /// `m5` of `m5.large`.
    pub fn family(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(family, _)| family)
    }

    pub fn is_bare_metal(&self) -> bool {
        self.hypervisor == Hypervisor::Metal
    }

    /// Only Nitro types (bare metal included) take delegated prefixes (EC2 user guide, "Prefix delegation").
    pub fn supports_prefixes(&self) -> bool {
        self.hypervisor != Hypervisor::Xen
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetworkCard {
    pub max_enis: u32,
    pub baseline_gbps: f64,
    pub peak_gbps: f64,
    pub default_ena_queues: u32,
}

/// Idle timeouts of tracked connections, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(from = "(u32, u32, u32)")]
pub struct ConntrackDefaults {
    pub tcp_established_secs: u32,
    pub udp_stream_secs: u32,
    pub udp_secs: u32,
}

impl From<(u32, u32, u32)> for ConntrackDefaults {
    fn from((tcp_established_secs, udp_stream_secs, udp_secs): (u32, u32, u32)) -> Self {
        Self { tcp_established_secs, udp_stream_secs, udp_secs }
    }
}

impl Default for ConntrackDefaults {
    /// 5 days, 3 minutes, 30 seconds (EC2 user guide, "Idle connection tracking timeout").
    fn default() -> Self {
        Self::from((432_000, 180, 30))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hypervisor {
    Nitro,
    Xen,
    Metal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnaSupport {
    Unsupported,
    Supported,
    Required,
}

impl EnaSupport {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Supported => "supported",
            Self::Required => "required",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementStrategy {
    Cluster,
    Partition,
    Spread,
}

impl PlacementStrategy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Partition => "partition",
            Self::Spread => "spread",
        }
    }

    fn from_letter(letter: char) -> Option<Self> {
        match letter {
            'C' => Some(Self::Cluster),
            'P' => Some(Self::Partition),
            'S' => Some(Self::Spread),
            _ => None,
        }
    }
}

/// A line of the table. The keys are short because there are some 1,400 lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    vcpu: u32,
    mem_mib: u64,
    hv: Hypervisor,
    enis: u32,
    v4: u32,
    v6: u32,
    def_card: u32,
    perf: String,
    ena: EnaSupport,
    #[serde(default)]
    trunk: bool,
    #[serde(default)]
    branch: u32,
    cur: bool,
    #[serde(default)]
    efa: u32,
    #[serde(default)]
    srd: bool,
    #[serde(default)]
    enc: bool,
    #[serde(default)]
    burst_cpu: bool,
    #[serde(default)]
    flexq: bool,
    #[serde(default)]
    bww: Vec<String>,
    #[serde(default)]
    conntrack: ConntrackDefaults,
    /// A letter per strategy.
    pg: String,
    arch: Vec<String>,
    /// Network cards, run-length coded.
    nc: Vec<Run>,
}

/// Count of equal cards, ENIs per card, baseline and peak Gbps, default ENA queues, and (not used) spare queues.
type Run = Vec<f64>;

impl Row {
    fn named(self, name: String) -> InstanceType {
        InstanceType {
            name,
            vcpus: self.vcpu,
            memory_mib: self.mem_mib,
            hypervisor: self.hv,
            max_enis: self.enis,
            ipv4_per_eni: self.v4,
            ipv6_per_eni: self.v6,
            cards: self.nc.iter().flat_map(|run| cards_of_run(run)).collect(),
            default_card: self.def_card,
            network_performance: self.perf,
            ena: self.ena,
            ena_srd: self.srd,
            max_efas: self.efa,
            encryption_in_transit: self.enc,
            flexible_ena_queues: self.flexq,
            bandwidth_weightings: self.bww,
            trunk: self.trunk,
            max_branch_enis: self.branch,
            conntrack: self.conntrack,
            placement_strategies: self.pg.chars().filter_map(PlacementStrategy::from_letter).collect(),
            architectures: self.arch,
            current_generation: self.cur,
            burstable: self.burst_cpu,
        }
    }
}

fn cards_of_run(run: &[f64]) -> Vec<NetworkCard> {
    let at = |index: usize| run.get(index).copied().unwrap_or_default();
    let card = NetworkCard {
        max_enis: at(1) as u32,
        baseline_gbps: at(2),
        peak_gbps: at(3),
        default_ena_queues: at(4) as u32,
    };
    vec![card; at(0) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_t2_micro_has_two_enis_of_two_addresses() {
        let t2 = catalog().get("t2.micro").unwrap();
        assert_eq!((t2.vcpus, t2.memory_mib), (1, 1024));
        assert_eq!((t2.max_enis, t2.ipv4_per_eni, t2.ipv6_per_eni), (2, 2, 2));
        assert_eq!((t2.hypervisor, t2.burstable, t2.ena), (Hypervisor::Xen, true, EnaSupport::Unsupported));
        assert_eq!(t2.architectures, ["i386", "x86_64"]);
        assert_eq!(t2.placement_strategies, [PlacementStrategy::Partition, PlacementStrategy::Spread]);
        assert_eq!(t2.conntrack, ConntrackDefaults::default());
    }

    #[test]
    fn cards_are_spelled_out_from_their_run_length_code() {
        let p5 = catalog().get("p5.48xlarge").unwrap();
        assert_eq!(p5.cards.len(), 32);
        assert_eq!(p5.cards.iter().map(|card| card.max_enis).sum::<u32>(), p5.max_enis);
        assert_eq!(p5.cards[31].peak_gbps, 100.0);
    }

    #[test]
    fn the_eighth_generation_forgets_idle_tcp_after_350_seconds() {
        assert_eq!(catalog().get("m8gn.48xlarge").unwrap().conntrack.tcp_established_secs, 350);
    }

    #[test]
    fn every_type_has_what_an_instance_needs() {
        assert_eq!(catalog().len(), 1395);
        for kind in catalog().iter() {
            assert!(kind.max_enis > 0 && kind.ipv4_per_eni > 0, "{kind:?}");
            assert!(kind.vcpus > 0 && kind.memory_mib > 0, "{kind:?}");
            assert!(!kind.cards.is_empty() && !kind.architectures.is_empty(), "{kind:?}");
            assert!((kind.default_card as usize) < kind.cards.len(), "{kind:?}");
        }
    }

    #[test]
    fn types_come_in_name_order() {
        let names: Vec<_> = catalog().iter().map(|kind| kind.name.as_str()).collect();
        assert!(names.is_sorted());
    }

    #[test]
    fn an_unknown_name_is_no_type() {
        assert!(catalog().get("m5.enormous").is_none());
    }
}
