//! DHCP option sets. Only the account's default set exists so far.

use crate::Context;
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
