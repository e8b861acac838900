"""tap.py: runs functions named test_... and prints TAP."""
import sys
import traceback


class Skip(Exception):
    pass


def main(names):
    tests = [f for name, f in names.items() if name.startswith("test_")]
    failed = False
    print(f"1..{len(tests)}", flush=True)
    for i, test in enumerate(tests, 1):
        name = test.__name__[5:].replace("_", " ")
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Skip as skip:
            print(f"ok {i} - {name} # SKIP {skip}", flush=True)
        except Exception:
            failed = True
            print(f"not ok {i} - {name}")
            print("".join("# " + line + "\n" for line in traceback.format_exc()[-3000:].split("\n")), end="", flush=True)
    sys.exit(failed)
