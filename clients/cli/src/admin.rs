//! HTTP over the admin socket of a running Groundplane.

use crate::place;
use anyhow::{Context, Result, anyhow};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct AdminClient {
    socket: PathBuf,
}

impl AdminClient {
    pub fn new(run_dir: &Path) -> Self {
        Self { socket: place::admin_socket(run_dir) }
    }

    /// # Errors
    /// Nothing listens on the socket, or the answer is an error: its sentence.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, Vec::new())
    }

    /// # Errors
    /// As [`AdminClient::get`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.call(Method::POST, path, serde_json::to_vec(body)?)
    }

    fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(async {
            tokio::time::timeout(TIMEOUT, self.exchange(method, path, body))
                .await
                .map_err(|_| anyhow!("no answer within {} s", TIMEOUT.as_secs()))?
        })?;
        serde_json::from_slice(&answer).context("the answer is not what this version expects")
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes> {
        let stream = tokio::net::UnixStream::connect(&self.socket).await.with_context(|| {
            format!("no Groundplane answers at {}; start one with 'groundplane up'", self.socket.display())
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "groundplane")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status.is_success() {
            return Ok(answer);
        }
        Err(anyhow!("{}", error_sentence(&answer).unwrap_or_else(|| format!("the answer was {status}"))))
    }
}

/// The sentence of an error answer: `{"error": "…"}`.
fn error_sentence(answer: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    value.get("error")?.as_str().map(str::to_owned)
}

/// An instance as the admin socket shows it.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
pub struct InstanceView {
    pub id: String,
    pub name: Option<String>,
    pub region: String,
    pub account: String,
    pub state: String,
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// The one instance that a text names: its id, or its Name tag where only one live instance has it.
///
/// # Errors
/// None or several fit.
pub fn find_instance(client: &AdminClient, wanted: &str) -> Result<InstanceView> {
    let all: Vec<InstanceView> = client.get("/instances")?;
    if let Some(found) = all.iter().find(|i| i.id == wanted) {
        return Ok(found.clone());
    }
    let named: Vec<_> = all.iter().filter(|i| i.name.as_deref() == Some(wanted) && i.state != "terminated").collect();
    match named.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(anyhow!("no instance has the id or Name tag '{wanted}'")),
        several => {
            let ids: Vec<_> = several.iter().map(|i| i.id.as_str()).collect();
            Err(anyhow!("'{wanted}' is the Name of several instances: {}; give an id", ids.join(", ")))
        }
    }
}
