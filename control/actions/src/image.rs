//! Images: the built-in sandbox under the names by which people look images up.
//!
//! An image's id follows from its region and name, so it is the same on every machine and in every run.

use crate::Context;
use crate::filter::{Filter, Tagged, each, one};
use crate::page::Query;
use gp_catalog::{IMAGES, Image, SANDBOX_DESCRIPTION};
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    AttributeValue, BlockDeviceMapping, DescribeImageAttributeRequest, DescribeImagesRequest, DescribeImagesResult,
    EbsBlockDevice, Image as ImageShape, ImageAttribute, LaunchPermission, Tag,
};
use gp_model::{ImageId, ParseIdError, Region};
use sha2::{Digest, Sha256};

/// The owner's alias that callers may use for their own account.
const SELF: &str = "self";

/// The id of an image in a region.
pub(crate) fn image_id(region: &Region, image: &Image) -> ImageId {
    let digest = Sha256::digest(format!("{region}/{}", image.name));
    ImageId::from_bits(digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}

pub(crate) fn find(region: &Region, id: ImageId) -> Option<&'static Image> {
    IMAGES.iter().find(|image| image_id(region, image) == id)
}

/// The image that a caller names.
///
/// # Errors
/// `InvalidAMIID.Malformed`, `InvalidAMIID.NotFound`.
pub(crate) fn resolve(region: &Region, given: &str) -> Result<(ImageId, &'static Image), ApiError> {
    let id: ImageId =
        given.parse().map_err(|error: ParseIdError| ApiError::client("InvalidAMIID.Malformed", error.to_string()))?;
    let image = find(region, id).ok_or_else(|| not_found(&[given]))?;
    Ok((id, image))
}

fn not_found(ids: &[&str]) -> ApiError {
    let message = match ids {
        [id] => format!("The image id '[{id}]' does not exist"),
        ids => format!("The image ids '[{}]' do not exist", ids.join(", ")),
    };
    ApiError::client("InvalidAMIID.NotFound", message)
}

impl Tagged for ImageShape {
    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

/// A filter on a member of the volumes that the image would have.
macro_rules! volume {
    ($member:ident) => {
        |image| each(&image.block_device_mappings, |mapping| mapping.ebs.as_ref().and_then(|ebs| ebs.$member.clone()))
    };
}

const FILTERS: &[Filter<ImageShape>] = &[
    ("architecture", |image| one(&image.architecture)),
    ("block-device-mapping.delete-on-termination", volume!(delete_on_termination)),
    ("block-device-mapping.device-name", |image| each(&image.block_device_mappings, |m| m.device_name.clone())),
    ("block-device-mapping.encrypted", volume!(encrypted)),
    ("block-device-mapping.volume-size", volume!(volume_size)),
    ("block-device-mapping.volume-type", volume!(volume_type)),
    ("boot-mode", |image| one(&image.boot_mode)),
    ("creation-date", |image| one(&image.creation_date)),
    ("description", |image| one(&image.description)),
    ("ena-support", |image| one(&image.ena_support)),
    ("free-tier-eligible", |image| one(&image.free_tier_eligible)),
    ("hypervisor", |image| one(&image.hypervisor)),
    ("image-allowed", |image| one(&image.image_allowed)),
    ("image-id", |image| one(&image.image_id)),
    ("image-type", |image| one(&image.image_type)),
    ("is-public", |image| one(&image.public)),
    ("manifest-location", |image| one(&image.image_location)),
    ("name", |image| one(&image.name)),
    ("owner-alias", |image| one(&image.image_owner_alias)),
    ("owner-id", |image| one(&image.owner_id)),
    ("platform-details", |image| one(&image.platform_details)),
    ("root-device-name", |image| one(&image.root_device_name)),
    ("root-device-type", |image| one(&image.root_device_type)),
    ("sriov-net-support", |image| one(&image.sriov_net_support)),
    ("state", |image| one(&image.state)),
    ("virtualization-type", |image| one(&image.virtualization_type)),
];

/// # Errors
/// `InvalidAMIID.NotFound`, `InvalidAMIID.Malformed`, and those of [`Context::list`].
pub(crate) fn describe(ctx: &Context<'_>, request: &DescribeImagesRequest) -> Result<DescribeImagesResult, ApiError> {
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.image_ids.is_empty(), "imageIdsSet"),
    };
    let shapes = chosen(ctx, &request.image_ids)?.into_iter().filter(|image| is_wanted(ctx, image, request));
    let key = |image: &ImageShape| image.image_id.clone().unwrap_or_default();
    let (images, next_token) = ctx.list(shapes.map(|image| shape(ctx, image)), query, FILTERS, key)?;
    Ok(DescribeImagesResult { images, next_token })
}

fn chosen(ctx: &Context<'_>, ids: &[String]) -> Result<Vec<&'static Image>, ApiError> {
    if ids.is_empty() {
        return Ok(IMAGES.iter().collect());
    }
    let mut images = Vec::new();
    let mut missing = Vec::new();
    for id in ids {
        match resolve(ctx.region(), id) {
            Ok((_, image)) => images.push(image),
            Err(error) if error.code == "InvalidAMIID.NotFound" => missing.push(id.as_str()),
            Err(error) => return Err(error),
        }
    }
    if missing.is_empty() { Ok(images) } else { Err(not_found(&missing)) }
}

/// By owner and by who may launch it. Every image is public, so only `all` may launch them explicitly.
fn is_wanted(ctx: &Context<'_>, image: &Image, request: &DescribeImagesRequest) -> bool {
    let account = ctx.account().to_string();
    let owned = |owner: &String| {
        image.owner == owner || image.owner_alias == Some(owner) || (owner == SELF && image.owner == account)
    };
    let launchable = |user: &String| user == "all";
    (request.owners.is_empty() || request.owners.iter().any(owned))
        && (request.executable_users.is_empty() || request.executable_users.iter().any(launchable))
}

fn shape(ctx: &Context<'_>, image: &Image) -> ImageShape {
    ImageShape {
        platform_details: Some("Linux/UNIX".to_owned()),
        usage_operation: Some("RunInstances".to_owned()),
        block_device_mappings: vec![root_mapping(image)],
        description: Some(SANDBOX_DESCRIPTION.to_owned()),
        ena_support: Some(true),
        hypervisor: Some("xen".to_owned()),
        image_owner_alias: image.owner_alias.map(str::to_owned),
        name: Some(image.name.to_owned()),
        root_device_name: Some(image.root_device.to_owned()),
        root_device_type: Some("ebs".to_owned()),
        sriov_net_support: Some("simple".to_owned()),
        virtualization_type: Some("hvm".to_owned()),
        boot_mode: image.boot_mode.map(str::to_owned),
        imds_support: image.imds_v2.then(|| "v2.0".to_owned()),
        deregistration_protection: Some("disabled".to_owned()),
        image_allowed: Some(true),
        free_tier_eligible: Some(true),
        image_id: Some(image_id(ctx.region(), image).to_string()),
        image_location: Some(format!("{}/{}", image.owner_alias.unwrap_or(image.owner), image.name)),
        state: Some("available".to_owned()),
        owner_id: Some(image.owner.to_owned()),
        creation_date: Some(image.created.to_owned()),
        public: Some(true),
        architecture: Some(image.architecture.to_owned()),
        image_type: Some("machine".to_owned()),
        ..Default::default()
    }
}

/// What the original image says of its root volume. It has no snapshot here.
fn root_mapping(image: &Image) -> BlockDeviceMapping {
    BlockDeviceMapping {
        device_name: Some(image.root_device.to_owned()),
        ebs: Some(EbsBlockDevice {
            delete_on_termination: Some(true),
            encrypted: Some(false),
            volume_size: Some(image.root_gib.into()),
            volume_type: Some("gp3".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// # Errors
/// `InvalidAMIID.NotFound`; the decoder has checked the attribute's name.
pub(crate) fn describe_attribute(
    ctx: &Context<'_>,
    request: &DescribeImageAttributeRequest,
) -> Result<ImageAttribute, ApiError> {
    let (id, image) = resolve(ctx.region(), request.image_id.as_deref().unwrap_or_default())?;
    let mut result = ImageAttribute { image_id: Some(id.to_string()), ..Default::default() };
    let text = |value: Option<&str>| Some(AttributeValue { value: value.map(str::to_owned) });
    match request.attribute.as_deref().unwrap_or_default() {
        "description" => result.description = text(Some(SANDBOX_DESCRIPTION)),
        "kernel" => result.kernel_id = text(None),
        "ramdisk" => result.ramdisk_id = text(None),
        "launchPermission" => {
            result.launch_permissions = vec![LaunchPermission { group: Some("all".to_owned()), ..Default::default() }];
        }
        "blockDeviceMapping" => result.block_device_mappings = vec![root_mapping(image)],
        "sriovNetSupport" => result.sriov_net_support = text(Some("simple")),
        "bootMode" => result.boot_mode = text(image.boot_mode),
        "imdsSupport" => result.imds_support = text(image.imds_v2.then_some("v2.0")),
        "deregistrationProtection" => result.deregistration_protection = text(Some("disabled")),
        "tpmSupport" => result.tpm_support = text(None),
        "uefiData" => result.uefi_data = text(None),
        "lastLaunchedTime" => result.last_launched_time = text(None),
        "productCodes" => {}
        other => return Err(ApiError::invalid_value(other, "Attribute", "")),
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lab, values};

    const DESCRIBE: &str = "Action=DescribeImages";

    /// The look-up of a `data "aws_ami"` block: owners and filters.
    fn look_up(lab: &mut Lab, owner: &str, name: &str) -> Vec<String> {
        let filters =
            [("name", name), ("virtualization-type", "hvm"), ("root-device-type", "ebs"), ("state", "available")];
        let mut form = format!("{DESCRIBE}&Owner.1={owner}&IncludeDeprecated=false");
        for ((filter, value), n) in filters.iter().zip(1..) {
            form += &format!("&Filter.{n}.Name={filter}&Filter.{n}.Value.1={value}");
        }
        lab.all(&form, "imageId")
    }

    #[test]
    fn the_usual_look_ups_find_the_sandbox() {
        let mut lab = Lab::new();
        for (owner, name, want) in [
            ("amazon", "al2023-ami-2023.*-kernel-6.1-x86_64", 1),
            ("amazon", "al2023-ami-*-x86_64", 3),
            ("137112412989", "amzn2-ami-hvm-*-x86_64-gp2", 1),
            ("099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*", 1),
            ("099720109477", "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*", 1),
            ("136693071363", "debian-12-amd64-*", 1),
            ("self", "*", 0),
            ("099720109477", "al2023-*", 0),
        ] {
            assert_eq!(look_up(&mut lab, owner, name).len(), want, "{owner} {name}");
        }
    }

    #[test]
    fn ids_differ_by_region_and_not_by_run() {
        let ids = |region| look_up(&mut Lab::in_region(region), "amazon", "al2023-ami-2023.*-kernel-6.1-x86_64");
        assert_eq!(ids("us-east-1"), ids("us-east-1"));
        assert_ne!(ids("us-east-1"), ids("eu-central-1"));
    }

    #[test]
    fn an_image_says_what_it_is_and_what_clients_need() {
        let mut lab = Lab::new();
        let id = look_up(&mut lab, "136693071363", "debian-12-amd64-*").remove(0);
        let xml = lab.xml(&format!("{DESCRIBE}&ImageId.1={id}"));
        for (element, want) in [
            ("description", SANDBOX_DESCRIPTION),
            ("rootDeviceName", "/dev/xvda"),
            ("deviceName", "/dev/xvda"),
            ("architecture", "x86_64"),
            ("imageState", "available"),
            ("isPublic", "true"),
            ("enaSupport", "true"),
        ] {
            assert_eq!(values(&xml, element).first().map(String::as_str), Some(want), "{element}");
        }
        let attribute = format!("Action=DescribeImageAttribute&ImageId={id}&Attribute=launchPermission");
        assert_eq!(lab.get(&attribute, "group"), "all");
        lab.refuses(&[
            (
                "Action=DescribeImages&ImageId.1=ami-0123456789abcdef0",
                "InvalidAMIID.NotFound: The image id '[ami-0123456789abcdef0]' does not exist",
            ),
            ("Action=DescribeImages&ImageId.1=x", "InvalidAMIID.Malformed: Invalid id: \"x\" (expecting \"ami-...\")"),
            ("Action=DescribeImages&Filter.1.Name=color", "InvalidParameterValue: The filter 'color' is invalid"),
        ]);
    }

    #[test]
    fn images_come_in_pages() {
        let mut lab = Lab::new();
        let first = lab.xml(&format!("{DESCRIBE}&MaxResults=15"));
        let token = values(&first, "nextToken").remove(0);
        let second = lab.all(&format!("{DESCRIBE}&MaxResults=15&NextToken={token}"), "imageId");
        assert_eq!(values(&first, "imageId").len() + second.len(), IMAGES.len());
    }
}
