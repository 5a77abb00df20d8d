//! Words of a statement, taken one by one.

use gp_model::{PortRange, TrafficMatch};
use std::fmt::Display;
use std::iter::Peekable;
use std::str::{FromStr, SplitWhitespace};

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError(pub String);

impl Display for TextError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

pub(crate) struct Tokens<'a> {
    text: &'a str,
    words: Peekable<SplitWhitespace<'a>>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, words: text.split_whitespace().peekable() }
    }

    pub(crate) fn error(&self, what: impl Display) -> TextError {
        TextError(format!("{what} in \"{}\"", self.text.trim()))
    }

    pub(crate) fn word(&mut self, what: &str) -> Result<&'a str, TextError> {
        self.words.next().ok_or_else(|| self.error(format_args!("{what} is missing")))
    }

    pub(crate) fn peek(&mut self) -> Option<&'a str> {
        self.words.peek().copied()
    }

    /// Takes the word if it is next.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        self.words.next_if_eq(&word).is_some()
    }

    /// A word that must be there.
    pub(crate) fn expect(&mut self, word: &str) -> Result<(), TextError> {
        if self.take(word) { Ok(()) } else { Err(self.error(format_args!("\"{word}\" is missing"))) }
    }

    pub(crate) fn value<T: FromStr>(&mut self, what: &str) -> Result<T, TextError> {
        let word = self.word(what)?;
        self.parse(word, what)
    }

    pub(crate) fn parse<T: FromStr>(&self, word: &str, what: &str) -> Result<T, TextError> {
        word.parse().map_err(|_| self.error(format_args!("{word} is no {what}")))
    }

    /// `all`, `tcp 80`, `udp 1-9`, `tcp *`, `icmp *`, `icmp 8/0`, `icmp6 128`, `proto 50`.
    pub(crate) fn traffic(&mut self) -> Result<TrafficMatch, TextError> {
        Ok(match self.word("protocol")? {
            "all" => TrafficMatch::All,
            "tcp" => TrafficMatch::Tcp(self.ports()?),
            "udp" => TrafficMatch::Udp(self.ports()?),
            "icmp" => {
                let (icmp_type, code) = self.icmp()?;
                TrafficMatch::Icmp { icmp_type, code }
            }
            "icmp6" => {
                let (icmp_type, code) = self.icmp()?;
                TrafficMatch::Icmpv6 { icmp_type, code }
            }
            "proto" => TrafficMatch::Protocol(self.value("protocol number")?),
            other => return Err(self.error(format_args!("{other} is no protocol"))),
        })
    }

    fn ports(&mut self) -> Result<PortRange, TextError> {
        let word = self.word("port")?;
        if word == "*" {
            return Ok(PortRange::ALL);
        }
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        Ok(PortRange { from: self.parse(from, "port")?, to: self.parse(to, "port")? })
    }

    fn icmp(&mut self) -> Result<(Option<u8>, Option<u8>), TextError> {
        let word = self.word("ICMP type")?;
        match word.split_once('/') {
            _ if word == "*" => Ok((None, None)),
            Some((icmp_type, code)) => Ok((Some(self.parse(icmp_type, "type")?), Some(self.parse(code, "code")?))),
            None => Ok((Some(self.parse(word, "type")?), None)),
        }
    }
}
