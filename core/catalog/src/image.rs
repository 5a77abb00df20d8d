//! The images under which people's look-ups find Groundplane's sandbox.
//!
//! A sandbox has no disk image: it is a copy-on-write view of the host that runs it. So that programs written for
//! AWS start unchanged, the usual names of the usual publishers all lead to it, and each says so in its description.

/// What every image says that it is.
pub const SANDBOX_DESCRIPTION: &str = "Groundplane sandbox: a copy-on-write view of the host";

/// One image of a region; its id follows from the region and the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// 12 digits.
    pub owner: &'static str,
    /// `amazon` for Amazon's own account; others have no alias.
    pub owner_alias: Option<&'static str>,
    pub name: &'static str,
    /// `x86_64` or `arm64`.
    pub architecture: &'static str,
    /// RFC 3339, as EC2 prints it.
    pub created: &'static str,
    pub root_device: &'static str,
    /// In GiB, as the original image has it; nothing is allocated.
    pub root_gib: u32,
    /// The boot mode that the original image declares.
    pub boot_mode: Option<&'static str>,
    /// Does the original image ask for IMDSv2 (EC2 `ImdsSupport`)?
    pub imds_v2: bool,
}

const AMAZON: &str = "137112412989";
const CANONICAL: &str = "099720109477";
const DEBIAN: &str = "136693071363";

const fn amazon(name: &'static str, architecture: &'static str, created: &'static str) -> Image {
    Image {
        owner: AMAZON,
        owner_alias: Some("amazon"),
        name,
        architecture,
        created,
        root_device: "/dev/xvda",
        root_gib: 8,
        boot_mode: Some("uefi-preferred"),
        imds_v2: false,
    }
}

const fn al2023(name: &'static str, architecture: &'static str, created: &'static str) -> Image {
    Image { imds_v2: true, ..amazon(name, architecture, created) }
}

const fn canonical(name: &'static str, architecture: &'static str, created: &'static str) -> Image {
    Image { owner: CANONICAL, owner_alias: None, root_device: "/dev/sda1", ..amazon(name, architecture, created) }
}

const fn debian(name: &'static str, architecture: &'static str, created: &'static str) -> Image {
    Image { owner: DEBIAN, owner_alias: None, ..amazon(name, architecture, created) }
}

/// Every image of a region, by publisher.
pub const IMAGES: &[Image] = &[
    al2023("al2023-ami-2023.9.20251110.1-kernel-6.1-x86_64", "x86_64", "2025-11-11T00:00:00.000Z"),
    al2023("al2023-ami-2023.9.20251110.1-kernel-6.1-arm64", "arm64", "2025-11-11T00:00:00.000Z"),
    al2023("al2023-ami-2023.9.20251110.1-kernel-6.12-x86_64", "x86_64", "2025-11-11T00:00:01.000Z"),
    al2023("al2023-ami-2023.9.20251110.1-kernel-6.12-arm64", "arm64", "2025-11-11T00:00:01.000Z"),
    al2023("al2023-ami-minimal-2023.9.20251110.1-kernel-6.1-x86_64", "x86_64", "2025-11-11T00:00:00.000Z"),
    al2023("al2023-ami-minimal-2023.9.20251110.1-kernel-6.1-arm64", "arm64", "2025-11-11T00:00:00.000Z"),
    amazon("amzn2-ami-hvm-2.0.20251110.1-x86_64-gp2", "x86_64", "2025-11-10T00:00:00.000Z"),
    amazon("amzn2-ami-hvm-2.0.20251110.1-arm64-gp2", "arm64", "2025-11-10T00:00:00.000Z"),
    amazon("amzn2-ami-hvm-2.0.20251110.1-x86_64-ebs", "x86_64", "2025-11-10T00:00:00.000Z"),
    amazon("amzn2-ami-kernel-5.10-hvm-2.0.20251110.1-x86_64-gp2", "x86_64", "2025-11-10T00:00:00.000Z"),
    amazon("amzn2-ami-kernel-5.10-hvm-2.0.20251110.1-arm64-gp2", "arm64", "2025-11-10T00:00:00.000Z"),
    canonical("ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20250530", "x86_64", "2025-05-30T00:00:00.000Z"),
    canonical("ubuntu/images/hvm-ssd/ubuntu-focal-20.04-arm64-server-20250530", "arm64", "2025-05-30T00:00:00.000Z"),
    canonical("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251111", "x86_64", "2025-11-11T00:00:00.000Z"),
    canonical("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20251111", "arm64", "2025-11-11T00:00:00.000Z"),
    canonical(
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251111",
        "x86_64",
        "2025-11-11T00:00:00.000Z",
    ),
    canonical(
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20251111",
        "arm64",
        "2025-11-11T00:00:00.000Z",
    ),
    debian("debian-12-amd64-20251112-2294", "x86_64", "2025-11-12T00:00:00.000Z"),
    debian("debian-12-arm64-20251112-2294", "arm64", "2025-11-12T00:00:00.000Z"),
    debian("debian-13-amd64-20251117-2299", "x86_64", "2025-11-17T00:00:00.000Z"),
    debian("debian-13-arm64-20251117-2299", "arm64", "2025-11-17T00:00:00.000Z"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_say_their_architecture() {
        let names: BTreeSet<_> = IMAGES.iter().map(|image| image.name).collect();
        assert_eq!(names.len(), IMAGES.len());
        for image in IMAGES {
            let other = if image.architecture == "arm64" { ["x86_64", "amd64"] } else { ["arm64", "aarch64"] };
            assert!(!other.iter().any(|word| image.name.contains(word)), "{image:?}");
        }
    }

    #[test]
    fn owners_are_account_ids() {
        assert!(IMAGES.iter().all(|image| image.owner.len() == 12 && image.owner.bytes().all(|b| b.is_ascii_digit())));
    }
}
