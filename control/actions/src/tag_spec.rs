//! Tags as requests carry them: checked against AWS's limits and turned into the model's form and back.

use crate::Context;
use gp_ec2::{ApiError, shapes};
use gp_model::Tags;
use std::collections::BTreeMap;

const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// Tags that a request gives to what it creates, by AWS's name of the resource type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagSets(BTreeMap<String, Tags>);

impl TagSets {
    /// The tags for resources of that type.
    pub fn of(&self, resource_type: &str) -> Tags {
        self.0.get(resource_type).cloned().unwrap_or_default()
    }
}

impl Context<'_> {
    /// The tags of a request that creates resources of the types in `allowed`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for another type, an empty specification or a bad tag; `TagLimitExceeded`.
    pub fn tag_sets(&self, specs: &[shapes::TagSpecification], allowed: &[&str]) -> Result<TagSets, ApiError> {
        let mut sets = TagSets::default();
        for spec in specs {
            let Some(kind) = spec.resource_type.as_deref() else {
                return Err(invalid("Tag specification resource type must have a value".into()));
            };
            if !allowed.contains(&kind) {
                return Err(invalid(format!("'{kind}' is not a valid taggable resource type for this operation.")));
            }
            if spec.tags.is_empty() {
                return Err(invalid("Tag specification must have at least one tag".into()));
            }
            if sets.0.insert(kind.to_owned(), self.checked_tags(&spec.tags)?).is_some() {
                return Err(invalid("Tag specification resource types must be unique".into()));
            }
        }
        Ok(sets)
    }

    /// The tags of a request that creates resources of one type.
    ///
    /// # Errors
    /// As [`Context::tag_sets`].
    pub fn tags_for(&self, specs: &[shapes::TagSpecification], kind: &str) -> Result<Tags, ApiError> {
        Ok(self.tag_sets(specs, &[kind])?.of(kind))
    }

    /// Tags of a request, each key once.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a bad key or value; `TagLimitExceeded`.
    pub(crate) fn checked_tags(&self, given: &[shapes::Tag]) -> Result<Tags, ApiError> {
        let mut tags = Tags::new();
        for tag in given {
            let key = tag.key.clone().unwrap_or_default();
            let value = tag.value.clone().unwrap_or_default();
            check(&key, &value)?;
            if tags.contains_key(&key) {
                return Err(invalid(format!("Duplicate tag key '{key}' specified.")));
            }
            tags.insert(key, value);
        }
        self.check_tag_count(&tags)?;
        Ok(tags)
    }

    /// # Errors
    /// `TagLimitExceeded`.
    pub(crate) fn check_tag_count(&self, tags: &Tags) -> Result<(), ApiError> {
        if tags.len() <= self.settings.quotas.tags_per_resource {
            return Ok(());
        }
        let message = "The maximum number of Tags for a resource has been reached.";
        Err(ApiError::client("TagLimitExceeded", message))
    }
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if key.is_empty() {
        return Err(invalid("Tag key cannot be empty.".into()));
    }
    if key.chars().count() > MAX_KEY {
        return Err(invalid(format!("Tag key exceeds the maximum length of {MAX_KEY} characters")));
    }
    if value.chars().count() > MAX_VALUE {
        return Err(invalid(format!("Tag value exceeds the maximum length of {MAX_VALUE} characters")));
    }
    refuse_reserved(key)
}

/// # Errors
/// `InvalidParameterValue` for AWS's own tags.
pub(crate) fn refuse_reserved(key: &str) -> Result<(), ApiError> {
    let reserved = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    if reserved { Err(invalid("Tag keys starting with 'aws:' are reserved for internal use".into())) } else { Ok(()) }
}

fn invalid(message: String) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}

/// Tags as a reply shows them.
pub fn tag_list(tags: &Tags) -> Vec<shapes::Tag> {
    tags.iter().map(|(key, value)| shapes::Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}
