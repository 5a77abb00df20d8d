//! Moments in time as EC2 writes them: ISO 8601 in UTC with milliseconds, `2026-11-21T08:26:17.000Z`.

use std::fmt;
use std::str::FromStr;

/// 0000-01-01T00:00:00Z.
const LEAST_MS: i64 = -62_167_219_200_000;
/// 9999-12-30T00:00:00Z; the last day is left out, since jiff ends within it.
const MOST_MS: i64 = 253_402_128_000_000;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Text that is no ISO 8601 date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 8601 date and time")]
pub struct NotATimestamp;

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch. Moments outside the years 0 to 9999, which ISO 8601 cannot
    /// write with four digits, become the nearest one inside.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.clamp(LEAST_MS, MOST_MS))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{moment:.3}")
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads `2026-11-21T08:26:17Z`, with or without a fraction, with any offset; a time without an offset and a
    /// date alone are UTC, as AWS reads them.
    ///
    /// # Errors
    /// [`NotATimestamp`] for anything else.
    fn from_str(text: &str) -> Result<Timestamp, NotATimestamp> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(Timestamp::from_millis(moment.as_millisecond()));
        }
        let civil: jiff::civil::DateTime = text.parse().map_err(|_| NotATimestamp)?;
        let moment = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| NotATimestamp)?;
        Ok(Timestamp::from_millis(moment.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_795_249_577_000).to_string(), "2026-11-21T08:26:17.000Z");
        assert_eq!(Timestamp::from_millis(1_717_701_709_007).to_string(), "2024-06-06T19:21:49.007Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn iso_8601_is_read_in_its_usual_forms() {
        for text in [
            "2026-11-21T08:26:17Z",
            "2026-11-21T08:26:17.000Z",
            "2026-11-21T09:26:17+01:00",
            "2026-11-21T08:26:17",
            "20261121T082617Z",
        ] {
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(1_795_249_577_000)), "{text}");
        }
        assert_eq!("2026-11-21".parse::<Timestamp>().map(|t| t.to_string()), Ok("2026-11-21T00:00:00.000Z".into()));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "now", "2026-13-01T00:00:00Z", "1795249577", "2026-11-21T25:00:00Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
    }

    #[test]
    fn every_number_can_be_written() {
        for (millis, want) in [(i64::MIN, "0000-01-01T00:00:00.000Z"), (i64::MAX, "9999-12-30T00:00:00.000Z")] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), want);
        }
        let far = "-009999-06-01T00:00:00Z".parse().map(|moment: Timestamp| moment.to_string());
        assert_eq!(far.as_deref(), Ok("0000-01-01T00:00:00.000Z"));
    }
}
