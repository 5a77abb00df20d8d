//! CreateTags, DeleteTags and DescribeTags, over everything that can have tags.

use crate::filter::{Filter, Tagged, one};
use crate::page::Query;
use crate::tag_spec::refuse_reserved;
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{
    Address, DhcpOptions, EgressOnlyInternetGateway, Eni, Instance, InternetGateway, KeyPair, NatGateway, NetworkAcl,
    PrefixList, RouteTable, SecurityGroup, SecurityGroupRuleId, Subnet, SubnetCidrReservation, Tags, Vpc,
};
use std::sync::Arc;

/// Most resources in one request.
const MAX_RESOURCES: usize = 1000;

macro_rules! taggable {
    ($($kind:ident($one:ident, $many:ident) = $prefix:literal, $name:literal;)*) => {
        /// A resource that can have tags. A rule is kept in its group.
        enum Resource {
            $($kind(Arc<$kind>),)*
            SecurityGroupRule(Arc<SecurityGroup>, SecurityGroupRuleId),
        }

        /// The caller's resource with that id.
        fn find(ctx: &Context<'_>, id: &str) -> Result<Resource, ApiError> {
            match id.split_once('-').map(|(prefix, _)| prefix) {
                $(Some($prefix) => ctx.$one(id).map(Resource::$kind),)*
                Some("sgr") => find_rule(ctx, id),
                Some("vol" | "snap" | "ami") => {
                    let message = format!("Tags of '{id}' are not supported by Groundplane.");
                    Err(ApiError::unsupported(message))
                }
                _ => Err(ApiError::client("InvalidID", format!("The ID '{id}' is not valid"))),
            }
        }

        /// Stores a resource's tags as `edit` leaves them.
        fn edit_tags(ctx: &mut Context<'_>, resource: &Resource, edit: impl Fn(&mut Tags)) -> Tags {
            match resource {
                $(Resource::$kind(entity) => ctx.edit(&**entity, |entity| edit(&mut entity.tags)).tags,)*
                Resource::SecurityGroupRule(group, id) => {
                    let group = ctx.edit(&**group, |group| {
                        if let Some(rule) = group.rules.get_mut(id) {
                            edit(&mut rule.tags);
                        }
                    });
                    group.rules.get(id).map(|rule| rule.tags.clone()).unwrap_or_default()
                }
            }
        }

        /// Every tag of the caller's resources.
        fn rows(ctx: &Context<'_>) -> Result<Vec<Row>, ApiError> {
            let mut rows = Vec::new();
            $(for entity in ctx.$many(&[])? {
                rows.extend(rows_of($name, &entity.id.to_string(), &entity.tags));
            })*
            for group in ctx.security_groups(&[])? {
                for rule in group.rules.values() {
                    rows.extend(rows_of("security-group-rule", &rule.id.to_string(), &rule.tags));
                }
            }
            Ok(rows)
        }
    };
}

taggable! {
    Vpc(vpc, vpcs) = "vpc", "vpc";
    Subnet(subnet, subnets) = "subnet", "subnet";
    RouteTable(route_table, route_tables) = "rtb", "route-table";
    NetworkAcl(network_acl, network_acls) = "acl", "network-acl";
    InternetGateway(internet_gateway, internet_gateways) = "igw", "internet-gateway";
    DhcpOptions(dhcp_options, dhcp_options_sets) = "dopt", "dhcp-options";
    SecurityGroup(security_group, security_groups) = "sg", "security-group";
    Eni(eni, enis) = "eni", "network-interface";
    Instance(instance, instances) = "i", "instance";
    SubnetCidrReservation(subnet_cidr_reservation, subnet_cidr_reservations) = "scr", "subnet-cidr-reservation";
    KeyPair(key_pair, key_pairs) = "key", "key-pair";
    PrefixList(prefix_list, prefix_lists) = "pl", "prefix-list";
    Address(address, addresses) = "eipalloc", "elastic-ip";
    NatGateway(nat_gateway, nat_gateways) = "nat", "natgateway";
    EgressOnlyInternetGateway(egress_only_internet_gateway, egress_only_internet_gateways) = "eigw",
        "egress-only-internet-gateway";
}

fn find_rule(ctx: &Context<'_>, text: &str) -> Result<Resource, ApiError> {
    let words = lookup::SECURITY_GROUP_RULE;
    let id: SecurityGroupRuleId = words.parse(text)?;
    let group = ctx.world().group_of_rule(id).filter(|group| group.owner == ctx.account());
    group.map(|group| Resource::SecurityGroupRule(group.clone(), id)).ok_or_else(|| words.not_found(&[text]))
}

/// All resources get all tags, or none gets any.
///
/// # Errors
/// The resources' `….NotFound`, `InvalidID`, `InvalidParameterValue`, `TagLimitExceeded`, `UnsupportedOperation`.
pub(crate) fn create(ctx: &mut Context<'_>, request: &shapes::CreateTagsRequest) -> Result<(), ApiError> {
    let tags = ctx.checked_tags(&request.tags)?;
    check_resources(ctx, &request.resources)?;
    for id in &request.resources {
        // Looked up again: two rules of one group are one record.
        let resource = find(ctx, id)?;
        let now = edit_tags(ctx, &resource, |old| old.extend(tags.clone()));
        ctx.check_tag_count(&now)?;
    }
    Ok(())
}

/// A tag without a value goes whatever its value; with one, only if it has that value. Without tags, all go.
///
/// # Errors
/// The resources' `….NotFound`, `InvalidID`, `InvalidParameterValue`, `UnsupportedOperation`.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteTagsRequest) -> Result<(), ApiError> {
    for tag in &request.tags {
        refuse_reserved(tag.key.as_deref().unwrap_or_default())?;
    }
    check_resources(ctx, &request.resources)?;
    let goes = |key: &String, value: &String| {
        let named = |tag: &shapes::Tag| {
            tag.key.as_ref() == Some(key) && tag.value.as_ref().is_none_or(|wanted| wanted == value)
        };
        request.tags.is_empty() || request.tags.iter().any(named)
    };
    for id in &request.resources {
        let resource = find(ctx, id)?;
        edit_tags(ctx, &resource, |tags| tags.retain(|key, value| !goes(key, value)));
    }
    Ok(())
}

fn check_resources(ctx: &Context<'_>, ids: &[String]) -> Result<(), ApiError> {
    if ids.is_empty() {
        return Err(ApiError::missing_parameter("resourceIdSet"));
    }
    if ids.len() > MAX_RESOURCES {
        let message = format!("A request may name at most {MAX_RESOURCES} resources.");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    ids.iter().try_for_each(|id| find(ctx, id).map(drop))
}

/// A tag as DescribeTags lists it.
struct Row {
    resource_type: &'static str,
    resource_id: String,
    tag: [shapes::Tag; 1],
}

impl Tagged for Row {
    fn tags(&self) -> &[shapes::Tag] {
        &self.tag
    }
}

fn rows_of(resource_type: &'static str, id: &str, tags: &Tags) -> Vec<Row> {
    let row = |(key, value): (&String, &String)| Row {
        resource_type,
        resource_id: id.to_owned(),
        tag: [shapes::Tag { key: Some(key.clone()), value: Some(value.clone()) }],
    };
    tags.iter().map(row).collect()
}

/// # Errors
/// Those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeTagsRequest,
) -> Result<shapes::DescribeTagsResult, ApiError> {
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "resourceIds"),
    };
    let key = |row: &Row| format!("{} {}", row.resource_id, row.tag[0].key.as_deref().unwrap_or_default());
    let (rows, next_token) = ctx.list(rows(ctx)?, query, FILTERS, key)?;
    let shape = |row: Row| {
        let [tag] = row.tag;
        shapes::TagDescription {
            key: tag.key,
            resource_id: Some(row.resource_id),
            resource_type: Some(row.resource_type.into()),
            value: tag.value,
        }
    };
    Ok(shapes::DescribeTagsResult { next_token, tags: rows.into_iter().map(shape).collect() })
}

const FILTERS: &[Filter<Row>] = &[
    ("key", |r| one(&r.tag[0].key)),
    ("resource-id", |r| vec![r.resource_id.clone()]),
    ("resource-type", |r| vec![r.resource_type.to_owned()]),
    ("value", |r| one(&r.tag[0].value)),
];

#[cfg(test)]
mod tests {
    use crate::testing::{Lab, values};

    #[test]
    fn tags_are_set_overwritten_listed_and_taken_away() {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=DescribeVpcs", "vpcId");
        let rules = lab.all("Action=DescribeSecurityGroupRules", "securityGroupRuleId");
        let [one, two] = rules.as_slice() else { panic!("the default group has two rules: {rules:?}") };
        let create = |value: &str| {
            format!(
                "Action=CreateTags&ResourceId.1={one}&ResourceId.2={two}&ResourceId.3={vpc}&Tag.1.Key=Name\
                 &Tag.1.Value={value}&Tag.2.Key=empty"
            )
        };
        lab.xml(&create("old"));
        lab.xml(&create("new"));
        let xml = lab.xml("Action=DescribeTags");
        let kinds =
            ["security-group-rule", "security-group-rule", "security-group-rule", "security-group-rule", "vpc", "vpc"];
        assert_eq!(values(&xml, "resourceType"), kinds);
        let of_vpc = format!("Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1={vpc}");
        assert_eq!(lab.all(&of_vpc, "key"), ["Name", "empty"]);
        let named = "Action=DescribeTags&Filter.1.Name=tag:Name&Filter.1.Value.1=ne*&Filter.2.Name=resource-type\
                     &Filter.2.Value.1=vpc";
        assert_eq!(lab.all(named, "value"), ["new"]);
        assert_eq!(lab.all("Action=DescribeVpcs&Filter.1.Name=tag:Name&Filter.1.Value.1=new", "vpcId"), [vpc.as_str()]);
        assert_eq!(lab.all("Action=DescribeVpcs&Filter.1.Name=tag-key&Filter.1.Value.1=empty", "vpcId").len(), 1);

        lab.xml(&format!("Action=DeleteTags&ResourceId.1={vpc}&Tag.1.Key=Name&Tag.1.Value=old&Tag.2.Key=absent"));
        assert_eq!(lab.all(&of_vpc, "key"), ["Name", "empty"], "another value stays");
        lab.xml(&format!("Action=DeleteTags&ResourceId.1={vpc}&Tag.1.Key=Name"));
        assert_eq!(lab.all(&of_vpc, "key"), ["empty"]);
        lab.xml(&format!("Action=DeleteTags&ResourceId.1={vpc}&ResourceId.2={one}"));
        assert_eq!(lab.all("Action=DescribeTags", "resourceId"), [two.as_str(), two.as_str()]);
    }

    #[test]
    fn tags_page() {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=DescribeVpcs", "vpcId");
        let tags: String = (1..=7).map(|i| format!("&Tag.{i}.Key=k{i}&Tag.{i}.Value=v")).collect();
        lab.xml(&format!("Action=CreateTags&ResourceId.1={vpc}{tags}"));
        let first = lab.xml("Action=DescribeTags&MaxResults=5");
        assert_eq!(values(&first, "key").len(), 5);
        let token = &values(&first, "nextToken")[0];
        assert_eq!(lab.all(&format!("Action=DescribeTags&MaxResults=5&NextToken={token}"), "key"), ["k6", "k7"]);
    }

    #[test]
    fn bad_tags_are_refused_and_none_is_set() {
        let mut lab = Lab::new();
        let vpc = lab.get("Action=DescribeVpcs", "vpcId");
        let create = |rest: &str| format!("Action=CreateTags&ResourceId.1={vpc}{rest}");
        let many: String = (1..=51).map(|i| format!("&Tag.{i}.Key=k{i}&Tag.{i}.Value=v")).collect();
        let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
        lab.refuses(&[
            ("Action=CreateTags&Tag.1.Key=a", "MissingParameter"),
            (&create(""), "MissingParameter"),
            (&create("&Tag.1.Key=aws:x&Tag.1.Value=y"), "InvalidParameterValue: Tag keys starting with 'aws:'"),
            (&create("&Tag.1.Key=AWS:x&Tag.1.Value=y"), "InvalidParameterValue"),
            (&create("&Tag.1.Key=&Tag.1.Value=y"), "InvalidParameterValue"),
            (&create(&format!("&Tag.1.Key={long_key}")), "InvalidParameterValue"),
            (&create(&format!("&Tag.1.Key=a&Tag.1.Value={long_value}")), "InvalidParameterValue"),
            (&create("&Tag.1.Key=a&Tag.2.Key=a"), "InvalidParameterValue: Duplicate tag key 'a' specified."),
            (&create(&many), "TagLimitExceeded"),
            (&create("&ResourceId.2=vpc-00000000000000fff&Tag.1.Key=a"), "InvalidVpcID.NotFound"),
            (&create("&ResourceId.2=thing&Tag.1.Key=a"), "InvalidID: The ID 'thing' is not valid"),
            (&create("&ResourceId.2=sgr-00000000000000fff&Tag.1.Key=a"), "InvalidSecurityGroupRuleId.NotFound"),
            (&create("&ResourceId.2=vol-00000000000000fff&Tag.1.Key=a"), "UnsupportedOperation"),
            (
                "Action=CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=subnet\
                 &TagSpecification.1.Tag.1.Key=a",
                "InvalidParameterValue: 'subnet' is not a valid taggable resource type for this operation.",
            ),
            (
                "Action=CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=vpc",
                "InvalidParameterValue: Tag specification must have at least one tag",
            ),
        ]);
        assert_eq!(lab.all("Action=DescribeTags", "key"), Vec::<String>::new());
    }
}
