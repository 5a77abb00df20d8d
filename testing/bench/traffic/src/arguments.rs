//! The command line.

use crate::udp::flow::{Block, ESTABLISHED_PORT, NEW_PORT};
use crate::udp::lane::LaneName;
use clap::{Args, Parser, Subcommand};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// Flows whose packets come before new ones.
const WARM_UP_FLOWS: u32 = 100;

/// Sends traffic from one network namespace to another, and prints what was measured as one line of JSON.
#[derive(Debug, Parser)]
pub struct Arguments {
    /// Network namespace of the client: a file; this one without.
    #[arg(long)]
    pub client: Option<PathBuf>,
    /// Network namespace of the server.
    #[arg(long)]
    pub server: Option<PathBuf>,
    /// The server's address.
    #[arg(long)]
    pub to: Ipv4Addr,
    /// Keep the client on this CPU.
    #[arg(long)]
    pub client_cpu: Option<usize>,
    /// Keep the server on this CPU.
    #[arg(long)]
    pub server_cpu: Option<usize>,
    /// Run under SCHED_RR with this priority.
    #[arg(long)]
    pub realtime: Option<i32>,
    /// Traffic before the measurement starts.
    #[arg(long, default_value_t = 0.2)]
    pub warm_up_seconds: f64,
    /// How long is measured.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    #[command(subcommand)]
    pub mode: Mode,
}

/// How long to warm up, and how long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    pub warm_up: Duration,
    pub measured: Duration,
}

impl Arguments {
    pub fn time(&self) -> Time {
        let duration = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
        Time { warm_up: duration(self.warm_up_seconds), measured: duration(self.seconds) }
    }
}

#[derive(Debug, Subcommand)]
pub enum Mode {
    /// TCP bulk transfer.
    Bulk(Bulk),
    /// One byte there and one back over one TCP connection, again and again.
    Request(Request),
    /// TCP connections made one after the other: connect, one byte, its echo, close.
    Connect(Connect),
    /// 64-byte UDP frames over flows that are known in both directions.
    Established(Flows),
    /// 64-byte UDP frames, each of a flow never seen before.
    New(New),
    /// New flows at a rate, and what established ones lose meanwhile.
    Overload(Overload),
    /// The round trip of the first packet of a flow, and of its second.
    First(First),
}

#[derive(Debug, Args)]
pub struct Bulk {
    #[arg(long, default_value_t = 1)]
    pub streams: usize,
    #[arg(long, default_value_t = 7001)]
    pub port: u16,
}

#[derive(Debug, Args)]
pub struct Request {
    #[arg(long, default_value_t = 7002)]
    pub port: u16,
}

#[derive(Debug, Args)]
pub struct Connect {
    #[arg(long, default_value_t = 1)]
    pub threads: u16,
    /// Each thread has a port of its own from here on. Give other ports to each run: the tuples of the last one may
    /// still be known to somebody.
    #[arg(long, default_value_t = 7100)]
    pub port: u16,
}

#[derive(Debug, Args)]
pub struct Flows {
    #[arg(long, default_value_t = 1)]
    pub flows: u32,
    #[command(flatten)]
    pub lanes: Lanes,
    /// Give up establishing flows after this time.
    #[arg(long, default_value_t = 60.0)]
    pub patience_seconds: f64,
}

#[derive(Debug, Args)]
pub struct Lanes {
    /// Where frames go out: INTERFACE,SOURCE,DESTINATION,NEXT-HOP-MAC. Flows are spread over several.
    #[arg(long = "lane", required = true)]
    pub lanes: Vec<LaneName>,
}

#[derive(Debug, Args)]
pub struct New {
    /// Number of the first flow: give another range to each run.
    #[arg(long, default_value_t = 0)]
    pub first_flow: u32,
    #[arg(long, default_value_t = 10_000)]
    pub count: u32,
    /// Packets per second; as fast as the client can without.
    #[arg(long)]
    pub rate: Option<u32>,
    #[command(flatten)]
    pub lanes: Lanes,
}

#[derive(Debug, Args)]
pub struct Overload {
    #[command(flatten)]
    pub new: New,
    /// Flows that were there before.
    #[arg(long, default_value_t = 100)]
    pub established: u32,
    /// Their packets per second, all together.
    #[arg(long, default_value_t = 10_000)]
    pub established_rate: u32,
    /// Threads that send new flows, each its part of them and of the rate.
    #[arg(long, default_value_t = 1)]
    pub senders: u32,
}

#[derive(Debug, Args)]
pub struct First {
    #[arg(long, default_value_t = 500)]
    pub count: u32,
    /// Between two flows.
    #[arg(long, default_value_t = 1000)]
    pub pause_microseconds: u64,
    #[arg(long, default_value_t = 7003)]
    pub port: u16,
}

impl Flows {
    pub fn block(&self) -> Block {
        Block { port: ESTABLISHED_PORT, first: 0, count: self.flows }
    }
}

impl New {
    pub fn block(&self) -> Block {
        Block { port: NEW_PORT, first: self.first_flow, count: self.count }
    }

    /// The flows that warm up, and the new ones.
    pub fn blocks(&self) -> [Block; 2] {
        [Block { port: ESTABLISHED_PORT, first: 0, count: WARM_UP_FLOWS }, self.block()]
    }
}

impl Overload {
    pub fn blocks(&self) -> [Block; 2] {
        [Block { port: ESTABLISHED_PORT, first: 0, count: self.established }, self.new.block()]
    }
}
