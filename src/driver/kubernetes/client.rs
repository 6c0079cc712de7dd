//! Runs `kubectl`: one vector of arguments, without a shell, with the cluster and namespace of the call; and says what its failures mean.

use std::time::Duration;

use super::pod::Pod;
use crate::driver::{Args, Command, Context, Failure, FailureKind, Output, exec};

/// Lists of pods are long: each pod is some ten kilobytes of JSON.
const KEEP: usize = 16 * 1024 * 1024;

/// `kubectl` on the instance's host, for one cluster and namespace.
pub(super) struct Client<'a> {
    ctx: &'a Context,
    /// Program and environment.
    base: Command,
    /// Arguments that every call has.
    place: Vec<String>,
    request_timeout: Duration,
}

/// What says that the cluster itself does not answer.
const UNREACHABLE: [&str; 8] = [
    "unable to connect to the server",
    "was refused",
    "connection refused",
    "i/o timeout",
    "tls handshake timeout",
    "no such host",
    "context deadline exceeded",
    "the server is currently unable to handle the request",
];

impl<'a> Client<'a> {
    /// Reads the arguments that say where.
    pub(super) fn of(args: &Args<'_>, ctx: &'a Context) -> Result<Self, Failure> {
        let program = args.text("kubectl")?.unwrap_or_else(|| "kubectl".to_owned());
        if program.is_empty() || (program.contains('/') && !program.starts_with('/')) {
            return Err(args.invalid("`kubectl` must be an absolute path or a plain name that is on the PATH"));
        }
        let mut base = Command::new([program]);
        base.stream = false;
        base.keep = KEEP;
        base.env = args.environment("environment")?;
        base.env.extend(args.environment("secrets")?);
        let mut place = Vec::new();
        if let Some(path) = args.path("kubeconfig")? {
            place.push(format!("--kubeconfig={path}"));
        }
        if let Some(context) = args.text("context")? {
            place.push(format!("--context={context}"));
        }
        if let Some(namespace) = word(args, "namespace")? {
            place.push(format!("--namespace={namespace}"));
        }
        let request_timeout = args.duration("request_timeout")?.unwrap_or(Duration::from_secs(30));
        Ok(Self { ctx, base, place, request_timeout })
    }

    /// What surrounds the call.
    pub(super) fn ctx(&self) -> &'a Context {
        self.ctx
    }

    async fn output(&self, words: &[String], stdin: Vec<u8>, timeout: Duration) -> Result<Output, Failure> {
        let mut command = self.base.clone();
        command.argv.extend(words.iter().chain(&self.place).cloned());
        command.stdin = stdin;
        command.timeout = Some(timeout);
        let output = self.ctx.host.run(&command, self.ctx).await?;
        if output.ok() { Ok(output) } else { Err(self.failed(words, &command, &output)) }
    }

    /// Asks once.
    pub(super) async fn run(&self, words: &[String], stdin: Vec<u8>) -> Result<String, Failure> {
        let mut words = words.to_vec();
        words.push(format!("--request-timeout={}s", self.request_timeout.as_secs().max(1)));
        // `kubectl` itself gives up first, and says why.
        let output = self.output(&words, stdin, self.request_timeout + Duration::from_secs(30)).await?;
        Ok(output.stdout.text())
    }

    /// Asks what may take its time; `kubectl` is given `--timeout` by the caller.
    pub(super) async fn run_long(&self, words: &[String], patience: Duration) -> Result<String, Failure> {
        let output = self.output(words, Vec::new(), patience.saturating_add(Duration::from_secs(30))).await?;
        Ok(self.ctx.redact.apply(&output.stdout.text()).into_owned())
    }

    /// What it prints, as JSON; `None` where it prints nothing.
    pub(super) async fn json(&self, words: &[String]) -> Result<Option<serde_json::Value>, Failure> {
        let text = self.run(words, Vec::new()).await?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let what = words.first().map_or("", String::as_str);
            Failure::new(FailureKind::Failed, format!("`kubectl {what}` printed what is not JSON: {error}"))
        })
    }

    /// The pods, by name.
    pub(super) async fn pods(&self, selector: Option<&str>) -> Result<Vec<Pod>, Failure> {
        let mut words = ["get", "pods", "--output=json"].map(str::to_owned).to_vec();
        words.extend(selector.map(|selector| format!("--selector={selector}")));
        let list = self.json(&words).await?.unwrap_or_default();
        let items = list.get("items").and_then(serde_json::Value::as_array).ok_or_else(|| {
            Failure::new(FailureKind::Failed, "`kubectl get pods` printed no list of pods")
                .help("is this `kubectl`? See what `kubectl get pods --output=json` prints on the instance's host")
        })?;
        let mut pods: Vec<Pod> = items.iter().filter_map(Pod::of).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pods)
    }

    fn failed(&self, words: &[String], command: &Command, output: &Output) -> Failure {
        let said = self.ctx.redact.apply(&output.last_words()).into_owned();
        let lower = said.to_lowercase();
        let unreachable = UNREACHABLE.iter().any(|sign| lower.contains(sign));
        let Failure { message, detail, .. } = exec::failed(command, output, self.ctx);
        let verb = words.first().map_or("", String::as_str);
        let message = message.replacen(&format!("`{}`", command.program()), &format!("`kubectl {verb}`"), 1);
        let failure = Failure {
            kind: if unreachable { FailureKind::Unreachable } else { FailureKind::Failed },
            message,
            detail,
            help: None,
            untouched: false,
        };
        if lower.contains("x509") || lower.contains("certificate") {
            failure.help("give the kubeconfig the authority that signed the cluster's certificate (`certificate-authority`)")
        } else if lower.contains("forbidden") {
            failure.help("give the kubeconfig's user this right (`kubectl auth can-i --list`)")
        } else if lower.contains("unauthorized") || lower.contains("must be logged in") {
            failure.help("log in to the cluster, or renew the kubeconfig's credentials")
        } else if unreachable {
            failure.help("see whether the cluster answers: `kubectl cluster-info` on the instance's host")
        } else {
            failure
        }
    }
}

/// A text that stands as a word of its own among the arguments: it cannot be taken for an option.
pub(super) fn word(args: &Args<'_>, name: &str) -> Result<Option<String>, Failure> {
    let Some(text) = args.text(name)? else { return Ok(None) };
    if text.is_empty()
        || text.starts_with('-')
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/' || c == ',')
    {
        return Err(args.invalid(format_args!("`{name}` must be a name of Kubernetes: no spaces, `/` or `,`, and no `-` in front")));
    }
    Ok(Some(text))
}
