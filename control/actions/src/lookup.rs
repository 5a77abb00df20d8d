//! Typed look-ups: an id as the caller wrote it becomes one of the caller's entities, or AWS's refusal.
//!
//! Whoever is not the owner learns no more than that the id does not exist.

use crate::Context;
use gp_ec2::ApiError;
use gp_model::*;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// How AWS speaks about one kind of resource.
pub(crate) struct Words {
    /// `vpc ID`, as in "The vpc ID 'vpc-…' does not exist".
    noun: &'static str,
    /// Where AWS has no such code, a malformed id does not exist.
    malformed: Option<&'static str>,
    not_found: &'static str,
}

impl Words {
    pub(crate) fn not_found(&self, ids: &[&str]) -> ApiError {
        let message = match ids {
            // The one kind that AWS says it of in other words.
            ids if self.not_found == "NatGatewayNotFound" => format!("NAT gateway {} was not found", ids.join(", ")),
            [id] => format!("The {} '{id}' does not exist", self.noun),
            ids => format!("The {}s '{}' do not exist", self.noun, ids.join(", ")),
        };
        ApiError::client(self.not_found, message)
    }

    /// # Errors
    /// `….Malformed`, or `….NotFound` for kinds that have no such code.
    pub(crate) fn parse<I: FromStr<Err = ParseIdError>>(&self, text: &str) -> Result<I, ApiError> {
        text.parse().map_err(|error: ParseIdError| match self.malformed {
            Some(code) => ApiError::client(code, error.to_string()),
            None => self.not_found(&[text]),
        })
    }
}

macro_rules! lookups {
    ($(
        $one:ident $many:ident: $entity:ident($id:ty) in $table:ident,
            $words:ident = $noun:literal, $malformed:expr, $not_found:literal;
    )*) => {
        $(pub(crate) const $words: Words = Words { noun: $noun, malformed: $malformed, not_found: $not_found };)*

        impl Context<'_> {
            $(
                /// The caller's entity with that id.
                ///
                /// # Errors
                #[doc = concat!("`", $not_found, "`, or the kind's `….Malformed`.")]
                pub fn $one(&self, id: &str) -> Result<Arc<$entity>, ApiError> {
                    let parsed: $id = $words.parse(id)?;
                    let found = self.world().tables().$table.get(&parsed).filter(|e| e.owner == self.account());
                    found.cloned().ok_or_else(|| $words.not_found(&[id]))
                }

                /// The caller's entities with those ids; all of the caller's if none is given. In id order.
                ///
                /// # Errors
                #[doc = concat!("`", $not_found, "` naming all that don't exist, or the kind's `….Malformed`.")]
                pub fn $many(&self, ids: &[String]) -> Result<Vec<Arc<$entity>>, ApiError> {
                    let table = &self.world().tables().$table;
                    let own = |entity: &&Arc<$entity>| entity.owner == self.account();
                    if ids.is_empty() {
                        return Ok(table.values().filter(own).cloned().collect());
                    }
                    choose(ids, &$words, |id: &$id| table.get(id).filter(own).cloned())
                }
            )*
        }
    };
}

lookups! {
    vpc vpcs: Vpc(VpcId) in vpcs,
        VPC = "vpc ID", Some("InvalidVpcID.Malformed"), "InvalidVpcID.NotFound";
    subnet subnets: Subnet(SubnetId) in subnets,
        SUBNET = "subnet ID", None, "InvalidSubnetID.NotFound";
    route_table route_tables: RouteTable(RouteTableId) in route_tables,
        ROUTE_TABLE = "routeTable ID", Some("InvalidRouteTableId.Malformed"), "InvalidRouteTableID.NotFound";
    network_acl network_acls: NetworkAcl(NetworkAclId) in network_acls,
        NETWORK_ACL = "network acl ID", Some("InvalidNetworkAclId.Malformed"), "InvalidNetworkAclID.NotFound";
    internet_gateway internet_gateways: InternetGateway(InternetGatewayId) in internet_gateways,
        INTERNET_GATEWAY = "internetGateway ID", Some("InvalidInternetGatewayId.Malformed"),
        "InvalidInternetGatewayID.NotFound";
    dhcp_options dhcp_options_sets: DhcpOptions(DhcpOptionsId) in dhcp_options,
        DHCP_OPTIONS = "dhcpOption ID", Some("InvalidDhcpOptionsId.Malformed"), "InvalidDhcpOptionID.NotFound";
    security_group security_groups: SecurityGroup(SecurityGroupId) in security_groups,
        SECURITY_GROUP = "security group", Some("InvalidGroupId.Malformed"), "InvalidGroup.NotFound";
    eni enis: Eni(EniId) in enis,
        ENI = "networkInterface ID", Some("InvalidNetworkInterfaceId.Malformed"),
        "InvalidNetworkInterfaceID.NotFound";
    instance instances: Instance(InstanceId) in instances,
        INSTANCE = "instance ID", Some("InvalidInstanceID.Malformed"), "InvalidInstanceID.NotFound";
    subnet_cidr_reservation subnet_cidr_reservations: SubnetCidrReservation(SubnetCidrReservationId)
        in subnet_cidr_reservations,
        SUBNET_CIDR_RESERVATION = "subnet CIDR reservation ID", None, "InvalidSubnetCidrReservationID.NotFound";
    trunk_association trunk_associations: TrunkAssociation(TrunkAssociationId) in trunk_associations,
        TRUNK_ASSOCIATION = "association ID", None, "InvalidAssociationID.NotFound";
    address addresses: Address(AllocationId) in addresses,
        ADDRESS = "allocation ID", None, "InvalidAllocationID.NotFound";
    nat_gateway nat_gateways: NatGateway(NatGatewayId) in nat_gateways,
        NAT_GATEWAY = "NAT gateway", Some("NatGatewayMalformed"), "NatGatewayNotFound";
    egress_only_internet_gateway egress_only_internet_gateways: EgressOnlyInternetGateway(EgressOnlyInternetGatewayId)
        in egress_only_internet_gateways,
        EGRESS_ONLY_INTERNET_GATEWAY = "gateway ID", None, "InvalidGatewayID.NotFound";
    key_pair key_pairs: KeyPair(KeyPairId) in key_pairs,
        KEY_PAIR = "key pair", Some("InvalidKeyPairId.Malformed"), "InvalidKeyPair.NotFound";
    prefix_list prefix_lists: PrefixList(PrefixListId) in prefix_lists,
        PREFIX_LIST = "prefix list ID", Some("InvalidPrefixListId.Malformed"), "InvalidPrefixListID.NotFound";
}

/// Security group rules have no table of their own.
pub(crate) const SECURITY_GROUP_RULE: Words = Words {
    noun: "security group rule ID",
    malformed: Some("InvalidSecurityGroupRuleId.Malformed"),
    not_found: "InvalidSecurityGroupRuleId.NotFound",
};

/// Associations of route tables.
pub(crate) const ASSOCIATION: Words =
    Words { noun: "association ID", malformed: None, not_found: "InvalidAssociationID.NotFound" };

/// Associations of VPCs with blocks.
pub(crate) const VPC_CIDR_ASSOCIATION: Words = Words {
    noun: "vpc CIDR block association ID",
    malformed: None,
    not_found: "InvalidVpcCidrBlockAssociationID.NotFound",
};

/// Associations of subnets with blocks.
pub(crate) const SUBNET_CIDR_ASSOCIATION: Words = Words {
    noun: "subnet CIDR block association ID",
    malformed: None,
    not_found: "InvalidSubnetCidrBlockAssociationID.NotFound",
};

/// Finds every id of a list, each once and in id order. A malformed id is told before a missing one, as AWS reads
/// the whole list before it looks anything up.
fn choose<I, E>(ids: &[String], words: &Words, find: impl Fn(&I) -> Option<E>) -> Result<Vec<E>, ApiError>
where
    I: FromStr<Err = ParseIdError> + Ord + Display,
{
    let parsed = ids.iter().map(|id| words.parse::<I>(id)).collect::<Result<Vec<_>, _>>()?;
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for (id, text) in parsed.into_iter().zip(ids) {
        match find(&id) {
            Some(entity) => {
                found.insert(id, entity);
            }
            None => missing.push(text.as_str()),
        }
    }
    if missing.is_empty() { Ok(found.into_values().collect()) } else { Err(words.not_found(&missing)) }
}

impl Context<'_> {
    /// The caller's default VPC in this region.
    pub fn default_vpc(&self) -> Option<Arc<Vpc>> {
        let own = |vpc: &&Arc<Vpc>| vpc.owner == self.account() && vpc.is_default;
        self.world().tables().vpcs.values().find(own).cloned()
    }
}
