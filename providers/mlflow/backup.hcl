# Backup and restore of the database, as programs for the Python of a virtual environment: SQLite by its own online backup, PostgreSQL
# by pg_dump and pg_restore. Each backup is a file of its own, checked before anything goes on.

locals {
  # Prints {"path", "sha256", "bytes"}.
  back_up = <<-END
    import datetime, hashlib, json, os, sqlite3, subprocess
    def digest_of(file):
        digest = hashlib.sha256()
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
        return digest.hexdigest()
    uri, folder = os.environ["URI"], os.environ["FOLDER"]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    path = os.path.join(folder, f"{os.environ['LABEL']}-{stamp}")
    os.umask(0o077)
    if uri.startswith("sqlite:"):
        path += ".sqlite"
        source = sqlite3.connect("file:" + uri[len("sqlite:///"):] + "?mode=ro", uri=True)
        copy = sqlite3.connect(path + ".part")
        source.backup(copy)
        if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise SystemExit("the copy of the database is damaged")
        tables = lambda db: {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in
                             db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()}
        if tables(source) != tables(copy):
            raise SystemExit("the copy of the database has other rows: does something still write to it?")
        copy.close()
    else:
        path += ".dump"
        subprocess.run([os.environ["PG_BIN"] + "pg_dump", "--format=custom", "--file", path + ".part", "--dbname", uri], check=True)
        subprocess.run([os.environ["PG_BIN"] + "pg_restore", "--list", path + ".part"], check=True, stdout=subprocess.DEVNULL)
    with open(path + ".part", "rb+") as file:
        digest = digest_of(file)
        os.fsync(file.fileno())
    os.rename(path + ".part", path)
    print(json.dumps({"path": path, "sha256": digest, "bytes": os.path.getsize(path)}))
  END

  # Puts the backup in the place of the database. What was there is kept beside the backup as `….replaced`.
  restore = <<-END
    import hashlib, os, shutil, sqlite3, subprocess
    def digest_of(file):
        digest = hashlib.sha256()
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
        return digest.hexdigest()
    uri, backup = os.environ["URI"], os.environ["BACKUP"]
    with open(backup, "rb") as file:
        if digest_of(file) != os.environ["SHA256"]:
            raise SystemExit(f"{backup} is not the file that was written: its SHA-256 differs")
    os.umask(0o077)
    if uri.startswith("sqlite:"):
        database = uri[len("sqlite:///"):]
        if os.path.exists(database):
            shutil.copy2(database, backup + ".replaced")
        shutil.copyfile(backup, database + ".restoring")
        with open(database + ".restoring", "rb+") as file:
            os.fsync(file.fileno())
        for suffix in ("-wal", "-shm", "-journal"):
            if os.path.exists(database + suffix):
                os.remove(database + suffix)
        os.replace(database + ".restoring", database)
        if sqlite3.connect(database).execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise SystemExit(f"{database} is damaged after the restore")
    else:
        tool = os.environ["PG_BIN"]
        subprocess.run([tool + "pg_dump", "--format=custom", "--file", backup + ".replaced", "--dbname", uri], check=True)
        import psycopg2
        connection = psycopg2.connect(uri)
        with connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA public CASCADE")
            cursor.execute("CREATE SCHEMA public")
        connection.close()
        subprocess.run([tool + "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--dbname", uri, backup], check=True)
  END
}
