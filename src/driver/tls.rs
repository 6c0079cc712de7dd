//! The TLS settings of `http` and `postgres`: rustls with aws-lc, certificates always checked.
//!
//! Takes PEM files, gives a client configuration of its own. Installs nothing process-wide.
#![expect(clippy::disallowed_methods, reason = "a door: reads certificates and keys")]

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::host::io_failure;
use super::{Args, Failure, FailureKind};

/// What is trusted, and who Windlass says it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    /// Certificates (PEM) that are trusted instead of the system's.
    pub(super) ca_file: Option<String>,
    /// Certificate chain and key (PEM) to show to the server.
    pub(super) identity: Option<(String, String)>,
}

impl Tls {
    /// Reads `tls { ca_file client_certificate client_key }`.
    pub(super) fn of(args: &Args<'_>) -> Result<Self, Failure> {
        let Some(tls) = args.object("tls")? else { return Ok(Self::default()) };
        let identity = match (tls.path("client_certificate")?, tls.path("client_key")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(args.invalid("`tls.client_certificate` and `tls.client_key` go together")),
        };
        Ok(Self { ca_file: tls.path("ca_file")?, identity })
    }
}

/// A client configuration; `alpn` names the protocols to offer.
pub(super) fn config(tls: &Tls, alpn: &[&str]) -> Result<ClientConfig, Failure> {
    let roots = match &tls.ca_file {
        Some(path) => own_roots(path)?,
        None => system_roots(),
    };
    if roots.is_empty() {
        return Err(Failure::new(FailureKind::Failed, "this machine trusts no certificate authority at all")
            .help("install the system's certificates (the package ca-certificates), or name a file with `ca_file`"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(FailureKind::Failed, format!("cannot set up TLS: {error}")))?
        .with_root_certificates(roots);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key_file)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|_| no_pem("private key", key_file))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(|error| {
                Failure::new(FailureKind::Invalid, format!("`{certificate}` and `{key_file}` cannot be used: {error}"))
            })?
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// The system's certificates, read once.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let mut roots = RootCertStore::empty();
            // One certificate that cannot be read must not make all others useless.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(roots)
        })
        .clone()
}

fn own_roots(path: &str) -> Result<Arc<RootCertStore>, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| {
            Failure::new(FailureKind::Invalid, format!("`{path}` holds a certificate that cannot be trusted: {error}"))
        })?;
    }
    Ok(Arc::new(roots))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(no_pem("certificate", path)),
    }
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| io_failure("read", Path::new(path), &error))
}

fn no_pem(what: &str, path: &str) -> Failure {
    Failure::new(FailureKind::Invalid, format!("there is no {what} in PEM form in `{path}`"))
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
