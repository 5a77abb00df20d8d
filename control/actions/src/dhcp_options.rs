//! DHCP option sets. Only the account's default set exists so far.

use crate::Context;
use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{DhcpOptions, DhcpOptionsId, Tags};

/// The set that the account's new VPCs point to; it is made with the first of them.
pub(crate) fn default_of_account(ctx: &mut Context<'_>) -> DhcpOptionsId {
    let owner = ctx.account();
    let existing = ctx.world().tables().dhcp_options.values().find(|set| set.owner == owner).map(|set| set.id);
    if let Some(id) = existing {
        return id;
    }
    let domain = match ctx.region().as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    let configurations = vec![
        ("domain-name".to_owned(), vec![domain]),
        ("domain-name-servers".to_owned(), vec!["AmazonProvidedDNS".to_owned()]),
    ];
    let id = ctx.draw(DhcpOptionsId::from_bits);
    ctx.put(DhcpOptions { id, owner, configurations, tags: Tags::new() });
    id
}

/// # Errors
/// `InvalidDhcpOptionID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeDhcpOptionsRequest,
) -> Result<shapes::DescribeDhcpOptionsResult, ApiError> {
    let sets = ctx.dhcp_options_sets(&request.dhcp_options_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.dhcp_options_ids.is_empty(), "dhcpOptionsIds"),
    };
    let key = |set: &shapes::DhcpOptions| set.dhcp_options_id.clone().unwrap_or_default();
    let (dhcp_options, next_token) = ctx.list(sets.iter().map(|set| shape(set)), query, FILTERS, key)?;
    Ok(shapes::DescribeDhcpOptionsResult { next_token, dhcp_options })
}

const FILTERS: &[Filter<shapes::DhcpOptions>] = &[
    ("dhcp-options-id", |d| one(&d.dhcp_options_id)),
    ("key", |d| each(&d.dhcp_configurations, |c| c.key.clone())),
    ("value", |d| d.dhcp_configurations.iter().flat_map(|c| each(&c.values, |v| v.value.clone())).collect()),
    ("owner-id", |d| one(&d.owner_id)),
];

fn shape(set: &DhcpOptions) -> shapes::DhcpOptions {
    let configuration = |(key, values): &(String, Vec<String>)| shapes::DhcpConfiguration {
        key: Some(key.clone()),
        values: values.iter().map(|value| shapes::AttributeValue { value: Some(value.clone()) }).collect(),
    };
    shapes::DhcpOptions {
        owner_id: Some(set.owner.to_string()),
        tags: tag_list(&set.tags),
        dhcp_options_id: Some(set.id.to_string()),
        dhcp_configurations: set.configurations.iter().map(configuration).collect(),
    }
}
