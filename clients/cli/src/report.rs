//! `groundplane report`: summaries of what there is. `costs` lists what would cost on AWS by the hour.

use crate::Output;
use crate::admin::AdminClient;
use anyhow::Result;
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Hours of AWS's month.
const HOURS_PER_MONTH: u64 = 730;

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Cost {
    region: String,
    account: String,
    kind: String,
    id: String,
    public_ip: Option<String>,
    used_by: Option<String>,
    /// Dollars in ten-thousandths.
    usd_e4_per_hour: u64,
}

/// Every public IPv4 address, used or idle, and every NAT gateway, with AWS's list price.
///
/// # Errors
/// No Groundplane answers.
pub fn costs(client: &AdminClient, output: Output) -> Result<()> {
    let costs: Vec<Cost> = client.get("/costs")?;
    let sum: u64 = costs.iter().map(|cost| cost.usd_e4_per_hour).sum();
    match output {
        Output::Json => {
            let items: Vec<_> = costs.iter().map(item).collect();
            let report =
                json!({ "items": items, "usd_per_hour": usd(sum), "usd_per_month": usd(sum * HOURS_PER_MONTH) });
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Output::Text => {
            print(&costs);
            println!("\n{} USD an hour, {} USD a month; traffic not counted", text(sum), text(sum * HOURS_PER_MONTH));
        }
    }
    Ok(())
}

fn item(cost: &Cost) -> serde_json::Value {
    json!({
        "region": cost.region,
        "account": cost.account,
        "kind": cost.kind,
        "id": cost.id,
        "public_ip": cost.public_ip,
        "used_by": cost.used_by,
        "idle": cost.used_by.is_none(),
        "usd_per_hour": usd(cost.usd_e4_per_hour),
    })
}

fn print(costs: &[Cost]) {
    if costs.is_empty() {
        println!("nothing would cost by the hour");
        return;
    }
    let mut table = Table::new();
    let header = ["KIND", "ID", "ADDRESS", "USED BY", "USD/HOUR", "REGION", "ACCOUNT"];
    table.load_style(presets::NOTHING).set_header(header);
    for cost in costs {
        let address = cost.public_ip.as_deref().unwrap_or("-");
        let user = cost.used_by.as_deref().unwrap_or("idle");
        let price = text(cost.usd_e4_per_hour);
        table.add_row([&cost.kind, &cost.id, address, user, &price, &cost.region, &cost.account]);
    }
    println!("{table}");
}

fn usd(e4: u64) -> f64 {
    e4 as f64 / 10_000.0
}

fn text(e4: u64) -> String {
    format!("{}.{:04}", e4 / 10_000, e4 % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_printed_with_four_places() {
        assert_eq!([text(50), text(450 * HOURS_PER_MONTH), text(0)], ["0.0050", "32.8500", "0.0000"]);
    }
}
