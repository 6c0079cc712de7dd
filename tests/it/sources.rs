//! Modules and providers from outside: what was accepted stays what is used, until a person accepts another content.

use std::process::Command;

use crate::estate::{Estate, JOB_PROVIDER};

const PINS: &str = "windlass-sources.lock";

/// The job's provider in a folder of the user's, outside of the configuration.
fn outside() -> Estate {
    let mut estate = Estate::job();
    std::fs::remove_dir_all(estate.path("providers/job")).expect("it is there");
    estate.write("user/job/provider.hcl", JOB_PROVIDER);
    let folder = estate.path("user").display().to_string();
    estate.env("WINDLASS_PROVIDERS", &folder);
    estate
}

#[test]
fn a_provider_from_outside_is_pinned_at_first_use_and_a_changed_one_refused_until_it_is_accepted() {
    let estate = outside();
    estate.good(&["plan"]);
    assert!(!estate.path(PINS).exists(), "to look is not to use");
    estate.apply().exit(0).says(&["windlass-sources.lock says which content", "commit it"]);
    assert!(estate.read(PINS).contains("provider.job"), "{}", estate.read(PINS));
    estate.good(&["plan"]);

    estate.write("user/job/provider.hcl", JOB_PROVIDER.replace("echo fragile", "echo hacked; echo fragile"));
    let log = estate.log();
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["validate"], &["drift"], &["init"]] {
        estate.run(command).exit(3).says(&["source has changed", "provider.job", "echo hacked", "windlass init --upgrade"]);
    }
    assert_eq!(estate.log(), log, "something of it ran");
    // A look at the provider itself is how one finds out.
    estate.good(&["provider", "show", "job"]);
    let accepted = estate.good(&["init", "--upgrade"]);
    accepted.says(&["echo hacked", "commit it"]);
    estate.good(&["plan"]);
}

#[test]
fn init_pins_before_anything_is_applied() {
    let estate = outside();
    estate.good(&["init"]).says(&[PINS]);
    estate.write("user/job/provider.hcl", JOB_PROVIDER.replace("Job", "Other job"));
    estate.apply().exit(3).says(&["source has changed"]);
    estate.write("user/job/provider.hcl", JOB_PROVIDER);
    estate.apply().exit(0);
    estate.write(PINS, "rubbish");
    estate.run(&["plan"]).exit(1).says(&["accepted sources cannot be read", "bring it back from git"]);
}

#[test]
fn what_stands_in_the_configurations_own_folder_is_not_pinned() {
    let estate = Estate::job();
    estate.good(&["init"]);
    estate.write("providers/job/provider.hcl", JOB_PROVIDER.replace("Job", "Other job"));
    estate.apply().exit(0);
    assert!(!estate.path(PINS).exists());
}

#[test]
fn a_module_from_git_stays_at_its_commit_until_another_is_accepted() {
    let estate = Estate::job();
    let main = estate.read("main.hcl");
    let repository = estate.path("repository");
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=Tester", "-c", "user.email=tester@example.org"])
            .args(args)
            .current_dir(&repository)
            .output()
            .expect("git is there");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    estate.write("repository/site/main.hcl", "output \"word\" {\n  value = \"one\"\n}\n");
    for args in [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-q", "-m", "one"]] {
        git(args);
    }
    let source = format!("module \"site\" {{\n  source = \"git::file://{}//site?ref=main\"\n}}\n", repository.display());
    estate.write("main.hcl", format!("{main}{source}"));
    estate.good(&["init"]).says(&[PINS]);
    estate.apply().exit(0);
    estate.write("repository/site/main.hcl", "output \"word\" {\n  value = \"two\"\n}\n");
    git(&["commit", "-q", "-a", "-m", "two"]);
    estate.run(&["plan"]).exit(3).says(&["source has changed", "module.site", "git diff"]);
    estate.good(&["init", "--upgrade"]).says(&["module.site"]);
    estate.good(&["plan"]);
}
