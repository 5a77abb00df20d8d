//! One client's connection: HTTP/1.1 with as little work as can be, kept open where the server keeps it.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// The account and region that every request claims.
const CLAIM: &str = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/ec2/aws4_request, \
                     SignedHeaders=host, Signature=00";

pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, request: Vec::new(), answer: Vec::new() }
    }

    /// Posts a form and gives the document that answers it.
    ///
    /// # Errors
    /// The server refuses the call, or doesn't speak HTTP as this client does.
    pub fn call(&mut self, form: &str) -> Result<&str> {
        self.request.clear();
        let length = form.len();
        write!(
            self.request,
            "POST / HTTP/1.1\r\nhost: ec2.us-east-1.amazonaws.com\r\nauthorization: {CLAIM}\r\ncontent-type: \
             application/x-www-form-urlencoded; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{form}"
        )?;
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(connect(self.address)?),
        };
        stream.write_all(&self.request).context("sending a request")?;
        let body = read_answer(stream, &mut self.answer)?;
        let (head, document) = self.answer.split_at(body);
        let head = std::str::from_utf8(head).context("a head that is no text")?;
        let document = std::str::from_utf8(document).context("a document that is no text")?;
        if head.starts_with("HTTP/1.0") || header(head, "connection").is_some_and(|v| v.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        if head.get(9..12) != Some("200") {
            bail!("{form}\n{document}");
        }
        Ok(document)
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer, and says where its document begins.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<usize> {
    answer.clear();
    let mut chunk = [0; 64 << 10];
    let mut whole = None;
    loop {
        let read = stream.read(&mut chunk).context("reading an answer")?;
        answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if whole.is_none() {
            whole = body_of(answer)?;
        }
        match whole {
            Some((body, Some(length))) if answer.len() >= body + length => return Ok(body),
            Some((body, None)) if read == 0 => return Ok(body),
            _ if read == 0 => bail!("the server closed within an answer"),
            _ => {}
        }
    }
}

/// Where the document begins, and how long it is if the head says so.
fn body_of(answer: &[u8]) -> Result<Option<(usize, Option<usize>)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default()).context("a head that is no text")?;
    let length = header(head, "content-length").map(|text| text.parse().context("a length that is no number"));
    Ok(Some((end + 4, length.transpose()?)))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The text of the first element of that name.
pub fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_where_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(body_of(answer).unwrap(), Some((38, Some(3))));
        assert_eq!(body_of(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
        assert_eq!(body_of(b"HTTP/1.0 200 OK\r\n\r\n").unwrap(), Some((19, None)));
        assert_eq!(element("<a><b>1</b><b>2</b></a>", "b"), Some("1"));
    }
}
