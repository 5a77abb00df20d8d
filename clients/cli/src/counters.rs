//! `groundplane counters`: each ENI's allowances, by the names that an ENA driver gives them, and what NAT gateways count, by
//! the names of CloudWatch's metrics.

use crate::Output;
use crate::admin::AdminClient;
use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;

/// # Errors
/// No Groundplane answers, or nothing of it has the name.
pub fn run(client: &AdminClient, wanted: Option<&str>, output: Output) -> Result<()> {
    let path = wanted.map_or_else(|| "/counters".to_owned(), |wanted| format!("/counters/{}", encode(wanted)));
    let found: Vec<Value> = client.get(&path)?;
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(());
    }
    for one in &found {
        let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        match one["nat_gateway"].as_str() {
            Some(gateway) => println!("{gateway}"),
            None => println!("{} of {}", text("eni"), text("instance")),
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, value) in one.as_object().into_iter().flatten().filter(|(_, value)| value.is_u64()) {
            table.add_row([name.clone(), value.to_string()]);
        }
        println!("{table}\n");
    }
    Ok(())
}

/// Leaves only what a path may hold as it is.
fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_slashes_stays_one_part_of_the_path() {
        assert_eq!(encode("web 1/a"), "web%201%2Fa");
        assert_eq!(encode("eni-0123"), "eni-0123");
    }
}
