"""An installation as its own programs see it: home, version, properties, the cluster behind it, and the simulator's switches."""

import os
import pathlib
import re

JOBS_ENDED = ("FINISHED", "DISCARDED")


def read_properties(path):
    """`name=value` lines; `#` begins a comment."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        name, equals, value = line.partition("=")
        if equals and not name.lstrip().startswith("#"):
            found[name.strip()] = value.strip()
    return found


def main_version(version):
    """The first two numbers: what the vendor calls the main version."""
    return ".".join(str(version).split(".")[:2])


def numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]


class Installation:
    def __init__(self, home, properties_of=None):
        self.home = pathlib.Path(home)
        self.properties = read_properties((properties_of or self.home) / "conf" / "kylin.properties")
        self.version = re.search(r"\d+(\.\d+)+", (self.home / "VERSION").read_text()).group(0)
        self.main = main_version(self.version)

    @property
    def database(self):
        """The SQLite file that stands in for the relational database of the metadata."""
        return re.search(r"url=jdbc:sqlite:([^,]+)", self.properties["kylin.metadata.url"]).group(1)

    @property
    def hadoop_conf(self):
        return pathlib.Path(self.properties["kylin.env.hadoop-conf-dir"])

    def hdfs(self, path):
        """Where a path of HDFS is on this machine's disk."""
        root = re.search(r"<value>file://([^<]+)</value>", (self.hadoop_conf / "core-site.xml").read_text()).group(1)
        return pathlib.Path(root) / str(path).lstrip("/")

    @property
    def working_dir(self):
        return self.properties.get("kylin.env.hdfs-working-dir", "/kylin")

    @property
    def port(self):
        server = (self.home / "tomcat" / "conf" / "server.xml").read_text()
        return int(re.search(r'<Connector port="(\d+)"', server).group(1))

    def switch(self, name):
        """The content of a failure switch, or None where it is off. One that names a version is on only for that version and
        what begins with it; `node=NAME` at its beginning limits it to the homes below a folder of that name."""
        try:
            text = (self.hadoop_conf.parents[2] / "switches" / name).read_text().strip()
        except FileNotFoundError:
            return None
        for word in text.split():
            if word.startswith("version=") and not (self.version + ".").startswith(word[8:] + "."):
                return None
            if word.startswith("node=") and word[5:] not in self.home.parts:
                return None
        return " ".join(word for word in text.split() if "=" not in word)


def installation(properties_of=None):
    return Installation(os.environ["KYLIN_HOME"], properties_of)
