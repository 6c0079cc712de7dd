//! Rubbish in: each gets one clear error with its place and what to do, and nothing is lost or half written.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::estate::{Estate, JOB_PROVIDER, Ran};

const ONE: &str = r#"environment "test" {}
instance "sample" "one" {
  environment = environment.test
  version     = "1.0.0"
  root        = "/nonexistent/windlass-it/app"
}
"#;

/// Expects that nothing was made beside what was there.
fn untouched(estate: &Estate) {
    assert!(estate.lockfile().is_empty(), "a lockfile was written");
    assert!(!estate.path("app").exists(), "the product was touched");
    assert!(!estate.path(".windlass/runs").exists(), "a run was begun");
}

/// Plans a configuration that is wrong.
#[track_caller]
fn refused(more: &str) -> Ran {
    let estate = Estate::with(&format!("{ONE}{more}"));
    let ran = estate.run(&["plan"]).exit(1);
    assert!(ran.out.is_empty(), "there is a plan:\n{}", ran.out);
    estate.run(&["apply", "--auto-approve"]).exit(1);
    untouched(&estate);
    ran
}

#[test]
fn several_syntax_errors_are_told_at_once_each_at_its_place() {
    let estate = Estate::with("environment \"test\" {}\nlocals {\n  a = [1, 2\n}\n");
    estate.write("second.hcl", "locals {\n  b = \"never closed\n}\n");
    estate.write("third.hcl", "locals {\n  c = = 1\n}\n");
    estate.run(&["plan"]).exit(1).says(&[
        "brackets do not match",
        "main.hcl:3:7",
        "string is not closed",
        "second.hcl:2:7",
        "third.hcl:2:",
        "3 errors",
    ]);
    estate.run(&["validate"]).exit(1).says(&["3 errors"]);
    let problems = estate.run(&["validate", "--format", "json"]).exit(1).json();
    let problems = problems["diagnostics"].as_array().expect("a list").clone();
    assert_eq!(problems.len(), 3, "{problems:?}");
    for problem in problems {
        assert_ne!(problem["help"], serde_json::Value::Null, "{problem} does not say what to do");
        assert_ne!(problem["labels"][0]["line"], serde_json::Value::Null, "{problem} does not say where");
    }
    untouched(&estate);
}

#[test]
fn formatting_leaves_a_file_with_a_syntax_error_as_it_is() {
    let estate = Estate::with("locals {\na=1\n}\n");
    let broken = "locals {\n  a   = [1, 2\n}\n";
    estate.write("broken.hcl", broken);
    estate.run(&["fmt"]).exit(1).says(&["broken.hcl:2:", "brackets do not match"]);
    assert_eq!(estate.read("broken.hcl"), broken);
    assert_eq!(estate.read("main.hcl"), "locals {\n  a = 1\n}\n", "the other one was formatted all the same");
}

#[test]
fn a_hundred_thousand_nested_brackets_do_not_overflow_the_stack() {
    for (open, close) in [("[", "]"), ("(", ")"), ("{ a = ", " }"), ("\"${", "}\"")] {
        let estate = Estate::with(ONE);
        estate.write("deep.hcl", format!("locals {{\n  deep = {}1{}\n}}\n", open.repeat(100_000), close.repeat(100_000)));
        let ran = estate.run(&["plan"]).exit(1).says(&["nested too deeply", "deep.hcl:2:", "give the inner parts names"]);
        assert!(ran.err.len() < 20_000, "the excerpt is {} bytes long", ran.err.len());
        untouched(&estate);
    }
    let estate = Estate::with(ONE);
    estate.write("deep.hcl", format!("{}{}", "locals {\n".repeat(100_000), "}\n".repeat(100_000)));
    estate.run(&["plan"]).exit(1).says(&["nested too deeply", "deep.hcl:"]);
    estate.run(&["fmt"]).exit(1);
    estate.remove("deep.hcl");
    estate.run(&["console", &"-".repeat(100_000)]).sober();
    estate.run(&["console", &format!("{}1{}", "(".repeat(30_000), ")".repeat(30_000))]).exit(1).says(&["nested too deeply"]);
}

#[test]
fn an_object_of_a_hundred_thousand_keys_is_refused_with_a_way_to_do_it() {
    let keys: String = (0..100_000).map(|n| format!("    key{n} = {n}\n")).collect();
    let ran = refused(&format!("locals {{\n  big = {{\n{keys}  }}\n}}\n"));
    ran.says(&["object too large", "100000 keys", "main.hcl:8:9", "`for` expression"]);
    let estate = Estate::with(
        "locals {\n  big = { for n in range(100000) : \"key${n}\" => n }\n}\noutput \"n\" {\n  value = length(local.big)\n}\n",
    );
    let ran = estate.run(&["output", "n"]).sober();
    assert!(ran.code == Some(1) || ran.out == "100000\n", "{}{}", ran.out, ran.err);
}

#[test]
fn a_remainder_by_zero_is_an_error_at_its_place() {
    for operator in ["%", "/"] {
        refused(&format!("output \"x\" {{\n  value = 1 {operator} 0\n}}\n")).says(&[
            "division by zero",
            "main.hcl:8:15",
            "n == 0 ?",
        ]);
    }
}

#[test]
fn a_file_of_fifty_megabytes_is_refused_without_reading_it() {
    let estate = Estate::with(ONE);
    estate.write("large.hcl", format!("# {}\n", "x".repeat(50 << 20)));
    estate.run(&["plan"]).exit(1).says(&["file cannot be read", "`large.hcl` is 50 MiB large", "at most 16 MiB"]);
    untouched(&estate);
}

#[test]
fn invalid_utf_8_is_told_with_its_line() {
    let estate = Estate::with(ONE);
    estate.write("bytes.hcl", b"locals {\n  a = \"\xff\xfe\"\n}\n");
    estate.run(&["plan"]).exit(1).says(&["file is not UTF-8", "`bytes.hcl`", "line 2", "save the file as UTF-8"]);
    estate.run(&["fmt", "--check"]).exit(1).says(&["file is not UTF-8", "bytes.hcl"]);
    estate.remove("bytes.hcl");
    estate.write("values.txt", b"a = \"\xff\"\n");
    estate.run(&["plan", "--var-file", "values.txt"]).exit(1).says(&["file is not UTF-8", "`values.txt`"]);
    untouched(&estate);
}

#[test]
fn duplicate_blocks_are_told_with_both_places() {
    refused("environment \"test\" {}\n").says(&[
        "declared twice",
        "environment `test`",
        "main.hcl:1:1",
        "main.hcl:7:1",
        "rename or remove",
    ]);
    refused("variable \"a\" {}\nvariable \"a\" {}\n").says(&["declared twice", "variable `a`"]);
    refused("instance \"sample\" \"one\" {\n  environment = environment.test\n  version = \"1.0.0\"\n  root = \"/x\"\n}\n")
        .says(&["declared twice", "sample", "one"]);
}

#[test]
fn duplicate_attributes_are_told_with_both_places() {
    refused("locals {\n  a = 1\n  a = 2\n}\n").says(&["duplicate", "`a`", "main.hcl:8:3", "first here", "again here"]);
    refused("output \"x\" {\n  value = 1\n  value = 2\n}\n").says(&["duplicate attribute", "`value`", "keep one of the two"]);
}

#[test]
fn unknown_names_are_told_all_at_once_with_the_nearest_known() {
    refused("output \"a\" {\n  value = instance.sample.onne.version\n}\nvariable \"colour\" {\n  default = 1\n}\noutput \"b\" {\n  value = var.color\n}\n")
        .says(&["main.hcl:8:", "did you mean `sample.one`", "main.hcl:14:", "did you mean `colour`"]);
    let estate = Estate::with(&ONE.replace("version     =", "prot = 1\n  version     ="));
    estate.run(&["plan"]).exit(1).says(&["unknown setting", "`prot`", "main.hcl:4:3", "did you mean `port`?"]);
    let estate = Estate::with(ONE);
    estate.run(&["plan", "--target", "sample.onne"]).exit(1).says(&["unknown target", "did you mean `sample.one`?"]);
    estate.run(&["plan", "--env", "tset"]).exit(1).says(&["unknown environment", "did you mean `test`?"]);
    estate.run(&["plan", "--var", "nope=1"]).exit(1).says(&["unknown variable", "`nope`"]);
    estate.run(&["plan", "--var", "nope"]).exit(1).says(&["variable cannot be set", "write `--var NAME=VALUE`"]);
    estate.run(&["console", "lenght([1])"]).exit(1).says(&["did you mean `length`"]);
    estate.run(&["plan", "--tragets", "x"]).exit(1).says(&["--target"]);
    untouched(&estate);
}

#[test]
fn cycles_are_told_with_every_name_in_them() {
    refused("locals {\n  a = local.b\n  b = local.c\n  c = local.a\n}\n").says(&[
        "dependency cycle",
        "`local.a` -> `local.b` -> `local.c` -> `local.a`",
        "main.hcl:8:7",
        "break the cycle",
    ]);
    let estate = Estate::with(&format!(
        "{}instance \"sample\" \"two\" {{\n  environment = environment.test\n  version = \"1.0.0\"\n  root = \"/x\"\n  depends_on = [instance.sample.one]\n}}\n",
        ONE.replace("\n}\n", "\n  depends_on = [instance.sample.two]\n}\n")
    ));
    estate.run(&["plan"]).exit(1).says(&["dependency cycle", "instance.sample.one", "instance.sample.two", "main.hcl:6:"]);
    untouched(&estate);
}

#[test]
fn a_missing_module_is_told_with_its_source() {
    refused("module \"gone\" {\n  source = \"./nowhere\"\n}\n").says(&[
        "module not found",
        "`./nowhere`",
        "main.hcl:8:12",
        "correct the source",
    ]);
    let repository = "git::file:///nonexistent/windlass-it.git?ref=v1";
    let estate = Estate::with(&format!("{ONE}module \"gone\" {{\n  source = \"{repository}\"\n}}\n"));
    estate.run(&["plan"]).exit(1).says(&["/nonexistent/windlass-it.git", "main.hcl:8:12"]);
    untouched(&estate);
}

#[test]
fn a_missing_provider_is_told_with_where_it_was_looked_for() {
    refused("instance \"smaple\" \"two\" {\n  environment = environment.test\n  version = \"1\"\n}\n").says(&[
        "unknown provider",
        "`smaple`",
        "main.hcl:7:10",
        "providers/smaple",
        "did you mean `sample`?",
    ]);
}

#[test]
fn an_impossible_version_is_told_and_nothing_is_planned() {
    for (version, words) in [
        ("nonsense", "invalid version"),
        ("~> 9", "invalid version"),
        ("1.0.0 && 2", "invalid version"),
        ("", "`version` of instance `sample.one` may not be empty"),
    ] {
        let estate = Estate::with(&ONE.replace("1.0.0", version));
        estate.run(&["plan"]).exit(1).says(&[words, "main.hcl:4:17"]);
        untouched(&estate);
    }
    // Well written, and there is none.
    let mut estate = Estate::sample();
    estate.set("version", ">= 9.0");
    estate.run(&["plan"]).exit(3).says(&[
        "sample.one blocked",
        "no release of sample fits `>= 9.0`",
        "the catalogue has 4 releases",
    ]);
    estate.run(&["plan", "--out", "nine.plan"]).exit(3).says(&["plan was not saved"]);
    assert!(!estate.path("nine.plan").exists());
    estate.apply().exit(3).says(&["plan is blocked"]);
    untouched(&estate);
}

#[test]
fn an_unreachable_host_is_told_and_does_not_hold_up_the_others() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let estate = Estate::sample();
    estate.write(
        "far.hcl",
        format!(
            "host \"far\" {{\n  ssh {{\n    address = \"127.0.0.1\"\n    port    = {closed}\n    user    = \"nobody\"\n  }}\n}}\n\
             instance \"sample\" \"far\" {{\n  environment = environment.test\n  host        = host.far\n  version     = \"1.0.0\"\n  \
             root        = \"/nonexistent/far\"\n}}\n"
        ),
    );
    estate.run(&["plan"]).exit(3).says(&[
        "sample.far not observed",
        "its version could not be seen: cannot reach `127.0.0.1`",
        "Connection refused",
        "sample.one install 1.0.0",
        "1 to install, 1 blocked",
    ]);
    estate.apply().exit(3).says(&["plan is blocked", "apply a part with `--target`"]);
    untouched(&estate);
    estate.good(&["apply", "--auto-approve", "--target", "sample.one"]).says(&["Apply complete."]).lacks("sample.far");
    estate
        .good(&["status"])
        .says(&["sample.far  test  1.0.0  -  ?  unreachable", "sample.one  test  1.0.0  1.0.0  1.0.0  as declared"]);
    estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["sample.far", "unreachable", "1 drifted"]);
}

#[test]
fn a_wrong_checksum_is_refused_before_anything_is_unpacked() {
    let estate = Estate::empty();
    estate.write("kit/bin/run", "#!/bin/sh\n");
    let packed = Command::new("tar").args(["-czf", "kit.tar.gz", "-C", "kit", "."]).current_dir(&estate.root).status();
    assert!(packed.expect("tar can be run").success());
    estate.write(
        "providers/kit/provider.hcl",
        r#"provider "kit" {
  version = "1.0.0"
  title   = "Kit"
}
setting "dir" {
  type     = string
  required = true
}
fact "version" {
  file {
    path     = "${self.dir}/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
route "install" {
  movement = "install"
  strategy = "install"
}
strategy "install" {
  step "verify" {
    archive {
      action = "verify"
      path   = release.artifact
      sha256 = release.sha256
    }
    harmless = true
  }
  step "unpack" {
    archive {
      action = "unpack"
      path   = release.artifact
      to     = "${self.dir}/kit"
    }
    undo {
      file {
        action    = "remove"
        path      = "${self.dir}/kit"
        recursive = true
      }
    }
  }
  step "mark" {
    file {
      action  = "write"
      path    = "${self.dir}/version"
      content = to.text
    }
    undo {
      file {
        action = "remove"
        path   = "${self.dir}/version"
      }
    }
  }
}
"#,
    );
    let main = |sha256: &str| {
        format!(
            "environment \"test\" {{}}\nrelease \"kit\" \"1.0.0\" {{\n  artifact = \"{0}/kit.tar.gz\"\n  sha256   = \"{sha256}\"\n}}\n\
             instance \"kit\" \"one\" {{\n  environment = environment.test\n  version = \"1.0.0\"\n  dir = \"{0}/app\"\n}}\n",
            estate.root.display()
        )
    };
    estate.write("main.hcl", main(&"0".repeat(64)));
    estate
        .apply()
        .exit(4)
        .says(&["failed  kit.one@1.0.0:verify", "0000000000", "Failed, and rolled back"])
        .lacks("begin   kit.one@1.0.0:unpack");
    assert!(!estate.path("app").exists(), "something was unpacked");
    assert!(!estate.lockfile().contains("kit.one"));

    let sum = Command::new("sha256sum").arg(estate.path("kit.tar.gz")).output().expect("sha256sum can be run").stdout;
    estate.write("main.hcl", main(&String::from_utf8_lossy(&sum[..64])));
    estate.apply().exit(0);
    assert_eq!(estate.read("app/kit/bin/run"), "#!/bin/sh\n");
    assert!(estate.lockfile().contains("instance \"kit.one\""));
}

/// A command as somebody who may not write everywhere.
fn as_nobody(estate: &Estate, args: &[&str]) -> Ran {
    if !rustix::process::geteuid().is_root() {
        return estate.run(args);
    }
    // The program lies where nobody else may look.
    let program = estate.path("windlass");
    if !program.exists() {
        std::fs::copy(env!("CARGO_BIN_EXE_windlass"), &program).expect("the program can be copied");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program).args(args);
    estate.furnish_command(&mut command);
    Ran::of(args, &command.output().expect("setpriv can be run"))
}

fn set_mode(estate: &Estate, path: &str, mode: u32) {
    std::fs::set_permissions(estate.path(path), std::fs::Permissions::from_mode(mode)).expect("the mode can be set");
}

#[test]
fn a_read_only_directory_is_told_and_nothing_is_begun() {
    let estate = Estate::sample();
    set_mode(&estate, ".", 0o555);
    as_nobody(&estate, &["validate"]).exit(0);
    as_nobody(&estate, &["plan"]).exit(0).says(&["1 to install"]);
    as_nobody(&estate, &["plan", "--out", "a.plan"]).exit(1).says(&["plan cannot be saved", "a.plan", "ermission denied"]);
    as_nobody(&estate, &["init"]).exit(1).says(&["folder cannot be prepared", "ermission denied"]);
    as_nobody(&estate, &["fmt", "--check"]).exit(0);
    as_nobody(&estate, &["apply", "--auto-approve"]).exit(1).says(&["state cannot be reached", "ermission denied"]);
    set_mode(&estate, ".", 0o755);
    untouched(&estate);
    assert!(!estate.path("a.plan").exists());
}

#[test]
fn a_read_only_product_folder_fails_the_action_and_leaves_everything_as_it_was() {
    let estate = Estate::sample();
    estate.write("app/keep", "me");
    set_mode(&estate, "app", 0o555);
    set_mode(&estate, ".", 0o777);
    let before = estate.tree("app");
    as_nobody(&estate, &["apply", "--auto-approve"]).exit(4).says(&["failed  sample.one@1.0.0:prepare", "ermission denied"]);
    assert_eq!(estate.tree("app"), before);
    assert!(!estate.lockfile().contains("sample.one"));
    set_mode(&estate, "app", 0o755);
}

/// An estate with one applied instance, and its lockfile.
fn applied() -> (Estate, String) {
    let estate = Estate::sample();
    estate.apply().exit(0);
    let lock = estate.lockfile();
    (estate, lock)
}

#[test]
fn a_corrupt_lockfile_is_told_with_its_line_and_left_alone() {
    let (estate, lock) = applied();
    let serial = lock.lines().position(|line| line.starts_with("serial")).expect("a serial") + 1;
    for (corrupt, words) in [
        (String::new(), "windlass.test.lock:1"),
        (lock[..lock.len() / 2].to_owned(), "the file is cut off"),
        (lock.replace("serial = ", "serial "), &*format!("windlass.test.lock:{serial}")),
        (lock.replace("serial = ", "serial = -"), &*format!("windlass.test.lock:{serial}")),
        (lock.replace("environment = \"test\"", "environment = \"production\""), "lockfile of environment `production`"),
        ("<<<<<<< HEAD\n".to_owned() + &lock, "windlass.test.lock:1"),
        (lock.replace("  version = ", "  verzion = "), "missing field `version`"),
    ] {
        estate.write("windlass.test.lock", &corrupt);
        let before = estate.tree("app");
        for command in [&["plan"][..], &["apply", "--auto-approve"], &["drift"], &["state", "rm", "sample.one"]] {
            estate.run(command).exit(1).says(&[
                "state cannot be understood",
                "windlass.test.lock",
                words,
                "Windlass never writes over it",
            ]);
        }
        assert_eq!(estate.read("windlass.test.lock"), corrupt, "the corrupt lockfile was written over");
        assert_eq!(estate.tree("app"), before);
    }
    estate.write("windlass.test.lock", b"\xff\xfe\n# end\n");
    estate.run(&["plan"]).exit(1).says(&["state cannot be understood", "UTF-8"]);
    estate.write("windlass.test.lock", &lock);
    estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
}

#[test]
fn a_newer_lockfile_is_told_and_left_alone() {
    let (estate, lock) = applied();
    let newer = lock.replace("format = 1\n", "format = 9\nnew_thing = true\n");
    estate.write("windlass.test.lock", &newer);
    for command in [&["plan"][..], &["apply", "--auto-approve"], &["rollback", "--auto-approve"]] {
        estate.run(command).exit(1).says(&["state is newer than this Windlass", "has format 9", "reads up to 1", "a newer one"]);
    }
    assert_eq!(estate.read("windlass.test.lock"), newer);
}

#[test]
fn a_plan_file_that_was_edited_is_refused() {
    let mut estate = applied().0;
    estate.set("greeting", "good morning");
    estate.good(&["plan", "--out", "a.plan"]);
    let plan = estate.read("a.plan");
    let before = (estate.tree("app"), estate.lockfile());
    for (edited, code, words) in [
        (plan.replacen("good morning", "good evening", 1), 3, "plan was changed"),
        (plan.replacen("\"windlass_plan\":1", "\"windlass_plan\":99", 1), 1, "plan of another format"),
        (plan[..plan.len() / 2].to_owned(), 1, "not a saved plan"),
        (String::new(), 1, "not a saved plan"),
        ("{}".to_owned(), 1, "not a saved plan"),
        ("[".repeat(100_000), 1, "not a saved plan"),
    ] {
        assert_ne!(edited, plan, "the edit changed nothing");
        estate.write("edited.plan", &edited);
        estate.run(&["apply", "edited.plan"]).exit(code).says(&[words, "edited.plan"]);
        assert_eq!((estate.tree("app"), estate.lockfile()), before);
    }
    estate.run(&["apply", "no.plan"]).exit(1).says(&["plan cannot be read", "no.plan", "windlass plan --out FILE"]);
    estate.good(&["apply", "a.plan"]);
    assert!(estate.read("app/sample.conf").contains("good morning"));
}

#[test]
fn a_provider_whose_step_has_no_way_back_is_refused_when_it_is_loaded() {
    let estate = Estate::job();
    let without = JOB_PROVIDER.replacen("    undo {\n      exec {\n        command   = [\"sh\", \"-c\", \"echo undo-first >> log\"]\n        directory = self.dir\n      }\n    }\n", "", 1);
    assert_ne!(without, JOB_PROVIDER);
    estate.write("providers/job/provider.hcl", without);
    estate.run(&["plan"]).exit(1).says(&["providers/job/provider.hcl:", "irreversible", "harmless"]);
}
