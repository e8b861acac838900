#!/usr/bin/env python3
"""sample.py KIND: a made-up report of `vibevmm test --json`, for the tests and for the eye.

KIND is `small` (a case of each outcome), `hostile` (names and texts that try to get out of where
they are put), `many` (1,000 cases), or `shard I/N`, which is a part of `small`.
"""
import json
import sys

MS = 1_000_000
BOOT = """\x1b[0m[    0.000000] Linux version 6.1.0-49-amd64 (gcc-12 12.2.0) #1 SMP PREEMPT_DYNAMIC
[    0.000000] Command line: console=ttyS0 panic=-1
[    0.000000] x86/fpu: Supporting XSAVE feature 0x001: 'x87 floating point registers'
[    0.000000] BIOS-provided physical RAM map:
[    0.004000] tsc: Detected 2445.404 MHz processor
[    0.112931] pci 0000:00:01.0: [1af4:1042] type 00 class 0x010000
[    0.311120] virtio_blk virtio0: [vda] 131072 512-byte logical blocks (67.1 MB/64.0 MiB)
[    0.420113] EXT4-fs (vda): mounted filesystem with ordered data mode. Quota mode: none.
[    0.480002] Run /sbin/init as init process
"""
CONFIG = """name: linux
arch: x86_64
vcpus: 2
memory: 512M
boot:
  linux:
    kernel: "/boot/vmlinuz"
    cmdline: "console=ttyS0"
devices:
  - uart16550: {}
expect:
  console:
    - contains: "login:"
"""
MAP = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 120" width="1000" height="120">
<style>text{font:14px monospace;fill:#1f2328}.page{fill:#fff}.ram{fill:#0072b2}.device{fill:#009e73}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}}</style>
<rect width="1000" height="120" class="page"/>
<rect x="24" y="40" width="600" height="40" class="ram"/><text x="24" y="30">RAM 512M</text>
<rect x="650" y="40" width="60" height="40" class="device"/><text x="650" y="30">uart16550</text></svg>"""


def case(name, outcome, begin, took, **more):
    file = name.split("[")[0] + ".yaml"
    ran = outcome in ("passed", "flaky", "failed")
    result = {
        "name": name, "file": file, "worker": "", "outcome": outcome,
        "attempts": 1 if ran else 0, "begin": begin * MS, "end": (begin + took) * MS, "why": "",
        "ended": "met" if ran else "none", "status": 0, "timeline": {}, "moments": [],
        "exits": {"ready": 0, "all": 0, "reasons": []}, "memory": 0,
        "detail": "", "console_cut": 0, "console": "", "messages": "", "config": CONFIG, "map": MAP,
    }
    if ran:
        result["timeline"] = {
            "exec": 0, "loaded": 410_000, "planned": 520_000, "backend": 2_900_000,
            "image": 9_300_000, "guest": 9_600_000, "console": int(took * 0.3 * MS) + 9_700_000,
            "exit": took * MS,
        }
        result["exits"] = {
            "ready": 18_211, "all": 20_377, "reasons": [
                {"name": "io", "count": 17_202}, {"name": "mmio", "count": 2_811},
                {"name": "hlt", "count": 341}, {"name": "intr", "count": 23}],
        }
        result["memory"] = 2_310_144
    result.update(more)
    if not ran:
        result["moments"] = []
    return result


def moment(console, text, at, step=0, word="contains"):
    return {
        "at": at * MS, "what": f'{word} "{text}"', "console": "", "step": step,
        "offset": console.encode().index(text.encode()), "length": len(text.encode()),
        "line": 12 + step,
    }


def small():
    login = BOOT + "\nDebian GNU/Linux 12 räksmörgås ttyS0\r\n\nräksmörgås login: "
    shell = login + "root\r\n# uname -m\r\nx86_64\r\n# poweroff\r\n[   2.101] reboot: Power down\r\n"
    panic = BOOT + "[    0.512] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"
    met = lambda text: [moment(text, "Linux version", 330), moment(text, "login:", 900, 1)]
    yield case("configs/hello-x86_64", "passed", 0, 21, ended="poweroff", console="Hello, world\r\n",
               moments=[moment("Hello, world\r\n", "Hello", 14)],
               exits={"ready": 6, "all": 14, "reasons": [{"name": "io", "count": 13},
                                                         {"name": "hlt", "count": 1}]})
    for kernel in "6.1", "6.12":
        for vcpus in 1, 2, 4:
            yield case(f"configs/linux[vcpus={vcpus},kernel={kernel}]", "passed", 20 + 400 * vcpus, 1400 + 90 * vcpus,
                       console=shell, moments=met(shell) + [moment(shell, "x86_64\r", 1100, 3)],
                       messages="vibevmm: warning: tap0 has no carrier\n" if vcpus == 2 else "")
    yield case("configs/broken-root", "failed", 400, 8020, ended="unmet", status=90, console=panic,
               moments=[moment(panic, "Linux version", 330)],
               unmet={"file": "configs/broken-root.yaml", "line": 14, "column": 7},
               why='waited 5.0 s for contains "login:", which did not come',
               detail="the last 10 lines of the console, the nearest marked:\n" + "".join(("> " if "log" in line else "  ") + line + "\n" for line in panic[4:].splitlines()))
    yield case("configs/budget", "failed", 2500, 310, ended="poweroff", status=0, console="ready\n",
               moments=[moment("ready\n", "ready", 42)],
               unmet={"file": "configs/budget.yaml", "line": 9, "column": 3},
               why="18211 VM exits until ready, more than exits_under: 15000")
    yield case("configs/killed", "failed", 2600, 95, ended="none", status=0,
               why="the VM's process was ended by signal 9 (Killed)")
    yield case("configs/virtio-net", "flaky", 3000, 700, attempts=2, console=shell, moments=met(shell))
    yield case("configs/long-log", "passed", 3100, 2600, console_cut=1_048_576, console="..." + shell,
               moments=[dict(moment("..." + shell, "login:", 900), offset=1_048_576
                             + ("..." + shell).encode().index(b"login:"))])
    yield case("configs/arm64/hello", "skipped", 0, 0, why="no backend kvm-arm64 on this host")
    yield case("configs/vfio", "skipped", 0, 0, why="VFIO_BDF is not set")
    yield case("configs/last", "not run", 0, 0, why="stopped before it began")


def hostile():
    out = "</script><script>document.title = 'pwned'</script><img src=x onerror=\"document.title='pwned'\">"
    bad = (out + "<!-- <script> --> ]]> & \" ' \\ \u2028 \u202e \ufffe \x00\x01\x08\x1b[31m red \x1b]0;title\x07"
           " \x7f \x85 \x9b \ud7ff \U0001f427 ${x} @FACTS@ @TEXTS@ %0A::error::\r::stop::\n"
           "ok 99 - not a test\n1..0\nBail out! no\n...\n---\n")
    bad = bad.replace("\x00", "?")
    yield case("configs/a # SKIP \\ " + bad, "failed", 0, 50, file="configs/x,y:z%\n" + bad, why=bad,
               unmet={"file": "configs/" + bad[:100], "line": 1, "column": 1}, detail="  indented first\n" + bad,
               console=bad, messages=bad, config=bad, worker=out[:40], ended="unmet",
               map="<svg xmlns='http://www.w3.org/2000/svg'><script>document.title='pwned'</script></svg>" + out,
               moments=[{"at": 1, "what": bad[:60], "console": "", "step": 9, "line": 7, "offset": 9, "length": 40},
                        {"at": 2, "what": "far", "console": "", "step": 0, "line": 0, "offset": 2 ** 62, "length": 2 ** 31},
                        {"at": 2, "what": "over", "console": "", "step": 0, "line": 0, "offset": 30, "length": 30}])
    yield case("# SKIP all", "skipped", 0, 0, why="# TODO " + bad)
    yield case("__proto__", "passed", 0, 10, worker="__proto__", console="x" * 100_000)
    yield case("late", "passed", 2 ** 61 // MS, 10)


def many():
    for i in range(1000):
        outcome = "failed" if i % 97 == 13 else "flaky" if i % 211 == 7 else "skipped" if i % 53 == 5 else "passed"
        yield case(f"suite/{'abcdefgh'[i % 8]}/case-{i:04}[vcpus={1 + i % 4}]", outcome, 40 * i // 8, 30 + i * 7919 % 90,
                   worker=f"{1 + i % 4}/4", console=BOOT * 8 + "login: ",
                   moments=[moment(BOOT * 8 + "login: ", "login:", 25)],
                   why="" if outcome in ("passed", "flaky") else "it was a bad day")


def main():
    cases = list({"small": small, "shard": small, "hostile": hostile, "many": many}[sys.argv[1]]())
    head = {"vibevmm": "0.1.0", "report": 1, "wall": 1_763_806_980_123_456_789,
            "took": max(c["end"] for c in cases), "stopped": any(c["outcome"] == "not run" for c in cases),
            "signal": 0, "cases": len(cases)}
    if sys.argv[1] == "shard":
        i, n = map(int, sys.argv[2].split("/"))
        cases = cases[i - 1::n]
        head["cases"] = len(cases)
        late = 1000 * MS * (i - 1)
        head["wall"] += late
        for c in cases:
            c["worker"] = f"{i}/{n}"
            c["begin"] = max(c["begin"] - late, 0)
            c["end"] = max(c["end"] - late, 0)
        head["took"] = max(head["took"] - late, 0)
    for line in [head, *cases]:
        print(json.dumps(line, ensure_ascii=bool(len(sys.argv[1]) % 2)))


main()
