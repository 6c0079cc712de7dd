//! The example `fleet`: test, then production in portions, a failure in the second batch, and the ways out; on three hosts that are this
//! machine, and over SSH on three servers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::estate::{Estate, SECRET, await_until};
use crate::sshd::Servers;

/// The example, with its module beside it.
pub(crate) fn fleet() -> Estate {
    let mut estate = Estate::empty();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("the example is there");
    estate.write("main.hcl", read("examples/fleet/main.hcl").replace("../../modules", "./modules"));
    for file in ["hosts.hcl", "providers/service/provider.hcl"] {
        estate.write(file, read(&format!("examples/fleet/{file}")));
    }
    estate.write("modules/spread/main.hcl", read("modules/spread/main.hcl"));
    estate.set("home", &estate.path("srv").display().to_string());
    estate.set("token", SECRET);
    estate.set("soak", "100ms");
    estate
}

/// Version 1.0.0 everywhere, and 2.0.0 asked for and in test.
fn with_two_in_test() -> Estate {
    let mut estate = fleet();
    estate.good(&["apply", "--env", "test", "--auto-approve"]);
    estate.good(&["apply", "--env", "production", "--auto-approve"]);
    estate.set("release", "2.0.0");
    estate.good(&["apply", "--env", "test", "--auto-approve"]);
    estate
}

fn versions(estate: &Estate) -> BTreeMap<String, String> {
    (1..=9).map(|n| (format!("p{n}"), estate.read(&format!("srv/p{n}/version")))).collect()
}

/// How often an instance has done something.
fn times(estate: &Estate, name: &str, what: &str) -> usize {
    estate.read(&format!("srv/{name}/log")).lines().filter(|line| *line == what).count()
}

#[test]
fn production_waits_for_a_rollout_in_test_that_is_through() {
    let mut estate = fleet();
    estate.good(&["apply", "--env", "test", "--auto-approve"]);
    estate.good(&["apply", "--env", "production", "--auto-approve"]);
    estate.set("release", "2.0.0");
    let refused = estate.run(&["apply", "--env", "production", "--auto-approve"]).exit(3);
    refused.says(&["service 2.0.0 must be applied in test first"]);
    // The canary in test moves; the one after it does not come up, and test is left as it is.
    let main = estate.read("main.hcl").replace("environment \"test\" {", "environment \"test\" {\n  on_failure = \"halt\"\n");
    estate.write("main.hcl", main);
    estate.write("srv/t2/broken", "");
    estate.run(&["apply", "--env", "test", "--auto-approve"]).exit(5);
    assert_eq!(estate.read("srv/t1/version"), "2.0.0");
    let refused = estate.run(&["apply", "--env", "production", "--auto-approve"]).exit(3);
    refused.says(&["service 2.0.0 must be applied everywhere in test first, where it is declared and"]);
    estate.good(&["status"]).says(&["WAITS", "gate promotion", "RUN", "windlass resume"]);
    estate.remove("srv/t2/broken");
    estate.good(&["resume", "--retry", "service.test[\"t2\"]@2.0.0:start"]);
    estate.good(&["apply", "--env", "production", "--auto-approve"]);
    assert!(versions(&estate).values().all(|version| version == "2.0.0"));
}

#[test]
fn an_unhealthy_instance_in_the_second_batch_takes_production_back() {
    let estate = with_two_in_test();
    estate.write("srv/p7/sick", "");
    let plan = estate.good(&["plan", "--env", "production", "--format", "json"]).json();
    let kinds = |kind: &str| {
        let actions = plan["plan"]["actions"].as_array().expect("actions").iter();
        actions.filter(|action| action["kind"].get(kind).is_some()).count()
    };
    assert_eq!((kinds("verify"), kinds("pause")), (9 + 2, 2), "each instance, and the two portions before others");
    let failed = estate.run(&["apply", "--env", "production", "--auto-approve"]).exit(4);
    failed.says(&["service.production[\"p7\"] is not healthy"]);
    assert!(versions(&estate).values().all(|version| version == "1.0.0"), "{:?}", versions(&estate));
    assert_eq!(times(&estate, "p1", "undo-start"), 1, "the canary, which was recorded, is taken back too");
    // Two of a batch at once: the last of it had not begun.
    assert_eq!(times(&estate, "p9", "stop"), 1, "only the installation has touched it");
    estate.good(&["status", "--env", "production"]).says(&["9 at 1.0.0 → 2.0.0"]);
}

#[test]
fn a_halted_rollout_is_seen_repaired_and_resumed() {
    let mut estate = with_two_in_test();
    estate.set("on_failure", "halt");
    estate.write("srv/p7/sick", "");
    estate.run(&["apply", "--env", "production", "--auto-approve"]).exit(5).says(&["an action failed", "p7"]);
    let now = versions(&estate);
    assert_eq!([&*now["p1"], &*now["p5"], &*now["p7"], &*now["p9"]], ["2.0.0", "2.0.0", "2.0.0", "1.0.0"]);
    let shown = estate.good(&["status"]);
    shown.says(&["PRODUCT test production", "service 3 at 2.0.0", "RUN", "is held → `windlass resume"]);
    let data = estate.good(&["status", "--format", "json"]).json();
    let cell = data["cells"].as_array().and_then(|cells| cells.iter().find(|cell| cell["environment"] == "production"));
    assert_eq!(cell.map(|cell| cell["total"].clone()), Some(Value::from(9)));
    assert_eq!(data["runs"][0]["state"], "held");
    // It is not well yet: that is asked again, and nothing else is done.
    estate.run(&["resume"]).exit(5);
    estate.remove("srv/p7/sick");
    estate.good(&["resume"]);
    assert!(versions(&estate).values().all(|version| version == "2.0.0"));
    for name in ["p1", "p5", "p7", "p9"] {
        assert_eq!(times(&estate, name, "start"), 2, "{name}: once to install, once to upgrade");
    }
    estate.good(&["status"]).says(&["service 3 at 2.0.0 9 at 2.0.0"]).lacks("RUN");
    estate.run(&["drift", "--detailed-exitcode"]).exit(0);
}

#[test]
fn a_rollout_is_stopped_in_its_soak_and_goes_on() {
    let mut estate = with_two_in_test();
    estate.set("soak", "10m");
    let mut child = estate.spawn(&["apply", "--env", "production", "--auto-approve"]);
    estate.await_text("srv/p1/version", "2.0.0");
    await_until("the canary is recorded", || estate.read("windlass.production.lock").contains("2.0.0"));
    estate.good(&["status"]).says(&["RUN", "is running", "1 at 2.0.0"]);
    estate.good(&["stop"]);
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    assert_eq!(versions(&estate)["p2"], "1.0.0");
    estate.good(&["rollback", "--auto-approve"]);
    assert!(versions(&estate).values().all(|version| version == "1.0.0"));
}

/// Three servers as the example's hosts.
fn over_ssh(servers: &Servers, estate: &Estate) {
    let hosts: String = (1..=3)
        .map(|n| {
            let server = servers.at(n - 1);
            format!(
                "host \"h{n}\" {{\n  concurrency = 3\n  ssh {{\n    address = \"{}\"\n    port = {}\n    identity_file = \"{}\"\n    known_hosts_file = \"known_hosts\"\n    patience = \"2s\"\n  }}\n}}\n",
                server.address,
                server.port,
                servers.identity().display()
            )
        })
        .collect();
    estate.write("hosts.hcl", hosts);
    estate.write("known_hosts", servers.known_hosts());
}

#[test]
fn over_ssh_a_host_that_drops_in_the_middle_is_held_and_resumed_and_nothing_is_done_twice() {
    let Some(mut servers) = Servers::start(3) else { return };
    let mut estate = fleet();
    over_ssh(&servers, &estate);
    estate.good(&["apply", "--env", "test", "--auto-approve"]);
    estate.good(&["apply", "--env", "production", "--auto-approve"]);
    assert!(versions(&estate).values().all(|version| version == "1.0.0"));
    estate.set("release", "2.0.0");
    estate.good(&["apply", "--env", "test", "--auto-approve"]);

    // p2 is on the second host, and hangs in its start when that host drops.
    estate.write("srv/p2/wait", "");
    let watch = crate::sshd::CommandLines::watch(SECRET);
    let mut child = estate.spawn(&["apply", "--env", "production", "--auto-approve"]);
    await_until("p2 starts", || times(&estate, "p2", "start") == 2);
    servers.drop(1);
    assert_eq!(child.wait().expect("it ends").code(), Some(5), "the run is held");
    assert_eq!(watch.seen(), Vec::<String>::new(), "no secret stands on a command line, here or there");
    assert_eq!(versions(&estate)["p9"], "1.0.0", "nothing after it was begun");
    assert_eq!(times(&estate, "p1", "undo-start"), 0, "and nothing was taken back");
    estate.good(&["status", "--refresh=false"]).says(&["is held → `windlass resume"]);
    // Still away: it stays held, and the page says what cannot be seen.
    estate.run(&["resume"]).exit(5);
    estate.good(&["status"]).says(&["not seen"]);
    // The command went on without a connection, and has ended by now.
    estate.remove("srv/p2/wait");
    await_until("p2 is started", || times(&estate, "p2", "started") == 2);
    servers.restart(1);
    estate.good(&["resume"]);
    assert!(versions(&estate).values().all(|version| version == "2.0.0"), "{:?}", versions(&estate));
    for n in 1..=9 {
        let name = format!("p{n}");
        assert_eq!((times(&estate, &name, "stop"), times(&estate, &name, "start")), (2, 2), "{name}");
    }
    estate.run(&["drift", "--detailed-exitcode"]).exit(0);
}

#[test]
fn over_ssh_a_host_that_is_away_before_a_step_is_held_and_not_rolled_back() {
    let Some(mut servers) = Servers::start(3) else { return };
    let mut estate = fleet();
    over_ssh(&servers, &estate);
    estate.good(&["apply", "--env", "test", "--auto-approve"]);
    estate.set("release", "2.0.0");
    // The canary hangs; meanwhile the host of the next one goes away.
    estate.write("srv/t1/wait", "");
    let mut child = estate.spawn(&["apply", "--env", "test", "--auto-approve"]);
    await_until("t1 starts", || times(&estate, "t1", "start") == 2);
    servers.drop(1);
    estate.remove("srv/t1/wait");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    assert_eq!((estate.read("srv/t1/version"), estate.read("srv/t2/version")), ("2.0.0".to_owned(), "1.0.0".to_owned()));
    servers.restart(1);
    estate.good(&["resume"]);
    for name in ["t1", "t2", "t3"] {
        assert_eq!((times(&estate, name, "stop"), times(&estate, name, "start")), (2, 2), "{name}");
    }
}

#[test]
fn over_ssh_a_host_whose_key_is_not_known_is_refused_whatever_the_client_s_configuration_says() {
    let Some(servers) = Servers::start(3) else { return };
    let estate = fleet();
    over_ssh(&servers, &estate);
    // The keys of two servers are swapped: as if somebody stood between.
    let known = servers.known_hosts();
    let mut lines: Vec<String> = known.lines().map(str::to_owned).collect();
    let (first, second) = (lines[0].clone(), lines[1].clone());
    let key = |line: &str| line.split_once(' ').expect("a key").1.to_owned();
    let name = |line: &str| line.split_once(' ').expect("a name").0.to_owned();
    lines[0] = format!("{} {}", name(&first), key(&second));
    estate.write("known_hosts", lines.join("\n") + "\n");
    let refused = estate.run(&["apply", "--env", "test", "--auto-approve", "--target", "service.test[\"t1\"]"]);
    assert_ne!(refused.code, Some(0));
    refused.says(&["Host key verification failed"]);
    assert!(!estate.path("srv/t1/version").exists());
}
