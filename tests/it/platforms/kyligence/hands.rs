//! What only a person can do or decide: versions without a script, default data sources, production.

use super::world::World;

#[test]
fn k02_without_an_upgrade_script_the_move_is_refused_or_waits_for_a_person() {
    let mut world = World::of("3.2.4", &["3.3.0", "3.4.5"]);
    let before = world.state();
    for version in ["3.3.0", "3.4.5"] {
        world.want(version);
        world.refused().says(&["no_upgrade_script", "for Kyligence Enterprise 3.3.0 and below there is no upgrade script"]);
    }
    world.declare("  without_script = \"by_hand\"\n");
    world.estate.good(&["plan"]).says(&[
        "by by_hand (route by_hand)",
        "there is no upgrade script: the run waits for a person",
        "back_up_home",
    ]);
    world.estate.apply().exit(5).says(&[
        "Replace the software",
        "conf/kylin.properties: rename the new one",
        "windlass confirm 'kyligence.ke@3.4.5:replace'",
    ]);
    // Confirmed too early: it is noticed, and everything goes back.
    world.estate.good(&["confirm", "kyligence.ke@3.4.5:replace", "--note", "done, I think"]);
    world.estate.run(&["resume"]).exit(4).says(&["is of version '3.2.4', not 3.4.5", "rolled back"]);
    assert_eq!((world.version("a"), world.state() == before), ("3.2.4".into(), true));
    // Done, and confirmed.
    world.estate.apply().exit(5);
    world.simulator(&["by-hand", &world.path("w/a/kyligence"), &world.path("w/a/kyligence.new-3.4.5")]);
    world.estate.good(&["confirm", "kyligence.ke@3.4.5:replace", "--note", "as in the manual"]);
    world.estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!((world.version("a"), world.count()), ("3.4.5".into(), "10100".into()));
    // And back, as after a script.
    world.want("3.2.4");
    world.estate.apply().exit(0);
    assert_eq!((world.version("a"), world.count()), ("3.2.4".into(), "10000".into()));
    assert_eq!(world.state(), before);
}

#[test]
fn k02_by_the_word_of_support_the_script_is_run_on_an_older_version() {
    let mut world = World::with_nodes("3.2.4", &["3.3.0", "3.4.5"], &["a"], "  script_from = \">= 3.2\"\n");
    world.want("3.4.5");
    world.estate.good(&["plan"]).says(&["by main (route main)"]);
    world.want("3.3.0");
    world.refused().says(&["no_upgrade_script"]);
}

#[test]
fn k07_coming_from_2_x_the_default_source_of_mixed_projects_is_declared_once_and_for_all() {
    let mut world = World::with_nodes("2.5.6", &["3.4.5"], &["a"], "  without_script = \"by_hand\"\n");
    let folder = world.path("w");
    world.simulator(&["source", &folder, "learn_kylin", "1"]);
    world.simulator(&["source", &folder, "only_kafka", "1"]);
    world.want("3.4.5");
    world
        .refused()
        .says(&["check `default_source` fails", "learn_kylin (hive, kafka)", "It cannot be changed later"])
        .lacks("only_kafka");
    world.declare("  without_script = \"by_hand\"\n  default_source = { learn_kylin = \"rdbms\" }\n");
    world.estate.run(&["plan"]).exit(1).says(&["each must be hive or kafka; RDBMS cannot be chosen"]);
    world.declare("  without_script = \"by_hand\"\n  default_source = { learn_kylin = \"kafka\" }\n");
    // What cannot be changed later is not set before somebody says that it was understood.
    world.estate.apply().exit(3).says(&[
        "Default data sources are set and CANNOT be changed later: learn_kylin: kafka.",
        "note kyligence.default_source must be acknowledged for 3.4.5",
    ]);
    world.append(
        "acknowledgement \"kyligence.default_source\" {\n  version = \"3.4.5\"\n  by = \"tester\"\n  reason = \"it is kafka\"\n}\n",
    );
    world.estate.good(&["plan"]).says(&["CANNOT be changed later", "acknowledged by tester: it is kafka"]);
    world.estate.apply().exit(5);
    world.simulator(&["by-hand", &world.path("w/a/kyligence"), &world.path("w/a/kyligence.new-3.4.5")]);
    world.estate.good(&["confirm", "kyligence.ke@3.4.5:replace"]);
    world.estate.good(&["resume"]);
    let projects = world.ask("/projects");
    let sources: Vec<_> = projects["projects"]
        .as_array()
        .expect("projects")
        .iter()
        .map(|project| (project["name"].as_str(), project["override_kylin_properties"]["kylin.source.default"].as_str()))
        .collect();
    assert_eq!(sources, [(Some("learn_kylin"), Some("1")), (Some("only_kafka"), None)]);
}

#[test]
fn k12_production_takes_only_what_was_tested_first() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    // Declared as production without a test environment before it.
    world.declare("  production = true\n");
    world.want("3.4.5");
    world.refused().says(&["untested_production", "always test the upgrade in a test environment first"]);

    // With one, it waits until the same version was applied there.
    world.declare("");
    let instance = world.estate.read("main.hcl");
    let production = instance[instance.find("instance ").expect("an instance")..]
        .replace("\"ke\"", "\"prod\"")
        .replace("environment.test", "environment.production");
    world.append(&format!("environment \"production\" {{\n  promote_from = environment.test\n}}\n{production}"));
    world.want("3.4.1");
    world.estate.apply().exit(0).says(&["1 to adopt"]);
    world.want("3.4.5");
    let refused = world.estate.run(&["apply", "--auto-approve", "--env", "production"]).exit(3);
    refused
        .says(&["gate is closed", "kyligence 3.4.5 must be applied in test first, where kyligence.ke is at 3.4.1"])
        .lacks("untested_production");
    assert_eq!(world.version("a"), "3.4.1");
}
