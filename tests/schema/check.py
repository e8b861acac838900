#!/usr/bin/python3
"""check.py SCHEMA: the JSON Schema against its meta-schema, and YAML files against it. TAP.

Files are read as YAML 1.2's core schema has it, as editors do: 512M and `on` are texts, 0x1000 is a
number. Run in the root of the tree; tests/schema/run does it.
"""
import glob
import json
import re
import sys

import jsonschema
import yaml

CORE = [  # YAML 1.2.2, section 10.3.2
    (re.compile(r"null|Null|NULL|~|"), lambda s: None),
    (re.compile(r"true|True|TRUE"), lambda s: True),
    (re.compile(r"false|False|FALSE"), lambda s: False),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+"), lambda s: int(s[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda s: int(s[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
]


class NotYaml(Exception):
    pass


def plain(text):
    for pattern, read in CORE:
        if pattern.fullmatch(text):
            return read(text)
    return text


def value(node):
    if isinstance(node, yaml.SequenceNode):
        return [value(entry) for entry in node.value]
    if isinstance(node, yaml.MappingNode):
        result = {key.value: value(child) for key, child in node.value}
        if len(result) != len(node.value):
            raise NotYaml("a duplicate key")
        return result
    if node is None or node.style is None:
        return plain(node.value if node else "")
    return node.value


def load(text):
    try:
        return value(yaml.compose(text, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, UnicodeError, ValueError, TypeError) as error:
        raise NotYaml(str(error)) from error


def load_file(path):
    with open(path, "rb") as file:
        return load(file.read())


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def result(self, good, name, details=()):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}")
        if not good:
            for line in details:
                print("#", line)


def defaults(schema, at="$"):
    """Every (place, subschema) with a default."""
    if isinstance(schema, dict):
        if "default" in schema:
            yield at, schema
        for key, child in schema.items():
            yield from defaults(child, f"{at}.{key}")
    elif isinstance(schema, list):
        for i, child in enumerate(schema):
            yield from defaults(child, f"{at}[{i}]")


BOOT = "boot: {raw: {file: a.bin}}\n"
GOOD = {
    "a size with a unit": "memory: 512M",
    "a size as a number": "memory: 4096",
    "a size in hex": "memory: 0x10_000",
    "a variable for a size": "memory: ${RAM}",
    "a variable with a default for a number": "vcpus: ${CPUS:-2}",
    "a variable for a word": "on_reset: ${RESET}",
    "a variable for a truth value": "platform: {pit: ${PIT:-false}}".replace(
        "${PIT:-false}", '"${PIT:-false}"'),
    "words of YAML 1.1 for truth values": "platform: {pit: on}",
    "a number that is quoted": 'vcpus: "2"',
    "a bare device": "devices: [rtc]",
    "a device with nothing behind it": "devices:\n  - rtc:",
    "a device with options": "devices:\n  - uart16550: {port: 0x3f8, irq: none}",
    "an empty list": "devices:",
    "a memory map": "memory:\n  - ram: {at: 0, size: 1M}",
    "a name that is a number": "name: 123",
}
LAYERS = {
    "a layer without boot": "extends: base.yaml",
    "a layer on two": "extends: [a.yaml, b.yaml]",
    "a layer that changes half a boot format": "extends: a.yaml\nboot: {raw: {load: 0x2000}}",
    "a layer that changes the boot format": "extends: a.yaml\nboot: {raw: null, elf: {file: a}}",
    "a layer that removes a key": "extends: a.yaml\nmemory: null",
    "a layer that appends": "extends: a.yaml\ndevices+:\n  - rtc\nmemory+:\n"
                            "  - hole: {at: 1M, size: 1M}",
    "a layer that completes an entry": "extends: a.yaml\nmemory+:\n  - rom: {at: 1M}",
}
BAD = {
    "an unknown key": "vcpu: 2",
    "an unknown device": "devices: [uart]",
    "an unknown device with options": "devices:\n  - uart: {irq: 4}",
    "an unknown option": "devices:\n  - rtc: {prt: 1}",
    "two types in one entry": "devices:\n  - {rtc: {}, debug-exit: {}}",
    "a size with a fraction": "memory: 1.5G",
    "a size in MB": "memory: 512MB",
    "an unaligned size": "memory: 4097",
    "no vCPU": "vcpus: 0",
    "a negative number": "vcpus: -1",
    "a number with a unit": "vcpus: 2K",
    "a word that is none": "on_reset: reboot",
    "an option that is missing": "memory:\n  - ram: {at: 0}",
    "a memory kind without its options": "memory: [ram]",
    "a port beyond the last": "devices:\n  - rtc: {port: 0x10000}",
    "a mapping where a list is due": "devices: {rtc: {}}",
    "a list where a mapping is due": "platform: [pit]",
    "extends without a file": "extends: ''",
}


def cases(tap, check):
    for name, text in GOOD.items():
        errors = check(load(BOOT + text))
        tap.result(not errors, f"taken: {name}", errors)
    for name, text in LAYERS.items():
        errors = check(load(text))
        tap.result(not errors, f"taken: {name}", errors)
    for name, text in BAD.items():
        tap.result(bool(check(load(BOOT + text))), f"refused: {name}")
    for name, text in {
        "no boot": "memory: 1M",
        "two boot formats": "boot: {raw: {file: a}, elf: {file: a}}",
        "a boot format without its file": "boot: {raw: {load: 0x1000}}",
        "a list as the whole": "- rtc",
    }.items():
        tap.result(bool(check(load(text))), f"refused: {name}")


def main():
    tap = Tap()
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    validator = jsonschema.Draft202012Validator(schema)

    def check(data):
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        complaint = []
    except jsonschema.SchemaError as error:
        complaint = [str(error)]
    tap.result(not complaint, "the schema is valid by the 2020-12 meta-schema", complaint)

    wrong = []
    found = list(defaults(schema))
    for at, part in found:
        part = {**part, "$defs": schema["$defs"]}
        for error in jsonschema.Draft202012Validator(part).iter_errors(part["default"]):
            wrong.append(f"{at}: {error.message}")
    tap.result(found and not wrong, "every default is a valid value of its option", wrong)

    for path in sorted(glob.glob("configs/*.yaml") + glob.glob("tests/config/pass/**/*.yaml",
                                                               recursive=True)):
        errors = check(load_file(path))
        tap.result(not errors, f"{path} passes", errors)

    refused, taken, unread = [], [], []
    for path in sorted(glob.glob("tests/config/fail/*.yaml")):
        try:
            (refused if check(load_file(path)) else taken).append(path)
        except NotYaml:
            unread.append(path)
    tap.result(len(refused) >= 40, f"of tests/config/fail, {len(refused)} files fail it",
               [f"passes: {path}" for path in taken])
    if "-v" in sys.argv:
        print(*[f"# passes: {path}" for path in taken], sep="\n")
        print(*[f"# not YAML: {path}" for path in unread], sep="\n")
    cases(tap, check)
    print(f"1..{tap.n}")
    return tap.failed > 0


sys.exit(main())
