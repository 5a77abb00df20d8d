//! [`Params`]: a request's form, decoded to names and values.
//!
//! The form is `application/x-www-form-urlencoded` (WHATWG URL, 5.1) in UTF-8. The number of parameters and the
//! length of a name are bounded, and a form costs memory in proportion to its size.

use crate::ApiError;
use crate::decode::{Entry, parts};

/// Most parameters in one request. EC2's own limits (1000 resources, 50 filters of 200 values) stay below.
const MAX_PARAMS: usize = 10_000;
/// Longest parameter name, in bytes. The longest in the model has about 120.
const MAX_NAME: usize = 512;

/// Parameters of the query protocol itself and of old and new signatures, which no action sees.
const PROTOCOL: [&str; 9] = [
    "Action",
    "Version",
    "AWSAccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "SecurityToken",
    "Timestamp",
    "Expires",
];

/// A request's parameters in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Parses a form or query string.
    ///
    /// # Errors
    /// `MalformedQueryString` for a bad percent escape, for bytes that are not UTF-8 and for more than 10,000
    /// parameters; `UnknownParameter` for a name longer than any that EC2 has.
    pub fn parse(form: &[u8]) -> Result<Params, ApiError> {
        let mut pairs = Vec::new();
        for piece in form.split(|&b| b == b'&').filter(|piece| !piece.is_empty()) {
            if pairs.len() == MAX_PARAMS {
                return Err(malformed("it has too many parameters"));
            }
            let split = piece.iter().position(|&b| b == b'=').unwrap_or(piece.len());
            let name = text(&piece[..split])?;
            if name.len() > MAX_NAME {
                let start: String = name.chars().take(64).collect();
                return Err(ApiError::unknown_parameter(format_args!("{start}...")));
            }
            pairs.push((name, text(piece.get(split + 1..).unwrap_or_default())?));
        }
        Ok(Params { pairs })
    }

    /// The first value of the parameter `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The `Action` parameter.
    pub fn action(&self) -> Option<&str> {
        self.get("Action")
    }

    /// The `Version` parameter.
    pub fn version(&self) -> Option<&str> {
        self.get("Version")
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The action's own parameters, sorted as [`Node::root`](crate::decode::Node::root) needs them.
    ///
    /// # Errors
    /// `InvalidQueryParameter` for a name given twice.
    pub(crate) fn into_entries(self) -> Result<Vec<Entry>, ApiError> {
        let mut entries = self.pairs;
        entries.sort_unstable_by(|a, b| parts(a).cmp(parts(b)));
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let message = format!("The parameter {} is given more than once", twice[0].0);
            return Err(ApiError::client("InvalidQueryParameter", message));
        }
        entries.retain(|(name, _)| !is_protocol(name));
        Ok(entries)
    }
}

fn is_protocol(name: &str) -> bool {
    PROTOCOL.contains(&name) || name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("X-Amz-"))
}

fn malformed(why: &str) -> ApiError {
    ApiError::client("MalformedQueryString", format!("The query string contains a syntax error: {why}"))
}

/// A name or value as text.
fn text(escaped: &[u8]) -> Result<String, ApiError> {
    let bytes = unescape(escaped).ok_or_else(|| malformed("a bad percent escape"))?;
    String::from_utf8(bytes).map_err(|_| malformed("text that is not UTF-8"))
}

/// Undoes the form encoding of one name or value; `None` for a bad percent escape.
pub(crate) fn unescape(escaped: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                out.push(tail.first().and_then(hex)? << 4 | tail.get(1).and_then(hex)?);
                rest = &tail[2..];
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(form: &str) -> Vec<(String, String)> {
        Params::parse(form.as_bytes()).expect("the form is good").pairs
    }

    fn code(form: &[u8]) -> String {
        Params::parse(form).and_then(Params::into_entries).expect_err("the form is bad").code.into_owned()
    }

    #[test]
    fn escapes_and_pluses_are_undone_once() {
        let got = pairs("A=a+b%2Bc%2525&&B&C=d=e&");
        let want = [("A", "a b+c%25"), ("B", ""), ("C", "d=e")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(got, want);
    }

    #[test]
    fn broken_forms_are_refused() {
        for form in [&b"A=%"[..], b"A=%4", b"A=%zz", b"A=\xff", b"%ff=1"] {
            assert_eq!(code(form), "MalformedQueryString");
        }
        assert_eq!(code(&b"a=1&".repeat(MAX_PARAMS + 1)), "MalformedQueryString");
        assert_eq!(code(&[b'a'; MAX_NAME + 1]), "UnknownParameter");
        assert_eq!(code(b"VpcId=1&VpcId=2"), "InvalidQueryParameter");
        assert_eq!(code(b"Action=A&Action=B"), "InvalidQueryParameter");
    }

    #[test]
    fn protocol_parameters_are_not_the_actions() {
        let form = b"Action=A&Version=1&AWSAccessKeyId=k&X-Amz-Signature=s&x-amz-date=d&VpcId=v";
        let entries = Params::parse(form).and_then(Params::into_entries).expect("the form is good");
        assert_eq!(entries, [("VpcId".to_owned(), "v".to_owned())]);
    }
}
