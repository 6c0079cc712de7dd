# What is more than one command. Values come as arguments or through the environment, never pasted into the text.

locals {
  # pachctl, namespace, the recorded words. `{credentials}` is filled in here, so that no plan and no record holds it.
  deploy = <<-END
    pachctl=$1 namespace=$2
    shift 2
    words=$#
    while [ "$words" -gt 0 ]; do
        word=$1
        shift
        case $word in *'{credentials}'*) word=$${word%%'{credentials}'*}$CREDENTIALS$${word#*'{credentials}'} ;; esac
        set -- "$@" "$word"
        words=$((words - 1))
    done
    exec "$pachctl" deploy "$@" --namespace "$namespace"
  END

  # pachctl, version: `pachctl version --client-only` says that version.
  client_is = <<-END
    said=$("$1" version --client-only | awk '$1 == "pachctl" { print $2 }')
    [ "$said" = "$2" ] || { echo "pachctl says version \"$said\", and $2 is wanted" >&2; exit 1; }
  END

  # A command that finds pachd where `connect.sh` says: the address may be known only after the deploy.
  connected = <<-END
    . "$CONNECT"
    exec "$@"
  END

  # pachctl, version: client and server both say that version.
  both_are = <<-END
    said=$("$1" version) || exit
    client=$(printf '%s\n' "$said" | awk '$1 == "pachctl" { print $2 }')
    server=$(printf '%s\n' "$said" | awk '$1 == "pachd" { print $2 }')
    [ "$client" = "$2" ] && [ "$server" = "$2" ] || { echo "pachctl is $client and pachd is $server; both should be $2" >&2; exit 1; }
  END

  # pachctl, "-" or " ": stops the pipelines that run, and prints their names. Again, it finds none: those that it has stopped are kept in
  # the file, so that they are started again after a crash in between.
  pause = <<-END
    pachctl=$1 words=$2 file=$3
    if [ "$words" = - ]; then list=list-pipeline stop=stop-pipeline; else list='list pipeline' stop='stop pipeline'; fi
    "$pachctl" $list --raw > "$file.all"
    python3 - "$file.all" >> "$file" <<'PYTHON'
    import json, sys
    text, decoder = open(sys.argv[1]).read().strip(), json.JSONDecoder()
    while text:
        one, end = decoder.raw_decode(text)
        text = text[end:].strip()
        if one.get("state") in ("PIPELINE_RUNNING", "PIPELINE_STARTING", "PIPELINE_RESTARTING", 0, 1, 2):
            print(one["pipeline"]["name"])
    PYTHON
    rm -f -- "$file.all"
    sort -u -o "$file" -- "$file"
    while read -r pipeline; do "$pachctl" $stop "$pipeline"; done < "$file"
    cat -- "$file"
  END

  # pachctl, "-" or " ", file, names: starts the pipelines that `pause` has stopped, by its result, and by its file where it did not end.
  resume = <<-END
    pachctl=$1 words=$2 file=$3
    shift 3
    if [ "$words" = - ]; then start=start-pipeline; else start='start pipeline'; fi
    if [ -e "$file" ]; then set -- "$@" $(cat -- "$file"); fi
    for pipeline in $(printf '%s\n' "$@" | sort -u); do "$pachctl" $start "$pipeline"; done
    rm -f -- "$file"
  END

  # pachctl, file without its time, options: the state in a file that is whole, and what the lockfile needs.
  extract = <<-END
    pachctl=$1 path=$2-$(date -u +%Y%m%dT%H%M%SZ).extract
    shift 2
    umask 077
    mkdir -p -- "$${path%/*}"
    "$pachctl" extract "$@" > "$path.part"
    [ -s "$path.part" ] || { echo "pachctl extract wrote nothing" >&2; exit 1; }
    sync -- "$path.part"
    mv -- "$path.part" "$path"
    python3 -c 'import json, os, sys; path = sys.argv[1]; print(json.dumps({"id": os.path.basename(path), "location": path, "method": "pachctl extract", "size": os.path.getsize(path)}))' "$path"
  END

  # id, location, command: the copy of the bucket.
  copy_bucket = <<-END
    id=$1 location=$2
    shift 2
    "$@" >&2
    python3 -c 'import json, sys; print(json.dumps({"id": sys.argv[1], "location": sys.argv[2], "method": "bucket copy"}))' "$id" "$location"
  END

  # disk, beginning of the snapshot's name, "name" or "output", command, "--", command that verifies.
  take_snapshot = <<-END
    exec python3 - "$@" <<'PYTHON'
    import json, re, subprocess, sys, time
    disk, name, naming, *words = sys.argv[1:]
    # Clouds take small letters, digits and dashes.
    name = f"w-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}-{int(time.time())}"
    create, verify = words[: words.index("--")], words[words.index("--") + 1 :]
    fill = lambda command, name: [word.replace("{volume}", disk).replace("{name}", name) for word in command]
    done = subprocess.run(fill(create, name), stdout=subprocess.PIPE, text=True)
    sys.stderr.write(done.stdout)
    if done.returncode:
        raise SystemExit(done.returncode)
    if naming == "output":
        lines = done.stdout.split()
        if not lines:
            raise SystemExit("the command printed no name of a snapshot")
        name = lines[-1]
    if verify:
        subprocess.run(fill(verify, name), stdout=sys.stderr, check=True)
    print(json.dumps({"id": name, "location": f"snapshot of {disk}", "method": "volume snapshot", "verified": bool(verify)}))
    PYTHON
  END

  # The same state on both sides: repositories, and the commits of each. old pachctl, its address, "-" or " ", its kubeconfig; and new.
  compare = <<-END
    exec python3 - "$@" <<'PYTHON'
    import json, os, subprocess, sys
    def state(pachctl, address, words, kubeconfig):
        environment = dict(os.environ, ADDRESS=address, PACHD_ADDRESS=address)
        if kubeconfig:
            environment["KUBECONFIG"] = kubeconfig
        def ask(thing, *names):
            command = [pachctl, f"list-{thing}"] if words == "-" else [pachctl, "list", thing]
            text = subprocess.run([*command, *names, "--raw"], env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
            decoder, found = json.JSONDecoder(), []
            while text:
                one, end = decoder.raw_decode(text)
                found.append(one)
                text = text[end:].strip()
            return found
        repos = sorted(one["repo"]["name"] for one in ask("repo"))
        commits = {repo: sorted((one["commit"]["id"], one.get("size_bytes", "0")) for one in ask("commit", repo)) for repo in repos}
        return {"commits": commits, "pipelines": sorted(one["pipeline"]["name"] for one in ask("pipeline"))}
    old, new = state(*sys.argv[1:5]), state(*sys.argv[5:9])
    wrong = []
    for repo in sorted(set(old["commits"]) | set(new["commits"])):
        before, after = old["commits"].get(repo), new["commits"].get(repo)
        if before != after:
            count = lambda commits: "is not there" if commits is None else f"has {len(commits)} commit(s)"
            wrong.append(f"repository {repo} {count(before)} in the old deployment and {count(after)} in the new one"
                         + (", and they differ" if before and after and len(before) == len(after) else ""))
    if old["pipelines"] != new["pipelines"]:
        wrong.append(f"pipelines are {old['pipelines']} in the old deployment and {new['pipelines']} in the new one")
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(json.dumps({"repositories": len(old["commits"]), "commits": sum(map(len, old["commits"].values())), "pipelines": len(old["pipelines"])}))
    PYTHON
  END
}
