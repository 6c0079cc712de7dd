use windlass::driver::Driver;
use windlass::model::driver::*;
use windlass::model::name::ProviderName;
const fn a(name: &'static str) -> ArgSchema {
    ArgSchema { name, ty: "any", required: false, summary: "" }
}
static ARGS: [ArgSchema; 12] = [
    a("url"),
    a("method"),
    a("json"),
    a("until"),
    a("timeout"),
    a("expect"),
    a("headers"),
    a("body"),
    a("request_timeout"),
    a("interval"),
    a("extract"),
    a("fail_when"),
];
static RES: [ResultSchema; 3] = [
    ResultSchema { name: "status", ty: "number", summary: "" },
    ResultSchema { name: "body", ty: "string", summary: "" },
    ResultSchema { name: "json", ty: "any", summary: "" },
];
#[test]
fn load() {
    let http = DriverSchema { name: "http", summary: "", args: &ARGS, results: &RES, observes: true };
    let mut drivers: Vec<DriverSchema> = vec![http];
    use windlass::driver::*;
    let all = Drivers::new().with(Exec).with(Process).with(File).with(Template).with(Wait).with(DiskSpace).with(Manual);
    drivers.extend(all.schemas().copied());
    let mut bad = false;
    for (name, files) in windlass::config::embedded() {
        let mut sources = windlass::source::SourceMap::default();
        match windlass::config::provider_from_files(&name, files, &Default::default(), &drivers, &mut sources) {
            Ok((p, w)) => {
                println!("ok {name} {}", p.strategies.len());
                for d in w.iter() {
                    println!("warn {}", show(d, &sources));
                }
            }
            Err(e) => {
                bad = true;
                for d in e.iter() {
                    println!("{}", show(d, &sources));
                }
            }
        }
    }
    assert!(!bad);
    let _ = ProviderName::new("x");
}
fn show(d: &windlass::source::Diagnostic, s: &windlass::source::SourceMap) -> String {
    {
        let mut ds = windlass::source::Diagnostics::new();
        ds.push(d.clone());
        windlass::view::problems_text(&ds, s, windlass::view::Palette { colour: false }, 140)
    }
}
#[test]
fn fmt() {
    let mut stack = vec![std::path::PathBuf::from("providers"), "examples".into(), "modules".into()];
    while let Some(d) = stack.pop() {
        for e in std::fs::read_dir(d).unwrap() {
            let p = e.unwrap().path();
            if p.is_dir() {
                stack.push(p);
            } else if p.extension().is_some_and(|x| x == "hcl") {
                let t = std::fs::read_to_string(&p).unwrap();
                match windlass::lang::fmt::format(&t) {
                    Ok(n) => {
                        if n != t {
                            println!("formatted {}", p.display());
                            std::fs::write(&p, n).unwrap();
                        }
                    }
                    Err(e) => println!("{} {e:?}", p.display()),
                }
            }
        }
    }
}
