"""Version configurations and configuration files: what they must hold, and how they are compared."""

import hashlib
import io
import zipfile

from .estate import Refused, clock


def flatten(text):
    """The dotted keys of a document of nested mappings and lists of scalars: the part of YAML that these files use."""
    found, stack = {}, []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split(" #")[0].rstrip()
        if not line.strip() or line.lstrip().startswith("#") or line.strip() == "---":
            continue
        indent = len(line) - len(line.lstrip())
        body = line.strip()
        if "\t" in line[:indent + 1]:
            raise ValueError(f"line {number}: a tab is no indentation")
        if body.startswith("- "):
            while stack and stack[-1][0] > indent:
                stack.pop()
            key = ".".join(name for _, name in stack)
            found.setdefault(key, [])
            if not isinstance(found[key], list):
                found[key] = []
            found[key].append(scalar(body[2:]))
            continue
        if ":" not in body:
            raise ValueError(f"line {number}: `{body}` is neither `key: value` nor `- item`")
        while stack and stack[-1][0] >= indent:
            stack.pop()
        key, _, value = body.partition(":")
        name = ".".join([name for _, name in stack] + [key.strip()])
        if value.strip():
            found[name] = scalar(value)
        else:
            stack.append((indent, key.strip()))
    return found


def scalar(text):
    return text.strip().strip("\"'")


def keys_of(text, what):
    try:
        return flatten(text)
    except ValueError as error:
        raise Refused(422, "CONTENT_INVALID", f"{what} cannot be read: {error}") from None


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def shown(estate, version):
    """A version of the list, with the digest of its template."""
    entry = estate.data["versions"][version]
    template = entry["template"].encode()
    return {"version": version, "imported_at": entry["imported_at"], "current": version == estate.data["version"],
            "template_md5": md5(template + b"\n" if estate.fault("template_mismatch") else template)}


def validate_version(estate, version, content):
    """Validates the configuration of a version; says what an upload would do."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Refused(422, "CONTENT_INVALID", "the version configuration is not UTF-8") from None
    keys = keys_of(text, "the version configuration")
    problems = []
    if keys.get("version") != version:
        problems.append(f"`version` is {keys.get('version')!r}, not {version!r}")
    if not any(key.startswith("product.dataphin.") for key in keys):
        problems.append("`product.dataphin` is missing")
    if not keys.get("required"):
        problems.append("`required` is missing")
    if problems:
        raise Refused(422, "VERSION_CONFIGURATION_INVALID", "; ".join(problems), {"reasons": problems})
    return {"valid": True, "md5": md5(content), "action": "overwrite" if version in estate.data["versions"] else "import"}


def import_version(estate, version, content, overwrite):
    found = validate_version(estate, version, content)
    if found["action"] == "overwrite" and not overwrite:
        raise Refused(409, "VERSION_EXISTS", f"the configuration of {version} is there already: continuing overwrites it")
    estate.data["versions"][version] = {"template": content.decode(), "imported_at": clock()}
    return {**found, "imported_at": clock()}


def check_file(estate, version, content, kind):
    """Checks a configuration file against a version: everything that is wrong at once."""
    if version not in estate.data["versions"]:
        raise Refused(404, "VERSION_UNKNOWN", f"there is no configuration of version {version}: upload it first")
    template = estate.data["versions"][version]["template"]
    known = keys_of(template, "the version configuration")
    required = list(known.get("required", []))
    missing_switch = estate.fault("missing_items")
    required += missing_switch.get("names", ["product.dataphin.licence"]) if missing_switch else []
    found = {"kind": kind, "missing_items": [], "template_compatible": True, "overlay_compatible": True, "values_consistent": True,
             "incompatible": [], "differences": [], "md5": md5(content)}
    if kind == "standard":
        values = keys_of(members(content)["values.yaml"], "the configuration file")
        found["missing_items"] = [item for item in required if item not in values]
        message = f"{len(found['missing_items'])} configuration item(s) are missing"
        found["valid"] = not found["missing_items"]
    else:
        files = members(content)
        parts = {name: text for name, text in files.items() if name.startswith("product/dataphin/")}
        uploaded = shown(estate, version)["template_md5"]
        found["template_compatible"] = len(parts) > 0 and all(md5(text.encode()) == uploaded for text in parts.values())
        values = keys_of(files.get("values.yaml", ""), "values.yaml")
        overlays = {name: keys_of(text, name) for name, text in files.items() if name.startswith("overlays/")}
        for name, keys in {**overlays, "values.yaml": values}.items():
            strange = [key for key in keys if key not in known]
            if estate.fault("incompatible_overlay") and name != "values.yaml":
                strange = strange or list(keys)[:1]
            found["incompatible"] += [f"{name}: {key}" for key in strange]
        found["missing_items"] = [item for item in required if item not in values]
        found["overlay_compatible"] = not found["incompatible"] and not found["missing_items"]
        running = estate.data["values"]
        found["differences"] = [{"item": key, "running": running.get(key), "file": values.get(key)}
                                for key in sorted({*values, *running}) if values.get(key) != running.get(key)]
        found["values_consistent"] = not found["differences"]
        found["valid"] = found["overlay_compatible"]
        message = "the configuration information in the file is not compatible with the selected version: confirm with the O&M team"
    found["values"] = {key: value for key, value in values.items() if isinstance(value, str)}
    found["message"] = None if found["valid"] else message
    return found


def members(content):
    """The files of an upload: of a ZIP by name, of YAML as `values.yaml`."""
    if content[:2] != b"PK":
        try:
            return {"values.yaml": content.decode()}
        except UnicodeDecodeError:
            raise Refused(422, "CONTENT_INVALID", "the file is neither YAML nor ZIP") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith("/")}
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise Refused(422, "CONTENT_INVALID", f"the ZIP cannot be read: {error}") from None
    return found if "values.yaml" in found else {**found, "values.yaml": ""}
