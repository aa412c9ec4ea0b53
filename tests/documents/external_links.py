"""Asks every address that the documents link to whether it is still there. Needs a network, so no test runs it.

    python -m tests.documents.external_links [PAGE...]

Exit code: 1 where one is not.
"""

import re
import sys
import urllib.error
import urllib.request

from tests.documents.blocks import pages, text_of

_PATIENCE_S = 20
_NOT_FOR_PROGRAMS = (401, 403, 405, 429)  # it is there, and is not shown to programs


def addresses(text):
    """The addresses that a page links to, without what follows ``#``; not those of this machine or of examples."""
    found = re.findall(r"\]\((https?://[^)\s#]+)", text) + re.findall(r"<(https?://[^>\s#]+)>", text)
    return sorted({each for each in found if not re.match(r"https?://(localhost|127\.|\[|[^/]*\.?example\.)", each)})


def problem(address):
    """What is wrong with an address; empty where it answers."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (a check of links)"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code in _NOT_FOR_PROGRAMS else "{} {}".format(error.code, error.reason)
    except (OSError, ValueError) as error:
        return str(error)


def main(argv):
    broken = 0
    for page in argv or pages():
        for address in addresses(text_of(page)):
            said = problem(address)
            broken += bool(said)
            print("{}  {}: {}".format("broken" if said else "ok    ", page, " ".join(filter(None, (address, said)))))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
