//! `ports`: which TCP ports of a host are free, told from the kernel's tables of sockets.
//!
//! Only looks: it opens no socket, there or here, so it works the same on this machine and over SSH.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use super::{Args, Context, Driver, Failure, FailureKind};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Ports;

const SCHEMA: DriverSchema = DriverSchema {
    name: "ports",
    summary: "Finds free TCP ports on the instance's host, or tells which of some are free. A port is busy where something listens on it, at whatever address, or where a connection has it as its own end. The host must be Linux; nothing is opened there, so a port can be taken by others until it is used.",
    args: &[
        ArgSchema { name: "action", ty: "string", required: true, summary: "\"find_free\" or \"check\"." },
        ArgSchema {
            name: "from",
            ty: "number",
            required: false,
            summary: "Find_free: the lowest port to consider. Needed for it.",
        },
        ArgSchema { name: "to", ty: "number", required: false, summary: "Find_free: the highest port to consider. Needed for it." },
        ArgSchema {
            name: "count",
            ty: "number",
            required: false,
            summary: "Find_free: so many ports in a row; 1 where not given. The lowest that are free are taken; it is a failure where there are none.",
        },
        ArgSchema {
            name: "exclude",
            ty: "list(number)",
            required: false,
            summary: "Find_free: ports that are spoken for, though nothing uses them now.",
        },
        ArgSchema { name: "ports", ty: "list(number)", required: false, summary: "Check: the ports. Needed for it." },
    ],
    results: &[
        ResultSchema { name: "first", ty: "number", summary: "Find_free: the first of the ports, else null." },
        ResultSchema { name: "ports", ty: "list(number)", summary: "Find_free: all of them, else null." },
        ResultSchema { name: "free", ty: "list(number)", summary: "Check: those that are free, else null." },
        ResultSchema { name: "busy", ty: "list(number)", summary: "Check: those that are not, else null." },
    ],
    observes: true,
};

/// More than this of a table is not read: some hundred thousand sockets.
const LIMIT: u64 = 64 << 20;
/// State of a socket whose connection is over and whose port may be used again (`TCP_TIME_WAIT`).
const TIME_WAIT: &str = "06";

#[async_trait]
impl Driver for Ports {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("ports", args);
        args.needed_text("action")?;
        match args.word("action", &["find_free", "check"])? {
            Some("find_free") => find_free(&args, ctx).await,
            _ => check(&args, ctx).await,
        }
    }
}

async fn find_free(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let (from, to) = (needed_port(args, "from")?, needed_port(args, "to")?);
    let wanted = args.count("count")?.unwrap_or(1);
    let room = u64::from(to).checked_sub(u64::from(from)).map_or(0, |more| more + 1);
    let count = match u16::try_from(wanted) {
        Ok(count) if count > 0 && wanted <= room => count,
        _ => return Err(args.invalid(format_args!("there are no {wanted} ports from {from} to {to}"))),
    };
    let mut busy = busy(ctx).await?;
    busy.extend(ports(args, "exclude")?);
    let Some(first) = first_free(&busy, from, to, count) else {
        let message = match count {
            1 => format!("no port between {from} and {to} is free on {}", ctx.host.name()),
            _ => format!("no {count} ports in a row between {from} and {to} are free on {}", ctx.host.name()),
        };
        return Err(Failure::new(FailureKind::Failed, message).help("widen the range, or stop what uses the ports"));
    };
    Ok(result([("first", u64::from(first).into()), ("ports", list(first..=first + (count - 1)))]))
}

async fn check(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    if args.value("ports").is_none() {
        return Err(args.invalid("`ports` is missing"));
    }
    let asked = ports(args, "ports")?;
    let taken = busy(ctx).await?;
    let (busy, free): (Vec<u16>, Vec<u16>) = asked.into_iter().partition(|port| taken.contains(port));
    Ok(result([("free", list(free)), ("busy", list(busy))]))
}

/// The lowest port at which so many in a row are not busy.
fn first_free(busy: &BTreeSet<u16>, from: u16, to: u16, count: u16) -> Option<u16> {
    let mut row = 0;
    (from..=to).find_map(|port| {
        row = if busy.contains(&port) { 0 } else { row + 1 };
        (row == count).then(|| port - (count - 1))
    })
}

/// The ports that are busy on the host.
async fn busy(ctx: &Context) -> Result<BTreeSet<u16>, Failure> {
    let mut busy = BTreeSet::new();
    let mut is_linux = false;
    // The second is not there where IPv6 is switched off.
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let Some(content) = ctx.host.read(Path::new(table), LIMIT).await? else { continue };
        is_linux = true;
        if content.truncated {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("{} has too many sockets to tell its free ports", ctx.host.name()),
            ));
        }
        busy.extend(local_ports(&String::from_utf8_lossy(&content.bytes)));
    }
    if is_linux {
        return Ok(busy);
    }
    Err(Failure::new(FailureKind::Failed, format!("{} has no `/proc/net/tcp`, so its ports cannot be told", ctx.host.name()))
        .help("this works on Linux only"))
}

/// The ports of this machine's ends in a table of the kernel, without those of connections that are over.
fn local_ports(table: &str) -> impl Iterator<Item = u16> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (_, port) = local.rsplit_once(':')?;
        (state != TIME_WAIT).then(|| u16::from_str_radix(port, 16).ok()).flatten()
    })
}

fn needed_port(args: &Args<'_>, name: &str) -> Result<u16, Failure> {
    let port = args.count(name)?.ok_or_else(|| args.invalid(format_args!("`{name}` is missing")))?;
    port_of(args, name, port)
}

fn port_of(args: &Args<'_>, name: &str, port: u64) -> Result<u16, Failure> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| args.invalid(format_args!("`{name}`: {port} is no port, which are 1 to 65535")))
}

fn ports(args: &Args<'_>, name: &str) -> Result<Vec<u16>, Failure> {
    args.counts(name)?.into_iter().map(|port| port_of(args, name, port)).collect()
}

fn list(ports: impl IntoIterator<Item = u16>) -> Value {
    Value::list(ports.into_iter().map(|port| Value::from(u64::from(port))))
}

/// Everything that is not given is null.
fn result<const N: usize>(given: [(&'static str, Value); N]) -> Value {
    let nulls = SCHEMA.results.iter().map(|result| (result.name, Value::Null));
    Value::object(nulls.chain(given))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::testing::sshd::Server;
    use crate::driver::testing::{args, observing};

    fn numbers(value: &Value, name: &str) -> Vec<u16> {
        let number = |item: &Value| match item {
            Value::Number(number) => number.to_string().parse().unwrap(),
            other => panic!("no number: {other:?}"),
        };
        value.get(name).unwrap().as_list().unwrap().iter().map(number).collect()
    }

    #[test]
    fn only_what_is_listened_on_or_connected_is_busy() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
               0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
               1: 0100007F:C350 0100007F:1F90 01 00000000:00000000\n\
               2: 0100007F:C351 0100007F:1F90 06 00000000:00000000\n\
               3: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n\
               4: rubbish\n";
        assert_eq!(local_ports(table).collect::<Vec<_>>(), [8080, 50000, 22]);
    }

    #[test]
    fn the_lowest_row_that_is_long_enough_is_taken() {
        let busy = BTreeSet::from([10, 13, 17, 65530]);
        assert_eq!(first_free(&busy, 10, 20, 1), Some(11));
        assert_eq!(first_free(&busy, 10, 20, 3), Some(14));
        assert_eq!(first_free(&busy, 10, 20, 4), None);
        assert_eq!(first_free(&busy, 65529, 65535, 5), Some(65531));
        assert_eq!(first_free(&BTreeSet::new(), 1, 65535, 65535), Some(1));
    }

    #[tokio::test]
    async fn a_port_that_is_listened_on_is_busy_and_never_offered() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Ports.run(&args(json!({"action": "check", "ports": [port]})), &observing()).await.unwrap();
        assert_eq!((numbers(&seen, "busy"), numbers(&seen, "free")), (vec![port], vec![]));
        let only = json!({"action": "find_free", "from": port, "to": port});
        let error = Ports.run(&args(only), &observing()).await.unwrap_err();
        assert!(error.message.starts_with(&format!("no port between {port} and {port} is free on ")), "{error}");
    }

    #[tokio::test]
    async fn what_is_spoken_for_is_not_offered() {
        let open = json!({"action": "find_free", "from": 1, "to": 65535, "count": 2});
        let found = Ports.run(&args(open), &observing()).await.unwrap();
        let first = numbers(&found, "ports")[0];
        assert_eq!(found.get("first"), Some(&u64::from(first).into()));
        let next = json!({"action": "find_free", "from": first, "to": 65535, "count": 2, "exclude": [first, first + 1]});
        let found = Ports.run(&args(next), &observing()).await.unwrap();
        assert!(numbers(&found, "ports")[0] > first + 1);
    }

    #[tokio::test]
    async fn what_is_no_port_is_refused() {
        for (wrong, said) in [
            (json!({"action": "check"}), "`ports` is missing"),
            (json!({"action": "check", "ports": [70000]}), "70000 is no port"),
            (json!({"action": "check", "ports": ["a"]}), "`ports[0]` must be a whole number"),
            (json!({"action": "find_free", "from": 9, "to": 5}), "there are no 1 ports from 9 to 5"),
            (json!({"action": "find_free", "from": 1, "to": 5, "count": 0}), "there are no 0 ports"),
            (json!({"action": "find_free", "from": 0, "to": 5}), "0 is no port"),
        ] {
            let error = Ports.run(&args(wrong), &observing()).await.unwrap_err();
            assert!(error.kind == FailureKind::Invalid && error.message.contains(said), "{error}");
        }
    }

    #[tokio::test]
    async fn over_ssh_the_hosts_own_tables_tell() {
        let Some(server) = Server::start().await else { return };
        let seen = Ports.run(&args(json!({"action": "check", "ports": [server.port]})), &server.ctx()).await.unwrap();
        assert_eq!(numbers(&seen, "busy"), [server.port]);
    }
}
