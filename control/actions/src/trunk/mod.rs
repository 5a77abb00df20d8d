//! Trunk and branch ENIs: AssociateTrunkInterface, DisassociateTrunkInterface, DescribeTrunkInterfaceAssociations.
//!
//! A trunk ENI is attached to an instance; each branch ENI is a VLAN of it, with addresses and groups of its own. An
//! association lives until it is dissolved or its trunk is deleted; a trunk that is moved takes its branches along.
//! VLAN only: GRE is refused by name. Source: EC2 API reference; limits as Amazon's VPC resource controller has them.

use crate::context::refuse_unsupported;
use crate::filter::{Filter, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use crate::{Context, lookup};
use gp_catalog::InstanceType;
use gp_ec2::{ApiError, shapes};
use gp_model::{
    Change, Eni, EniId, Instance, InterfaceType, RecordKey, Tags, TrunkAssociation, TrunkAssociationId, World,
};

/// VLANs of a trunk.
const VLANS: std::ops::RangeInclusive<i64> = 1..=120;
const VLAN: &str = "VLAN";

/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`, `InvalidParameterValue` for ENIs of other types and VLANs that are taken or
/// out of range, `InvalidNetworkInterface.InUse` for a branch that has a trunk, `IncorrectState` for a trunk that is
/// not attached, `InvalidParameterCombination` for another zone, `AttachmentLimitExceeded`, `UnsupportedOperation`.
pub(crate) fn associate(
    ctx: &mut Context<'_>,
    request: &shapes::AssociateTrunkInterfaceRequest,
) -> Result<shapes::AssociateTrunkInterfaceResult, ApiError> {
    refuse_unsupported(&[("GreKey", request.gre_key.is_some())])?;
    if let Some(created) = ctx.replayed()? {
        let association = ctx.trunk_associations(&created)?.into_iter().next();
        let association = association.ok_or_else(|| lookup::TRUNK_ASSOCIATION.not_found(&["trunk-assoc-"]))?;
        return Ok(reply(&association, request));
    }
    let branch = ctx.eni(request.branch_interface_id.as_deref().unwrap_or_default())?;
    let trunk = ctx.eni(request.trunk_interface_id.as_deref().unwrap_or_default())?;
    check_type(&branch, InterfaceType::Branch)?;
    check_type(&trunk, InterfaceType::Trunk)?;
    let vlan_id = vlan(ctx.world(), &trunk, request.vlan_id)?;
    if branch.attachment.is_some() || ctx.world().trunk_of_branch(branch.id).is_some() {
        let message = format!("Interface: [{}] in use.", branch.id);
        return Err(ApiError::client("InvalidNetworkInterface.InUse", message));
    }
    let instance = host_of(ctx.world(), &trunk)?;
    if branch.zone != trunk.zone {
        let message = "You may not associate a branch network interface with a trunk network interface if they are not \
                       in the same availability zone";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    let id = ctx.draw(TrunkAssociationId::from_bits);
    let (owner, branch, trunk) = (ctx.account(), branch.id, trunk.id);
    let association = TrunkAssociation { id, owner, branch, trunk, vlan_id, tags: Tags::new() };
    ctx.put(association.clone());
    check_carries(
        ctx.world(),
        kind_of(&instance)?,
        ctx.world().enis_of_instance(instance.id).iter().map(|eni| &**eni),
    )?;
    ctx.remember([id]);
    Ok(reply(&association, request))
}

fn reply(
    association: &TrunkAssociation,
    request: &shapes::AssociateTrunkInterfaceRequest,
) -> shapes::AssociateTrunkInterfaceResult {
    shapes::AssociateTrunkInterfaceResult {
        interface_association: Some(shape(association)),
        client_token: request.client_token.clone(),
    }
}

fn check_type(eni: &Eni, wanted: InterfaceType) -> Result<(), ApiError> {
    if eni.interface_type == wanted {
        return Ok(());
    }
    let message = format!("Network interface '{}' is not of type '{}'.", eni.id, wanted.name());
    Err(ApiError::client("InvalidParameterValue", message))
}

/// A VLAN that is free on the trunk.
fn vlan(world: &World, trunk: &Eni, given: Option<i64>) -> Result<u16, ApiError> {
    let given = given.ok_or_else(|| ApiError::missing_parameter("vlanId"))?;
    let vlan = u16::try_from(given).ok().filter(|_| VLANS.contains(&given));
    let vlan = vlan.ok_or_else(|| {
        let why = format!("Expecting a number from {} to {}.", VLANS.start(), VLANS.end());
        ApiError::invalid_value(given, "VlanId", why)
    })?;
    if world.branches_of_trunk(trunk.id).any(|association| association.vlan_id == vlan) {
        let message = format!("VLAN ID '{vlan}' is already in use on trunk network interface '{}'.", trunk.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(vlan)
}

/// The instance that the trunk is attached to.
fn host_of(world: &World, trunk: &Eni) -> Result<Instance, ApiError> {
    let instance = trunk.attachment.as_ref().and_then(|attachment| world.instance(attachment.instance));
    instance.map(|instance| (**instance).clone()).ok_or_else(|| {
        let message = format!("Trunk network interface '{}' is not attached to an instance.", trunk.id);
        ApiError::client("IncorrectState", message)
    })
}

fn kind_of(instance: &Instance) -> Result<&'static InstanceType, ApiError> {
    let kind = gp_catalog::catalog().get(&instance.instance_type);
    kind.ok_or_else(|| ApiError::internal(format!("instance type {} is not in the catalogue", instance.instance_type)))
}

/// Can an instance of the type carry the trunks among these ENIs, with the branches that they have?
///
/// # Errors
/// `UnsupportedOperation` where the type carries no trunk; `AttachmentLimitExceeded` for too many branches.
pub(crate) fn check_carries<'a>(
    world: &World,
    kind: &InstanceType,
    enis: impl IntoIterator<Item = &'a Eni>,
) -> Result<(), ApiError> {
    let trunks: Vec<EniId> =
        enis.into_iter().filter(|eni| eni.interface_type == InterfaceType::Trunk).map(|eni| eni.id).collect();
    if trunks.is_empty() {
        return Ok(());
    }
    if !kind.trunk {
        let message = format!("Trunk network interfaces are not supported on instance type {}.", kind.name);
        return Err(ApiError::unsupported(message));
    }
    let branches: usize = trunks.iter().map(|trunk| world.branches_of_trunk(*trunk).count()).sum();
    if branches <= kind.max_branch_enis as usize {
        return Ok(());
    }
    let message = format!("Branch interface count {branches} exceeds the limit for {}", kind.name);
    Err(ApiError::client("AttachmentLimitExceeded", message))
}

/// Branches are reached through their trunk and nothing else.
///
/// # Errors
/// `OperationNotPermitted`.
pub(crate) fn refuse_branch(eni: &Eni) -> Result<(), ApiError> {
    if eni.interface_type != InterfaceType::Branch {
        return Ok(());
    }
    let message = format!("Branch network interface '{}' cannot be attached to an instance.", eni.id);
    Err(ApiError::client("OperationNotPermitted", message))
}

/// Is the ENI one end of an association?
pub(crate) fn is_associated(world: &World, eni: EniId) -> bool {
    world.trunk_of_branch(eni).is_some() || world.branches_of_trunk(eni).next().is_some()
}

/// What ends with a trunk that goes with its instance.
pub(crate) fn associations_of_deleted(world: &World, trunk: EniId) -> Vec<Change> {
    let ids = world.branches_of_trunk(trunk).map(|association| association.id);
    ids.map(|id| Change::Delete(RecordKey::TrunkAssociation(id))).collect()
}

/// # Errors
/// `InvalidAssociationID.NotFound`.
pub(crate) fn disassociate(
    ctx: &mut Context<'_>,
    request: &shapes::DisassociateTrunkInterfaceRequest,
) -> Result<shapes::DisassociateTrunkInterfaceResult, ApiError> {
    let reply =
        shapes::DisassociateTrunkInterfaceResult { r#return: Some(true), client_token: request.client_token.clone() };
    if ctx.replayed()?.is_some() {
        return Ok(reply);
    }
    let association = ctx.trunk_association(request.association_id.as_deref().unwrap_or_default())?;
    ctx.delete(RecordKey::TrunkAssociation(association.id));
    ctx.remember([association.id]);
    Ok(reply)
}

const FILTERS: &[Filter<shapes::TrunkInterfaceAssociation>] = &[
    ("gre-key", |association| one(&association.gre_key)),
    ("interface-protocol", |association| one(&association.interface_protocol)),
];

/// # Errors
/// `InvalidAssociationID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeTrunkInterfaceAssociationsRequest,
) -> Result<shapes::DescribeTrunkInterfaceAssociationsResult, ApiError> {
    let associations = ctx.trunk_associations(&request.association_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.association_ids.is_empty(), "associationIds"),
    };
    let key = |association: &shapes::TrunkInterfaceAssociation| association.association_id.clone().unwrap_or_default();
    let shapes = associations.iter().map(|association| shape(association));
    let (interface_associations, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    Ok(shapes::DescribeTrunkInterfaceAssociationsResult { interface_associations, next_token })
}

fn shape(association: &TrunkAssociation) -> shapes::TrunkInterfaceAssociation {
    shapes::TrunkInterfaceAssociation {
        association_id: Some(association.id.to_string()),
        branch_interface_id: Some(association.branch.to_string()),
        trunk_interface_id: Some(association.trunk.to_string()),
        interface_protocol: Some(VLAN.to_owned()),
        vlan_id: Some(association.vlan_id.into()),
        tags: tag_list(&association.tags),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
