//! The keys of `--auth strict`: which access key has which secret and stands for which account.
//!
//! Their file has one key per line: `ACCESS_KEY SECRET [ACCOUNT]`; `#` begins a comment. Without an account, a key
//! of 12 digits is its own, and any other is of the default account.

use gp_ec2::sigv4;
use gp_model::AccountId;
use std::collections::HashMap;
use std::fmt;

/// One access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pub secret: String,
    pub account: AccountId,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the secret: settings are printed in logs.
        f.debug_struct("Key").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Keys by access key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRing(HashMap<String, Key>);

/// Why a list of keys can't be read. Names the line and never shows it: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeysError {
    #[error("line {line}: expected ACCESS_KEY SECRET [ACCOUNT]")]
    Form { line: usize },
    #[error("line {line}: an account is 12 digits")]
    Account { line: usize },
    #[error("line {line}: this access key stands on an earlier line too")]
    Twice { line: usize },
    #[error("there is no key in it, so that nobody could call")]
    Empty,
}

impl KeyRing {
    /// Reads a list of keys.
    ///
    /// # Errors
    /// [`ParseKeysError`].
    pub fn parse(text: &str) -> Result<Self, ParseKeysError> {
        let mut keys = HashMap::new();
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split_once('#').map_or(content, |(before, _comment)| before);
            let words: Vec<&str> = content.split_whitespace().collect();
            let (access_key, secret, account) = match words[..] {
                [] => continue,
                [access_key, secret] => (access_key, secret, sigv4::account_of(access_key)),
                [access_key, secret, account] => (access_key, secret, account),
                _ => return Err(ParseKeysError::Form { line }),
            };
            let account = account.parse().map_err(|_| ParseKeysError::Account { line })?;
            if keys.insert(access_key.to_owned(), Key { secret: secret.to_owned(), account }).is_some() {
                return Err(ParseKeysError::Twice { line });
            }
        }
        if keys.is_empty() { Err(ParseKeysError::Empty) } else { Ok(Self(keys)) }
    }

    pub fn get(&self, access_key: &str) -> Option<&Key> {
        self.0.get(access_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_their_account_or_have_one_given() {
        let ring = KeyRing::parse("# ours\nAKIDEXAMPLE s3cret\n111122223333 s # x\n\nOPS p 444455556666").unwrap();
        let account = |key: &str| ring.get(key).unwrap().account.to_string();
        assert_eq!(account("AKIDEXAMPLE"), "000000000000");
        assert_eq!(account("111122223333"), "111122223333");
        assert_eq!(account("OPS"), "444455556666");
        assert!(ring.get("OTHER").is_none());
        assert!(!format!("{ring:?}").contains("s3cret"));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        for (text, error) in [
            ("a b\nc", ParseKeysError::Form { line: 2 }),
            ("a b 000000000000 d", ParseKeysError::Form { line: 1 }),
            ("a b c", ParseKeysError::Account { line: 1 }),
            ("a b\na c", ParseKeysError::Twice { line: 2 }),
            ("# nothing", ParseKeysError::Empty),
        ] {
            assert_eq!(KeyRing::parse(text), Err(error));
        }
    }
}
