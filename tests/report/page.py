#!/usr/bin/env python3
"""page.py BIN DIR: the HTML page, made from DIR's reports, in a headless Chromium, with a mouse and
keys. With SHOTS=DIR set, pictures of it are left there to be looked at."""
import os
import pathlib
import subprocess
import sys
import time

import browser
import tap

BIN, DIR = sys.argv[1], pathlib.Path(sys.argv[2])
SHOTS = os.environ.get("SHOTS")

if not browser.find():
    print("1..0 # SKIP no test of the HTML page: chromium is not installed")
    sys.exit()
for kind in "small", "hostile", "many":
    subprocess.run([BIN, "report", "merge", DIR / f"{kind}.json", "--html", DIR / f"{kind}.html"],
                   capture_output=True)
b = browser.Browser()


def visit(kind, fragment="", width=1280, dark=False):
    b.view(width, dark=dark)
    b.open(DIR / f"{kind}.html", fragment)


def shot(name):
    if SHOTS:
        b.screenshot(os.path.join(SHOTS, name + ".png"))


def shown():
    """Names of the cases in the list."""
    return b.run("[...document.querySelectorAll('.case:not([hidden]) .name')].map(e => e.lastChild.textContent)")


def marks():
    return b.run("[...document.querySelectorAll('.open mark')].map(e => e.textContent)")


def focused():
    return b.run("document.activeElement.querySelector?.('.name')?.lastChild.textContent ?? document.activeElement.id")


def quiet():
    assert b.complaints() == [], b.complaints()
    asked = [url for url in b.requests() if not url.startswith(("file:///", "data:image/svg+xml,", "about:"))]
    assert asked == [], asked
    assert len([url for url in b.requests() if url.startswith("file:")]) == 1, b.requests()


def test_the_page_tells_what_came_of_the_run():
    visit("small")
    assert b.run("document.querySelector('h1').innerText") == "3 of 15 cases failed"
    assert b.run("document.title") == "3 of 15 cases failed · vibevmm test"
    assert "took 8.42 s" in b.run("document.querySelector('header').innerText")
    assert len(shown()) == 15
    assert shown()[:3] == ["configs/broken-root", "configs/budget", "configs/killed"]
    assert "did not come" in b.run("document.querySelector('.case.failed').textContent")
    shot("list")
    quiet()


def test_a_click_opens_a_case_and_shows_the_match():
    visit("small")
    assert marks() == []
    b.click("li.flaky .row")
    assert b.run("document.querySelector('.flaky .row').getAttribute('aria-expanded')") == "true"
    assert marks() == ["Linux version", "login:"]
    assert "räksmörgås login: root" in b.run("document.querySelector('.open pre').textContent")
    assert "\x1b" not in b.run("document.querySelector('.open pre').textContent")
    shot("open")
    b.click("[aria-label='Next match']")
    b.click("[aria-label='Next match']")
    assert b.run("document.querySelector('mark.now').textContent") == "login:"
    assert "match 2 of 2" in b.run("document.querySelector('li.open').innerText")
    b.click("li.flaky .row")
    assert b.run("document.querySelectorAll('.panel').length") == 0
    quiet()


def test_a_failure_says_where_and_what_was_nearest():
    visit("small", "#" + "configs%2Fbroken-root")
    text = b.run("document.querySelector('.reason').innerText")
    assert "configs/broken-root.yaml:14:7" in text and "did not come" in text
    assert b.run("document.querySelector('.reason mark').textContent").startswith("> [    0.311120] virtio_blk")
    assert "io" in b.run("document.querySelector('.exits').innerText")
    assert "first instruction" in b.run("document.querySelector('.times').innerText")
    shot("failure")
    quiet()


def test_a_match_in_a_console_that_was_cut():
    visit("small", "#configs%2Flong-log")
    assert marks() == ["login:"]
    assert "1.0 MiB before this are left out" in b.run("document.querySelector('.open pre').innerText")


def test_memory_map_and_config_are_there():
    visit("small", "#configs%2Fhello-x86_64")
    b.run("document.querySelectorAll('.open details').forEach(d => d.open = true)")
    b.run("document.querySelector('.map').decode()")
    assert b.run("document.querySelector('.map').naturalWidth") == 1000
    assert "kernel: \"/boot/vmlinuz\"" in b.run("document.querySelector('.open details pre').innerText")
    quiet()


def test_keys_find_and_open():
    visit("small")
    b.key("/", "/")
    assert focused() == "find"
    b.type("linux 6.12")
    assert [n for n in shown() if "6.12" not in n] == [] and len(shown()) == 3
    b.key("Enter", "\r")
    assert focused() == "configs/linux[vcpus=1,kernel=6.12]"
    assert len(marks()) == 3
    b.key("ArrowDown")
    assert focused() == "configs/linux[vcpus=2,kernel=6.12]"
    b.key("Enter", "\r")
    assert b.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    b.key("ArrowUp")
    assert focused() == "configs/linux[vcpus=1,kernel=6.12]"
    b.key("/", "/")
    b.key("Escape")
    assert len(shown()) == 15
    for name in "broken-root", "budget", "killed", "broken-root":
        b.key("n", "n")
        assert focused() == "configs/" + name, focused()
    quiet()


def test_a_click_filters_by_outcome():
    visit("small")
    b.click(".chip.failed")
    assert len(shown()) == 3
    assert b.run("document.querySelector('.chip.failed').getAttribute('aria-pressed')") == "true"
    assert b.run("document.getElementById('shown').textContent") == "3 cases shown"
    b.click(".chip.failed")
    assert len(shown()) == 15
    b.run("document.getElementById('order').value = 'slow'; order()")
    assert shown()[:2] == ["configs/broken-root", "configs/long-log"]


def test_the_timeline_is_to_scale_and_opens_cases():
    visit("small")
    left, width = b.run("(e => [e.style.left, e.style.width])(document.querySelector('.lane .failed'))")
    assert abs(float(left[:-1]) - 100 * 400 / 8420) < .01 and abs(float(width[:-1]) - 100 * 8020 / 8420) < .01
    overlap = b.run("""[...document.querySelectorAll('.lane')].some(lane => [...lane.children].some((e, i) => i &&
        e.getBoundingClientRect().left < lane.children[i - 1].getBoundingClientRect().right - 3))""")
    assert not overlap
    b.click(".lane .flaky")
    assert b.run("document.querySelector('li.open').classList.contains('flaky')")


def test_hostile_texts_stay_texts():
    visit("hostile")
    for i in range(4):
        b.run(f"document.querySelectorAll('.row')[{i}].click()")
    b.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    time.sleep(.2)
    shot("hostile")
    assert b.run("document.title").startswith("1 of 4 cases failed"), b.run("document.title")
    assert b.run("document.querySelectorAll('script:not([type])').length") == 1
    assert b.run("document.querySelectorAll('[onerror], img:not(.map), svg script').length") == 0
    assert "</script><script>document.title" in b.run("document.querySelector('.failed pre').textContent")
    assert marks()[0] == "<script>document.title = 'pwned'</script"
    assert not b.run(r"/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/.test(document.body.innerText)")
    quiet()


def test_the_policy_blocks_scripts_of_others():
    visit("small")
    b.run("""(s => { s.textContent = "document.title = 'pwned'"; document.body.append(s) })(document.createElement('script'))""")
    b.run("""(e => { e.src = 'data:,x'; e.setAttribute('onerror', "document.title = 'pwned'"); document.body.append(e) })(document.createElement('img'))""")
    time.sleep(.3)
    assert b.run("document.title") != "pwned"
    assert any("Content Security Policy" in c for c in b.complaints()), b.complaints()


def test_a_thousand_cases():
    begin = time.monotonic()
    visit("many")
    assert b.run("document.querySelectorAll('.case').length") == 1000
    ready = time.monotonic() - begin
    print(f"# a page of 1,000 cases and {(DIR / 'many.html').stat().st_size >> 20} MiB opens in {ready:.1f} s")
    assert ready < 30
    took = b.run("""(() => { const t = performance.now(); for (const s of ['case-09', '', 'vcpus=3']) filter('all', s);
        document.body.offsetHeight; return (performance.now() - t) / 3 })()""")
    print(f"# a filter takes {took:.0f} ms")
    assert took < 5000  # of a machine that may have other things to do
    assert len(shown()) == 250
    b.click(".case:not([hidden]) .row")
    assert marks() == ["login:"]
    shot("many")
    quiet()


# WCAG 2.1, 1.4.3: 4.5 to 1, for each element with a text of its own.
CONTRAST = """(() => {
    const light = c => { const v = c.map(x => (x /= 255) <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
        return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
    const parse = s => s.match(/[\\d.]+/g).map(Number);
    const bad = [];
    for (const e of document.body.querySelectorAll('*')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.matches('script, .hidden, option'))
            continue;
        let under = e, back = [0, 0, 0, 0];
        for (; under && (back = parse(getComputedStyle(under).backgroundColor)).length === 4 && !back[3]; under = under.parentElement);
        const [a, c] = [light(parse(getComputedStyle(e).color)), light(under ? back : [255, 255, 255])];
        const ratio = (Math.max(a, c) + .05) / (Math.min(a, c) + .05);
        if (ratio < 4.5)
            bad.push(e.className + ' ' + e.textContent.slice(0, 30) + ' ' + ratio.toFixed(1));
    }
    return bad
})()"""


def test_texts_can_be_read_in_light_and_dark():
    for dark in False, True:
        visit("small", dark=dark)
        for row in ".failed", ".flaky", ".skipped":
            b.click(f"li{row} .row")
        b.click("[aria-label='Next match']")
        shot("dark" if dark else "light")
        assert b.run(CONTRAST) == [], (dark, b.run(CONTRAST))


def test_controls_have_names():
    visit("small", "#configs%2Fvirtio-net")
    assert b.run("""[...document.querySelectorAll('button, summary')].filter(e => !(e.getAttribute('aria-label') || e.textContent.trim())).length""") == 0
    assert b.run("[...document.querySelectorAll('input, select')].every(e => e.labels.length)")
    assert b.run("[...document.images].every(e => e.alt)")
    assert b.run("document.documentElement.lang") == "en"


def test_nothing_sticks_out_of_a_narrow_window():
    for kind, width in ("small", 320), ("small", 390), ("hostile", 320), ("small", 700), ("hostile", 1280):
        visit(kind, width=width)
        b.run("document.querySelectorAll('.row').forEach(e => e.click())")
        b.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        time.sleep(.1)
        wide = b.run("document.documentElement.scrollWidth")
        assert wide <= width, (kind, width, wide)
        b.run("scrollTo(0, 300)")
        shot(f"{kind}-{width}")


try:
    tap.main(globals())
finally:
    b.close()
