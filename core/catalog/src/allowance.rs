//! What an instance type allows its network: bandwidth by network card, tracked connections by instance.
//!
//! Sources: EC2 user guide, "Amazon EC2 instance network bandwidth", for rates, credits and the way to the internet. EC2
//! publishes neither how long credits last to the second nor how many connections a type tracks; what stands here for
//! them is at the low end of what it says and of what others have measured, so that what passes here passes there.

use crate::InstanceType;

/// To an internet gateway and other regions, where the type has fewer than [`LARGE_VCPUS`] or is not of the current
/// generation.
const INTERNET_BITS: u64 = 5_000_000_000;
/// From here on half of the type's bandwidth goes to the internet.
const LARGE_VCPUS: u32 = 32;

/// Connections for each vCPU: others measured some 54,000 on an m5.large and 109,000 on an m5.xlarge, with two and four
/// vCPUs, and 32,000 on a t3.nano with two.
const CONNECTIONS_PER_VCPU: u32 = 27_300;
const CONNECTIONS_PER_BURSTABLE_VCPU: u32 = 16_384;

/// Bandwidth of one network card, which all its ENIs share: as much in as out, both at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bits per second that are there always.
    pub baseline_bits: u64,
    /// Bits per second that pass while there are credits. Equal to the baseline where the type has no credits.
    pub peak_bits: u64,
    /// Of these, to and from an internet gateway.
    pub internet_bits: u64,
}

impl Bandwidth {
    /// Seconds at peak that full credits last. "Typically 5 to 60 minutes" (EC2 user guide).
    pub const CREDIT_SECS: u64 = 300;
}

impl InstanceType {
    /// The bandwidth of a network card; `None` where the type has no such card.
    pub fn bandwidth(&self, card: u32) -> Option<Bandwidth> {
        let card = self.cards.get(usize::try_from(card).ok()?)?;
        let peak_bits = bits(card.peak_gbps.max(card.baseline_gbps));
        let internet_bits = match self.current_generation && self.vcpus >= LARGE_VCPUS {
            true => peak_bits / 2,
            false => peak_bits.min(INTERNET_BITS),
        };
        Some(Bandwidth { baseline_bits: bits(card.baseline_gbps), peak_bits, internet_bits })
    }

    /// Connections that security groups track for all ENIs of an instance together.
    pub fn connections_max(&self) -> u32 {
        let per_vcpu = if self.burstable { CONNECTIONS_PER_BURSTABLE_VCPU } else { CONNECTIONS_PER_VCPU };
        self.vcpus.saturating_mul(per_vcpu)
    }
}

fn bits(gbps: f64) -> u64 {
    (gbps * 1e9).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn bandwidth(name: &str) -> Bandwidth {
        catalog().get(name).unwrap().bandwidth(0).unwrap()
    }

    #[test]
    fn small_types_burst_and_large_ones_have_all_of_it_always() {
        let small = Bandwidth { baseline_bits: 32_000_000, peak_bits: 5_000_000_000, internet_bits: 5_000_000_000 };
        assert_eq!(bandwidth("t3.nano"), small);
        let large = Bandwidth { baseline_bits: 100e9 as u64, peak_bits: 100e9 as u64, internet_bits: 50e9 as u64 };
        assert_eq!(bandwidth("c5n.18xlarge"), large);
        assert_eq!(bandwidth("m5.large").internet_bits, 5_000_000_000);
        assert_eq!(bandwidth("t2.nano").internet_bits, 512_000_000);
    }

    #[test]
    fn a_card_that_the_type_does_not_have_has_no_bandwidth() {
        assert_eq!(catalog().get("m5.large").unwrap().bandwidth(1), None);
        assert!(catalog().get("p5.48xlarge").unwrap().bandwidth(31).is_some());
    }

    #[test]
    fn tracked_connections_are_about_what_others_have_measured() {
        let most = |name: &str| catalog().get(name).unwrap().connections_max();
        assert_eq!((most("t3.nano"), most("m5.large"), most("m5.xlarge")), (32_768, 54_600, 109_200));
    }

    #[test]
    fn every_type_lets_something_pass_and_the_peak_is_the_most() {
        for kind in catalog().iter() {
            assert!(kind.connections_max() > 0, "{}", kind.name);
            for card in 0..kind.cards.len() as u32 {
                let Bandwidth { baseline_bits, peak_bits, internet_bits } = kind.bandwidth(card).unwrap();
                assert!(0 < baseline_bits && baseline_bits <= peak_bits, "{}", kind.name);
                assert!(0 < internet_bits && internet_bits <= peak_bits, "{}", kind.name);
            }
        }
    }
}
