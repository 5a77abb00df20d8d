//! Volumes: there are none, since a sandbox's root is a view of the host's. Clients that ask get that answer.

use crate::Context;
use crate::filter::{Filter, Tagged};
use crate::page::Query;
use gp_ec2::ApiError;
use gp_ec2::shapes::{DescribeVolumesRequest, DescribeVolumesResult, Tag, Volume};
use gp_model::VolumeId;

impl Tagged for Volume {
    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

const FILTERS: &[Filter<Volume>] = &[];

/// # Errors
/// `InvalidVolume.NotFound` for any id, and those of [`Context::list`].
pub(crate) fn describe(ctx: &Context<'_>, request: &DescribeVolumesRequest) -> Result<DescribeVolumesResult, ApiError> {
    for id in &request.volume_ids {
        if id.parse::<VolumeId>().is_err() {
            return Err(ApiError::invalid_value(id, "VolumeId", "Expected: 'vol-...'."));
        }
    }
    if let Some(id) = request.volume_ids.first() {
        let message = format!("The volume '{id}' does not exist.");
        return Err(ApiError::client("InvalidVolume.NotFound", message));
    }
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "volumeSet"),
    };
    let (volumes, next_token) = ctx.list(std::iter::empty(), query, FILTERS, |_| String::new())?;
    Ok(DescribeVolumesResult { volumes, next_token })
}

#[cfg(test)]
mod tests {
    use crate::testing::Lab;

    #[test]
    fn there_are_no_volumes() {
        let mut lab = Lab::new();
        assert!(lab.all("Action=DescribeVolumes&Filter.1.Name=status&Filter.1.Value.1=in-use", "volumeId").is_empty());
        lab.refuses(&[
            (
                "Action=DescribeVolumes&VolumeId.1=vol-0123456789abcdef0",
                "InvalidVolume.NotFound: The volume 'vol-0123456789abcdef0' does not exist.",
            ),
            ("Action=DescribeVolumes&VolumeId.1=x", "InvalidParameterValue: "),
            ("Action=DescribeVolumes&Filter.1.Name=color", "InvalidParameterValue: "),
        ]);
    }
}
