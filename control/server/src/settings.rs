//! What an operator may set, and the bounds on what strangers may do.

use crate::keys::KeyRing;
use gp_model::Region;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    pub auth: Auth,
    /// The region of requests that name none.
    pub default_region: Region,
    pub limits: Limits,
    /// Quotas and zones.
    pub planner: gp_actions::Settings,
    /// Asked before a region's first record is made.
    pub region_gate: RegionGate,
}

/// Whether the host can serve a region that is not there yet; the sentence says why not.
#[derive(Clone)]
pub struct RegionGate(Arc<Check>);

type Check = dyn Fn(&Region) -> Result<(), String> + Send + Sync;

impl RegionGate {
    pub fn new(check: impl Fn(&Region) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// # Errors
    /// Why the host can't serve the region.
    pub(crate) fn check(&self, region: &Region) -> Result<(), String> {
        (self.0)(region)
    }
}

impl Default for RegionGate {
    /// Any region will do.
    fn default() -> Self {
        Self::new(|_region| Ok(()))
    }
}

impl fmt::Debug for RegionGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegionGate")
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: Auth::Lenient,
            default_region: Region::new(gp_ec2::sigv4::DEFAULT_REGION),
            limits: Limits::default(),
            planner: gp_actions::Settings::default(),
            region_gate: RegionGate::default(),
        }
    }
}

/// Whom to believe.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Everybody is who they say they are: for a machine's own users. Unsigned requests are of the default account.
    Lenient,
    /// Only requests signed with one of these keys are answered.
    Strict(KeyRing),
}

/// Bounds on time, size and number.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// For a request's head to arrive, and for an idle connection to be used again.
    pub head_wait: Duration,
    /// For a request's body to arrive.
    pub body_wait: Duration,
    /// Longest body. EC2's largest requests (a thousand ids, user data, lists of rules) have some 100 KB; together with
    /// `connections` this bounds the memory that strangers can take.
    pub body_bytes: usize,
    /// For one request from its head to its answer.
    pub request_wait: Duration,
    /// For the host to obey a change before it is answered.
    pub host_wait: Duration,
    /// For instances to end when an account is reset.
    pub reset_wait: Duration,
    /// For requests in hand to finish when the server is stopped.
    pub stop_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head_wait: Duration::from_secs(30),
            body_wait: Duration::from_secs(30),
            body_bytes: 1 << 20,
            request_wait: Duration::from_secs(60),
            host_wait: Duration::from_secs(5),
            reset_wait: Duration::from_secs(30),
            stop_wait: Duration::from_secs(5),
        }
    }
}
