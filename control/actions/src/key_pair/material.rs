//! Key material: makes RSA and ED25519 pairs and reads public keys, with the fingerprints that EC2 shows.
//!
//! | key | fingerprint (EC2 user guide, "Verify the fingerprint") |
//! |---|---|
//! | RSA, made here | SHA-1 of the private key's PKCS#8 DER, as hex with colons |
//! | RSA, imported | MD5 of the public key's SubjectPublicKeyInfo DER, as hex with colons |
//! | ED25519 | SHA-256 of the public key as OpenSSH encodes it, in base64 |
//!
//! The private half is handed to the caller and kept nowhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, LineEnding, PrivateKey, PublicKey};

/// Size of the RSA keys that EC2 makes.
const RSA_BITS: usize = 2048;
/// Sizes of the RSA keys that EC2 imports.
const IMPORTABLE_RSA_BITS: [usize; 3] = [1024, 2048, 4096];
/// First line of a public key in the form of RFC 4716.
const RFC4716_BEGIN: &str = "---- BEGIN SSH2 PUBLIC KEY ----";
const RFC4716_END: &str = "---- END SSH2 PUBLIC KEY ----";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    Rsa,
    Ed25519,
}

impl KeyType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicHalf {
    pub(super) key_type: KeyType,
    pub(super) fingerprint: String,
    /// In OpenSSH's `authorized_keys` form, without a comment.
    pub(super) openssh: String,
}

/// Why a text is no public key that EC2 would import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ImportError {
    #[error("Key is not in valid OpenSSH public key format")]
    Format,
    #[error("Key length is not supported: 1024, 2048 or 4096 bits are")]
    Length,
    #[error("Only RSA and ED25519 keys are supported")]
    Kind,
}

/// Makes a pair from 256 bits of randomness; gives the public half and the private one as PEM.
///
/// # Errors
/// A text for the log where the arithmetic fails, which no seed is known to cause.
pub(super) fn generate(key_type: KeyType, seed: [u8; 32]) -> Result<(PublicHalf, String), String> {
    let mut rng = ChaCha20Rng::from_seed(seed);
    match key_type {
        KeyType::Rsa => {
            RsaPrivateKey::new(&mut rng, RSA_BITS).map_err(|e| e.to_string()).and_then(|key| rsa_pair(&key))
        }
        KeyType::Ed25519 => {
            let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).map_err(|e| e.to_string())?;
            let pem = key.to_openssh(LineEnding::LF).map_err(|e| e.to_string())?;
            Ok((ed25519_half(key.public_key()).map_err(|e| e.to_string())?, pem.to_string()))
        }
    }
}

fn rsa_pair(key: &RsaPrivateKey) -> Result<(PublicHalf, String), String> {
    let pkcs8 = key.to_pkcs8_der().map_err(|e| e.to_string())?;
    let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(|e| e.to_string())?;
    let half = PublicHalf {
        key_type: KeyType::Rsa,
        fingerprint: hex_with_colons(&Sha1::digest(pkcs8.as_bytes())),
        openssh: openssh_of_rsa(&key.to_public_key()).map_err(|e| e.to_string())?,
    };
    Ok((half, pem.to_string()))
}

/// Reads a public key in one of the three forms that EC2 imports: OpenSSH's line, RFC 4716, or base64 of DER.
///
/// # Errors
/// [`ImportError`] for anything else.
pub(super) fn import(text: &str) -> Result<PublicHalf, ImportError> {
    let key = parse_public(text.trim())?;
    match key.key_data() {
        KeyData::Ed25519(_) => ed25519_half(&key).map_err(|_| ImportError::Format),
        KeyData::Rsa(rsa) => imported_rsa(&RsaPublicKey::try_from(rsa).map_err(|_| ImportError::Format)?),
        _ => Err(ImportError::Kind),
    }
}

fn parse_public(text: &str) -> Result<PublicKey, ImportError> {
    if let Some(body) = text.strip_prefix(RFC4716_BEGIN) {
        let blob = STANDARD.decode(rfc4716_body(body)?).map_err(|_| ImportError::Format)?;
        return PublicKey::from_bytes(&blob).map_err(|_| ImportError::Format);
    }
    // The first word of OpenSSH's line names the kind.
    match text.split_whitespace().next().and_then(|word| word.parse::<Algorithm>().ok()) {
        Some(Algorithm::Rsa { .. } | Algorithm::Ed25519) => {
            return PublicKey::from_openssh(text).map_err(|_| ImportError::Format);
        }
        Some(Algorithm::Other(_)) | None => {}
        Some(_) => return Err(ImportError::Kind),
    }
    let joined: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = STANDARD.decode(joined).map_err(|_| ImportError::Format)?;
    let rsa = RsaPublicKey::from_public_key_der(&der).map_err(|_| ImportError::Format)?;
    let key = ssh_key::public::RsaPublicKey::try_from(rsa).map_err(|_| ImportError::Format)?;
    Ok(PublicKey::from(key))
}

/// The base64 between the marks, without headers (`Comment: …`, which a `\` at the end of the line continues).
fn rfc4716_body(text: &str) -> Result<String, ImportError> {
    let (body, _) = text.split_once(RFC4716_END).ok_or(ImportError::Format)?;
    let mut base64 = String::new();
    let mut in_header = false;
    for line in body.lines().map(str::trim) {
        if in_header || line.contains(':') {
            in_header = line.ends_with('\\');
        } else {
            base64.push_str(line);
        }
    }
    Ok(base64)
}

fn imported_rsa(key: &RsaPublicKey) -> Result<PublicHalf, ImportError> {
    if !IMPORTABLE_RSA_BITS.contains(&(key.n().bits())) {
        return Err(ImportError::Length);
    }
    let der = key.to_public_key_der().map_err(|_| ImportError::Format)?;
    Ok(PublicHalf {
        key_type: KeyType::Rsa,
        fingerprint: hex_with_colons(&Md5::digest(der.as_bytes())),
        openssh: openssh_of_rsa(key).map_err(|_| ImportError::Format)?,
    })
}

fn openssh_of_rsa(key: &RsaPublicKey) -> Result<String, ssh_key::Error> {
    PublicKey::from(ssh_key::public::RsaPublicKey::try_from(key)?).to_openssh()
}

fn ed25519_half(key: &PublicKey) -> Result<PublicHalf, ssh_key::Error> {
    let bare = PublicKey::from(key.key_data().clone());
    let fingerprint = STANDARD.encode(Sha256::digest(bare.to_bytes()?));
    Ok(PublicHalf { key_type: KeyType::Ed25519, fingerprint, openssh: bare.to_openssh()? })
}

fn hex_with_colons(bytes: &[u8]) -> String {
    let octets: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    octets.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by ssh-keygen; the fingerprints below by openssl and ssh-keygen.
    const RSA_LINE: &str = include_str!("testdata/rsa.pub");
    const RSA_RFC4716: &str = include_str!("testdata/rsa.rfc4716");
    const RSA_PKCS8: &str = include_str!("testdata/rsa.pem");
    const ED25519_LINE: &str = include_str!("testdata/ed25519.pub");
    const ECDSA_LINE: &str = include_str!("testdata/ecdsa.pub");

    #[test]
    fn the_three_forms_of_an_rsa_key_are_the_same_key() {
        let line = import(RSA_LINE).unwrap();
        assert_eq!(line.fingerprint, include_str!("testdata/rsa.md5").trim());
        assert_eq!(import(RSA_RFC4716).unwrap(), line);
        assert_eq!(import(RSA_PKCS8).unwrap(), line);
        assert!(RSA_LINE.starts_with(&line.openssh));
    }

    #[test]
    fn an_ed25519_key_has_the_fingerprint_that_openssh_prints() {
        let key = import(ED25519_LINE).unwrap();
        assert_eq!(key.fingerprint.trim_end_matches('='), include_str!("testdata/ed25519.sha256").trim());
        assert_eq!(key.key_type, KeyType::Ed25519);
    }

    #[test]
    fn other_kinds_and_other_texts_are_refused() {
        assert_eq!(import(ECDSA_LINE), Err(ImportError::Kind));
        for text in ["", "ssh-rsa", "ssh-rsa AAAA", "AAAA", RFC4716_BEGIN, "---- BEGIN SSH2 PUBLIC KEY ----\nAA:\\"] {
            assert_eq!(import(text), Err(ImportError::Format), "{text:?}");
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_pair_and_the_pair_belongs_together() {
        let (public, pem) = generate(KeyType::Ed25519, [7; 32]).unwrap();
        assert_eq!(generate(KeyType::Ed25519, [7; 32]).unwrap().1, pem);
        let private = PrivateKey::from_openssh(&pem).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), public.openssh);
    }

    #[test]
    fn a_made_rsa_key_is_pkcs1_pem_with_a_sha1_fingerprint() {
        let (public, pem) = generate(KeyType::Rsa, [1; 32]).unwrap();
        assert!(pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert_eq!(public.fingerprint.len(), 20 * 3 - 1);
        assert!(public.openssh.starts_with("ssh-rsa "));
        assert_eq!(import(&public.openssh).unwrap().openssh, public.openssh);
    }
}
