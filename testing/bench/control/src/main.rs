//! Loads an EC2 endpoint by so many clients, each with a connection of its own, and prints how fast it was as one line of
//! JSON. What it sends is a claimed signature and plain forms, so that the servers are measured and not the client.

mod connection;
mod load;
mod work;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Parser)]
struct Arguments {
    /// The endpoint.
    #[arg(long)]
    address: SocketAddr,
    /// Clients at a time.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// CreateNetworkInterface, the subnets in turn.
    Create {
        #[arg(long, value_delimiter = ',', required = true)]
        subnets: Vec<String>,
        #[arg(long)]
        calls: usize,
        /// Gets the new ids, one per line, behind what it has.
        #[arg(long)]
        ids: PathBuf,
    },
    /// DeleteNetworkInterface of the ids in a file.
    Delete {
        #[arg(long)]
        ids: PathBuf,
    },
    /// DescribeNetworkInterfaces by one id of the file.
    ById {
        #[arg(long)]
        ids: PathBuf,
        #[arg(long)]
        seconds: f64,
    },
    /// DescribeNetworkInterfaces by subnet, a hundred at a time, each page by the token of the one before.
    Page {
        #[arg(long, value_delimiter = ',', required = true)]
        subnets: Vec<String>,
        #[arg(long)]
        seconds: f64,
    },
    /// AuthorizeSecurityGroupIngress, each rule another one, the groups in turn.
    Authorize {
        #[arg(long, value_delimiter = ',', required = true)]
        groups: Vec<String>,
        #[arg(long)]
        calls: usize,
    },
}

fn main() -> Result<()> {
    let Arguments { address, clients, work } = Arguments::parse();
    let report = match work {
        Work::Create { subnets, calls, ids } => {
            let made = load::times(address, clients, calls, |_client| work::create(&subnets))?;
            append(&ids, &made.values)?;
            made.report
        }
        Work::Delete { ids } => {
            let ids = read(&ids)?;
            load::times(address, clients, ids.len(), |_client| work::delete(&ids))?.report
        }
        Work::ById { ids, seconds } => {
            let ids = read(&ids)?;
            load::for_a_while(address, clients, seconds_of(seconds), |client| work::by_id(&ids, client))?.report
        }
        Work::Page { subnets, seconds } => {
            load::for_a_while(address, clients, seconds_of(seconds), |client| work::page(&subnets, client))?.report
        }
        Work::Authorize { groups, calls } => {
            load::times(address, clients, calls, |_client| work::authorize(&groups))?.report
        }
    };
    println!("{report}");
    Ok(())
}

fn seconds_of(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))
}

fn read(ids: &PathBuf) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(ids).with_context(|| format!("reading {}", ids.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn append(path: &PathBuf, ids: &[String]) -> Result<()> {
    use std::io::Write;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.with_context(|| format!("opening {}", path.display()))?;
    ids.iter().try_for_each(|id| writeln!(file, "{id}")).with_context(|| format!("writing {}", path.display()))
}
