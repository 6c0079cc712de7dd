//! Configurations that must be refused, and what is said.

use super::{Case, problems, sample};

#[test]
fn every_problem_of_every_file_is_told_at_once() {
    let mut case = Case::new(&[
        ("a.hcl", "environment \"test\" {\n  soak = \"5x\"\n  on_failure = \"rolback\"\n}\nlocals { a = local.b }\n"),
        (
            "b.hcl",
            "instance \"sample\" \"a\" {\n  enviroment = environment.test\n  version = \"1.0.0\"\n  root = \"/x\"\n  prot = 1\n}\nhots \"x\" {}\n",
        ),
        ("c.hcl", "locals { x = [1, 2 }\n"),
    ]);
    insta::assert_snapshot!(case.problems().replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[c.hcl:1:20 c.hcl:1:14] brackets do not match: `[` is closed by `}` (close `[` with `]` first)
[b.hcl:7:1] unknown block: there is no block `hots` (did you mean `host`?)
[b.hcl:1:1] missing attribute: instance `sample.a` needs `environment` (add `environment = …`)
[b.hcl:2:3] unknown setting: provider `sample` has no setting `enviroment`, which instance `sample.a` uses (did you mean `environment`?)
[b.hcl:5:3] unknown setting: provider `sample` has no setting `prot`, which instance `sample.a` uses (did you mean `port`?)
[a.hcl:2:10] invalid value: `soak` of environment `test`: `5x` has the unknown unit `x`: write numbers with units (w, d, h, m, s, ms), such as `90s`, `30m`, `72h` or `1h30m` (correct the duration)
[a.hcl:3:16] invalid value: `on_failure` of environment `test`: `rolback` is none of `rollback`, `halt` (did you mean `rollback`?)
"#);
}

#[test]
fn duplicates_point_at_both_places() {
    let mut case = Case::new(&[
        ("a.hcl", &sample("")),
        ("b.hcl", "environment \"test\" {}\ninstance \"sample\" \"a\" {}\nlocals { x = 1 }\nlocals { x = 2 }\n"),
    ]);
    insta::assert_snapshot!(case.problems().replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[b.hcl:1:1 a.hcl:1:1] declared twice: environment `test` is declared twice (rename or remove one of the two)
[b.hcl:2:1 a.hcl:2:1] declared twice: instance `sample.a` is declared twice (rename or remove one of the two)
[b.hcl:4:10 b.hcl:3:10] declared twice: local `x` is declared twice (rename or remove one of the two)
"#);
}

#[test]
fn unknown_names_are_suggested() {
    let text = r#"
environment "test" {}
locals { port = 1 }
output "a" { value = local.prot }
output "b" { value = vra.x }
output "c" { value = var.x }
output "d" { value = instance.sample.b.version }
output "e" { value = each.key }
output "f" { value = local }
output "g" { value = environment.tset }
output "h" { value = path.modul }
"#;
    insta::assert_snapshot!(problems(text).replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[main.hcl:4:22] unknown local: there is no local `prot` (did you mean `port`?)
[main.hcl:5:22] unknown name: there is no `vra` here (did you mean `var`?)
[main.hcl:6:22] unknown variable: there is no variable `x` (no variable is declared here)
[main.hcl:7:22] unknown instance: there is no instance `sample.b` (no instance is declared here)
[main.hcl:8:22] reference not allowed here: `each` is known only inside a block with `for_each` (add `for_each`, or write the value)
[main.hcl:9:22] incomplete reference: `local` by itself is not a value (write `local.NAME`)
[main.hcl:10:22] unknown environment: there is no environment `tset` (did you mean `test`?)
[main.hcl:11:22] unknown name: there is no `path.modul` (did you mean `module`?)
"#);
}

#[test]
fn cycles_are_named_with_places() {
    let text = "locals {\n  a = local.b\n  b = \"${local.c}\"\n  c = local.a\n  d = local.a\n}\n";
    insta::assert_snapshot!(problems(text).replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r"[main.hcl:2:7 main.hcl:3:10 main.hcl:4:7] dependency cycle: `local.a` -> `local.b` -> `local.c` -> `local.a` (break the cycle: one of these must get along without the next)");
}

#[test]
fn instances_that_need_each_other_are_a_cycle() {
    let text = r#"
environment "test" {}
instance "sample" "a" {
  environment = environment.test
  version     = "1.0.0"
  root        = "/a"
  depends_on  = [instance.sample.b]
}
instance "sample" "b" {
  environment = environment.test
  version     = "1.0.0"
  root        = "/b"
  greeting    = instance.sample.a.version
}
"#;
    let told = problems(text);
    assert!(
        told.starts_with(
            "[main.hcl:7:18 main.hcl:13:17] dependency cycle: `instance.sample.a` -> `instance.sample.b` -> `instance.sample.a`"
        ),
        "{told}"
    );
}

#[test]
fn wrong_instances_are_told_with_remedies() {
    for (inside, told) in [
        (
            "prot = 1",
            "unknown setting: provider `sample` has no setting `prot`, which instance `sample.a` uses (did you mean `port`?)",
        ),
        ("port = \"many\"", "invalid setting: `port` of provider `sample`: a number is needed"),
        ("port = 70000", "invalid setting: `port`: 70000 is no port."),
        (
            "strategy = \"in_plaec\"",
            "invalid value: `strategy` of instance `sample.a`: provider `sample` has no strategy `in_plaec` (did you mean `in_place`?)",
        ),
        ("host = \"nowhere\"", "there is no host `nowhere`"),
        ("host = 5", "it is a host, not number"),
        ("backup = {}", "`backup` is a block"),
        ("port { x = 1 }", "`port` is an attribute: write `port = …`"),
        ("depends_on = instance.sample.a", "dependency cycle: `instance.sample.a` -> `instance.sample.a`"),
        ("depends_on = [\"sample.b\"]", "invalid depends_on"),
        ("for_each = [\"a\", \"a\"]", "invalid for_each: the key `a` is there twice"),
        ("for_each = 5", "invalid for_each: it is number, not a map or a set"),
        ("for_each = [1]", "the keys are texts, and one of them is number"),
        ("for_each = sensitive({ a = 1 })", "invalid for_each: it may not be sensitive"),
        ("count = -1", "invalid count"),
        ("count = 1.5", "invalid count"),
        ("count = 1\nfor_each = {}", "for_each and count together"),
        (
            "requires {\n instance = \"sample.nothing\"\n version = \">= 1\"\n}",
            "unknown instance: `sample.a` requires `sample.nothing`",
        ),
        ("requires {\n version = \">= 1\"\n}", "missing attribute: `requires` of instance `sample.a` needs `instance`"),
        ("port = 1 % 0", "main.hcl:6:"),
    ] {
        let found = problems(&sample(inside));
        assert!(found.contains(told), "{inside}: {found}");
        assert_eq!(found.lines().count(), 1, "{inside}: {found}");
    }
}

#[test]
fn wrong_versions_are_told() {
    for (version, told) in [
        ("\"one\"", "[main.hcl:4:13] invalid version"),
        ("\">= 1,,\"", "[main.hcl:4:13] invalid version"),
        ("1.1", "`version` of instance `sample.b`: versions are texts"),
        ("sensitive(\"1.0.0\")", "sensitive value: `version` may not be sensitive"),
        ("\"\"", "empty text"),
    ] {
        let text = format!(
            "environment \"test\" {{}}\ninstance \"sample\" \"b\" {{\n  environment = environment.test\n  version = {version}\n  root = \"/b\"\n}}\n"
        );
        let found = problems(&text);
        assert!(found.contains(told), "{version}: {found}");
    }
}

#[test]
fn an_unknown_provider_is_told_once_with_the_places_looked_at() {
    let text = "environment \"test\" {}\ninstance \"smaple\" \"a\" {\n  environment = environment.test\n  version = \"1\"\n}\ninstance \"smaple\" \"b\" {\n  environment = environment.test\n  version = \"1\"\n}\n";
    let mut case = Case::new(&[("main.hcl", text), ("providers/sampel/provider.hcl", "")]);
    let told = case.problems();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("[main.hcl:2:10] unknown provider: there is no provider `smaple`: not in `windlass"), "{told}");
    assert!(told.ends_with("(did you mean `sampel`?)"), "{told}");
}

#[test]
fn wrong_environments_are_told() {
    for (inside, told) in [
        ("promote_from = \"a\"", "dependency cycle: `environment.a` -> `environment.a`"),
        ("promote_from = \"b\"", "there is no environment `b`"),
        ("soak = \"1h\"", "there is none (add `promote_from"),
        ("window {\n cron = \"0 22 * *\"\n duration = \"6h\"\n}", "has not five fields"),
        ("window {\n cron = \"0 99 * * FRI\"\n duration = \"6h\"\n}", "is no schedule"),
        (
            "window {\n cron = \"0 22 * * FRI\"\n duration = \"6h\"\n timezone = \"Mars/Base\"\n}",
            "there is no time zone `Mars/Base`",
        ),
        ("window {\n cron = \"0 22 * * FRI\"\n}", "needs `duration`"),
        ("rollout {\n batch = \"0%\"\n}", "is neither a number nor a share"),
        ("concurrency = 0", "it must be a whole number from 1 to 10000"),
        ("rollout {}\nrollout {}", "duplicate block"),
        ("windwo {}", "did you mean `window`?"),
        ("rollout = {}", "`rollout` is a block"),
    ] {
        let found = problems(&format!("environment \"a\" {{\n{inside}\n}}\n"));
        assert!(found.contains(told), "{inside}: {found}");
    }
}

#[test]
fn wrong_waivers_hosts_and_releases_are_told() {
    for (text, told) in [
        ("waiver \"x\" {}", "missing attribute: waiver `x` needs `reason`"),
        ("waiver \"x\" {\n reason = \"r\"\n until = \"soon\"\n}", "`soon` is no date"),
        ("waiver \"x\" {\n reason = \"r\"\n instance = \"a.b\"\n}", "there is no instance `a.b`"),
        ("host \"x\" {\n ssh { address = \"-oProxyCommand=x\" }\n}", "begins with `-`"),
        ("host \"x\" {\n ssh {}\n}", "needs `address`"),
        ("host \"../x\" {}", "invalid name: `../x` cannot be the name of `host`"),
        ("release \"sample\" \"one\" {}", "invalid version"),
        ("release \"sample\" \"9.0.0\" { sha256 = \"abc\" }", "not 64 hexadecimal digits"),
        ("release \"sample\" \"9.0.0\" {}\nrelease \"sample\" \"v9.0\" {}", "release `sample v9.0` is declared twice"),
        (
            "windlass { required_version = \">= 2\" }",
            "wrong version of Windlass: this configuration asks for Windlass >= 2, and this is 0.1.0",
        ),
        ("windlass {\n backend \"loacl\" {}\n}", "did you mean `local`?"),
        ("windlass {\n provider \"sample\" { digest = \"sha256:00\" }\n}", "provider digest differs"),
        ("windlass {\n provider \"p\" { source = \"./nowhere\" }\n}", "provider not found"),
        ("x = 1", "attribute outside a block"),
        ("variable \"x\" \"y\" {}", "too many labels"),
        ("output {}", "missing label"),
    ] {
        let found = problems(text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let mut case = Case::new(&[("ok.hcl", "environment \"test\" {}\n")]);
    std::fs::write(case.dir.path().join("latin.hcl"), b"# gr\xfc\xdfe\nlocals {}\n").unwrap();
    let big = std::fs::File::create(case.dir.path().join("big.hcl")).unwrap();
    big.set_len(50 << 20).unwrap();
    std::os::unix::fs::symlink("nowhere", case.dir.path().join("link.hcl")).unwrap();
    std::fs::create_dir(case.dir.path().join("folder.hcl")).unwrap();
    insta::assert_snapshot!(case.problems().replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[] file cannot be read: `big.hcl` is 50 MiB large; files may have at most 16 MiB (check the file and its permissions)
[] file is not UTF-8: `latin.hcl` has a byte at line 1 (offset 4) that is no UTF-8 text (save the file as UTF-8; read binary files with `filebase64()`)
[] file cannot be read: `link.hcl` does not exist (check the file and its permissions)
"#);
}

#[test]
fn an_empty_and_a_missing_folder_are_told() {
    let mut case = Case::new(&[]);
    assert!(case.problems().starts_with("[] no configuration: `.` holds no `*.hcl` file"));
    case.root = "nowhere".into();
    assert!(case.problems().starts_with("[] folder cannot be read: `nowhere` does not exist"));
}

#[test]
fn hostile_texts_are_refused_and_do_not_crash() {
    let nested = format!("locals {{ x = {}{} }}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!problems(&nested).is_empty());
    let keys: String = (0..100_000).map(|index| format!("k{index} = {index}\n")).collect();
    assert!(!problems(&format!("locals {{ x = {{\n{keys}}} }}\n")).is_empty());
    for text in ["\u{0}", "}{", "instance", "instance \"", "\u{feff}\u{feff}", "locals { x = ${} }", "a \"b\" {"] {
        let _ = Case::new(&[("main.hcl", text)]).load();
    }
}

#[test]
fn ten_thousand_copies_with_one_mistake_are_one_mistake() {
    let found = problems(&sample("for_each = toset([for i in range(10000) : \"k${i}\"])\n port = \"many\""));
    assert_eq!(found.lines().count(), 1);
}

#[test]
fn a_broken_file_does_not_make_its_names_unknown() {
    let mut case = Case::new(&[("a.hcl", "locals { x = 1 +\n"), ("b.hcl", "output \"y\" { value = local.x }\n")]);
    let told = case.problems();
    assert!(!told.contains("unknown local"), "{told}");
}

#[test]
fn a_failed_name_is_not_reported_again_by_what_uses_it() {
    let told = problems("locals {\n  a = upper([])\n  b = local.a\n  c = \"${local.b}\"\n}\noutput \"o\" { value = local.c }\n");
    assert_eq!(told.lines().count(), 1, "{told}");
}
