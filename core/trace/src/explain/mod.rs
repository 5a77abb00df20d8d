//! A [`Path`] for people: names, sentences and remedies, as JSON (serde) or as text (`Display`).

mod outside;
mod remedy;
mod rule;
mod text;

pub use remedy::Remedy;

use crate::{Component, Drop, DropReason, LocalService, Path, Resource, Stage, Step, StepAction, Verdict, Why};
use gp_model::{Direction, EniId, Mac, SecurityGroupId, World};
use gp_wire::FiveTuple;
use serde::Serialize;

/// What [`crate::why`] found, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyView {
    pub reachable: bool,
    pub forward: PathView,
    /// Absent if the question did not arrive.
    pub reply: Option<PathView>,
}

/// A path with the names of what it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathView {
    /// Absent where the packet comes from outside of the region.
    pub ingress: Option<EniId>,
    /// The packet in short: `tcp 10.0.1.20:49152 > 10.0.1.10:80`.
    pub packet: String,
    pub hops: Vec<HopView>,
    pub verdict: VerdictView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HopView {
    #[serde(flatten)]
    pub component: Component,
    /// The component's Name tag.
    pub name: Option<String>,
    pub steps: Vec<StepView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepView {
    pub stage: Stage,
    pub action: StepAction,
    pub resource: Option<ResourceView>,
    /// What the step found, in one sentence.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceView {
    #[serde(flatten)]
    pub resource: Resource,
    /// The resource's Name tag; of a group without one its group name.
    pub name: Option<String>,
    /// What the rule or entry says: `tcp 80 from 0.0.0.0/0`.
    pub rule: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum VerdictView {
    Deliver {
        eni: EniId,
        name: Option<String>,
        src_mac: Mac,
        dst_mac: Mac,
    },
    /// Out of the region.
    Uplink,
    LocalService {
        service: LocalService,
    },
    Drop {
        reason: DropReason,
        description: &'static str,
        resource: Option<ResourceView>,
        /// Every group that could have allowed it, if groups refused it.
        groups: Vec<SecurityGroupId>,
        /// What to do so that such a packet passes this point; the first is the narrowest.
        remedies: Vec<Remedy>,
    },
}

impl WhyView {
    pub fn new(world: &World, why: &Why) -> Self {
        Self {
            reachable: why.is_reachable(),
            forward: PathView::new(world, &why.forward),
            reply: why.reply.as_ref().map(|path| PathView::new(world, path)),
        }
    }
}

impl PathView {
    /// `world` is the one that the path was traced in.
    pub fn new(world: &World, path: &Path) -> Self {
        let hops = path.hops().iter().map(|hop| HopView {
            component: hop.component,
            name: component_name(world, hop.component),
            steps: hop.steps.iter().map(|step| step_view(world, step)).collect(),
        });
        Self {
            ingress: path.ingress().eni(),
            packet: packet_text(&path.tuple()),
            hops: hops.collect(),
            verdict: verdict_view(world, path),
        }
    }
}

/// ARP has a tuple of protocol 0.
fn packet_text(tuple: &FiveTuple) -> String {
    if tuple.protocol == 0 { format!("arp {} > {}", tuple.src, tuple.dst) } else { tuple.to_string() }
}

fn step_view(world: &World, step: &Step) -> StepView {
    let Step { stage, action, resource, detail } = *step;
    let direction = match stage {
        Stage::NetworkAclOut => Some(Direction::Egress),
        Stage::NetworkAclIn => Some(Direction::Ingress),
        _ => None,
    };
    let resource = resource.map(|resource| resource_view(world, resource, direction));
    StepView { stage, action, resource, detail: detail.to_string() }
}

fn verdict_view(world: &World, path: &Path) -> VerdictView {
    match path.verdict() {
        Verdict::Deliver { eni, src_mac, dst_mac } => VerdictView::Deliver {
            eni: *eni,
            name: resource_name(world, Resource::Eni { id: *eni }),
            src_mac: *src_mac,
            dst_mac: *dst_mac,
        },
        Verdict::LocalService(service) => VerdictView::LocalService { service: *service },
        Verdict::Uplink => VerdictView::Uplink,
        Verdict::Drop(Drop { reason, resource, missing, .. }) => VerdictView::Drop {
            reason: *reason,
            description: reason.description(),
            resource: resource.map(|resource| {
                let direction = match reason {
                    DropReason::NetworkAclEgress => Some(Direction::Egress),
                    DropReason::NetworkAclIngress => Some(Direction::Ingress),
                    _ => None,
                };
                resource_view(world, resource, direction)
            }),
            groups: missing.as_ref().map(|missing| missing.groups.clone()).unwrap_or_default(),
            remedies: remedy::remedies(world, path),
        },
    }
}

fn resource_view(world: &World, resource: Resource, direction: Option<Direction>) -> ResourceView {
    ResourceView { resource, name: resource_name(world, resource), rule: rule::text(world, resource, direction) }
}

fn component_name(world: &World, component: Component) -> Option<String> {
    let resource = match component {
        Component::Eni(id) => Resource::Eni { id },
        Component::Subnet(id) => Resource::Subnet { id },
        Component::Router(id) => Resource::Vpc { id },
        Component::InternetGateway(id) => Resource::InternetGateway { id },
        Component::EgressOnlyInternetGateway(id) => Resource::EgressOnlyInternetGateway { id },
        Component::NatGateway(id) => Resource::NatGateway { id },
        Component::Uplink => return None,
    };
    resource_name(world, resource)
}

/// What people call a resource. An ENI without a name goes by its instance's.
fn resource_name(world: &World, resource: Resource) -> Option<String> {
    let named = |tags: &gp_model::Tags| tags.get("Name").filter(|name| !name.is_empty()).cloned();
    match resource {
        Resource::Eni { id } => {
            let eni = world.eni(id)?;
            let instance = || world.instance(eni.attachment.as_ref()?.instance).and_then(|i| named(&i.tags));
            named(&eni.tags).or_else(instance)
        }
        Resource::Subnet { id } => named(&world.subnet(id)?.tags),
        Resource::Vpc { id } => named(&world.vpc(id)?.tags),
        Resource::SecurityGroup { id } | Resource::SecurityGroupRule { group: id, .. } => {
            let group = world.security_group(id)?;
            named(&group.tags).or_else(|| Some(group.name.clone()))
        }
        Resource::NetworkAcl { id, .. } => named(&world.network_acl(id)?.tags),
        Resource::RouteTable { id } => named(&world.route_table(id)?.tags),
        Resource::InternetGateway { id } => named(&world.internet_gateway(id)?.tags),
        Resource::EgressOnlyInternetGateway { id } => named(&world.egress_only_internet_gateway(id)?.tags),
        Resource::NatGateway { id } => named(&world.nat_gateway(id)?.tags),
    }
}
