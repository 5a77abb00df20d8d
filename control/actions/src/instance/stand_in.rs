//! Stand-in instances: what holds an ENI for a guest that Groundplane didn't start.
//!
//! An ENI is always an instance's on AWS, so one that is handed to a namespace or to a TAP gets an instance that the
//! API shows and that has nothing to boot. It can be described, tagged and terminated; terminating it gives the ENI
//! back. It goes when its guest does.

use super::FIRST_BOOT;
use super::run::{check_architecture, known_type};
use super::state::{pending_reason, user_initiated};
use crate::network_interface::{check_fits, check_free, managed};
use crate::{Caller, Context, Ids, Settings, image};
use gp_catalog::IMAGES;
use gp_ec2::ApiError;
use gp_model::{
    Change, Eni, EniAttachment, EniAttachmentId, EniId, ExternalGuest, GuestKind, Instance, InstanceId, InstanceState,
    MetadataOptions, ReservationId, Tags, Timestamp, World,
};

/// Most characters of an interface's name on Linux.
const IFNAME_MAX: usize = 15;
/// Room for `-99` behind a TAP's name, since further ENIs get TAPs that are named after the first.
const TAP_NAME_MAX: usize = 12;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    pub eni: EniId,
    pub guest: ExternalGuest,
    /// What limits its ENIs and addresses.
    pub instance_type: String,
}

/// The changes that give a free ENI to a guest of somebody else's, and the instance that will stand for it.
///
/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`, `InvalidNetworkInterface.InUse`, `InvalidParameterValue` for a name, path or
/// type, `OperationNotPermitted` for a service's ENI, and those of the type's limits.
pub fn plan_stand_in(
    world: &World,
    wanted: &StandIn,
    now: Timestamp,
    ids: &mut dyn Ids,
    settings: &Settings,
) -> Result<(Vec<Change>, InstanceId), ApiError> {
    let eni = world.eni(wanted.eni).cloned().ok_or_else(|| unknown(wanted.eni))?;
    let caller = Caller { account: eni.owner, principal: eni.owner.to_string(), region: world.region.clone() };
    let request = gp_ec2::Request {
        action: gp_ec2::Action::GetCallerIdentity(Default::default()),
        version: None,
        dry_run: false,
        client_token: None,
    };
    let mut ctx = Context::new(world, &caller, &request, now, ids, settings);
    check_free(&eni)?;
    managed::check_changeable(&eni)?;
    check_guest(&wanted.guest)?;
    let kind = known_type(&wanted.instance_type)?;
    let id = ctx.draw(InstanceId::from_bits);
    let attached = Eni {
        attachment: Some(EniAttachment {
            id: ctx.draw(EniAttachmentId::from_bits),
            instance: id,
            instance_owner: eni.owner,
            device_index: 0,
            network_card_index: 0,
            attached_at: now,
            delete_on_termination: false,
        }),
        ..(*eni).clone()
    };
    check_fits(world, kind, [&attached])?;
    let image = IMAGES.iter().find(|image| check_architecture(kind, image).is_ok());
    let image = image.ok_or_else(|| ApiError::internal(format!("no image runs on {}", kind.name)))?;
    let instance = Instance {
        id,
        owner: eni.owner,
        reservation: ctx.draw(ReservationId::from_bits),
        launch_index: 0,
        image: image::image_id(ctx.region(), image),
        instance_type: kind.name.clone(),
        key_name: None,
        vpc: eni.vpc,
        subnet: eni.subnet,
        zone: eni.zone.clone(),
        state: InstanceState::Pending,
        boot: FIRST_BOOT,
        state_reason: Some(pending_reason()),
        state_transition_reason: String::new(),
        launched_at: now,
        terminated_at: None,
        user_data: None,
        client_token: None,
        disable_api_termination: false,
        disable_api_stop: false,
        // It goes with its guest.
        shutdown_behavior: "terminate".to_owned(),
        ebs_optimized: false,
        monitoring: false,
        cpu_credits: None,
        metadata: MetadataOptions::default(),
        guest: GuestKind::External(wanted.guest.clone()),
        tags: Tags::new(),
    };
    ctx.put(attached);
    ctx.put(instance);
    Ok((ctx.into_changes(), id))
}

/// The changes that take an ENI back from the guest that [`plan_stand_in`] gave it to, and the instance that ends. Its
/// other ENIs become free, too.
///
/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`; `IncorrectState` where it is not attached; `OperationNotPermitted` where its
/// instance stands for nothing.
pub fn plan_take_back(world: &World, eni: EniId, now: Timestamp) -> Result<(Vec<Change>, InstanceId), ApiError> {
    let eni = world.eni(eni).ok_or_else(|| unknown(eni))?;
    let attached_to = eni.attachment.as_ref().and_then(|attachment| world.instance(attachment.instance));
    let Some(instance) = attached_to else {
        return Err(ApiError::client("IncorrectState", format!("Interface: [{}] is not attached.", eni.id)));
    };
    if !matches!(instance.guest, GuestKind::External(_)) {
        let message = format!(
            "Interface: [{}] is attached to instance '{}', which Groundplane runs. Use DetachNetworkInterface.",
            eni.id, instance.id
        );
        return Err(ApiError::client("OperationNotPermitted", message));
    }
    let mut ended = (**instance).clone();
    if ended.state != InstanceState::ShuttingDown {
        ended.state = InstanceState::ShuttingDown;
        user_initiated(&mut ended, now);
    }
    let changes = if ended == **instance { Vec::new() } else { vec![Change::Put(ended.into())] };
    Ok((changes, instance.id))
}

/// # Errors
/// `UnsupportedOperation` for a stand-in: there is nothing that could be stopped, started or rebooted.
pub(super) fn check_ours(instance: &Instance, action: &str) -> Result<(), ApiError> {
    match instance.guest {
        GuestKind::External(_) => Err(ApiError::unsupported(format!(
            "{action} is not supported for instance '{}': it stands for a guest that Groundplane did not start.",
            instance.id
        ))),
        GuestKind::Sandbox | GuestKind::Vm => Ok(()),
    }
}

fn unknown(eni: EniId) -> ApiError {
    ApiError::client("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{eni}' does not exist"))
}

/// The shape of names and paths. Whether they name anything, the host finds out.
fn check_guest(guest: &ExternalGuest) -> Result<(), ApiError> {
    match guest {
        ExternalGuest::Netns(netns) => {
            if !netns.path.starts_with('/') || netns.path.contains('\0') {
                return Err(ApiError::invalid_value(&netns.path, "netns", "Expecting an absolute path."));
            }
            netns.ifname.as_deref().map_or(Ok(()), |name| check_ifname(name, "ifname", IFNAME_MAX))
        }
        ExternalGuest::Tap(name) => check_ifname(name, "tap", TAP_NAME_MAX),
    }
}

fn check_ifname(name: &str, parameter: &str, most: usize) -> Result<(), ApiError> {
    let is_fine = (1..=most).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%'));
    let why = format!("Expecting the name of a network interface of at most {most} characters.");
    if is_fine { Ok(()) } else { Err(ApiError::invalid_value(name, parameter, why)) }
}
