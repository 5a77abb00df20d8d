//! User data: checked where it comes in, kept as it came.

use crate::Context;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use gp_ec2::ApiError;

/// Clients differ in how they pad.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The user data to keep: base64 in its usual form; nothing where it is empty.
///
/// # Errors
/// `InvalidParameterValue` for what is no base64, and for more than 16 KB before base64.
pub(super) fn check(ctx: &Context<'_>, given: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(given) = given else { return Ok(None) };
    let compact: String = given.split_ascii_whitespace().collect();
    let refuse = |message: String| ApiError::client("InvalidParameterValue", message);
    let raw = LENIENT.decode(compact).map_err(|_| refuse("Invalid BASE64 encoding of user data.".into()))?;
    let most = ctx.settings.quotas.user_data_bytes;
    if raw.len() > most {
        return Err(refuse(format!("User data is limited to {most} bytes")));
    }
    Ok((!raw.is_empty()).then(|| STANDARD.encode(raw)))
}
