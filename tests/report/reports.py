#!/usr/bin/env python3
"""reports.py BIN DIR: TAP, JUnit and JSON of `BIN report merge`, read by parsers of other people."""
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import tap

try:
    import yaml
except ImportError:
    yaml = None

BIN, DIR = sys.argv[1], pathlib.Path(sys.argv[2])
HERE = pathlib.Path(__file__).parent


def merge(*files, to="out", status=1):
    """Writes DIR/to.xml, .json, .html and .tap; what was said on standard error."""
    out = DIR / to
    done = subprocess.run([BIN, "report", "merge", *map(str, files), "--junit", f"{out}.xml", "--json",
                           f"{out}.json", "--html", f"{out}.html", "--tap"], capture_output=True)
    (DIR / f"{to}.tap").write_bytes(done.stdout)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done.stderr.decode()


def lines(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def counts(path):
    outcomes = [c["outcome"] for c in lines(path)[1:]]
    return {o: outcomes.count(o) for o in set(outcomes)}


def test_the_page_names_its_style_and_script():
    subprocess.run([HERE / "policy"], check=True)


def test_merge_counts():
    assert merge(DIR / "small.json", to="of-small") == (
        "9 passed, 3 failed, 2 skipped, 1 of the passed flaky, 1 not run\n")
    merge(DIR / "hostile.json", to="of-hostile")
    merge(DIR / "many.json", to="of-many")


def test_json_of_one_file_is_that_file():
    for kind in "small", "hostile", "many":
        merge(DIR / f"{kind}.json", to="again")
        before, after = lines(DIR / f"{kind}.json"), lines(DIR / "again.json")
        for a, b in zip(before, after, strict=True):
            if kind == "hostile":  # it has more than there is room for
                a, b = ({k: v for k, v in x.items() if k in ("name", "file", "console", "map", "config")} for x in (a, b))
            assert a == b, {k: (a.get(k), b.get(k)) for k in a | b if a.get(k) != b.get(k)}


def test_junit_validates_and_counts():
    for kind in "small", "hostile", "many":
        root = ET.parse(DIR / f"of-{kind}.xml").getroot()
        n = counts(DIR / f"{kind}.json")
        cases = root.findall("testsuite/testcase")
        assert len(cases) == sum(n.values()) == int(root.get("tests"))
        assert len(root.findall("testsuite/testcase/failure")) == n["failed"] == int(root.get("failures"))
        skipped = n.get("skipped", 0) + n.get("not run", 0)
        assert len(root.findall("testsuite/testcase/skipped")) == skipped
        assert sum(int(s.get("skipped")) for s in root) == skipped
        assert sum(int(s.get("tests")) for s in root) == len(cases)


def test_junit_has_names_and_texts():
    root = ET.parse(DIR / "of-hostile.xml").getroot()
    names = {c.get("name") for c in root.iter("testcase")}
    assert "__proto__" in names
    bad = next(c for c in root.iter("testcase") if c.find("failure") is not None)
    assert "</script><script>" in bad.get("name")
    assert "\u241b[31m red" in bad.find("system-out").text
    assert "\x1b" not in (DIR / "of-hostile.xml").read_text()


def test_junit_is_as_the_schema_has_it():
    if not shutil.which("xmllint"):
        raise tap.Skip("xmllint is not installed")
    for kind in "small", "hostile", "many":
        subprocess.run(["xmllint", "--noout", "--relaxng", HERE / "junit.rng", DIR / f"of-{kind}.xml"],
                       check=True, capture_output=True)
    wrong = (DIR / "of-small.xml").read_text().replace("<failure type=", "<failure kind=")
    (DIR / "wrong.xml").write_text(wrong)
    done = subprocess.run(["xmllint", "--noout", "--relaxng", HERE / "junit.rng", DIR / "wrong.xml"],
                          capture_output=True)
    assert done.returncode, "a wrong attribute validates"


# Debian 12's TAP::Parser knows versions up to 13, in which all of this reads the same.
PERL = r"""
use TAP::Parser;
my $p = TAP::Parser->new({ source => $ARGV[0] });
while (my $r = $p->next) {
    printf "%s %d %s\n", ($r->has_skip ? "skip" : $r->is_ok ? "ok" : "not"), $r->number, $r->description if $r->is_test;
    printf "yaml %s\n", $r->data->{message} if $r->is_yaml;
    print "bail\n" if $r->is_bailout;
}
print "error $_\n" for $p->parse_errors;
"""


def test_tap_is_what_perl_reads():
    if subprocess.run(["perl", "-MTAP::Parser", "-e", "1"], capture_output=True).returncode:
        raise tap.Skip("perl has no TAP::Parser")
    for kind in "small", "many":
        text = (DIR / f"of-{kind}.tap").read_text()
        assert text.startswith("TAP version 14\n")
        (DIR / "old.tap").write_text(text.replace("version 14", "version 13", 1))
        done = subprocess.run(["perl", "-e", PERL, DIR / "old.tap"], capture_output=True, text=True, check=True)
        said, n = done.stdout.split("\n"), counts(DIR / f"{kind}.json")
        begins = lambda word: [line for line in said if line.startswith(word + " ")]
        assert begins("error") == [], begins("error")
        assert len(begins("not")) == len(begins("yaml")) == n["failed"], done.stdout
        assert len(begins("skip")) == n["skipped"] + n.get("not run", 0)
        assert len(begins("ok")) == n["passed"] + n["flaky"]
        assert ("bail" in said) == (kind == "small")


def test_tap_blocks_are_yaml():
    if not yaml:
        raise tap.Skip("python3-yaml is not installed")
    for kind in "small", "hostile", "many":
        text = (DIR / f"of-{kind}.tap").read_text()
        failed = [c for c in lines(DIR / f"{kind}.json")[1:] if c["outcome"] == "failed"]
        blocks = re.findall(r"^  ---\n(.*?)^  \.\.\.\n", text, re.M | re.S)
        for block, case in zip(blocks, failed, strict=True):
            data = yaml.safe_load(block)
            assert data["severity"] == "fail"
            assert "unmet" not in case or data["at"]["line"] == case["unmet"]["line"]
            if kind != "hostile":
                assert data["message"] == case["why"]
                assert data.get("detail", "") == case["detail"]


def test_tap_has_one_line_for_each_case():
    for kind in "small", "hostile", "many":
        text = (DIR / f"of-{kind}.tap").read_text()
        tests = re.findall(r"^(?:not )?ok (\d+) - .", text, re.M)
        assert tests == [str(i + 1) for i in range(len(lines(DIR / f"{kind}.json")) - 1)]
        assert len(re.findall(r"^1\.\.\d+$", text, re.M)) == 1


def test_shards_make_the_whole():
    for n in 2, 3:
        shards = []
        for i in range(1, n + 1):
            shards.append(DIR / f"shard-{i}.json")
            with open(shards[-1], "w") as out:
                subprocess.run([sys.executable, HERE / "sample.py", "shard", f"{i}/{n}"], stdout=out, check=True)
        first = None
        for order in itertools.permutations(shards):
            merge(*order, to="merged")
            texts = [(DIR / f"merged.{kind}").read_bytes() for kind in ("xml", "json", "html", "tap")]
            first = first or texts
            assert texts == first, "the order of the shards matters"
        key = lambda c: c["name"]
        whole = sorted(lines(DIR / "small.json")[1:], key=key)
        merged = sorted(lines(DIR / "merged.json")[1:], key=key)
        assert {c["worker"] for c in merged} == {f"{i}/{n}" for i in range(1, n + 1)}
        for a, b in zip(whole, merged, strict=True):
            assert a["end"] == b["end"] or a["end"] < 1_000_000_000 * n, (a["name"], a["end"], b["end"])
            a["worker"] = b["worker"] = ""
            a["begin"] = a["end"] = b["begin"] = b["end"] = 0
            assert a == b


def test_a_shard_that_is_missing_is_missed():
    def shard(i, n, cases):
        file = DIR / f"of-{i}.json"
        case = {"name": f"c{i}", "file": "c.yaml", "worker": f"{i}/{n}", "outcome": "passed", "attempts": 1}
        file.write_text("".join(json.dumps(line) + "\n" for line in [{"report": 1, "cases": cases}, *[case] * cases]))
        return file
    files = [shard(1, 3, 1), shard(2, 3, 1), shard(3, 3, 0)]
    for given, status in (files, 0), (files[:2], 1), (files[1:], 1), (files[:1], 1):
        done = subprocess.run([BIN, "report", "merge", *given], capture_output=True, text=True)
        assert done.returncode == status, (given, done)
        assert ("not all shards are here" in done.stderr) == bool(status), done.stderr


def test_what_cannot_be_merged():
    (DIR / "bad.json").write_text((DIR / "small.json").read_text().replace('"attempts": 1', '"attempts": "1"', 1))
    (DIR / "empty.json").write_text("")
    whole = (DIR / "small.json").read_text().splitlines(keepends=True)
    (DIR / "cut.json").write_text("".join(whole[:-1]))
    for args, status, said in (
            (["merge", DIR / "bad.json"], 65, "bad.json:2: attempts is no number"),
            (["merge", DIR / "small.json", DIR / "empty.json"], 65, "it is empty"),
            (["merge", DIR / "of-small.xml"], 65, "of-small.xml:1: this is no line of JSON"),
            (["merge", DIR / "cut.json"], 65, f"report is cut off: {len(whole) - 2} of its {len(whole) - 1} cases"),
            (["merge", DIR / "none.json"], 66, "none.json': No such file"),
            (["merge"], 64, "name the files that `vibevmm test --json FILE` wrote"),
            (["join", DIR / "small.json"], 64, "what to do is `merge`, not 'join'"),
            (["merge", DIR / "small.json", "--html", "/nonexistent/x"], 71, "cannot write '/nonexistent/x'")):
        done = subprocess.run([BIN, "report", *args], capture_output=True, text=True)
        assert done.returncode == status and said in done.stderr, (args, done.returncode, done.stderr)


def test_the_examples_for_ci_use_flags_that_there_are():
    files = sorted((HERE / "../../docs/ci").iterdir())
    assert len(files) == 3, files
    for file in files:
        text = re.sub(r"(?m)^ *#.*$|\s#.*$", "", file.read_text())
        if yaml:
            yaml.safe_load(text)
        found = re.findall(r"vibevmm (test|report)\s((?:.|\n {6,})*)", text)
        assert found, file
        for command, words in found:
            help = subprocess.run([BIN, "help", command], capture_output=True, text=True, check=True).stdout
            for flag in re.findall(r"\s--[a-z-]+", words):
                assert f"{flag.strip()} " in help, (file, command, flag)


tap.main(globals())
