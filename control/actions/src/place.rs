//! Regions and zones: what AWS publishes about them, and a rule for the rest.
//!
//! Source: recorded DescribeRegions and DescribeAvailabilityZones answers; AWS general reference, "Regions".

use crate::Settings;
use gp_model::{Region, Zone};

/// An availability zone as the API describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFacts {
    pub zone: Zone,
    /// `use1-az6`: the same place in every account.
    pub id: String,
    /// `us-east-1-zg-1`.
    pub group: String,
    /// `US East (N. Virginia) 1`.
    pub group_long_name: String,
}

/// A region that AWS has.
pub(crate) struct RegionFacts {
    pub name: &'static str,
    pub long_name: &'static str,
    /// Where an account has to opt in.
    pub opt_in: bool,
}

const fn on(name: &'static str, long_name: &'static str) -> RegionFacts {
    RegionFacts { name, long_name, opt_in: false }
}

const fn opt_in(name: &'static str, long_name: &'static str) -> RegionFacts {
    RegionFacts { name, long_name, opt_in: true }
}

/// In the order in which DescribeRegions lists them.
pub(crate) const REGIONS: &[RegionFacts] = &[
    on("ap-south-1", "Asia Pacific (Mumbai)"),
    on("eu-north-1", "Europe (Stockholm)"),
    on("eu-west-3", "Europe (Paris)"),
    on("eu-west-2", "Europe (London)"),
    on("eu-west-1", "Europe (Ireland)"),
    on("ap-northeast-3", "Asia Pacific (Osaka)"),
    on("ap-northeast-2", "Asia Pacific (Seoul)"),
    on("ap-northeast-1", "Asia Pacific (Tokyo)"),
    on("ca-central-1", "Canada (Central)"),
    on("sa-east-1", "South America (Sao Paulo)"),
    on("ap-southeast-1", "Asia Pacific (Singapore)"),
    on("ap-southeast-2", "Asia Pacific (Sydney)"),
    on("eu-central-1", "Europe (Frankfurt)"),
    on("us-east-1", "US East (N. Virginia)"),
    on("us-east-2", "US East (Ohio)"),
    on("us-west-1", "US West (N. California)"),
    on("us-west-2", "US West (Oregon)"),
    opt_in("af-south-1", "Africa (Cape Town)"),
    opt_in("ap-east-1", "Asia Pacific (Hong Kong)"),
    opt_in("ap-east-2", "Asia Pacific (Taipei)"),
    opt_in("ap-south-2", "Asia Pacific (Hyderabad)"),
    opt_in("ap-southeast-3", "Asia Pacific (Jakarta)"),
    opt_in("ap-southeast-4", "Asia Pacific (Melbourne)"),
    opt_in("ap-southeast-5", "Asia Pacific (Malaysia)"),
    opt_in("ap-southeast-6", "Asia Pacific (New Zealand)"),
    opt_in("ap-southeast-7", "Asia Pacific (Thailand)"),
    opt_in("ca-west-1", "Canada West (Calgary)"),
    opt_in("eu-central-2", "Europe (Zurich)"),
    opt_in("eu-south-1", "Europe (Milan)"),
    opt_in("eu-south-2", "Europe (Spain)"),
    opt_in("il-central-1", "Israel (Tel Aviv)"),
    opt_in("me-central-1", "Middle East (UAE)"),
    opt_in("me-south-1", "Middle East (Bahrain)"),
    opt_in("mx-central-1", "Mexico (Central)"),
];

/// Letters of the zones of `us-east-1` and the numbers of the places behind them.
const US_EAST_1: [(char, u8); 6] = [('a', 6), ('b', 1), ('c', 2), ('d', 4), ('e', 3), ('f', 5)];

/// The zones of a region, by letter. Any region name has zones: those that AWS does not have follow the same rule.
pub fn zones_of(region: &Region, settings: &Settings) -> Vec<ZoneFacts> {
    let most = if region.as_str() == "us-east-1" { US_EAST_1.len() } else { settings.zones_per_region };
    numbers(region).into_iter().take(most).map(|(letter, number)| facts(region, letter, number)).collect()
}

/// The id of a zone of the region: `use1-az6`.
pub(crate) fn zone_id(region: &Region, zone: &Zone) -> Option<String> {
    let letter = zone.as_str().strip_prefix(region.as_str()).and_then(|letter| letter.parse::<char>().ok())?;
    let number = numbers(region).into_iter().find(|(known, _)| *known == letter).map(|(_, number)| number)?;
    Some(numbered(region, number))
}

/// The letters of a region's zones, and the numbers of the places behind them.
fn numbers(region: &Region) -> Vec<(char, u8)> {
    match region.as_str() {
        "us-east-1" => US_EAST_1.to_vec(),
        _ => ('a'..='z').zip(1..).collect(),
    }
}

fn numbered(region: &Region, number: u8) -> String {
    format!("{}-az{number}", short_name(region.as_str()))
}

fn facts(region: &Region, letter: char, number: u8) -> ZoneFacts {
    ZoneFacts {
        zone: region.zone(letter),
        id: numbered(region, number),
        group: format!("{region}-zg-1"),
        group_long_name: format!("{} 1", long_name(region.as_str())),
    }
}

pub(crate) fn long_name(region: &str) -> &str {
    REGIONS.iter().find(|facts| facts.name == region).map_or(region, |facts| facts.long_name)
}

/// `ap-southeast-1` -> `apse1`: how zone ids name a region.
fn short_name(region: &str) -> String {
    const DIRECTIONS: [&str; 5] = ["north", "south", "east", "west", "central"];
    let mut short = String::new();
    for (place, mut part) in region.split('-').enumerate() {
        // The first part is a continent or country, the last a number; both stay as they are.
        while let Some(direction) = DIRECTIONS.iter().find(|d| place > 0 && part.starts_with(**d)) {
            short.push_str(&direction[..1]);
            part = &part[direction.len()..];
        }
        match part {
            "gov" => short.push('g'),
            part => short.push_str(part),
        }
    }
    short
}

/// AWS's partition, the second part of an ARN.
pub(crate) fn partition(region: &str) -> &'static str {
    match region.split_once('-').map(|(first, _)| first) {
        Some("cn") => "aws-cn",
        Some("us") if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_shorten_the_region_as_aws_does() {
        for (region, short) in [
            ("us-east-1", "use1"),
            ("eu-central-1", "euc1"),
            ("ap-southeast-2", "apse2"),
            ("ap-northeast-1", "apne1"),
            ("ap-south-1", "aps1"),
            ("us-gov-west-1", "usgw1"),
            ("sa-east-1", "sae1"),
            ("home", "home"),
        ] {
            assert_eq!(short_name(region), short);
        }
    }

    #[test]
    fn us_east_1_has_six_zones_and_others_as_many_as_set() {
        let settings = Settings::default();
        let zones = zones_of(&Region::new("us-east-1"), &settings);
        assert_eq!((zones.len(), zones[0].id.as_str()), (6, "use1-az6"));
        let zones = zones_of(&Region::new("eu-central-1"), &settings);
        let names: Vec<_> = zones.iter().map(|facts| facts.zone.as_str()).collect();
        assert_eq!(names, ["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
        assert_eq!(zones[2].id, "euc1-az3");
        for region in ["us-east-1", "eu-central-1", "home"].map(Region::new) {
            for facts in zones_of(&region, &settings) {
                assert_eq!(zone_id(&region, &facts.zone), Some(facts.id));
            }
        }
    }
}
