//! A secret reaches the product and nothing else: no file, no line of output, no command line.

use crate::estate::{Estate, Ran, SECRET};

/// Every file below the estate that holds the secret.
fn holders(estate: &Estate, secret: &str) -> Vec<String> {
    estate.tree("").into_iter().filter(|(_, content)| content.contains(secret)).map(|(path, _)| path).collect()
}

#[test]
fn a_secret_is_in_the_products_configuration_and_nowhere_else() {
    let mut estate = Estate::sample();
    let mut said = String::new();
    let mut run = |estate: &Estate, args: &[&str]| {
        let Ran { out, err, .. } = estate.run(args).sober();
        said.push_str(&out);
        said.push_str(&err);
    };
    run(&estate, &["plan", "-vv", "--out", "a.plan"]);
    run(&estate, &["plan", "--format", "json"]);
    run(&estate, &["show", "a.plan", "--format", "json"]);
    run(&estate, &["apply", "a.plan", "-vv"]);
    assert!(estate.read("app/sample.conf").contains(SECRET), "the product did not get it");
    assert_eq!(holders(&estate, SECRET), ["app/sample.conf"]);
    for version in ["2.0.0", "1.0.0"] {
        estate.set("version", version);
        run(&estate, &["apply", "--auto-approve", "--format", "json", "-vv"]);
    }
    for args in [
        &["status", "--format", "json"][..],
        &["drift", "--format", "json"],
        &["history", "--format", "json"],
        &["state", "show", "sample.one", "--format", "json"],
        &["graph"],
        &["console", "instance.sample.one"],
        &["validate", "--format", "json"],
        &["output"],
    ] {
        run(&estate, args);
    }
    assert!(!said.contains(SECRET), "it was printed: {said}");
    // What a step replaces is kept for its undo, as it was, for its owner alone: the product's own file under another name.
    for path in holders(&estate, SECRET) {
        let is_kept = path.contains("/kept/") && path.ends_with("/content");
        assert!(path == "app/sample.conf" || is_kept, "{path} holds the secret");
        assert!(estate.tree("")[&path].starts_with("100600 "), "others may read {path}");
    }
}

#[test]
fn a_secret_that_a_command_prints_is_hidden_in_its_log_and_is_on_no_command_line() {
    let secret = "a-secret-that-is-printed";
    let mut estate = Estate::job();
    estate.set("secret", secret);
    estate.write("job/wait", "");
    let child = estate.spawn(&["apply", "--auto-approve", "-vv"]);
    estate.await_text("job/log", "slow");
    // While it runs: every process of this machine.
    for entry in std::fs::read_dir("/proc").expect("there are processes").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(secret), "{} has it on its command line", entry.path().display());
    }
    estate.remove("job/wait");
    let ran = Ran::of(&["apply"], &child.wait_with_output().expect("it ends")).exit(0);
    let ran = ran.says(&["the secret is"]).lacks(secret);
    assert!(ran.err.contains("and on stderr"), "the output is shown otherwise: {}", ran.err);
    assert_eq!(holders(&estate, secret), Vec::<String>::new());
}

#[test]
fn a_secret_in_a_failing_command_is_hidden_in_the_error() {
    let secret = "a-secret-that-is-in-an-error";
    let mut estate = Estate::job();
    estate.set("secret", secret);
    let provider = estate.read("providers/job/provider.hcl");
    estate.write("providers/job/provider.hcl", provider.replace("echo and on stderr $SECRET >&2", "echo no $SECRET >&2; exit 1"));
    estate.apply().exit(4).says(&["failed job.one@1.0.0:first"]).lacks(secret);
    assert_eq!(holders(&estate, secret), Vec::<String>::new());
    estate.good(&["history", "--format", "json"]).lacks(secret);
}

#[test]
fn a_secret_from_a_file_of_variables_is_not_in_a_plan() {
    let estate = Estate::job();
    let secret = "a-secret-from-a-file";
    estate.write("secret.vars.json", format!("{{ \"secret\": \"{secret}\" }}"));
    estate.good(&["plan", "--var-file", "secret.vars.json", "--out", "a.plan"]).lacks(secret);
    estate.good(&["apply", "a.plan", "--var-file", "secret.vars.json"]).lacks(secret);
    assert_eq!(holders(&estate, secret), ["secret.vars.json"]);
    let wrong = estate.run(&["plan", "--var", "secret=[", "--var", "nope=a-secret-by-mistake"]).exit(1);
    wrong.lacks("a-secret-by-mistake");
}

/// A text as Windlass or a protocol may write it: as it is, in JSON, in a URL, and in base64 wherever it may begin in a triple.
fn guises(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    let json = serde_json::to_string(secret).expect("it is text");
    let url: String = secret
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let mut all = vec![secret.to_owned(), json[1..json.len() - 1].to_owned(), url.to_lowercase(), url];
    for before in 0..3 {
        for engine in [&base64::engine::general_purpose::STANDARD_NO_PAD, &base64::engine::general_purpose::URL_SAFE_NO_PAD] {
            let text = engine.encode(format!("{}{secret}", "x".repeat(before)));
            // Its ends depend on what stands beside it.
            let from = if before == 0 { 0 } else { 4 };
            all.push(text[from..text.len() / 4 * 4 - 4].to_owned());
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Looks through the command lines of all processes until it is told to stop; answers those that hold one of the texts.
fn watch(texts: Vec<String>, until: std::sync::Arc<std::sync::atomic::AtomicBool>) -> std::thread::JoinHandle<(u32, Vec<String>)> {
    std::thread::spawn(move || {
        let (mut looks, mut hits) = (0, Vec::new());
        while !until.load(std::sync::atomic::Ordering::Relaxed) {
            for entry in std::fs::read_dir("/proc").expect("there are processes").flatten() {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line);
                if texts.iter().any(|text| line.contains(text)) {
                    hits.push(line.into_owned());
                }
            }
            looks += 1;
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        (looks, hits)
    })
}

#[test]
fn runs_that_succeed_fail_and_are_undone_leave_no_secret_in_any_guise() {
    let secret = "pa/ss+wo\"rd\\of & the=tests";
    let texts = guises(secret);
    assert!(texts.len() > 6, "{texts:?}");
    let mut estate = Estate::job();
    // A variable may hold any text; what is given on a command line is seen by everybody, so it comes from the environment.
    estate.set("secret", secret);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watching = watch(texts.clone(), over.clone());
    let mut said = String::new();
    let mut run = |estate: &Estate, args: &[&str]| {
        let Ran { out, err, .. } = estate.run(args).sober();
        said.push_str(&out);
        said.push_str(&err);
    };
    run(&estate, &["plan", "-vv", "--out", "a.plan"]);
    run(&estate, &["plan", "--format", "json"]);
    run(&estate, &["plan", "--format", "markdown"]);
    run(&estate, &["show", "a.plan"]);
    run(&estate, &["show", "a.plan", "--format", "json"]);
    estate.write("job/broken", "");
    run(&estate, &["apply", "a.plan", "-vv"]);
    run(&estate, &["apply", "--auto-approve", "--format", "json", "-vv"]);
    estate.set("on_failure", "halt");
    run(&estate, &["apply", "--auto-approve", "--format", "json"]);
    run(&estate, &["rollback", "--auto-approve", "--format", "json"]);
    estate.remove("job/broken");
    run(&estate, &["apply", "--auto-approve"]);
    for args in [
        &["status"][..],
        &["status", "--format", "json"],
        &["drift", "--format", "json"],
        &["history"],
        &["history", "--format", "json"],
        &["state", "show", "job.one"],
        &["state", "show", "job.one", "--format", "json"],
        &["graph"],
        &["console", "instance.job.one"],
        &["validate", "--format", "json"],
        &["output"],
        &["provider", "show", "job", "--format", "json"],
        &["state", "prune", "--dry-run", "--older-than", "1s"],
    ] {
        run(&estate, args);
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let (looks, hits) = watching.join().expect("it looks");
    assert!(looks > 20, "it has looked {looks} times");
    assert_eq!(hits, Vec::<String>::new(), "on a command line");
    assert!(said.contains("(sensitive)") || said.contains("the secret is"), "the commands have said nothing of it");
    for text in &texts {
        assert!(!said.contains(text), "`{text}` was printed");
        assert_eq!(holders(&estate, text), Vec::<String>::new(), "`{text}`");
    }
}
