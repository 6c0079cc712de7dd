//! TLS as a client: rustls with aws-lc, certificates always checked.
//!
//! Takes PEM files, gives a client configuration of its own. Installs nothing process-wide. Drivers and state stores use it alike.
#![expect(clippy::disallowed_methods, reason = "a door: reads certificates and keys")]

use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// What is trusted, and who Windlass says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates (PEM) that are trusted instead of the system's.
    pub ca_file: Option<String>,
    /// Certificate chain and key (PEM) to show to the server.
    pub identity: Option<(String, String)>,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{0}")]
    Invalid(String),
    /// Nothing is trusted.
    #[error("this machine trusts no certificate authority at all")]
    NoAuthority,
}

impl TlsError {
    /// What helps against [`TlsError::NoAuthority`].
    pub const NO_AUTHORITY_HELP: &str =
        "install the system's certificates (the package ca-certificates), or name a file with `ca_file`";
}

/// A socket or this machine: nobody can listen in between.
#[must_use]
pub fn is_near(host: &str) -> bool {
    host.starts_with('/') || host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A client configuration; `alpn` names the protocols to offer.
///
/// # Errors
/// A file cannot be read or does not hold what it should, or nothing is trusted.
pub fn client_config(tls: &Tls, alpn: &[&str]) -> Result<ClientConfig, TlsError> {
    let roots = match &tls.ca_file {
        Some(path) => own_roots(path)?,
        None => system_roots(),
    };
    if roots.is_empty() {
        return Err(TlsError::NoAuthority);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Invalid(format!("cannot set up TLS: {error}")))?
        .with_root_certificates(roots);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key_file)) => {
            let key = PrivateKeyDer::from_pem_slice(&read(key_file)?).map_err(|_| no_pem("private key", key_file))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|error| TlsError::Invalid(format!("`{certificate}` and `{key_file}` cannot be used: {error}")))?
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

fn own_roots(path: &str) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Invalid(format!("`{path}` holds a certificate that cannot be trusted: {error}")))?;
    }
    Ok(Arc::new(roots))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(no_pem("certificate", path)),
    }
}

fn read(path: &str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })
}

fn no_pem(what: &str, path: &str) -> TlsError {
    TlsError::Invalid(format!("there is no {what} in PEM form in `{path}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_and_this_machine_are_near() {
        for near in ["/run/postgresql", "localhost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_near(near), "{near}");
        }
        for far in ["localhost.example.org", "10.0.0.1", "0.0.0.0", "db", "127.0.0.1.example.org", ""] {
            assert!(!is_near(far), "{far}");
        }
    }
}
