//! How the adapter proves who it is: with tokens that it signs itself, or with one that it is given.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, ObjectIdentifier, SecretDocument,
    der::{Encode as _, asn1::BitStringRef, asn1::Null},
    spki::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};
use ring::{digest, rand::SystemRandom, signature::RSA_PKCS1_SHA256, signature::RsaKeyPair};
use serde::Serialize;

use crate::{AdapterError, Fault, connect::io_words};

/// How long a token that is signed here is valid, and after how long it is made anew. The service
/// takes none that is valid for longer than an hour; both as in the example of
/// <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>.
pub(super) const VALID_FOR: Duration = Duration::from_secs(59 * 60);
const RENEWED_AFTER: Duration = Duration::from_secs(54 * 60);

/// `rsaEncryption` (RFC 8017).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// What a request proves itself with. Has no `Debug`: it is secret.
pub(super) enum Credentials {
    /// A key whose public half the user has.
    KeyPair(Box<KeyPair>),
    /// A token that somebody else has made.
    Given {
        /// As `X-Snowflake-Authorization-Token-Type` has it.
        kind: &'static str,
        token: Given,
    },
}

/// Where a token is.
pub(super) enum Given {
    Value(String),
    /// Read for each request, as whoever writes it renews it.
    File(PathBuf),
}

/// A token, and what kind it is.
pub(super) struct Token {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// A key, and the token that it has signed last.
pub(super) struct KeyPair {
    key: RsaKeyPair,
    issuer: String,
    subject: String,
    signed: Mutex<Option<Signed>>,
}

struct Signed {
    text: String,
    at: SystemTime,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
}

impl Credentials {
    /// The token of a request.
    ///
    /// # Errors
    /// Where it cannot be signed, or its file cannot be read.
    pub(super) fn token(&self, now: SystemTime) -> Result<Token, AdapterError> {
        match self {
            Self::KeyPair(pair) => Ok(Token { kind: "KEYPAIR_JWT", text: pair.token(now)? }),
            Self::Given { kind, token: Given::Value(text) } => {
                Ok(Token { kind, text: text.clone() })
            }
            Self::Given { kind, token: Given::File(path) } => {
                Ok(Token { kind, text: read(path, "the token")?.trim().to_owned() })
            }
        }
    }

    /// Forgets a token that was refused; whether there may be another one.
    pub(super) fn renew(&self) -> bool {
        match self {
            Self::KeyPair(pair) => {
                *pair.signed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
                true
            }
            Self::Given { token, .. } => matches!(token, Given::File(_)),
        }
    }
}

impl KeyPair {
    /// Reads a key in a file, PKCS#8 as PEM, and decrypts it where it is encrypted.
    ///
    /// # Errors
    /// Where it cannot be read, decrypted or used. No message says anything of the passphrase.
    pub(super) fn read(
        path: &Path,
        passphrase: Option<&str>,
        account: &str,
        user: &str,
    ) -> Result<Self, AdapterError> {
        let pem = read(path, "the private key")?;
        let place = path.display();
        let refuse = |said: &str| refused(format!("the private key in {place} {said}"));
        let (label, document) = SecretDocument::from_pem(&pem)
            .map_err(|_| refuse("is not PEM: a file of PKCS#8 is needed"))?;
        let document = match (label, passphrase) {
            ("PRIVATE KEY", _) => document,
            ("ENCRYPTED PRIVATE KEY", None) => {
                return Err(refuse("is encrypted, and there is no passphrase"));
            }
            ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => {
                EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                    .and_then(|encrypted| encrypted.decrypt(passphrase))
                    .map_err(|_| refuse("cannot be decrypted with the passphrase"))?
            }
            _ => return Err(refuse("is not PKCS#8: `openssl pkcs8 -topk8` makes it so")),
        };
        let key = RsaKeyPair::from_pkcs8(document.as_bytes())
            .map_err(|error| refuse(&format!("cannot be used: {error}")))?;
        let subject = format!("{}.{}", account_of_claims(account), user.to_uppercase());
        let print = fingerprint(&key).ok_or_else(|| refuse("has no public half"))?;
        let issuer = format!("{subject}.{print}");
        Ok(Self { key, issuer, subject, signed: Mutex::new(None) })
    }

    fn token(&self, now: SystemTime) -> Result<String, AdapterError> {
        let mut signed = self.signed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(signed) = &*signed
            && now.duration_since(signed.at).is_ok_and(|age| age < RENEWED_AFTER)
        {
            return Ok(signed.text.clone());
        }
        let text = self.sign(now).ok_or_else(|| {
            AdapterError::new(
                Fault::Authentication,
                "a token cannot be signed with the private key",
            )
        })?;
        *signed = Some(Signed { text: text.clone(), at: now });
        Ok(text)
    }

    fn sign(&self, now: SystemTime) -> Option<String> {
        let iat = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let claims =
            Claims { iss: &self.issuer, sub: &self.subject, iat, exp: iat + VALID_FOR.as_secs() };
        let header = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"RS256"}"#);
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).ok()?);
        let said = format!("{header}.{claims}");
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, said.as_bytes(), &mut signature).ok()?;
        Some(format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// `SHA256:` and the digest of the public key, as `DESCRIBE USER` shows it.
fn fingerprint(key: &RsaKeyPair) -> Option<String> {
    let public = SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier { oid: RSA_ENCRYPTION, parameters: Some(Null) },
        subject_public_key: BitStringRef::from_bytes(key.public().as_ref()).ok()?,
    };
    let digest = digest::digest(&digest::SHA256, &public.to_der().ok()?);
    Some(format!("SHA256:{}", STANDARD.encode(digest)))
}

/// The account as tokens name it: in capitals, without a region.
fn account_of_claims(account: &str) -> String {
    let account = account.to_uppercase();
    let end = match account.contains(".GLOBAL") {
        true => account.find('-'),
        false => account.find('.'),
    };
    account.get(..end.unwrap_or(account.len())).unwrap_or_default().to_owned()
}

fn read(path: &Path, what: &str) -> Result<String, AdapterError> {
    fs::read_to_string(path).map_err(|error| {
        refused(format!("{what} in {} cannot be read: {}", path.display(), io_words(&error)))
    })
}

fn refused(message: String) -> AdapterError {
    AdapterError::new(Fault::Options, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases/snowflake/key.p8");

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let pair = KeyPair::read(Path::new(KEY), None, "acct", "me").unwrap();
        let pair = Credentials::KeyPair(Box::new(pair));
        let at = |seconds: u64| {
            let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
            pair.token(now).unwrap().text
        };
        let first = at(0);
        assert_eq!(at(54 * 60 - 1), first);
        let second = at(54 * 60);
        assert_ne!(second, first);
        assert_eq!(at(55 * 60), second);
        assert_ne!(at(0), second, "a clock that was set back makes another one");
        assert!(pair.renew());
        assert_eq!(at(0), first, "the same second gives the same token");
    }

    #[test]
    fn the_fingerprint_is_what_openssl_computes() {
        let pair = KeyPair::read(Path::new(KEY), None, "acct", "me").unwrap();
        let computed = std::fs::read_to_string(KEY.replace("key.p8", "fingerprint.txt")).unwrap();
        assert_eq!(pair.issuer, format!("ACCT.ME.{}", computed.trim()));
    }

    #[test]
    fn the_account_of_a_token_has_no_region() {
        for (account, claimed) in [
            ("myorg-acct", "MYORG-ACCT"),
            ("xy12345.us-east-1", "XY12345"),
            ("xy12345.us-east-2.aws", "XY12345"),
            ("acct-abcdef.global", "ACCT"),
        ] {
            assert_eq!(account_of_claims(account), claimed);
        }
    }
}
