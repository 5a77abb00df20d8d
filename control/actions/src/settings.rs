//! What an operator may set: quotas with AWS's defaults, how many zones a region has, and its public addresses.
//!
//! Source of the defaults: VPC user guide, "Amazon VPC quotas"; EC2 user guide, "Amazon EC2 service quotas".

use gp_model::{GuestKind, PublicPools, Region};

/// Settings of the planner, the same for every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Limits per account and region.
    pub quotas: Quotas,
    /// Zones of a region, named from `a` on. `us-east-1` has its six whatever stands here. At most 26.
    pub zones_per_region: usize,
    /// Kind of guest of launches that name none.
    pub guest: GuestKind,
    /// Where public IPv4 addresses come from.
    pub public_pool: PublicPools,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quotas: Quotas::default(),
            zones_per_region: 3,
            guest: GuestKind::Sandbox,
            public_pool: PublicPools::new(Region::new("us-east-1")),
        }
    }
}

macro_rules! quotas {
    ($($(#[$doc:meta])* $name:ident = $default:expr $(, at most $most:expr)?;)*) => {
        /// Limits per account and region, as AWS has them for a new account.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Quotas { $($(#[$doc])* pub $name: usize,)* }

        impl Default for Quotas {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Quotas {
            /// Every quota: its name as an operator writes it, and its value.
            pub fn named(&self) -> Vec<(String, usize)> {
                vec![$((stringify!($name).replace('_', "-"), self.$name),)*]
            }

            /// The quota with that name, and the most that AWS raises it to if it says so.
            fn slot(&mut self, name: &str) -> Option<(&mut usize, usize)> {
                match name.replace('-', "_").as_str() {
                    $(stringify!($name) => Some((&mut self.$name, [$($most,)? usize::MAX][0])),)*
                    _ => None,
                }
            }
        }
    };
}

quotas! {
    /// `VpcLimitExceeded`.
    vpcs = 5;
    /// `SubnetLimitExceeded`.
    subnets_per_vpc = 200;
    /// `CidrLimitExceeded`; the primary block counts.
    ipv4_cidrs_per_vpc = 5, at most 50;
    /// `CidrLimitExceeded`.
    ipv6_cidrs_per_vpc = 5, at most 50;
    /// `RouteTableLimitExceeded`; the main table counts.
    route_tables_per_vpc = 200;
    /// `RouteLimitExceeded`; IPv4 and IPv6 each. Local routes don't count, and a prefix list counts as many as it may
    /// have entries.
    routes_per_table = 50, at most 1000;
    /// `NetworkAclLimitExceeded`; the default list counts.
    network_acls_per_vpc = 200;
    /// `NetworkAclEntryLimitExceeded`; per direction, IPv4 and IPv6 each. The final deny counts.
    entries_per_network_acl = 20, at most 40;
    /// `PrefixListLimitExceeded`.
    prefix_lists = 100;
    /// Highest `MaxEntries`.
    entries_per_prefix_list = 1000;
    /// Versions that a list keeps; the oldest makes room.
    versions_per_prefix_list = 1000;
    /// `SecurityGroupLimitExceeded`.
    security_groups = 2500;
    /// `RulesPerSecurityGroupLimitExceeded`; per direction, IPv4 and IPv6 each. A rule that names a prefix list counts as
    /// many as that may have entries.
    rules_per_security_group = 60, at most 1000;
    /// `SecurityGroupsPerInterfaceLimitExceeded`.
    security_groups_per_eni = 5, at most 16;
    /// `NetworkInterfaceLimitExceeded`.
    enis = 5000;
    /// `NetworkAddressUsageLimitExceeded`.
    network_address_units_per_vpc = 64_000, at most 256_000;
    /// `AddressLimitExceeded`; Elastic IP addresses.
    addresses = 5;
    /// `NatGatewayLimitExceeded`; per zone. Failed and deleted ones don't count.
    nat_gateways_per_zone = 5;
    /// `NatGatewayAddressLimitExceeded`; private addresses of a NAT gateway, the primary one included.
    private_addresses_per_nat_gateway = 8;
    /// `NatGatewayAddressLimitExceeded`; Elastic IP addresses of a public NAT gateway, the primary one's included.
    addresses_per_nat_gateway = 2, at most 8;
    /// `TagLimitExceeded`.
    tags_per_resource = 50;
    /// `VcpuLimitExceeded`; virtual CPUs of the instances that run.
    vcpus = 1152;
    /// `KeyPairLimitExceeded`.
    key_pairs = 5000;
    /// User data before base64, in bytes.
    user_data_bytes = 16 * 1024;
}

/// Rules that one ENI's groups may come to: groups per ENI times rules per group.
const RULES_PER_ENI: usize = 1000;

/// Why quotas can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    #[error("'{0}' is not of the form NAME=VALUE, as in enis=10000")]
    NotAnAssignment(String),
    #[error("there is no quota '{given}'; there are: {known}")]
    Unknown { given: String, known: String },
    #[error("the quota {name} is a number that is not negative, not '{value}'")]
    NotANumber { name: String, value: String },
    #[error("the quota {name} can be raised to {most} at most, as on AWS")]
    TooLarge { name: String, most: usize },
    #[error(
        "security-groups-per-eni times rules-per-security-group may not be more than {RULES_PER_ENI}, as on AWS; it is \
         {groups} times {rules}"
    )]
    TooManyRules { groups: usize, rules: usize },
}

impl Quotas {
    /// The defaults with these assignments, `enis=10000`; of two for one quota the later one holds.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn with<'a>(assignments: impl IntoIterator<Item = &'a str>) -> Result<Self, QuotaError> {
        let mut quotas = Self::default();
        assignments.into_iter().try_for_each(|assignment| quotas.assign(assignment))?;
        let (groups, rules) = (quotas.security_groups_per_eni, quotas.rules_per_security_group);
        if groups.saturating_mul(rules) > RULES_PER_ENI {
            return Err(QuotaError::TooManyRules { groups, rules });
        }
        Ok(quotas)
    }

    fn assign(&mut self, assignment: &str) -> Result<(), QuotaError> {
        let Some((name, value)) = assignment.split_once('=').map(|(name, value)| (name.trim(), value.trim())) else {
            return Err(QuotaError::NotAnAssignment(assignment.to_owned()));
        };
        let known = self.named().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let Some((slot, most)) = self.slot(name) else {
            return Err(QuotaError::Unknown { given: name.to_owned(), known });
        };
        let not_a_number = |_| QuotaError::NotANumber { name: name.to_owned(), value: value.to_owned() };
        let value = value.parse().map_err(not_a_number)?;
        if value > most {
            return Err(QuotaError::TooLarge { name: name.to_owned(), most });
        }
        *slot = value;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_raised_by_name() {
        let quotas = Quotas::with(["enis=10000", "security-groups-per-eni = 16", "vpcs=6", "vpcs=7"]).unwrap();
        assert_eq!((quotas.enis, quotas.security_groups_per_eni, quotas.vpcs), (10_000, 16, 7));
        assert_eq!(quotas.key_pairs, Quotas::default().key_pairs);
    }

    #[test]
    fn what_is_no_quota_is_refused_with_what_would_be_one() {
        let refusal = |text: &str| Quotas::with([text]).unwrap_err().to_string();
        assert!(
            refusal("elephants=3").starts_with("there is no quota 'elephants'; there are: vpcs, subnets-per-vpc, ")
        );
        assert_eq!(refusal("enis"), "'enis' is not of the form NAME=VALUE, as in enis=10000");
        assert_eq!(refusal("enis=many"), "the quota enis is a number that is not negative, not 'many'");
        assert_eq!(refusal("enis=-1"), "the quota enis is a number that is not negative, not '-1'");
        assert_eq!(
            refusal("security-groups-per-eni=17"),
            "the quota security-groups-per-eni can be raised to 16 at most, as on AWS"
        );
        let both = Quotas::with(["security-groups-per-eni=16", "rules-per-security-group=100"]).unwrap_err();
        assert_eq!(both, QuotaError::TooManyRules { groups: 16, rules: 100 });
    }

    #[test]
    fn every_quota_is_documented_with_its_default() {
        let page = include_str!("../../../docs/quotas.md");
        for (name, default) in Quotas::default().named() {
            assert!(page.contains(&format!("| `{name}` | {default} |")), "docs/quotas.md lacks {name} = {default}");
        }
    }
}
