//! The command line.

use crate::uplink::UplinkOptions;
use clap::{Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The AWS VPC on your own Linux machines: the EC2 API, real packets, and the reason why one died.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
pub struct Arguments {
    /// Which running Groundplane is meant.
    #[arg(long, global = true, default_value = "default", env = "GROUNDPLANE_NAME")]
    pub name: String,
    /// Print facts as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API and run instances on this machine.
    Up(UpOptions),
    /// Stop, and remove everything that was made on this machine.
    Down {
        /// Remove the stored data and the instances' disks too.
        #[arg(long)]
        purge: bool,
    },
    /// Check whether this machine can enforce what Groundplane promises.
    Doctor {
        /// The region of calls that name none.
        #[arg(long, default_value = "us-east-1", env = "GROUNDPLANE_REGION")]
        region: String,
        #[command(flatten)]
        uplink: UplinkOptions,
    },
    /// Print shell lines that point the AWS tools here: eval "$(groundplane env)".
    Env {
        /// The account to act as: 12 digits.
        #[arg(long, default_value = "000000000000", value_parser = account)]
        account: String,
    },
    /// Show what runs.
    Status,
    /// Run a command in an instance, or a shell.
    Exec {
        /// Instance id or Name tag.
        instance: String,
        /// The command and its arguments, behind `--`.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Print an instance's console output.
    Logs {
        /// Instance id or Name tag.
        instance: String,
    },
    /// Trace a packet: every hop, the verdict, and what would let it through. Exits with 1 if it is dropped.
    Why {
        /// Instance, ENI, address or Name tag; with --frame also 'outside'.
        from: String,
        /// Instance, ENI, address or Name tag.
        #[arg(required_unless_present = "frame")]
        to: Option<String>,
        /// tcp/80, udp/53, icmp, or a protocol number.
        #[arg(required_unless_present = "frame")]
        service: Option<String>,
        /// Trace this Ethernet frame as it stands, in hexadecimal digits (as of tcpdump -xx, offsets left out).
        #[arg(long, value_name = "HEX", conflicts_with_all = ["to", "service"])]
        frame: Option<String>,
    },
    /// Give a free ENI to a namespace or a TAP that Groundplane didn't start, as an instance that the API shows.
    Attach(AttachOptions),
    /// Take back an ENI that was given away by 'attach'; its instance is terminated.
    Detach {
        /// eni-…
        eni: String,
    },
    /// Show the allowances of ENIs, by the names of the ENA driver, and the metrics of NAT gateways.
    Counters {
        /// ENI, instance, address, NAT gateway or Name tag; all of this machine without.
        wanted: Option<String>,
    },
    /// Summaries of what there is.
    Report {
        #[command(subcommand)]
        report: Report,
    },
    /// Turn what AWS fixes and a test wants otherwise: `dial nat-… ports=64`, `ports=default`.
    Dial {
        /// A NAT gateway's id.
        resource: String,
        /// ports=NUMBER: connections per address and destination.
        setting: String,
    },
    /// Take the tour, driven by the aws CLI.
    Demo,
}

#[derive(Debug, Subcommand)]
pub enum Report {
    /// What would cost on AWS by the hour: public IPv4 addresses, used or idle, and NAT gateways.
    Costs,
}

#[derive(Debug, clap::Args)]
pub struct UpOptions {
    /// Address of the API.
    #[arg(long, default_value = "127.0.0.1:4566", env = "GROUNDPLANE_LISTEN")]
    pub listen: SocketAddr,
    /// Where the store and the instances' disks live [default: /var/lib/groundplane/NAME].
    #[arg(long, env = "GROUNDPLANE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The region of calls that name none.
    #[arg(long, default_value = "us-east-1", env = "GROUNDPLANE_REGION")]
    pub region: String,
    /// Keep the world in memory only.
    #[arg(long, value_enum, default_value_t = StoreKind::Embedded)]
    pub store: StoreKind,
    /// What instances are, unless their tag groundplane:guest says otherwise.
    #[arg(long, value_enum, default_value_t = Guest::Sandbox, env = "GROUNDPLANE_GUEST")]
    pub guest: Guest,
    /// Whether signatures are checked.
    #[arg(long, value_enum, default_value_t = AuthKind::Lenient)]
    pub auth: AuthKind,
    /// For --auth strict: a file with one "ACCESS_KEY SECRET ACCOUNT" per line.
    #[arg(long, required_if_eq("auth", "strict"))]
    pub keys: Option<PathBuf>,
    /// Whether instances have no more bandwidth than their types have on AWS.
    #[arg(long, value_enum, default_value_t = Switch::On, env = "GROUNDPLANE_BANDWIDTH_LIMITS")]
    pub bandwidth_limits: Switch,
    /// Raise or lower a quota, as in --quota enis=10000; may be repeated. The names are in docs/quotas.md.
    #[arg(long = "quota", value_name = "NAME=VALUE")]
    pub quotas: Vec<String>,
    #[command(flatten)]
    pub uplink: UplinkOptions,
    /// Go to the background once ready.
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["netns", "tap"])))]
pub struct AttachOptions {
    /// eni-…
    pub eni: String,
    /// The file of a network namespace, or a name that 'ip netns' knows.
    #[arg(long, value_name = "PATH")]
    pub netns: Option<PathBuf>,
    /// The interface's name in the namespace [default: eth0].
    #[arg(long, requires = "netns")]
    pub ifname: Option<String>,
    /// Leave the interface without addresses and routes.
    #[arg(long, requires = "netns")]
    pub no_configure: bool,
    /// A TAP device to make in this host's own namespace.
    #[arg(long, value_name = "NAME")]
    pub tap: Option<String>,
    /// Of the instance; it limits ENIs and addresses.
    #[arg(long, default_value = "m5.large")]
    pub instance_type: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    Embedded,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Guest {
    /// Namespaces over a copy-on-write view of this machine: starts in milliseconds.
    Sandbox,
    /// A virtual machine, by QEMU.
    Vm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthKind {
    /// Any credentials are accepted; an access key of 12 digits names the account.
    Lenient,
    Strict,
}

fn account(text: &str) -> Result<String, String> {
    text.parse::<gp_model::AccountId>().map(|id| id.to_string()).map_err(|error| error.to_string())
}
