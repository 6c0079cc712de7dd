//! Drift: adopted, brought back, ignored for a while; watched, scraped, and told to a webhook on change only.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use super::estate::{Estate, SAMPLE, await_until, signal};

/// The sample, applied, and its configuration file as it should be.
fn applied() -> (Estate, String) {
    let estate = Estate::sample();
    estate.apply().exit(0);
    let conf = estate.read("app/sample.conf");
    (estate, conf)
}

/// The sample with a `drift` block.
fn with_rules(estate: &Estate, rules: &str) {
    estate.write("main.hcl", format!("{SAMPLE}\ndrift {{\n{rules}\n}}\n"));
}

#[test]
fn what_is_there_is_adopted_with_a_reason_and_a_place_in_the_history() {
    let (estate, conf) = applied();
    estate.write("app/sample.conf", conf.clone() + "by hand\n");
    estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["configuration: config was"]);
    estate.run(&["drift", "adopt", "sample.two", "--reason", "x"]).exit(1).says(&["unknown instance", "did you mean `sample.one`"]);
    estate.run(&["drift", "adopt", "sample.one", "--reason", " "]).exit(1).says(&["reason is missing"]);
    let reason = "The setting was tested on Friday.";
    estate.good(&["drift", "adopt", "sample.one", "--reason", reason]).says(&["recorded as it is there (1.0.0)"]);
    estate.run(&["drift", "--detailed-exitcode"]).exit(0);
    assert_eq!(estate.read("app/sample.conf"), conf + "by hand\n", "adopting touched what is deployed");
    let runs = estate.good(&["history", "--format", "json"]).json();
    assert_eq!((&runs["runs"][0]["operation"], &runs["runs"][0]["message"]), (&"drift adopt".into(), &reason.into()));
    let lock = estate.lockfile();
    estate.good(&["drift", "adopt", "sample.one", "--reason", "again"]).says(&["as it is recorded: nothing was written"]);
    assert_eq!(estate.lockfile(), lock);
    // Another version: the hops that led to the recorded one lead to it no longer.
    estate.write("app/releases/1.1.0/VERSION", "1.1.0");
    estate.remove("app/current");
    std::os::unix::fs::symlink(estate.path("app/releases/1.1.0"), estate.path("app/current")).expect("a link");
    estate.good(&["drift", "adopt", "sample.one", "--reason", "It was urgent."]).says(&["(1.1.0)"]);
    let recorded = estate.good(&["show", "sample.one", "--format", "json"]).json();
    assert_eq!(recorded["recorded"]["version"], "1.1.0");
    assert!(recorded["recorded"].get("hops").is_none(), "{recorded}");
    estate.remove("app/current");
    estate.run(&["drift", "adopt", "sample.one", "--reason", "x"]).exit(3).says(&["nothing is there", "windlass drift plan"]);
}

#[test]
fn what_the_history_cannot_take_is_not_adopted() {
    let (estate, conf) = applied();
    estate.write("app/sample.conf", conf + "by hand\n");
    let (runs, aside) = (estate.path(".windlass/state/runs"), estate.path("aside"));
    let recorded = || estate.good(&["show", "sample.one", "--format", "json"]).json()["recorded"].clone();
    let before = recorded();
    std::fs::rename(&runs, &aside).expect("it is there");
    std::os::unix::fs::symlink("nowhere/at/all", &runs).expect("a link");
    let adopt = ["drift", "adopt", "sample.one", "--reason", "It was urgent."];
    estate.run(&adopt).exit(1).says(&["is recorded as it was before"]);
    assert_eq!(recorded(), before);
    std::fs::remove_file(&runs).expect("the link");
    std::fs::rename(&aside, &runs).expect("it is there");
    // So the next one is whole.
    estate.good(&adopt).says(&["recorded as it is there (1.0.0)"]);
    estate.good(&["history"]).says(&["drift adopt"]);
    estate.run(&["drift", "--detailed-exitcode"]).exit(0);
}

#[test]
fn drifted_configuration_is_brought_back_by_a_plan_that_was_asked_for() {
    let (estate, conf) = applied();
    estate.good(&["drift", "plan"]).says(&["Nothing has drifted that a plan could bring back."]);
    estate.write("app/sample.conf", conf.clone() + "by hand\n");
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    estate.good(&["drift", "plan", "--out", "back.plan"]).says(&["reconfigure", "brought back: config"]);
    estate.good(&["apply", "back.plan"]);
    assert_eq!(estate.read("app/sample.conf"), conf);
    estate.run(&["drift", "--detailed-exitcode"]).exit(0);
    // What is accepted is not brought back.
    estate.write("app/sample.conf", conf + "by hand\n");
    with_rules(&estate, "  ignore \"known\" {\n    class  = \"configuration\"\n    reason = \"Tuned by hand.\"\n  }");
    estate.good(&["drift", "plan"]).says(&["Nothing has drifted that a plan could bring back."]);
}

#[test]
fn what_a_plan_did_not_bring_back_stays_drift() {
    let mut estate = Estate::job();
    let provider = super::estate::JOB_PROVIDER.to_owned()
        + "fact \"tuning\" {\n  file {\n    path     = \"${self.dir}/tuning\"\n    required = false\n  }\n  value = \
           result.exists ? result.content : null\n  drift = true\n}\n\
           route \"again\" {\n  movement = \"reconfigure\"\n  strategy = \"nothing\"\n}\n\
           strategy \"nothing\" {\n  step \"log\" {\n    exec {\n      command   = [\"sh\", \"-c\", \"echo again >> log\"]\n      \
           directory = self.dir\n    }\n    harmless = true\n  }\n}\n";
    estate.write("providers/job/provider.hcl", provider);
    estate.write("job/tuning", "a = 1\nb = 2\n");
    estate.apply().exit(0);
    estate.write("job/tuning", "a = 1\nb = 3\n");
    let drift = estate.run(&["drift", "--detailed-exitcode"]).exit(2);
    drift.says(&["tuning is not what it was", "-b = 2", "+b = 3"]);
    let markdown = estate.good(&["drift", "--format", "markdown"]);
    markdown.says(&["1 of 1 instance drifted", "| warning | configuration | <code>job.one</code> |", "```diff", "+b = 3"]);
    let json = estate.good(&["drift", "--format", "json"]).json();
    assert!(json["instances"][0]["drift"][0]["diff"].as_str().is_some_and(|diff| diff.contains("+b = 3")), "{json}");
    assert_eq!(json["counts"]["warning"], 1);
    estate.good(&["drift", "plan", "--out", "back.plan"]);
    estate.good(&["apply", "back.plan"]);
    assert!(estate.log().contains(&"again".to_owned()), "{:?}", estate.log());
    estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["+b = 3"]);
    estate.set("version", "2.0.0");
    estate.run(&["drift", "--detailed-exitcode", "--fail-on", "critical"]).exit(0).says(&["+b = 3"]);
}

#[test]
fn what_a_run_is_moving_is_no_drift() {
    let mut estate = Estate::job();
    estate.set("on_failure", "halt");
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.write("job/wait", "");
    let mut child = estate.spawn(&["apply", "--auto-approve"]);
    await_until("the run waits in `slow`", || estate.log().iter().filter(|line| *line == "slow").count() == 2);
    // Half way: as the run leaves it for a while.
    estate.write("job/version", "1.5.0");
    let told = estate.run(&["drift", "--detailed-exitcode"]).exit(0);
    told.says(&["is in progress: what it moves was not compared: job.one", "No drift. 0 instances compared"]);
    estate.good(&["drift", "--format", "markdown"]).says(&["is in progress"]);
    let json = estate.good(&["drift", "--format", "json"]).json();
    assert_eq!((&json["moving"][0]["carried_on"], &json["moving"][0]["instances"][0]), (&true.into(), &"job.one".into()));
    estate.good(&["status"]).lacks("drifted");
    estate.good(&["drift", "plan"]).says(&["is in progress", "Nothing has drifted that a plan could bring back."]);
    // Killed, it has still not come to its end.
    signal(&child, Signal::KILL);
    child.wait().expect("it ends");
    estate.remove("job/wait");
    await_until("the command ends", || estate.log().iter().filter(|line| *line == "slow-end").count() == 2);
    estate.good(&["drift"]).says(&["has not come to its end (`windlass resume"]);
    estate.run(&["drift", "adopt", "job.one", "--reason", "x"]).exit(3).says(&["moves it and has not come to its end"]);
    estate.run(&["plan"]).says(&["Mind: run", "Apply refuses this plan until it is ended."]);
    estate.write("job/version", "1.0.0");
    estate.good(&["resume"]);
    estate.run(&["drift", "--detailed-exitcode"]).exit(0).says(&["No drift. 1 instance compared"]).lacks("run ");
    // What somebody does afterwards is drift again.
    estate.write("job/version", "1.5.0");
    estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["2.0.0 is recorded, 1.5.0 is there"]);
}

#[test]
fn an_exception_hides_until_it_runs_out() {
    let (estate, conf) = applied();
    estate.write("app/sample.conf", conf + "by hand\n");
    let rule = |until: &str| {
        format!("  ignore \"tuned\" {{\n    fact   = \"conf*\"\n    reason = \"Being tested.\"\n    until  = \"{until}\"\n  }}")
    };
    with_rules(&estate, &rule("2999-01-01"));
    estate.run(&["drift", "--detailed-exitcode"]).exit(0).says(&[
        "ignored by `tuned` until 2999",
        "Being tested.",
        "1 ignored by rules",
    ]);
    with_rules(&estate, &rule("2020-01-01"));
    let ran = estate.run(&["drift", "--detailed-exitcode"]).exit(2);
    ran.says(&["configuration: config was", "the rule `tuned` (Being tested.) ran out at 2020-01-01", "it would still hide 1"]);
    with_rules(&estate, "  severity {\n    configuration = \"info\"\n  }");
    estate.run(&["drift", "--detailed-exitcode", "--fail-on", "warning"]).exit(0).says(&["info configuration:"]);
}

#[test]
fn rules_that_mean_nothing_or_too_much_are_refused() {
    let estate = Estate::sample();
    for (rules, told) in [
        ("  ignore \"all\" {\n    reason = \"x\"\n  }", "exception from everything"),
        ("  ignore \"x\" {\n    class = \"missing\"\n  }", "needs `reason`"),
        ("  ignore \"x\" {\n    class  = \"mising\"\n    reason = \"x\"\n  }", "did you mean `missing`?"),
        ("  ignore \"x\" {\n    class  = \"missing\"\n    reason = \"x\"\n    until  = \"soon\"\n  }", "`soon` is no date"),
        ("  ignore \"x\" {\n    environment = \"tset\"\n    reason      = \"x\"\n  }", "there is no environment `tset`"),
        ("  severity {\n    version = \"bad\"\n  }", "`bad` is none of"),
        ("  interval = \"1ms\"", "shorter than a second"),
        ("  webhook \"ops\" {\n    url        = \"http://example.org/x\"\n    secret_env = \"KEY\"\n  }", "without encryption"),
        ("  webhook \"ops\" {\n    secret_env = \"KEY\"\n  }", "webhook without an address"),
        ("}\ndrift {", "declared twice"),
    ] {
        with_rules(&estate, rules);
        estate.run(&["validate"]).exit(1).says(&[told]);
    }
}

/// The head of a message, and its body.
type Message = (String, Vec<u8>);

/// Takes messages: refuses the first two, takes the others, keeps all.
struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Message>>>,
}

impl Receiver {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let Some(message) = message(&stream) else { continue };
                let mut kept = kept.lock().expect("no panic");
                kept.push(message);
                let status = if kept.len() <= 2 { "503 Service Unavailable" } else { "204 No Content" };
                drop(kept);
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { port, got }
    }

    fn count(&self) -> usize {
        self.got.lock().expect("no panic").len()
    }
}

/// A request: its head in small letters, and its body.
fn message(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut body = vec![0; header(&head.to_lowercase(), "content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some((head.to_lowercase(), body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// A watch that runs, and what it has said so far.
struct Watch {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Watch {
    fn start(estate: &Estate) -> Self {
        let mut child = estate.spawn(&["drift", "--watch", "--interval", "1h", "--metrics", "127.0.0.1:0", "--format", "json"]);
        let said = Arc::new(Mutex::new(String::new()));
        let pipes: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("a pipe")), Box::new(child.stderr.take().expect("a pipe"))];
        for pipe in pipes {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    said.lock().expect("no panic").push_str(&(line + "\n"));
                }
            });
        }
        let watch = Self { child, said };
        watch.await_said("Watching 1 instance");
        watch
    }

    fn said(&self) -> String {
        self.said.lock().expect("no panic").clone()
    }

    fn await_said(&self, text: &str) {
        await_until(&format!("the watch says `{text}`"), || self.said().contains(text));
    }

    fn metrics(&self) -> String {
        let said = self.said();
        let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        let mut stream = TcpStream::connect(address).expect("it is served");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it is asked");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("an answer");
        page
    }

    /// Lets it look once more, and waits for the end of that.
    fn look(&self, looks: usize) {
        signal(&self.child, Signal::HUP);
        await_until("it has looked", || {
            self.metrics().contains(&format!("windlass_drift_looks_total{{result=\"good\"}} {looks}\n"))
        });
    }

    fn stop(mut self) -> String {
        signal(&self.child, Signal::TERM);
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0), "{}", self.said());
        self.await_said("Stopped watching.");
        self.said()
    }
}

impl Drop for Watch {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_watch_tells_a_webhook_of_changes_only_and_survives_a_broken_configuration() {
    let (mut estate, conf) = applied();
    let receiver = Receiver::new();
    estate.env("HOOK_KEY", "geheim");
    let hook = format!(
        "  webhook \"ops\" {{\n    url        = \"http://127.0.0.1:{}/hook\"\n    secret_env = \"HOOK_KEY\"\n  }}",
        receiver.port
    );
    with_rules(&estate, &hook);
    let watch = Watch::start(&estate);
    assert!(watch.metrics().starts_with("HTTP/1.1 200"), "{}", watch.metrics());
    assert_eq!(receiver.count(), 0, "there was nothing to tell");
    estate.run(&["drift", "--watch"]).exit(6).says(&["somebody watches already"]);

    // It refuses twice, and takes the third.
    estate.write("app/sample.conf", conf.clone() + "by hand\n");
    watch.look(2);
    await_until("the message has come", || receiver.count() == 3);
    let wanted = "windlass_drift_findings{environment=\"test\",class=\"configuration\",severity=\"warning\"} 1\n";
    assert!(watch.metrics().contains(wanted), "{}", watch.metrics());
    await_until("the delivery is counted", || {
        watch.metrics().contains("windlass_drift_webhook_deliveries_total{webhook=\"ops\",result=\"good\"} 1\n")
    });
    let got = receiver.got.lock().expect("no panic").clone();
    for (head, body) in &got {
        let time = header(head, "x-windlass-timestamp").expect("a time");
        let expected = format!("sha256={}", windlass::watch::signature("geheim", time, body));
        assert_eq!(header(head, "x-windlass-signature"), Some(&*expected));
        assert_eq!(header(head, "x-windlass-delivery"), header(&got[0].0, "x-windlass-delivery"), "it is the same message");
        let told: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!((&told["appeared"][0]["instance"], &told["standing"]), (&"sample.one".into(), &1.into()));
    }

    // Nothing new: nobody is told. Neither while the configuration is broken.
    watch.look(3);
    let good = estate.read("main.hcl");
    estate.write("main.hcl", good.clone() + "rubbish {");
    watch.look(4);
    watch.await_said("the last good one is");
    assert!(watch.metrics().contains("windlass_configuration_good 0\n"));
    assert_eq!(receiver.count(), 3);

    // It is gone.
    estate.write("main.hcl", &good);
    estate.write("app/sample.conf", &conf);
    watch.look(5);
    await_until("the message has come", || receiver.count() == 4);
    let told: serde_json::Value = serde_json::from_slice(&receiver.got.lock().expect("no panic")[3].1).expect("JSON");
    assert_eq!((told["appeared"].as_array().map(Vec::len), told["gone"].as_array().map(Vec::len)), (Some(0), Some(1)));
    assert!(watch.metrics().contains("windlass_configuration_good 1\n"));
    let said = watch.stop();
    assert!(!said.contains("geheim"), "{said}");

    // What was told once is not told again by the next one.
    let watch = Watch::start(&estate);
    watch.look(2);
    watch.stop();
    assert_eq!(receiver.count(), 4);
}

#[test]
fn a_webhook_without_its_key_is_told_later_and_stops_nobody() {
    let (mut estate, conf) = applied();
    let receiver = Receiver::new();
    estate.env("HOOK_URL", &format!("http://127.0.0.1:{}/x", receiver.port));
    with_rules(&estate, "  webhook \"ops\" {\n    url_env    = \"HOOK_URL\"\n    secret_env = \"HOOK_KEY\"\n  }");
    estate.write("app/sample.conf", conf + "by hand\n");
    let watch = Watch::start(&estate);
    watch.await_said("webhook `ops` was not told, and will be with the next look: the environment variable HOOK_KEY is not set");
    watch.stop();
    assert_eq!(receiver.count(), 0);
    estate.env("HOOK_KEY", "geheim");
    let watch = Watch::start(&estate);
    await_until("the message has come", || receiver.count() == 3);
    watch.stop();
}

#[test]
fn a_memory_that_cannot_be_read_is_put_aside() {
    let (estate, _) = applied();
    estate.write(".windlass/drift.json", "{ half");
    Watch::start(&estate).stop();
    assert_eq!(estate.read(".windlass/drift.json.bad"), "{ half");
    assert!(estate.read(".windlass/drift.json").contains("\"format\": 1"));
}
