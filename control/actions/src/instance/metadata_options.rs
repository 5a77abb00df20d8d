//! Instance metadata options: checked, defaulted, changed.

use crate::Context;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    InstanceMetadataOptionsRequest, InstanceMetadataOptionsResponse, ModifyInstanceMetadataOptionsRequest,
    ModifyInstanceMetadataOptionsResult,
};
use gp_model::{InstanceState, MetadataOptions};

/// Longest way of a token's answer, in hops (EC2 `HttpPutResponseHopLimit`).
const MAX_HOPS: i64 = 64;

/// The options of a launch: AWS's defaults, stricter for images that ask for IMDSv2, under what the caller sets.
///
/// # Errors
/// `InvalidParameterValue` for a hop limit out of range.
pub(super) fn of_launch(
    image: &gp_catalog::Image,
    given: Option<&InstanceMetadataOptionsRequest>,
) -> Result<MetadataOptions, ApiError> {
    let mut options = MetadataOptions::default();
    if image.imds_v2 {
        options.http_tokens = "required".to_owned();
        options.http_put_response_hop_limit = 2;
    }
    if let Some(given) = given {
        let changes = Changes {
            http_tokens: &given.http_tokens,
            hop_limit: given.http_put_response_hop_limit,
            http_endpoint: &given.http_endpoint,
            http_protocol_ipv6: &given.http_protocol_ipv6,
            instance_metadata_tags: &given.instance_metadata_tags,
        };
        changes.apply(&mut options)?;
    }
    Ok(options)
}

/// The options that a request sets; the decoder has checked the words.
struct Changes<'a> {
    http_tokens: &'a Option<String>,
    hop_limit: Option<i64>,
    http_endpoint: &'a Option<String>,
    http_protocol_ipv6: &'a Option<String>,
    instance_metadata_tags: &'a Option<String>,
}

impl Changes<'_> {
    fn apply(&self, options: &mut MetadataOptions) -> Result<(), ApiError> {
        let set = |option: &mut String, given: &Option<String>| {
            if let Some(given) = given {
                option.clone_from(given);
            }
        };
        set(&mut options.http_tokens, self.http_tokens);
        set(&mut options.http_endpoint, self.http_endpoint);
        set(&mut options.http_protocol_ipv6, self.http_protocol_ipv6);
        set(&mut options.instance_metadata_tags, self.instance_metadata_tags);
        if let Some(hops) = self.hop_limit {
            if !(1..=MAX_HOPS).contains(&hops) {
                let why = format!("Expecting 1 to {MAX_HOPS}.");
                return Err(ApiError::invalid_value(hops, "HttpPutResponseHopLimit", why));
            }
            options.http_put_response_hop_limit = hops as u32;
        }
        Ok(())
    }
}

pub(super) fn shape(options: &MetadataOptions, state: &str) -> InstanceMetadataOptionsResponse {
    InstanceMetadataOptionsResponse {
        state: Some(state.to_owned()),
        http_tokens: Some(options.http_tokens.clone()),
        http_put_response_hop_limit: Some(options.http_put_response_hop_limit.into()),
        http_endpoint: Some(options.http_endpoint.clone()),
        http_protocol_ipv6: Some(options.http_protocol_ipv6.clone()),
        instance_metadata_tags: Some(options.instance_metadata_tags.clone()),
    }
}

/// # Errors
/// `InvalidInstanceID.NotFound`, `IncorrectInstanceState` once it is being terminated, `InvalidParameterValue`.
pub(crate) fn modify_metadata_options(
    ctx: &mut Context<'_>,
    request: &ModifyInstanceMetadataOptionsRequest,
) -> Result<ModifyInstanceMetadataOptionsResult, ApiError> {
    let instance = ctx.instance(request.instance_id.as_deref().unwrap_or_default())?;
    if matches!(instance.state, InstanceState::ShuttingDown | InstanceState::Terminated) {
        let message = format!("The instance '{}' is not in a state from which it can be modified.", instance.id);
        return Err(ApiError::client("IncorrectInstanceState", message));
    }
    let mut options = instance.metadata.clone();
    let changes = Changes {
        http_tokens: &request.http_tokens,
        hop_limit: request.http_put_response_hop_limit,
        http_endpoint: &request.http_endpoint,
        http_protocol_ipv6: &request.http_protocol_ipv6,
        instance_metadata_tags: &request.instance_metadata_tags,
    };
    changes.apply(&mut options)?;
    ctx.edit(&*instance, |instance| instance.metadata = options.clone());
    Ok(ModifyInstanceMetadataOptionsResult {
        instance_id: Some(instance.id.to_string()),
        instance_metadata_options: Some(shape(&options, "pending")),
    })
}
