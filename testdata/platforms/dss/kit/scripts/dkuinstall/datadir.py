"""A data directory and a kit: their files, versions and failure switches."""

import configparser
import json
import os
import random
import string

NODE_TYPES = ("design", "automation", "api", "deployer", "govern")
FOLDERS = {
    "common": ["bin", "config", "run", "tmp", "caches", "install-support", "diagnosis"],
    "studio": ["analysis-data", "analysis_data", "acode-envs", "apinode-packages", "config/projects", "data-catalog", "databases", "exports",
               "jobs", "jupyter-run", "lib", "managed_datasets", "managed_folders", "plugins", "prepared_bundles", "R.lib", "saved_models",
               "scenarios", "uploads"],
    "api": ["services"],
    "govern": ["uploaded-files"],
}


def load(path, default=None):
    """The JSON of a file; `default` where there is none."""
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return default


def store(path, value):
    """Writes JSON in one go, as DSS does with its configuration: a reader sees the old file or the new one."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.{random.randrange(1 << 30)}.tmp"
    with open(temporary, "w") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(temporary, path)


def version_key(text):
    """13.4.1 as (13, 4, 1)."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))


def conf_version(text):
    """The version of the configuration that a release brings: 14.2.1 has 14210."""
    parts = (version_key(text) + (0, 0, 0))[:3]
    return int("".join(str(part) for part in parts) + "0")


class Kit:
    """An unpacked kit."""

    def __init__(self, path):
        self.path = path
        self.version = load(os.path.join(path, "dss-version.json"))["product_version"]


class DataDir:
    """A data directory, which need not be there yet."""

    def __init__(self, path):
        self.path = path

    def file(self, *parts):
        return os.path.join(self.path, *parts)

    def exists(self):
        return os.path.isfile(self.file("dss-version.json"))

    def version(self):
        return load(self.file("dss-version.json"))["product_version"]

    def conf_version(self):
        return int(load(self.file("dss-version.json"))["conf_version"])

    def set_version(self, version):
        store(self.file("dss-version.json"), {"product_version": version, "conf_version": str(conf_version(version)), "product_commitid": ""})

    def ini(self):
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.file("install.ini"))
        return parser

    def option(self, section, name, default=None):
        return self.ini().get(section, name, fallback=default)

    def set_option(self, section, name, value):
        parser = self.ini()
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, name, value)
        with open(self.file("install.ini"), "w") as file:
            parser.write(file)

    def port(self):
        return int(self.option("server", "port"))

    def node_type(self):
        return self.option("general", "nodetype", "design")

    def properties(self):
        """`config/dip.properties`."""
        found = {}
        try:
            with open(self.file("config", "dip.properties")) as file:
                for line in file:
                    name, separator, value = line.strip().partition("=")
                    if separator and not name.startswith("#"):
                        found[name] = value
        except FileNotFoundError:
            pass
        return found

    def switch(self, name):
        """The content of a failure switch: `DATA_DIR.switches/NAME`, or `switches/NAME` beside the data directory; None where it is off."""
        for folder in (f"{self.path}.switches", os.path.join(os.path.dirname(self.path), "switches")):
            try:
                with open(os.path.join(folder, name)) as file:
                    return file.read().strip()
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def supervisor_pid(self):
        """The process of the supervisor that runs on this data directory; None where none does."""
        try:
            with open(self.file("run", "supervisord.pid")) as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if b"supervisor.py" in b" ".join(command) and self.path.encode() in command else None

    def make_folders(self):
        kind = self.node_type()
        for folder in FOLDERS["common"] + FOLDERS[kind if kind in FOLDERS else "studio"]:
            os.makedirs(self.file(folder), exist_ok=True)

    def link_binaries(self, kit):
        """After this the commands in `bin` are those of the kit."""
        names = ["dss", "dssadmin"] + (["govern-admin"] if self.node_type() == "govern" else []) + (["dsscli"] if self.node_type() != "api" else [])
        for name in names:
            link = self.file("bin", name)
            if os.path.lexists(link):
                os.remove(link)
            os.symlink(os.path.join(kit.path, "scripts", "linked", name), link)

    def write_environment(self, kit):
        with open(self.file("bin", "env-default.sh"), "w") as file:
            file.write(f"# Written by the installer: do not edit\nexport DKUINSTALLDIR=\"{kit.path}\"\nexport DKUJAVABIN=\"java\"\n"
                       f"export DKUPYTHONBIN=\"{self.file('bin', 'python')}\"\n")

    def make_python(self):
        """The built-in Python environment, which belongs to one place: a copied one does not work."""
        os.makedirs(self.file("pyenv", "bin"), exist_ok=True)
        link = self.file("pyenv", "bin", "python")
        if not os.path.lexists(link):
            os.symlink(os.path.realpath("/proc/self/exe"), link)
        with open(self.file("pyenv", "pyvenv.cfg"), "w") as file:
            file.write(f"prompt = {self.file('pyenv')}\n")
        link = self.file("bin", "python")
        if not os.path.lexists(link):
            os.symlink("../pyenv/bin/python", link)

    def python_belongs_here(self):
        try:
            with open(self.file("pyenv", "pyvenv.cfg")) as file:
                return file.read().strip() == f"prompt = {self.file('pyenv')}"
        except FileNotFoundError:
            return False

    def write_services(self):
        """`dssadmin regenerate-config`: what the supervisor starts, made of `install.ini`."""
        port = self.port()
        services = {"nginx": port, "backend": port + 1}
        if self.node_type() not in ("api", "govern"):
            services["ipython"] = port + 2
        store(self.file("install-support", "supervisord.json"), {"services": services, "prefix": self.option("collectd", "prefix")})

    def installed_kit(self):
        """The kit that this data directory is attached to."""
        with open(self.file("bin", "env-default.sh")) as file:
            for line in file:
                if line.startswith("export DKUINSTALLDIR="):
                    return Kit(line.split('"')[1])
        raise FileNotFoundError("DKUINSTALLDIR")


def random_id(length):
    return "".join(random.choice(string.ascii_letters + string.digits) for _ in range(length))
