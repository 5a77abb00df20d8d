//! What a launch says about its instances, apart from their network.

use super::placement;
use crate::instance::state::pending_reason;
use crate::instance::{FIRST_BOOT, credit, metadata_options, modify, user_data};
use crate::{Context, image};
use gp_catalog::{Image, InstanceType, catalog};
use gp_ec2::ApiError;
use gp_ec2::shapes::RunInstancesRequest;
use gp_model::{Eni, GuestKind, ImageId, Instance, InstanceId, InstanceState, MetadataOptions, ReservationId, Tags};
use std::ops::RangeInclusive;

/// The type that AWS launches where the request names none.
const DEFAULT_TYPE: &str = "m1.small";

/// A tag of a launch that chooses its kind of guest: `sandbox` or `vm`. Later changes of it change nothing.
const GUEST_TAG: &str = "groundplane:guest";

/// A launch's checked parameters.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) kind: &'static InstanceType,
    request: &'a RunInstancesRequest,
    image: ImageId,
    user_data: Option<String>,
    shutdown_behavior: String,
    cpu_credits: Option<String>,
    metadata: MetadataOptions,
    guest: GuestKind,
    tags: Tags,
}

impl<'a> Launch<'a> {
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidParameterValue` for a type, user data or option, `InvalidKeyPair.NotFound`, …
    pub(super) fn check(ctx: &Context<'_>, request: &'a RunInstancesRequest, tags: Tags) -> Result<Self, ApiError> {
        let given = request.image_id.as_deref().ok_or_else(|| ApiError::missing_parameter("ImageId"))?;
        let (image_id, image) = image::resolve(ctx.region(), given)?;
        let kind = known_type(request.instance_type.as_deref().unwrap_or(DEFAULT_TYPE))?;
        check_architecture(kind, image)?;
        placement::check(ctx, request.placement.as_ref())?;
        if let Some(name) = request.key_name.as_deref() {
            crate::key_pair::check_exists(ctx, name)?;
        }
        let behavior = request.instance_initiated_shutdown_behavior.as_deref().unwrap_or("stop");
        modify::check_behavior(behavior)?;
        let credits = request.credit_specification.as_ref().and_then(|spec| spec.cpu_credits.as_deref());
        Ok(Self {
            kind,
            request,
            image: image_id,
            user_data: user_data::check(ctx, request.user_data.as_deref())?,
            shutdown_behavior: behavior.to_owned(),
            cpu_credits: credit::of_type(kind, credits)?,
            metadata: metadata_options::of_launch(image, request.metadata_options.as_ref())?,
            guest: guest(ctx, kind, &tags)?,
            tags,
        })
    }

    /// One instance of the launch, which starts in the place of its primary ENI.
    pub(super) fn instance(
        &self,
        ctx: &Context<'_>,
        id: InstanceId,
        reservation: ReservationId,
        launch_index: u32,
        primary: &Eni,
    ) -> Instance {
        Instance {
            id,
            owner: ctx.account(),
            reservation,
            launch_index,
            image: self.image,
            instance_type: self.kind.name.clone(),
            key_name: self.request.key_name.clone(),
            vpc: primary.vpc,
            subnet: primary.subnet,
            zone: primary.zone.clone(),
            state: InstanceState::Pending,
            boot: FIRST_BOOT,
            state_reason: Some(pending_reason()),
            state_transition_reason: String::new(),
            launched_at: ctx.now,
            terminated_at: None,
            user_data: self.user_data.clone(),
            client_token: self.request.client_token.clone(),
            disable_api_termination: self.request.disable_api_termination.unwrap_or_default(),
            disable_api_stop: self.request.disable_api_stop.unwrap_or_default(),
            shutdown_behavior: self.shutdown_behavior.clone(),
            ebs_optimized: self.request.ebs_optimized.unwrap_or_default(),
            monitoring: self.request.monitoring.as_ref().and_then(|m| m.enabled).unwrap_or_default(),
            cpu_credits: self.cpu_credits.clone(),
            metadata: self.metadata.clone(),
            guest: self.guest.clone(),
            tags: self.tags.clone(),
        }
    }
}

/// What the tag `groundplane:guest` asks for, or the default of this Groundplane.
///
/// # Errors
/// `InvalidParameterValue` for a kind that there isn't, or that can't be of the type.
fn guest(ctx: &Context<'_>, kind: &InstanceType, tags: &Tags) -> Result<GuestKind, ApiError> {
    let guest = match tags.get(GUEST_TAG).map(String::as_str) {
        None => ctx.settings.guest.clone(),
        Some("sandbox") => GuestKind::Sandbox,
        Some("vm") => GuestKind::Vm,
        Some(other) => {
            let message = format!("Invalid value '{other}' for the tag {GUEST_TAG}. It must be 'sandbox' or 'vm'.");
            return Err(ApiError::client("InvalidParameterValue", message));
        }
    };
    if guest == GuestKind::Vm && !kind.architectures.iter().any(|architecture| architecture == "x86_64") {
        let message = format!("Virtual machines are of the architecture x86_64, and {} is not.", kind.name);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(guest)
}

/// # Errors
/// `InvalidParameterValue` for a type that the catalogue has not.
pub(in crate::instance) fn known_type(name: &str) -> Result<&'static InstanceType, ApiError> {
    let unknown = || ApiError::client("InvalidParameterValue", format!("Invalid value '{name}' for InstanceType."));
    catalog().get(name).ok_or_else(unknown)
}

/// # Errors
/// `InvalidParameterValue` where the type can't run the image.
pub(in crate::instance) fn check_architecture(kind: &InstanceType, image: &Image) -> Result<(), ApiError> {
    if kind.architectures.iter().any(|architecture| architecture == image.architecture) {
        return Ok(());
    }
    let message = format!(
        "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified \
         AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use \
         'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.",
        kind.architectures.join(","),
        image.architecture
    );
    Err(ApiError::client("InvalidParameterValue", message))
}

/// The fewest and the most instances to make: what the request says, held to what the quota leaves.
///
/// # Errors
/// `InvalidParameterValue`, `InvalidParameterCombination`, `VcpuLimitExceeded`.
pub(super) fn counts(
    ctx: &Context<'_>,
    request: &RunInstancesRequest,
    kind: &InstanceType,
) -> Result<RangeInclusive<usize>, ApiError> {
    let least = positive(request.min_count, "MinCount")?;
    let most = positive(request.max_count, "MaxCount")?;
    if least > most {
        let message =
            format!("Value ({most}) for parameter maxCount is invalid. It must not be below minCount ({least}).");
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    let room = free_vcpus(ctx) / kind.vcpus as usize;
    if least > room {
        return Err(vcpu_limit(ctx));
    }
    Ok(least..=most.min(room))
}

fn positive(given: Option<i64>, parameter: &str) -> Result<usize, ApiError> {
    let given = given.ok_or_else(|| ApiError::missing_parameter(parameter))?;
    let count = usize::try_from(given).ok().filter(|count| *count > 0);
    count.ok_or_else(|| ApiError::invalid_value(given, parameter, "Expecting a number above 0."))
}

/// May instances of these types run in addition to those that do?
///
/// # Errors
/// `VcpuLimitExceeded`.
pub(in crate::instance) fn check_vcpus<'a>(
    ctx: &Context<'_>,
    types: impl Iterator<Item = &'a str>,
) -> Result<(), ApiError> {
    if types.map(vcpus).sum::<usize>() <= free_vcpus(ctx) { Ok(()) } else { Err(vcpu_limit(ctx)) }
}

fn vcpus(name: &str) -> usize {
    catalog().get(name).map_or(0, |kind| kind.vcpus as usize)
}

fn free_vcpus(ctx: &Context<'_>) -> usize {
    let instances = ctx.world().tables().instances.values();
    let running = instances.filter(|instance| instance.owner == ctx.account() && instance.state.wants_to_run());
    let used: usize = running.map(|instance| vcpus(&instance.instance_type)).sum();
    ctx.settings.quotas.vcpus.saturating_sub(used)
}

fn vcpu_limit(ctx: &Context<'_>) -> ApiError {
    let message = format!(
        "You have requested more vCPU capacity than your current vCPU limit of {} allows for the instance bucket that \
         the specified instance type belongs to.",
        ctx.settings.quotas.vcpus
    );
    ApiError::client("VcpuLimitExceeded", message)
}
