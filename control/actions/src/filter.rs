//! `Filter.N`: which items of a listing the caller wants.
//!
//! A resource lists its filters as a table of name and function; the function gives the values that an item has.
//! Filters look at the item as it will be answered, so a filter can't disagree with what it lists. A filter fits if
//! any of its patterns fits any of the values; an item is listed if all filters fit. A filter that AWS documents and
//! that no item can have a value for fits nothing. Source: EC2 user guide, "Filter your resources".

use gp_ec2::filter::Pattern;
use gp_ec2::{ApiError, meta, shapes};

/// One filter: its name and the values that an item has for it.
pub type Filter<T> = (&'static str, fn(&T) -> Vec<String>);

const MAX_FILTERS: usize = 50;
const MAX_VALUES: usize = 200;

/// An item that may carry tags.
pub trait Tagged {
    fn tags(&self) -> &[shapes::Tag];
}

macro_rules! tagged {
    ($($shape:ident)*) => {$(
        impl Tagged for shapes::$shape {
            fn tags(&self) -> &[shapes::Tag] {
                &self.tags
            }
        }
    )*};
}
tagged! {
    Address NatGateway EgressOnlyInternetGateway
    Vpc Subnet RouteTable NetworkAcl InternetGateway DhcpOptions SecurityGroup SecurityGroupRule SecurityGroupForVpc
    PublicIpv4Pool Ipv6Pool ManagedPrefixList SubnetCidrReservation TrunkInterfaceAssociation
}

macro_rules! untagged {
    ($($shape:ident)*) => {$(
        impl Tagged for shapes::$shape {
            fn tags(&self) -> &[shapes::Tag] {
                &[]
            }
        }
    )*};
}
untagged!(
    AvailabilityZone Region StaleSecurityGroup PrefixList PrefixListEntry PrefixListAssociation Ipv6CidrAssociation
);

/// Checked filters, ready to judge items.
pub struct Filters<T: 'static> {
    wanted: Vec<(Judge<T>, Vec<Pattern>)>,
}

enum Judge<T: 'static> {
    Values(fn(&T) -> Vec<String>),
    Tag(String),
    TagKey,
    TagValue,
    /// Documented, and no item here has a value for it.
    Nothing,
}

impl<T: Tagged> Filters<T> {
    /// Checks the filters of a request of `action` against the table of the items.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a name that the action does not have; `FilterLimitExceeded` for too many.
    pub fn new(action: &str, given: &[shapes::Filter], table: &'static [Filter<T>]) -> Result<Self, ApiError> {
        let values: usize = given.iter().map(|filter| filter.values.len()).sum();
        if given.len() > MAX_FILTERS || values > MAX_VALUES {
            let message = format!("A request may have at most {MAX_FILTERS} filters and {MAX_VALUES} filter values.");
            return Err(ApiError::client("FilterLimitExceeded", message));
        }
        let mut wanted = Vec::with_capacity(given.len());
        for filter in given {
            let name = filter.name.as_deref().unwrap_or_default();
            let judge = judge(action, name, table)?;
            wanted.push((judge, filter.values.iter().map(|value| Pattern::new(value)).collect()));
        }
        Ok(Self { wanted })
    }

    /// Do all filters fit the item?
    pub fn fit(&self, item: &T) -> bool {
        self.wanted.iter().all(|(judge, patterns)| {
            let values = judge.values(item);
            patterns.iter().any(|pattern| values.iter().any(|value| pattern.matches(value)))
        })
    }
}

fn judge<T>(action: &str, name: &str, table: &'static [Filter<T>]) -> Result<Judge<T>, ApiError> {
    let documented = |name: &str| meta::meta(action).is_some_and(|action| action.has_filter(name));
    if let Some((_, values)) = table.iter().find(|(known, _)| *known == name) {
        return Ok(Judge::Values(*values));
    }
    let taggable = documented("tag") || documented("tag-key");
    match (name, name.strip_prefix("tag:")) {
        (_, Some(key)) if taggable => Ok(Judge::Tag(key.to_owned())),
        ("tag-key", _) if taggable => Ok(Judge::TagKey),
        ("tag-value", _) if taggable => Ok(Judge::TagValue),
        ("tag", _) => Err(invalid(name)),
        _ if documented(name) => Ok(Judge::Nothing),
        _ => Err(invalid(name)),
    }
}

fn invalid(name: &str) -> ApiError {
    ApiError::client("InvalidParameterValue", format!("The filter '{name}' is invalid"))
}

impl<T: Tagged> Judge<T> {
    fn values(&self, item: &T) -> Vec<String> {
        let tags = item.tags().iter();
        match self {
            Judge::Values(values) => values(item),
            Judge::Tag(wanted) => {
                tags.filter(|tag| tag.key.as_ref() == Some(wanted)).flat_map(|tag| tag.value.clone()).collect()
            }
            Judge::TagKey => tags.flat_map(|tag| tag.key.clone()).collect(),
            Judge::TagValue => tags.flat_map(|tag| tag.value.clone()).collect(),
            Judge::Nothing => Vec::new(),
        }
    }
}

/// The value of an optional scalar, as a filter sees it.
pub fn one<V: ToString>(value: &Option<V>) -> Vec<String> {
    value.iter().map(V::to_string).collect()
}

/// The values of a member over a list.
pub fn each<I, V: ToString>(items: &[I], value: impl Fn(&I) -> Option<V>) -> Vec<String> {
    items.iter().filter_map(value).map(|value| value.to_string()).collect()
}
