//! What is known afterwards of a backup or restore that nobody has seen the end of: from what it wrote down right before it put its
//! work in place, and from what lies there now.

use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::place::{Method, Place};
use super::{created as result_of, there};
use crate::driver::archive::unpack::sibling;
use crate::driver::intent::{self, Declared};
use crate::driver::transfer::work;
use crate::driver::{Args, Context, Failure, Recalled};
use crate::lang::Value;

/// Of a backup: its result, where it is in the repository's list. It is written down right before it comes there.
pub(super) async fn created(args: &Args<'_>, ctx: &Context) -> Result<Recalled, Failure> {
    let records = match intent::declared(ctx)? {
        Declared::Nothing => return Ok(Recalled::Untouched),
        Declared::Unclear => return Ok(Recalled::Unknown),
        Declared::Something(records) => records,
    };
    let (path, place) = (PathBuf::from(args.needed_path("path")?), Place::of(args, true)?);
    let dir = place.dir.clone();
    let entries = listed(place, ctx).await?;
    let id = |record: &Value| record.get("id").and_then(Value::as_str).map(str::to_owned);
    let made = |id: String| entries.iter().find(|entry| entry.id == id);
    // What the last try has made is what it would have given.
    let entry = records.iter().rev().filter_map(id).find_map(made);
    Ok(entry.map_or(Recalled::Unknown, |entry| Recalled::Partly(result_of(entry, &dir, &path))))
}

async fn listed(place: Place, ctx: &Context) -> Result<Vec<Entry>, Failure> {
    match (ctx.host.is_local(), place.method) {
        (true, _) => work(ctx, move |_| place.open()?.list()).await,
        (false, None | Some(Method::Tar)) => there::list(place, ctx).await,
        (false, Some(_)) => Ok(Vec::new()),
    }
}

/// Of a restore: its result, with the content before as far as it lies aside now.
pub(super) async fn restored(args: &Args<'_>, ctx: &Context) -> Result<Recalled, Failure> {
    let declared = intent::declared(ctx)?;
    if declared == Declared::Nothing && ctx.host.is_local() {
        // What is half a copy is no use to anybody. What cannot be removed now is removed by the next attempt; and what another machine
        // may still be at work on, too.
        let path = PathBuf::from(args.needed_path("path")?.trim_end_matches('/'));
        let _ = ctx.host.remove(&sibling(&path, "restore")?, true).await;
    }
    let previous = Value::list(previous(ctx).await?.iter().map(|path| Value::string(path.to_string_lossy())));
    Ok(match declared.recalled() {
        Recalled::Partly(Value::Object(result)) => {
            let mut result = result.as_ref().clone();
            result.insert("previous".into(), previous);
            Recalled::Partly(Value::Object(result.into()))
        }
        other => other,
    })
}

/// Where the tries of a restore have moved the content before, as far as it lies there; that of the first comes first.
pub(super) async fn previous(ctx: &Context) -> Result<Vec<PathBuf>, Failure> {
    let mut there = Vec::new();
    for record in intent::written(ctx)? {
        for path in record.get("previous").and_then(Value::as_list).into_iter().flatten().filter_map(Value::as_str) {
            if ctx.host.stat(Path::new(path), false).await?.is_some() {
                there.push(PathBuf::from(path));
            }
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

    use std::fs;
    use std::sync::Arc;

    use serde_json::json;

    use super::super::Backup;
    use super::super::tests::{Place, fingerprint, id};
    use super::*;
    use crate::driver::host::Host;
    use crate::driver::testing::sshd::Server;
    use crate::driver::testing::{applying, args, local};
    use crate::driver::{Driver as _, FailureKind};
    use crate::lang::Object;

    struct World {
        place: Place,
        host: Arc<dyn Host>,
        more: serde_json::Value,
        _server: Option<Server>,
    }

    impl World {
        /// This machine in both formats, and another.
        async fn all() -> Vec<Self> {
            let mut all: Vec<Self> = [json!({}), json!({"method": "restic", "password": "p"})]
                .map(|more| Self { place: Place::new(), host: local(), more, _server: None })
                .into();
            if let Some(server) = Server::start().await {
                let host = server.ctx().host;
                all.push(Self { place: Place::new(), host, more: json!({}), _server: Some(server) });
            }
            all
        }

        fn call(&self, more: serde_json::Value) -> Object {
            let mut all = json!({"repository": self.place.repository(), "path": self.place.data()});
            for more in [&self.more, &more] {
                all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            args(all)
        }

        /// The last of these tries.
        fn tried(&self, names: &[&str]) -> Context {
            let mut dirs: Vec<PathBuf> = names.iter().map(|name| self.place.path().join("steps").join(name)).collect();
            let own = dirs.pop().unwrap();
            Context { host: Arc::clone(&self.host), earlier: dirs, ..applying(&own) }
        }

        async fn run(&self, call: &Object, names: &[&str]) -> Result<Value, Failure> {
            Backup.run(call, &self.tried(names)).await
        }

        async fn recall(&self, call: &Object, names: &[&str]) -> Recalled {
            Backup.recall(call, &self.tried(names)).await.unwrap()
        }

        async fn count(&self) -> usize {
            let listed = self.run(&self.call(json!({"action": "list", "path": null})), &["list"]).await.unwrap();
            listed.get("backups").unwrap().as_list().unwrap().len()
        }
    }

    #[tokio::test]
    async fn a_backup_that_was_made_and_not_recorded_is_recalled_and_one_that_was_not_is_untouched() {
        for world in World::all().await {
            let call = world.call(json!({"action": "create"}));
            assert_eq!(world.recall(&call, &["1"]).await, Recalled::Untouched);
            // One that was paused, and wakes.
            let woken = world.run(&call, &["1"]).await.unwrap_err();
            assert!(woken.untouched && woken.kind == FailureKind::Cancelled, "{woken:?}");
            assert_eq!(world.count().await, 0);
            let made = world.run(&call, &["1", "2"]).await.unwrap();
            assert_eq!(world.recall(&call, &["1", "2"]).await, Recalled::Partly(made.clone()));
            assert_eq!(world.recall(&call, &["1", "2", "3"]).await, Recalled::Partly(made.clone()));
            // What it has made is not there: nobody knows what became of it.
            world.run(&world.call(json!({"action": "remove", "path": null, "id": id(&made)})), &["4"]).await.unwrap();
            assert_eq!(world.recall(&call, &["1", "2", "3"]).await, Recalled::Unknown);
        }
    }

    #[tokio::test]
    async fn a_backup_that_failed_is_untouched_where_none_is_there() {
        for world in World::all().await {
            let absent = world.call(json!({"action": "create", "path": world.place.path().join("absent")}));
            assert!(world.run(&absent, &["1"]).await.unwrap_err().untouched);
            let tight = world.call(json!({"action": "create", "files": ["a/one", "absent"]}));
            let failure = world.run(&tight, &["2"]).await.unwrap_err();
            assert!(failure.untouched, "{failure:?}");
            assert_eq!(world.count().await, 0);
        }
    }

    #[tokio::test]
    async fn the_content_before_a_restore_is_recalled_where_it_lies_aside() {
        for world in World::all().await {
            let made = world.run(&world.call(json!({"action": "create"})), &["backup"]).await.unwrap();
            let data = world.place.data();
            fs::write(data.join("a/none"), "changed").unwrap();
            let before = fingerprint(&data);
            let call = world.call(json!({"action": "restore", "id": id(&made), "keep_previous": true}));
            assert_eq!(world.recall(&call, &["1"]).await, Recalled::Untouched);
            assert!(world.run(&call, &["1"]).await.unwrap_err().untouched);
            assert_eq!(fingerprint(&data), before, "one that was paused and wakes changes nothing");
            let restored = world.run(&call, &["1", "2"]).await.unwrap();
            let previous = |result: &Value| -> Vec<String> {
                let list = result.get("previous").unwrap().as_list().unwrap();
                list.iter().map(|path| path.as_str().unwrap().to_owned()).collect()
            };
            let recalled = |recalled: Recalled| match recalled {
                Recalled::Partly(result) => result,
                other => panic!("{other:?}"),
            };
            let known = recalled(world.recall(&call, &["1", "2"]).await);
            assert_eq!((previous(&known), known.get("path")), (previous(&restored), restored.get("path")));
            // Another try tells of both, what was there first of all before the rest.
            let again = world.run(&call, &["1", "2", "3"]).await.unwrap();
            assert_eq!((previous(&again).len(), &previous(&again)[..1]), (2, &previous(&restored)[..]));
            let known = recalled(world.recall(&call, &["1", "2", "3"]).await);
            assert_eq!(previous(&known), previous(&again));
            // Only what is there.
            fs::remove_dir_all(&previous(&restored)[0]).unwrap();
            let known = recalled(world.recall(&call, &["1", "2", "3"]).await);
            assert_eq!(previous(&known), previous(&again)[1..]);
        }
    }

    #[tokio::test]
    async fn single_files_that_were_restored_tell_where_those_before_lie() {
        for world in World::all().await {
            let made = world.run(&world.call(json!({"action": "create", "files": ["a/one", "a/none"]})), &["1"]).await.unwrap();
            fs::write(world.place.data().join("a/one-wal"), "of another content").unwrap();
            let call = world.call(json!({"action": "restore", "id": id(&made), "keep_previous": true}));
            let restored = world.run(&call, &["2"]).await.unwrap();
            let Recalled::Partly(known) = world.recall(&call, &["2"]).await else { panic!("it is known") };
            assert_eq!(known.get("previous"), restored.get("previous"));
            assert_eq!(known.get("previous").unwrap().as_list().unwrap().len(), 3);
        }
    }

    #[tokio::test]
    async fn a_snapshot_command_may_have_left_something_whatever_it_says() {
        let world = World { place: Place::new(), host: local(), more: json!({}), _server: None };
        let snapshot = json!({"create": ["/bin/false"], "path": "/nowhere"});
        let call = world.call(json!({"action": "create", "snapshot": snapshot}));
        assert!(!world.run(&call, &["1"]).await.unwrap_err().untouched);
        assert_eq!(world.recall(&call, &["1"]).await, Recalled::Unknown);
    }
}
