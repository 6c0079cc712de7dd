//! The TLS settings of `http` and `postgres`, as providers write them.
//!
//! Takes the arguments, gives what [`crate::tls`] makes of them, its errors as failures of a driver.

use std::path::Path;

use rustls::ClientConfig;

use super::host::io_failure;
use super::{Args, Failure, FailureKind};
pub(super) use crate::tls::Tls;
use crate::tls::TlsError;

/// Reads `tls { ca_file client_certificate client_key }`.
pub(super) fn of(args: &Args<'_>) -> Result<Tls, Failure> {
    let Some(tls) = args.object("tls")? else { return Ok(Tls::default()) };
    let identity = match (tls.path("client_certificate")?, tls.path("client_key")?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(args.invalid("`tls.client_certificate` and `tls.client_key` go together")),
    };
    Ok(Tls { ca_file: tls.path("ca_file")?, identity })
}

/// A client configuration; `alpn` names the protocols to offer.
pub(super) fn config(tls: &Tls, alpn: &[&str]) -> Result<ClientConfig, Failure> {
    crate::tls::client_config(tls, alpn).map_err(|error| match error {
        TlsError::Unreadable { path, error } => io_failure("read", Path::new(&path), &error),
        TlsError::Invalid(why) => Failure::new(FailureKind::Invalid, why),
        TlsError::NoAuthority => Failure::new(FailureKind::Failed, error.to_string()).help(TlsError::NO_AUTHORITY_HELP),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_is_no_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem").to_string_lossy().into_owned();
        for text in ["", "rubbish", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            let error = config(&Tls { ca_file: Some(path.clone()), identity: None }, &[]).unwrap_err();
            assert_eq!(error.kind, FailureKind::Invalid, "{text}");
        }
        let error = config(&Tls { ca_file: Some("/no/such/file".into()), identity: None }, &[]).unwrap_err();
        assert!(error.message.contains("does not exist"), "{error}");
    }
}
