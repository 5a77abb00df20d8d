//! `IpPermissions` and the older flat parameters, taken apart into single rules: one protocol, one port range, one
//! peer each, as EC2 keeps them.

use super::{is_plain_text, traffic};
use crate::{Context, block};
use gp_ec2::{ApiError, shapes};
use gp_model::{RulePeer, SecurityGroup, SecurityGroupRule, TrafficMatch};
use std::fmt;
use std::sync::Arc;

/// One rule as a request describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub traffic: TrafficMatch,
    pub peer: RulePeer,
    pub description: Option<String>,
}

impl Wanted {
    /// Is it that rule? Descriptions don't tell rules apart.
    pub(super) fn is(&self, rule: &SecurityGroupRule) -> bool {
        self.traffic == rule.traffic && self.peer == rule.peer
    }
}

/// As AWS's messages write a rule: `peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW`.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("peer: ")?;
        match self.peer {
            RulePeer::Ipv4(net) => write!(f, "{net}"),
            RulePeer::Ipv6(net) => write!(f, "{net}"),
            RulePeer::Group { group, .. } => write!(f, "{group}"),
            RulePeer::PrefixList(list) => write!(f, "{list}"),
        }?;
        write!(f, ", {}, ALLOW", traffic::described(self.traffic))
    }
}

/// The parameters from before `IpPermissions`, which describe one rule.
pub(super) struct Flat<'a> {
    pub protocol: Option<&'a str>,
    pub from_port: Option<i64>,
    pub to_port: Option<i64>,
    pub cidr: Option<&'a str>,
    pub group_name: Option<&'a str>,
    pub group_owner: Option<&'a str>,
}

/// The flat parameters of a request; four actions have them under the same names.
macro_rules! flat {
    ($request:ident) => {
        $crate::security_group::permission::Flat {
            protocol: $request.ip_protocol.as_deref(),
            from_port: $request.from_port,
            to_port: $request.to_port,
            cidr: $request.cidr_ip.as_deref(),
            group_name: $request.source_security_group_name.as_deref(),
            group_owner: $request.source_security_group_owner_id.as_deref(),
        }
    };
}
pub(super) use flat;

impl Flat<'_> {
    /// None of them given.
    pub(super) const NONE: Flat<'static> =
        Flat { protocol: None, from_port: None, to_port: None, cidr: None, group_name: None, group_owner: None };

    fn is_empty(&self) -> bool {
        self.protocol.is_none() && self.cidr.is_none() && self.group_name.is_none()
    }
}

/// Every rule that a request about `group` describes, in its order.
///
/// # Errors
/// `InvalidParameterValue`, `InvalidParameterCombination`, `MissingParameter`, `InvalidGroup.NotFound`,
/// `InvalidPrefixListID.NotFound`.
pub(super) fn wanted(
    ctx: &Context<'_>,
    group: &SecurityGroup,
    permissions: &[shapes::IpPermission],
    flat: &Flat<'_>,
) -> Result<Vec<Wanted>, ApiError> {
    let rules = match (permissions.is_empty(), flat.is_empty()) {
        (false, false) => {
            let message = "The parameter ipPermissions cannot be used with the parameters ipProtocol, cidrIp and \
                           sourceSecurityGroupName";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        (true, true) => return Err(ApiError::missing_parameter("ipPermissions")),
        (false, true) => {
            let mut rules = Vec::new();
            for permission in permissions {
                expand(ctx, group, permission, &mut rules)?;
            }
            rules
        }
        (true, false) => from_flat(ctx, group, flat)?,
    };
    let repeated = |(i, rule): (usize, &Wanted)| {
        rules[..i].iter().any(|earlier| earlier.traffic == rule.traffic && earlier.peer == rule.peer)
    };
    if rules.iter().enumerate().any(repeated) {
        return Err(invalid("The same permission must not appear multiple times"));
    }
    Ok(rules)
}

fn expand(
    ctx: &Context<'_>,
    group: &SecurityGroup,
    permission: &shapes::IpPermission,
    rules: &mut Vec<Wanted>,
) -> Result<(), ApiError> {
    let traffic = traffic::parse(permission.ip_protocol.as_deref(), permission.from_port, permission.to_port)?;
    let before = rules.len();
    let mut add = |peer, text: &Option<String>| {
        description(text).map(|description| rules.push(Wanted { traffic, peer, description }))
    };
    for range in &permission.ip_ranges {
        add(ipv4(range.cidr_ip.as_deref())?, &range.description)?;
    }
    for range in &permission.ipv6_ranges {
        add(ipv6(range.cidr_ipv6.as_deref())?, &range.description)?;
    }
    for pair in &permission.user_id_group_pairs {
        add(pair_peer(ctx, group, pair)?, &pair.description)?;
    }
    for list in &permission.prefix_list_ids {
        add(prefix_list(ctx, list.prefix_list_id.as_deref())?, &list.description)?;
    }
    if rules.len() == before {
        return Err(no_peer());
    }
    Ok(())
}

fn from_flat(ctx: &Context<'_>, group: &SecurityGroup, flat: &Flat<'_>) -> Result<Vec<Wanted>, ApiError> {
    let rule = |traffic, peer| Wanted { traffic, peer, description: None };
    match (flat.group_name, flat.cidr) {
        (Some(_), _) if flat.cidr.is_some() || flat.protocol.is_some() => {
            let message = "The parameter sourceSecurityGroupName cannot be used with the parameters cidrIp and \
                           ipProtocol";
            Err(ApiError::client("InvalidParameterCombination", message))
        }
        // A named source group means all of TCP, UDP and ICMP.
        (Some(name), _) => {
            let peer = peer_group(ctx, group, None, Some(name), flat.group_owner)?;
            let every = [("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1)];
            let traffic = |(protocol, from, to)| traffic::parse(Some(protocol), Some(from), Some(to));
            every.into_iter().map(|every| Ok(rule(traffic(every)?, peer))).collect()
        }
        (None, Some(cidr)) => {
            Ok(vec![rule(traffic::parse(flat.protocol, flat.from_port, flat.to_port)?, ipv4(Some(cidr))?)])
        }
        (None, None) => Err(no_peer()),
    }
}

fn no_peer() -> ApiError {
    let message = "Missing source specification: include source security group or CIDR information";
    ApiError::client("MissingParameter", message)
}

/// # Errors
/// `InvalidParameterValue`.
pub(super) fn ipv4(text: Option<&str>) -> Result<RulePeer, ApiError> {
    let text = text.ok_or_else(|| ApiError::missing_parameter("cidrIp"))?;
    block::parse_ipv4(text, "cidrIp").map(RulePeer::Ipv4).map_err(|_| malformed(text))
}

/// # Errors
/// `InvalidParameterValue`.
pub(super) fn ipv6(text: Option<&str>) -> Result<RulePeer, ApiError> {
    let text = text.ok_or_else(|| ApiError::missing_parameter("cidrIpv6"))?;
    block::parse_ipv6(text, "cidrIpv6").map(RulePeer::Ipv6).map_err(|_| malformed(text))
}

/// # Errors
/// `InvalidPrefixListID.NotFound`, `InvalidPrefixListId.Malformed`, `MissingParameter`.
pub(super) fn prefix_list(ctx: &Context<'_>, id: Option<&str>) -> Result<RulePeer, ApiError> {
    let id = id.ok_or_else(|| ApiError::missing_parameter("prefixListId"))?;
    ctx.prefix_list(id).map(|list| RulePeer::PrefixList(list.id))
}

fn malformed(text: &str) -> ApiError {
    invalid(format!("CIDR block {text} is malformed"))
}

fn pair_peer(ctx: &Context<'_>, group: &SecurityGroup, pair: &shapes::UserIdGroupPair) -> Result<RulePeer, ApiError> {
    if pair.vpc_peering_connection_id.is_some() {
        return Err(ApiError::unsupported("VPC peering is not supported by Groundplane."));
    }
    let vpc_id = group.vpc.to_string();
    if pair.vpc_id.as_ref().is_some_and(|id| *id != vpc_id) {
        return Err(other_network());
    }
    peer_group(ctx, group, pair.group_id.as_deref(), pair.group_name.as_deref(), pair.user_id.as_deref())
}

/// A group as a rule's peer: one of the same VPC, by id or by name.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`, `MissingParameter`.
pub(super) fn peer_group(
    ctx: &Context<'_>,
    group: &SecurityGroup,
    id: Option<&str>,
    name: Option<&str>,
    owner: Option<&str>,
) -> Result<RulePeer, ApiError> {
    let given = id.or(name).ok_or_else(|| ApiError::missing_parameter("groupId"))?;
    let not_found =
        || ApiError::client("InvalidGroup.NotFound", format!("The security group '{given}' does not exist"));
    // Another account's group could only be reached over a peering connection.
    if owner.is_some_and(|owner| owner != ctx.account().to_string()) {
        return Err(not_found());
    }
    let peer: Arc<SecurityGroup> = match id {
        Some(id) => ctx.security_group(id)?,
        None => {
            let found = ctx.world().group_named(group.vpc, given).filter(|other| other.name == given);
            found.cloned().ok_or_else(not_found)?
        }
    };
    if peer.vpc != group.vpc {
        return Err(other_network());
    }
    Ok(RulePeer::Group { group: peer.id, owner: peer.owner })
}

fn other_network() -> ApiError {
    let message = "You have specified two resources that belong to different networks.";
    ApiError::client("InvalidGroup.NotFound", message)
}

/// A rule's description; an empty one is none.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn description(text: &Option<String>) -> Result<Option<String>, ApiError> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) if is_plain_text(text) => Ok(Some(text.to_owned())),
        Some(_) => Err(invalid(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following \
             set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}
