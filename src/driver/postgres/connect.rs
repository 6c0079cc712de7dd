//! How to reach a PostgreSQL server: for the built-in client, and as environment variables for the server's own tools.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::driver::tls::{self, Tls};
use crate::driver::{Args, Context, Failure, FailureKind};
use crate::lang::Value;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where and as whom.
#[derive(Clone)]
pub(super) struct Connection {
    host: Option<String>,
    port: u16,
    user: Option<String>,
    password: Option<String>,
    pub(super) database: Option<String>,
    tls: bool,
    ca_file: Option<String>,
}

impl Connection {
    /// Reads `url`, or its parts; a part that is given wins.
    pub(super) fn of(args: &Args<'_>) -> Result<Self, Failure> {
        let config = match args.text("url")? {
            None => Config::new(),
            // The parser's words may repeat the text, and with it the password.
            Some(url) => {
                url.parse::<Config>().map_err(|_| args.invalid("`url` is not a URL like `postgres://user@host:5432/database`"))?
            }
        };
        if config.get_hosts().len() > 1 {
            return Err(args.invalid("`url` names several hosts: give one"));
        }
        let url_host = config.get_hosts().first().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(dir) => dir.to_string_lossy().into_owned(),
        });
        let port = match args.count("port")? {
            Some(port) => {
                u16::try_from(port).ok().filter(|port| *port != 0).ok_or_else(|| args.invalid("`port` must be 1 to 65535"))?
            }
            None => config.get_ports().first().copied().unwrap_or(5432),
        };
        let host = args.text("host")?.or(url_host);
        let near = host.as_deref().is_none_or(crate::tls::is_near);
        let tls = match args.word("sslmode", &["disable", "require", "verify-full"])? {
            Some(mode) => mode != "disable",
            None if config.get_ssl_mode() == SslMode::Require => true,
            None if config.get_ssl_mode() == SslMode::Disable => false,
            None => !near,
        };
        let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        Ok(Self {
            host,
            port,
            user: args.text("user")?.or_else(|| config.get_user().map(str::to_owned)),
            password: args.text("password")?.or(password),
            database: args.text("database")?.or_else(|| config.get_dbname().map(str::to_owned)),
            tls,
            ca_file: args.path("ca_file")?,
        })
    }

    /// The secrets in it.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        self.password.clone().into_iter()
    }

    /// `database on host:port`, for messages.
    pub(super) fn shown(&self) -> String {
        let database = self.database.as_deref().or(self.user.as_deref()).unwrap_or("the default database");
        format!("PostgreSQL `{database}` at {}:{}", self.host.as_deref().unwrap_or("the local socket"), self.port)
    }

    /// For the tools. Never on the command line, where everybody on the machine sees it.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let mut set = |name: &str, value: Option<&String>| value.map(|value| env.insert(name.to_owned(), value.clone()));
        set("PGHOST", self.host.as_ref());
        set("PGPORT", Some(&self.port.to_string()));
        set("PGUSER", self.user.as_ref());
        set("PGPASSWORD", self.password.as_ref());
        set("PGDATABASE", self.database.as_ref());
        set("PGSSLMODE", Some(&(if self.tls { "verify-full" } else { "disable" }).to_owned()));
        if self.tls {
            set("PGSSLROOTCERT", Some(self.ca_file.as_ref().unwrap_or(&"system".to_owned())));
        }
        set("PGCONNECT_TIMEOUT", Some(&CONNECT_TIMEOUT.as_secs().to_string()));
        set("PGAPPNAME", Some(&"windlass".to_owned()));
        env
    }

    /// Connects from this machine. `options`: settings of the session.
    pub(super) async fn connect(&self, options: &str, ctx: &Context) -> Result<Session, Failure> {
        let mut config = Config::new();
        match &self.host {
            Some(host) => config.host(host),
            None if ctx.host.is_local() => config.host_path("/var/run/postgresql"),
            None => {
                let message = "postgres: `host` is missing: queries go out from the machine that Windlass runs on";
                return Err(Failure::new(FailureKind::Invalid, message));
            }
        };
        config.port(self.port).connect_timeout(CONNECT_TIMEOUT).application_name("windlass").options(options);
        config.user(self.user.as_deref().unwrap_or("postgres"));
        if let Some(password) = &self.password {
            config.password(password);
        }
        if let Some(database) = &self.database {
            config.dbname(database);
        }
        let failed = |error: tokio_postgres::Error| failure(&error, self, ctx);
        let (client, driving) = if self.tls {
            let tls = Tls { ca_file: self.ca_file.clone(), identity: None };
            let connector = tokio_postgres_rustls::MakeRustlsConnect::new(tls::config(&tls, &["postgresql"])?);
            let (client, connection) = config.ssl_mode(SslMode::Require).connect(connector).await.map_err(failed)?;
            (client, tokio::spawn(async move { drop(connection.await) }))
        } else {
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await.map_err(failed)?;
            (client, tokio::spawn(async move { drop(connection.await) }))
        };
        Ok(Session { client, driving })
    }
}

/// An open connection; it is closed when this is dropped.
pub(super) struct Session {
    pub(super) client: Client,
    driving: tokio::task::JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// What the server said, or why it could not be asked.
pub(super) fn failure(error: &tokio_postgres::Error, connection: &Connection, ctx: &Context) -> Failure {
    let hide = |text: &str| ctx.redact.apply(text).into_owned();
    let Some(said) = error.as_db_error() else {
        let mut reasons = vec![error.to_string()];
        let mut source = std::error::Error::source(error);
        while let Some(reason) = source {
            let text = reason.to_string();
            if !reasons.iter().any(|known| known.contains(&text)) {
                reasons.push(text);
            }
            source = reason.source();
        }
        let reasons = reasons.join(": ");
        let failure = Failure::new(FailureKind::Unreachable, hide(&format!("{}: {reasons}", connection.shown())));
        return if reasons.contains("does not support TLS") {
            Failure { kind: FailureKind::Failed, ..failure }
                .help("turn TLS on in the server, or write `sslmode = \"disable\"` if the network between is trusted")
        } else if reasons.to_ascii_lowercase().contains("certificate") {
            failure.help("name the authority that signed the server's certificate in `ca_file`")
        } else {
            failure
        };
    };
    let code = said.code().code();
    let mut message = format!("{}: {} ({code})", connection.shown(), said.message());
    if let Some(detail) = said.detail() {
        message = format!("{message}: {detail}");
    }
    // Starting up, shutting down, too many connections: another time it may answer.
    let kind = if matches!(code, "57P01" | "57P02" | "57P03" | "53300") {
        FailureKind::Unreachable
    } else if code == "57014" {
        FailureKind::TimedOut
    } else {
        FailureKind::Failed
    };
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::string(hide(text)));
    let detail = Value::object([
        ("code", Value::string(code)),
        ("message", text(Some(said.message()))),
        ("detail", text(said.detail())),
        ("hint", text(said.hint())),
        ("table", text(said.table())),
        ("constraint", text(said.constraint())),
    ]);
    let failure = Failure::new(kind, hide(&message)).detail(detail);
    match said.hint() {
        Some(hint) => failure.help(hide(hint)),
        None => failure,
    }
}
