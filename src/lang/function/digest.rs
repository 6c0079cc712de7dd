//! Functions that fingerprint a text. `md5` and `sha1` are here for what asks for them, not for security.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use uuid::Uuid;

use super::{Function, Kind, Param, Run, args, param};

const fn hash(name: &'static str, say: &'static str, example: (&'static str, &'static str), run: Run) -> Function {
    const TEXT: &[Param] = &[param("string", Kind::String)];
    Function::new("hash", name, TEXT, say, example, run)
}

/// The digest in hexadecimal digits.
pub(super) fn hex<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The digest in base64.
pub(super) fn base64<D: Digest>(bytes: &[u8]) -> String {
    STANDARD.encode(D::digest(bytes))
}

pub(super) static BASE64SHA256: Function = hash(
    "base64sha256",
    "Gives the SHA-256 digest in base64.",
    (r#"base64sha256("hello world")"#, r#""uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=""#),
    |_, given| Ok(base64::<Sha256>(args::text(given, 0, "string")?.as_bytes()).into()),
);

pub(super) static BASE64SHA512: Function = hash(
    "base64sha512",
    "Gives the SHA-512 digest in base64.",
    (
        r#"base64sha512("hello world")"#,
        r#""MJ7MSJwS1utMxA9QyQLytNDtd+5RGnx6m808qG1M2G+YndNbxf9JlnDaNCVbRbDP2DDoH2Bdz33FVC6TrpzXbw==""#,
    ),
    |_, given| Ok(base64::<Sha512>(args::text(given, 0, "string")?.as_bytes()).into()),
);

pub(super) static MD5: Function = hash(
    "md5",
    "Gives the MD5 digest in hexadecimal digits.",
    (r#"md5("hello world")"#, r#""5eb63bbbe01eeed093cb22bb8f5acdc3""#),
    |_, given| Ok(hex::<Md5>(args::text(given, 0, "string")?.as_bytes()).into()),
);

pub(super) static SHA1: Function = hash(
    "sha1",
    "Gives the SHA-1 digest in hexadecimal digits.",
    (r#"sha1("hello world")"#, r#""2aae6c35c94fcfb415dbe95f408b9ce91ee846ed""#),
    |_, given| Ok(hex::<Sha1>(args::text(given, 0, "string")?.as_bytes()).into()),
);

pub(super) static SHA256: Function = hash(
    "sha256",
    "Gives the SHA-256 digest in hexadecimal digits.",
    (r#"sha256("hello world")"#, r#""b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9""#),
    |_, given| Ok(hex::<Sha256>(args::text(given, 0, "string")?.as_bytes()).into()),
);

pub(super) static SHA512: Function = hash(
    "sha512",
    "Gives the SHA-512 digest in hexadecimal digits.",
    (r#"substr(sha512("hello world"), 0, 16)"#, r#""309ecc489c12d6eb""#),
    |_, given| Ok(hex::<Sha512>(args::text(given, 0, "string")?.as_bytes()).into()),
);

pub(super) static UUIDV5: Function = Function::new(
    "hash",
    "uuidv5",
    &[param("namespace", Kind::String), param("name", Kind::String)],
    "Gives the UUID of a name in a namespace (dns, url, oid, x500 or a UUID): always the same one.",
    (r#"uuidv5("dns", "www.example.com")"#, r#""2ed6657d-e927-568b-95e1-2665a8aea6a2""#),
    |_, given| {
        let (namespace, name) = (args::text(given, 0, "namespace")?, args::text(given, 1, "name")?);
        let space = match namespace {
            "dns" => Uuid::NAMESPACE_DNS,
            "url" => Uuid::NAMESPACE_URL,
            "oid" => Uuid::NAMESPACE_OID,
            "x500" => Uuid::NAMESPACE_X500,
            other => Uuid::parse_str(other).map_err(|_| format!("{other:?} is none of dns, url, oid and x500, nor a UUID"))?,
        };
        Ok(Uuid::new_v5(&space, name.as_bytes()).to_string().into())
    },
);

#[cfg(test)]
mod tests {
    use crate::lang::function::tests::{call, fails};

    #[test]
    fn digests_are_the_published_ones() {
        for (name, wanted) in [
            ("md5", "d41d8cd98f00b204e9800998ecf8427e"),
            ("sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("base64sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ] {
            assert_eq!(call(name, ["".into()]), wanted.into(), "{name}");
        }
    }

    #[test]
    fn a_namespace_may_be_a_uuid() {
        let dns = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        assert_eq!(call("uuidv5", [dns.into(), "x".into()]), call("uuidv5", ["dns".into(), "x".into()]));
        assert!(fails("uuidv5", ["web".into(), "x".into()]).contains("\"web\""));
    }
}
