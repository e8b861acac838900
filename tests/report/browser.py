"""browser.py: a headless Chromium, driven through a pipe (--remote-debugging-pipe: JSON messages of
the Chrome DevTools Protocol, each ended by a NUL), so that nothing but Python is needed."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile


def find():
    for name in "chromium", "chromium-browser", "google-chrome":
        if shutil.which(name):
            return name
    return None


class Browser:
    def __init__(self, limit=60):
        self.limit, self.last, self.events, self.rest = limit, 0, [], b""
        self.profile = tempfile.mkdtemp(prefix="vibevmm-report-")
        to_read, self.to = os.pipe()
        self.back, back_write = os.pipe()
        # The browser reads descriptor 3 and writes 4, and the sandbox needs what CI hosts lack.
        command = (f'exec {find()} --headless=new --no-sandbox --disable-gpu --no-first-run '
                   f'--disable-dev-shm-usage --disable-background-networking --hide-scrollbars '
                   f'--remote-debugging-pipe --user-data-dir="$0" about:blank '
                   f'3<&{to_read} 4>&{back_write} >/dev/null 2>"$0/log"')
        self.process = subprocess.Popen(["bash", "-c", command, self.profile],
                                        pass_fds=(to_read, back_write), start_new_session=True)
        os.close(to_read)
        os.close(back_write)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self.call(domain + ".enable")

    def close(self):
        try:
            self.send("Browser.close")
            self.process.wait(10)
        except Exception:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self):
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], self.limit)[0]:
                raise TimeoutError("the browser says nothing")
            more = os.read(self.back, 1 << 20)
            if not more:
                raise EOFError("the browser has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def send(self, method, session=None, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def call(self, method, **params):
        return self.send(method, self.session, **params)

    def view(self, width, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, path, fragment=""):
        self.events.clear()
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url="file://" + os.path.realpath(path) + fragment)
        while self.run("document.readyState + location.protocol") != "completefile:":
            pass

    def run(self, expression):
        """The value of a JavaScript expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def key(self, key, text=None):
        for kind in "keyDown", "keyUp":
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38,
                                             "Tab": 9}.get(key, 0),
                      **({"text": text} if text and kind == "keyDown" else {}))

    def type(self, text):
        for c in text:
            self.key(c, c)

    def click(self, selector):
        """A real click in the middle of the first such element."""
        box = self.run(f"(e => {{ e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const b = e.getBoundingClientRect();"
                       f" return [b.x + b.width / 2, b.y + b.height / 2] }})(document.querySelector({json.dumps(selector)}))")
        for kind in "mousePressed", "mouseReleased":
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def complaints(self):
        """What the page's console has: exceptions, blocked scripts, failed requests."""
        self.run("0")
        texts = []
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                texts.append(details["text"] + " " + details.get("exception", {}).get("description", ""))
            elif event.get("method") == "Log.entryAdded":
                texts.append(params["entry"]["text"])
        return texts

    def requests(self):
        self.run("0")
        return [e["params"]["request"]["url"] for e in self.events
                if e.get("method") == "Network.requestWillBeSent"]

    def screenshot(self, path, whole=False):
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot", format="png",
                                                 captureBeyondViewport=whole)["data"]))
