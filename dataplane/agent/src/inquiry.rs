//! Questions to a running agent: why a packet gets through or not, what is counted, what a console says.

use crate::Agent;
use crate::reconciler::applied;
use gp_compile::HostView;
use gp_model::{Eni, EniId, InstanceId, VpcId, World};
use gp_slowpath::Now;
use gp_trace::explain::{PathView, WhyView};
use gp_trace::{Asker, Ingress, ParseProbeError, Probe, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What asks for the outside of the region as the place where a frame comes in.
const OUTSIDE: &str = "outside";

/// Flows that the status names, of those that are being dropped.
const DROPPED_FLOWS_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InquiryError {
    #[error("nothing has the id, address or Name tag '{0}'")]
    Unknown(String),
    #[error("'{wanted}' may mean {candidates}; give an id")]
    Ambiguous { wanted: String, candidates: String },
    #[error("'{0}' can't send packets from here: name an instance or ENI that runs")]
    NoSource(String),
    #[error("this is no frame that the VPC forwards: {0}")]
    Frame(String),
    #[error("{0}")]
    Other(String),
}

/// One end of a question.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) eni: Arc<Eni>,
    /// The address meant, where it isn't the ENI's first of the family in question.
    address: Option<IpAddr>,
}

impl Agent {
    /// What is counted, as one JSON object.
    pub fn status(&self) -> Value {
        let counters = self.engine.counters();
        let dropped = self.engine.dropped_flows(DROPPED_FLOWS_MAX, Now::read()).unwrap_or_else(|error| {
            tracing::warn!(error = crate::error::chain(&error), "the dropped flows can't be read");
            Vec::new()
        });
        json!({
            "applied_generation": applied(&self.applied).0,
            "flows": counters.flows,
            "connections": counters.connections,
            "enis": counters.enis,
            "upcalls": counters.totals.upcalls,
            "opened": counters.totals.opened,
            "evicted": counters.totals.evicted,
            "failures": counters.totals.failures,
            "drops": counters.drops,
            "dropped_flows": dropped,
            "nat_gateways": self.engine.nat_gateways().iter().map(|(id, counters)| (id.to_string(), json!(counters))).collect::<serde_json::Map<_, _>>(),
        })
    }

    /// How many packets have been dropped, by the reason's name.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        self.engine.counters().drops
    }

    /// An instance's console output, as far as it is kept.
    ///
    /// # Errors
    /// The id is none, or nothing was written yet.
    pub fn console(&self, instance: &str) -> Result<Vec<u8>, InquiryError> {
        let id: InstanceId = instance.parse().map_err(|_| InquiryError::Unknown(instance.to_owned()))?;
        let path = self.config.instance(id).console;
        match std::fs::read(&path) {
            Ok(output) => Ok(output),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(InquiryError::Other(format!("reading {}: {error}", path.display()))),
        }
    }

    /// Traces a first packet from one end to the other on the live world and connections.
    ///
    /// # Errors
    /// An end isn't known or is ambiguous.
    pub fn why(&self, from: &str, to: &str, service: &str) -> Result<Value, InquiryError> {
        let probe: Probe = service.parse().map_err(|error: ParseProbeError| InquiryError::Other(error.to_string()))?;
        let view = self.view.borrow().clone();
        let source = find(&view, from, None)?;
        // An address that nobody here holds is somebody's outside.
        let asker = match &source {
            Some(source) => Asker::Eni(source.eni.id),
            None => from.parse().map(Asker::Outside).map_err(|_| InquiryError::NoSource(from.to_owned()))?,
        };
        let destination = match (&source, find(&view, to, source.as_ref())?) {
            (Some(source), Some(end)) => end.address.or_else(|| address_like(&source.eni, &end.eni)),
            (None, Some(end)) => end.address.or_else(|| public_address(&view, &end.eni)),
            (_, None) => to.parse().ok(),
        };
        let destination = destination.ok_or_else(|| InquiryError::Unknown(to.to_owned()))?;
        let (world, why) = self
            .engine
            .why(asker, destination, probe, Now::read())
            .map_err(|error| InquiryError::Other(error.to_string()))?;
        let view = WhyView::new(&world, &why);
        Ok(json!({ "text": view.to_string(), "reachable": view.reachable, "path": view }))
    }

    /// Traces a frame as it stands, for which `from` is the place where it comes in: what names an ENI, or `outside`.
    ///
    /// # Errors
    /// The place isn't known or is ambiguous; the frame is nothing that could be judged.
    pub fn why_frame(&self, from: &str, frame: &[u8]) -> Result<Value, InquiryError> {
        let view = self.view.borrow().clone();
        let ingress = match from {
            OUTSIDE => Ingress::Uplink,
            _ => match find(&view, from, None)? {
                Some(end) => Ingress::Eni(end.eni.id),
                None => return Err(InquiryError::Unknown(from.to_owned())),
            },
        };
        let packet = gp_wire::parse(frame).map_err(|error| InquiryError::Frame(error.to_string()))?;
        let answer = self.engine.why_packet(ingress, packet, Now::read());
        let (world, path) = answer.map_err(|error| InquiryError::Other(error.to_string()))?;
        let forward = PathView::new(&world, &path);
        let reachable = !matches!(path.verdict(), Verdict::Drop(_));
        let text = forward.to_string();
        Ok(json!({ "text": text, "reachable": reachable, "path": { "reachable": reachable, "forward": forward } }))
    }
}

/// The address by which the outside reaches an ENI.
fn public_address(view: &HostView, eni: &Eni) -> Option<IpAddr> {
    let world = view.regions.values().find(|world| world.eni(eni.id).is_some())?;
    let public = eni.private_ipv4.iter().find_map(|private| world.public_of_private(eni, *private));
    public.map(IpAddr::V4).or_else(|| eni.ipv6.first().copied().map(IpAddr::V6))
}

/// An address of `to` in a family that `from` has too, IPv4 first.
fn address_like(from: &Eni, to: &Eni) -> Option<IpAddr> {
    let has = |address: &IpAddr| from.addresses().any(|own| own.is_ipv4() == address.is_ipv4());
    to.addresses().find(has).or_else(|| to.addresses().next())
}

/// The end that a text names. `Ok(None)` is an address that no ENI holds. An address is looked for in the VPC of `near`,
/// where that is given, since other VPCs may use it too.
pub(crate) fn find(view: &HostView, wanted: &str, near: Option<&End>) -> Result<Option<End>, InquiryError> {
    if let Ok(address) = wanted.parse::<IpAddr>() {
        return find_address(view, address, near.map(|end| end.eni.vpc));
    }
    let found: Vec<End> = view.regions.values().flat_map(|world| ends_of(world, wanted)).collect();
    let found = match (near, found.len()) {
        (Some(near), 2..) => found.into_iter().filter(|end| end.eni.vpc == near.eni.vpc).collect(),
        _ => found,
    };
    match found.as_slice() {
        [] => Err(InquiryError::Unknown(wanted.to_owned())),
        [one] => Ok(Some(one.clone())),
        several => Err(ambiguous(wanted, several)),
    }
}

fn find_address(view: &HostView, address: IpAddr, vpc: Option<VpcId>) -> Result<Option<End>, InquiryError> {
    let mut found = Vec::new();
    for world in view.regions.values() {
        let vpcs = world.tables().vpcs.keys().filter(|id| vpc.is_none_or(|vpc| vpc == **id));
        found.extend(
            vpcs.filter_map(|id| world.eni_at(*id, address))
                .map(|eni| End { eni: eni.clone(), address: Some(address) }),
        );
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => Err(ambiguous(&address.to_string(), several)),
    }
}

/// The ENIs that an id or a Name tag means in one region: the ENI itself, or the primary one of an instance.
fn ends_of(world: &World, wanted: &str) -> Vec<End> {
    let end = |eni: &Arc<Eni>| End { eni: eni.clone(), address: None };
    if let Ok(id) = wanted.parse::<EniId>() {
        return world.eni(id).map(end).into_iter().collect();
    }
    let primary = |id: InstanceId| world.enis_of_instance(id).first().map(end);
    if let Ok(id) = wanted.parse::<InstanceId>() {
        return primary(id).into_iter().collect();
    }
    let is_named = |tags: &gp_model::Tags| tags.get("Name").is_some_and(|name| name == wanted);
    let instances = world.tables().instances.values().filter(|instance| is_named(&instance.tags));
    let named: Vec<_> = instances.filter_map(|instance| primary(instance.id)).collect();
    if !named.is_empty() {
        return named;
    }
    world.tables().enis.values().filter(|eni| is_named(&eni.tags)).map(end).collect()
}

fn ambiguous(wanted: &str, several: &[End]) -> InquiryError {
    let name = |end: &End| match &end.eni.attachment {
        Some(attachment) => format!("{} ({} in {})", attachment.instance, end.eni.id, end.eni.vpc),
        None => format!("{} in {}", end.eni.id, end.eni.vpc),
    };
    let candidates: Vec<_> = several.iter().map(name).collect();
    InquiryError::Ambiguous { wanted: wanted.to_owned(), candidates: candidates.join(" or ") }
}
