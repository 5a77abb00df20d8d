//! What an operator may set: quotas with AWS's defaults, and how many zones a region has.
//!
//! Source of the defaults: VPC user guide, "Amazon VPC quotas"; EC2 user guide, "Amazon EC2 service quotas".

/// Settings of the planner, the same for every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Limits per account and region.
    pub quotas: Quotas,
    /// Zones of a region, named from `a` on. `us-east-1` has its six whatever stands here. At most 26.
    pub zones_per_region: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { quotas: Quotas::default(), zones_per_region: 3 }
    }
}

/// Limits per account and region, as AWS has them for a new account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// `VpcLimitExceeded`.
    pub vpcs: usize,
    /// `SubnetLimitExceeded`.
    pub subnets_per_vpc: usize,
    /// `CidrLimitExceeded`; the primary block counts.
    pub ipv4_cidrs_per_vpc: usize,
    /// `CidrLimitExceeded`.
    pub ipv6_cidrs_per_vpc: usize,
    /// `RouteTableLimitExceeded`; the main table counts.
    pub route_tables_per_vpc: usize,
    /// `RouteLimitExceeded`; IPv4 and IPv6 each. Local routes don't count.
    pub routes_per_table: usize,
    /// `SecurityGroupLimitExceeded`.
    pub security_groups: usize,
    /// `RulesPerSecurityGroupLimitExceeded`; per direction, IPv4 and IPv6 each.
    pub rules_per_security_group: usize,
    /// `SecurityGroupsPerInterfaceLimitExceeded`.
    pub security_groups_per_eni: usize,
    /// `NetworkInterfaceLimitExceeded`.
    pub enis: usize,
    /// `TagLimitExceeded`.
    pub tags_per_resource: usize,
    /// `VcpuLimitExceeded`; virtual CPUs of the instances that run.
    pub vcpus: usize,
    /// `KeyPairLimitExceeded`.
    pub key_pairs: usize,
    /// User data before base64, in bytes.
    pub user_data_bytes: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            vpcs: 5,
            subnets_per_vpc: 200,
            ipv4_cidrs_per_vpc: 5,
            ipv6_cidrs_per_vpc: 5,
            route_tables_per_vpc: 200,
            routes_per_table: 50,
            security_groups: 2500,
            rules_per_security_group: 60,
            security_groups_per_eni: 5,
            enis: 5000,
            tags_per_resource: 50,
            vcpus: 1152,
            key_pairs: 5000,
            user_data_bytes: 16 * 1024,
        }
    }
}
