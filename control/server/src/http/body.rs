//! Reading a request's body: bounded in size and time.

use crate::Limits;
use axum::body::{Body, Bytes, HttpBody};
use gp_ec2::ApiError;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::timeout;

/// How much of a body that is too long is read and thrown away. A client that is still sending sees the refusal only
/// when it has finished: a close before that makes its system drop what it has received.
const MAX_DRAINED_BYTES: usize = 32 << 20;
const MAX_DRAIN_WAIT: Duration = Duration::from_secs(2);

/// Reads a body.
///
/// # Errors
/// `RequestEntityTooLarge` (413), `RequestTimeout` (408), `IncompleteBody` (400).
pub(super) async fn read(mut body: Body, limits: &Limits) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let whole = timeout(limits.body_wait, append(&mut body, &mut bytes, limits.body_bytes)).await;
    match whole {
        Ok(Ok(End::Whole)) => Ok(bytes),
        Ok(Ok(End::TooLong)) => {
            // Only a courtesy: however it ends, the answer is the same.
            let _ = timeout(MAX_DRAIN_WAIT, drain(&mut body)).await;
            let message = format!("The request is longer than {} bytes.", limits.body_bytes);
            Err(ApiError { status: 413, ..ApiError::client("RequestEntityTooLarge", message) })
        }
        Ok(Err(_broken)) => Err(ApiError::client("IncompleteBody", "The request's body is broken off or malformed.")),
        Err(_elapsed) => {
            let message = "The request's body did not arrive in time.";
            Err(ApiError { status: 408, ..ApiError::client("RequestTimeout", message) })
        }
    }
}

enum End {
    Whole,
    TooLong,
}

async fn append(body: &mut Body, bytes: &mut Vec<u8>, most: usize) -> Result<End, axum::Error> {
    // A length that was announced needn't be waited for.
    if body.size_hint().lower() > most as u64 {
        return Ok(End::TooLong);
    }
    while let Some(data) = next(body).await? {
        if bytes.len() + data.len() > most {
            return Ok(End::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(End::Whole)
}

async fn drain(body: &mut Body) -> Result<(), axum::Error> {
    let mut drained = 0;
    while let Some(data) = next(body).await? {
        drained += data.len();
        if drained > MAX_DRAINED_BYTES {
            break;
        }
    }
    Ok(())
}

/// The next piece of data; `None` at the end. Trailers are empty pieces.
async fn next(body: &mut Body) -> Result<Option<Bytes>, axum::Error> {
    let frame = body.frame().await.transpose()?;
    Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
}
