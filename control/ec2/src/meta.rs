//! What the model says about each action beyond its shapes: required parameters, filters, page bounds.
//!
//! The table holds every EC2 action of the model, also those that no shapes are generated for yet, so that a
//! coverage page can list them.

use crate::request::Service;

/// One filter of a Describe action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterMeta {
    /// The filter's name. `tag` stands for `tag:<key>`.
    pub name: &'static str,
    /// The values that AWS documents; empty if it does not enumerate them.
    pub values: &'static [&'static str],
}

/// Bounds of `MaxResults`. The decoder enforces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMeta {
    /// Smallest page that may be asked for.
    pub min: i64,
    /// Largest page that may be asked for.
    pub max: i64,
}

/// One action of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionMeta {
    /// Name on the wire.
    pub name: &'static str,
    /// The part of the service it belongs to: `vpc`, `subnet`, `sg`, `eni`, …
    pub area: &'static str,
    /// The service whose protocol it speaks.
    pub service: Service,
    /// Whether shapes are generated for it, so that it can be decoded.
    pub generated: bool,
    /// Names of the required parameters; the decoder enforces them.
    pub required: &'static [&'static str],
    /// The filters that it accepts; empty if it has none.
    pub filters: &'static [FilterMeta],
    /// Bounds of `MaxResults`, if it pages.
    pub page: Option<PageMeta>,
    /// Whether it has `DryRun`.
    pub dry_run: bool,
    /// Whether it has `ClientToken`.
    pub client_token: bool,
}

impl ActionMeta {
    /// Whether a request may use the filter `name` (`tag:<key>` is the filter `tag`).
    pub fn has_filter(&self, name: &str) -> bool {
        let name = if name.starts_with("tag:") { "tag" } else { name };
        self.filters.iter().any(|filter| filter.name == name)
    }
}

/// What is known about the action `name`, if it is in the model's table.
pub fn meta(name: &str) -> Option<&'static ActionMeta> {
    ACTIONS.binary_search_by_key(&name, |action| action.name).ok().map(|i| &ACTIONS[i])
}

/// Every action in the model's table, sorted by name.
pub fn all() -> &'static [ActionMeta] {
    ACTIONS
}

/// Whether `name` is an action of EC2, implemented or not.
pub fn is_ec2_action(name: &str) -> bool {
    meta(name).is_some_and(|action| action.service == Service::Ec2) || OTHER_ACTIONS.binary_search(&name).is_ok()
}

/// The names of all known actions, sorted: EC2's, and those of STS that are answered here.
pub fn all_action_names() -> Vec<&'static str> {
    let mut names: Vec<_> = ACTIONS.iter().map(|action| action.name).chain(OTHER_ACTIONS.iter().copied()).collect();
    names.sort_unstable();
    names
}

/// The names of the actions that can be decoded, sorted.
pub fn implemented_action_names() -> &'static [&'static str] {
    GENERATED
}

include!(concat!(env!("OUT_DIR"), "/meta.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_list_is_sorted_and_without_duplicates() {
        let sorted = |names: &[&str]| names.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(sorted(&all_action_names()));
        assert!(sorted(OTHER_ACTIONS));
        assert!(sorted(implemented_action_names()));
    }

    #[test]
    fn generated_actions_are_those_marked_so() {
        let marked: Vec<_> = all().iter().filter(|action| action.generated).map(|action| action.name).collect();
        assert_eq!(marked, implemented_action_names());
    }

    #[test]
    fn describe_vpcs_is_described() {
        let vpcs = meta("DescribeVpcs").expect("DescribeVpcs is in the table");
        assert_eq!(vpcs.page, Some(PageMeta { min: 5, max: 1000 }));
        assert!(vpcs.dry_run && vpcs.generated && !vpcs.client_token);
        assert!(vpcs.has_filter("tag:Name") && vpcs.has_filter("vpc-id") && !vpcs.has_filter("vpcid"));
        let state = vpcs.filters.iter().find(|filter| filter.name == "state").expect("it filters by state");
        assert_eq!(state.values, ["pending", "available"]);
        assert!(meta("RunInstances").is_some_and(|action| action.client_token));
        assert_eq!(meta("DescribeVpcsX"), None);
        assert!(meta("DescribeInstances").is_some_and(|action| action.has_filter("tag:Name")));
    }

    #[test]
    fn actions_outside_the_table_are_known_by_name() {
        assert!(is_ec2_action("CopyImage") && is_ec2_action("DescribeVpcs"));
        assert!(!is_ec2_action("GetCallerIdentity") && !is_ec2_action("MakeCoffee"));
    }
}
