//! Every dependency comes from the registry, under a licence that fits Apache-2.0. `deny.toml` says the same for
//! those who have cargo-deny.

use anyhow::{Context, Result};
use serde_json::Value;

/// One of these suffices in an expression of alternatives.
const FITTING: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "CC0-1.0",
    "BSL-1.0",
    "Unicode-3.0",
    "MPL-2.0",
    "MPL-2.0+",
    "Apache-2.0 WITH LLVM-exception",
];

/// # Errors
/// The metadata lacks what cargo promises.
pub fn faults(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let outside = packages.iter().filter(|package| !package["source"].is_null());
    Ok(outside.filter_map(fault).collect())
}

fn fault(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let source = package["source"].as_str().unwrap_or_default();
    if !source.starts_with("registry+") {
        return Some(format!("{name} comes from {source}, not from the registry"));
    }
    let licence = package["license"].as_str().unwrap_or_default();
    (!fits(licence)).then(|| format!("{name}: the licence '{licence}' has not been found fitting"))
}

/// Does an SPDX expression allow a fitting choice? Every part of an AND must, and one part of an OR.
fn fits(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ").any(|licence| FITTING.contains(&licence.trim().trim_matches(['(', ')'])))
    })
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn alternatives_need_one_fitting_licence_and_sums_need_all() {
        assert!(fits("MIT OR Apache-2.0"));
        assert!(fits("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(fits("GPL-3.0 OR MIT"));
        assert!(fits("MIT/Apache-2.0"));
        assert!(!fits("GPL-3.0"));
        assert!(!fits("MIT AND GPL-3.0"));
        assert!(!fits(""));
    }
}
