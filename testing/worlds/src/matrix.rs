//! Tables of small scenarios, kept as data: what is traced here is sent as real packets elsewhere.
//!
//! ```text
//! world NAME              statements until `packets`
//! packets                 PACKET => VERDICT [opens …] [as TUPLE] [about TUPLE] [reply …]
//!                         ! STATEMENT             changes the world for the lines below
//!                         ~                       forgets all connections and fragments
//! ```
//! Lines that start with `#` are comments. Connections that a packet opens stay for the lines below it, up to the next `world` or `~`.
//! The verdicts are those of [`crate::Scenario::full_summary`].

use crate::{Scenario, TextError};

/// The tables, by file name.
pub const MATRICES: [(&str, &str); 9] = [
    ("internet-gateway", include_str!("../scenarios/internet-gateway.txt")),
    ("nat-gateway", include_str!("../scenarios/nat-gateway.txt")),
    ("routes", include_str!("../scenarios/routes.txt")),
    ("network-acls", include_str!("../scenarios/network-acls.txt")),
    ("ipv6", include_str!("../scenarios/ipv6.txt")),
    ("icmp-errors", include_str!("../scenarios/icmp-errors.txt")),
    ("sizes", include_str!("../scenarios/sizes.txt")),
    ("nat64", include_str!("../scenarios/nat64.txt")),
    ("trunks", include_str!("../scenarios/trunks.txt")),
];

/// One world with its lines.
#[derive(Debug, Clone)]
pub struct Matrix<'a> {
    pub name: &'a str,
    pub world: String,
    pub lines: Vec<Line<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    Packet { text: &'a str, expected: &'a str },
    Change(&'a str),
    Forget,
}

/// Reads a file's tables.
pub fn read(file: &str) -> Vec<Matrix<'_>> {
    let mut matrices: Vec<Matrix<'_>> = Vec::new();
    let mut in_packets = false;
    for line in file.lines() {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("world ") {
            matrices.push(Matrix { name, world: String::new(), lines: Vec::new() });
            in_packets = false;
        } else if line == "packets" {
            in_packets = true;
        } else if let Some(matrix) = matrices.last_mut().filter(|_| !line.is_empty()) {
            if in_packets {
                matrix.lines.push(packet_line(line));
            } else {
                matrix.world += line;
                matrix.world.push('\n');
            }
        }
    }
    matrices
}

fn packet_line(line: &str) -> Line<'_> {
    if line == "~" {
        return Line::Forget;
    }
    if let Some(statement) = line.strip_prefix('!') {
        return Line::Change(statement.trim());
    }
    let (text, expected) = line.split_once("=>").unwrap_or((line, ""));
    Line::Packet { text: text.trim(), expected: expected.trim() }
}

impl Matrix<'_> {
    /// Traces the lines and answers with those that fare otherwise: packet, expected and found verdict.
    ///
    /// # Errors
    /// What can't be understood or decided.
    pub fn differences(&self) -> Result<Vec<[String; 3]>, TextError> {
        let mut scenario: Scenario = self.world.parse()?;
        let mut differences = Vec::new();
        for line in &self.lines {
            match line {
                Line::Forget => scenario.forget(),
                Line::Change(statement) => drop(scenario.apply(statement)?),
                Line::Packet { text, expected } => {
                    let path = scenario.send(text)?;
                    let found = scenario.full_summary(&path);
                    if found != *expected {
                        differences.push([(*text).to_owned(), (*expected).to_owned(), found]);
                    }
                }
            }
        }
        Ok(differences)
    }
}
