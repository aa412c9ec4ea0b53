"""What may not be in a report that anybody can read: who the machine and its user are, and where they are.

What is known of this machine (names, addresses, serial numbers, folders) is replaced wherever it stands; what only
looks like an address is replaced by its form. An IPv4 address looks like a version of TensorRT (10.3.0.26 is both), so
by form alone only those count that no version has.
"""

import getpass
import html
import ipaddress
import json
import os
import re
import socket
import struct
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple
from urllib.parse import unquote, urlsplit

from ccc_jetson.board import read_file
from ccc_jetson.clean_text import HIDDEN, without_secrets
from ccc_jetson.errors import CccError
from ccc_jetson.runtime.source_grammar import PASSWORD_VARIABLE

# Names that a thousand boards have, and that a report needs: "nvidia" is the user of NVIDIA's own images
_EVERYBODYS = (
    "root", "user", "users", "admin", "nvidia", "jetson", "nano", "tx2", "xavier", "orin", "ubuntu", "debian", "linux",
    "tegra", "tegra-ubuntu", "localhost", "localdomain", "docker", "test", "tests", "camera", "model", "python",
    "video", "true", "false", "none", "null",
)  # fmt: skip
_SHORTEST_NAME = 3
_SERIAL_FILES = ("proc/device-tree/serial-number", "sys/devices/soc0/serial_number", "etc/machine-id")
_MAC = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
# addresses of private networks that no version begins with, and 10.x where a port or a mask follows
_IPV4 = re.compile(
    r"(?<![\w.])(?:(?:192\.168|169\.254|172\.(?:1[6-9]|2[0-9]|3[01]))(?:\.[0-9]{1,3}){2}"
    r"|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?=[:/][0-9]))(?![\w.])"
)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_HOST_OF_ADDRESS = re.compile(
    r"(?i)(\b(?!(?:csi|v4l2|file|synthetic):)[a-z][a-z0-9+.-]{1,15}://)(?!github\.com/|developer\.nvidia\.com/)[^\s/\"'<>)\\]+"
)
_SSH = re.compile(r"(?<![\w.])[\w.+-]+@[\w.-]+\.[\w-]+")  # a mail address, or user@host
_HOME = re.compile(r"/(?:home|Users)/[^/\s\"'<>:]+|/root(?![\w-])")
_BY_ID = re.compile(r"(/dev/v4l/by-(?:id|path)/)[^\s\"'<>,;]+")
_ADDRESS = re.compile(r"(?i)\b(?!(?:csi|v4l2|file|synthetic):)[a-z][a-z0-9+.-]*://([^\s\"'<>]+)")
# what of a page is no text for people: tags, comments, style sheets
_MARKUP = re.compile(r"(?is)(<style\b.*?</style>|<script\b.*?</script>|<!--.*?-->|<[^>]*>)")
_TEXT_IN_TAG = re.compile(r"(?i)(\s(?:alt|title|aria-label)=\")([^\"]*)")
_PAGES = (".html", ".svg")
_SERIAL = re.compile(r"(?i)\b(serial(?:[ _-]?(?:number|no\.?|nr))?[\"']?\s*[:=]\s*[\"']?)(?!0x?0*\b)[\w-]{4,}")


class Known(NamedTuple):
    """What this machine is called: texts to replace wherever they stand, the longest first, each with what takes its
    place; and names to replace where they stand as words of their own."""

    texts: Tuple[Tuple[str, str], ...]
    words: Tuple[str, ...]


def known_here(root: str = "/", paths: Iterable[Tuple[str, str]] = (), camera: str = "") -> Known:
    """What is known of this machine and its user.

    Args:
        root: of the files that hold serial numbers and addresses.
        paths: (a path, what is shown instead) of what the user has named.
        camera: the source that is tried; libraries tell its host and password without the address around them.
    """
    texts = [(path, shown) for path, shown in paths if len(path) > 1]
    home = os.path.expanduser("~")
    if len(home) > 1 and home != "/root":
        texts.append((home, "~"))
    texts += [(each, HIDDEN) for each in _serials(root) + _addresses(root)]
    return Known(tuple(sorted(texts, key=lambda each: -len(each[0]))), tuple(_names(camera)))


def _names(camera: str) -> List[str]:
    found = [os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER")] + _host_names()
    try:
        found.append(getpass.getuser())
    except (KeyError, OSError):  # a user of a container without a name
        pass
    of_camera, passwords = _names_of_camera(camera)
    names = {name for name in found + of_camera if name.lower() not in _EVERYBODYS}
    long_enough = (name for name in names | set(passwords) if len(name) >= _SHORTEST_NAME)
    return sorted(long_enough, key=lambda name: (-len(name), name))


def _names_of_camera(source: str) -> Tuple[List[str], List[str]]:
    """Users and hosts of a camera's address, and passwords; nothing of a camera that is plugged in."""
    names: List[str] = []
    passwords: List[str] = []
    for address in _ADDRESS.findall(source):
        # a password that nobody quoted may hold slashes and at signs
        for rest in (address, address.rpartition("@")[2]):
            try:
                parts = urlsplit("//" + rest)
                names += [parts.hostname or "", parts.username or ""]
                passwords.append(parts.password or "")
            except ValueError:
                continue
        names.append(address.rpartition("@")[0].partition(":")[0])
        passwords += [address.rpartition("@")[0].partition(":")[2], os.environ.get(PASSWORD_VARIABLE, "")]
    return names + [unquote(each) for each in names], passwords + [unquote(each) for each in passwords]


def _host_names() -> List[str]:
    """The machine's, with its domain and without."""
    name = socket.gethostname()
    return [name, name.split(".")[0]]


def _serials(root: str) -> List[str]:
    """The board's and this installation's."""
    found = [read_file(root, path).split(b"\0", 1)[0].decode("ascii", "replace").strip() for path in _SERIAL_FILES]
    return [each for each in found if len(each) >= 6 and each.strip("0")]


def _addresses(root: str) -> List[str]:
    """The IP and MAC addresses that the machine has now, by the kernel's files."""
    found = set()
    # " |-- 192.168.1.20", below it "/32 host LOCAL"
    lines = read_file(root, "proc/net/fib_trie").decode("ascii", "replace").splitlines()
    for address, kind in zip(lines, lines[1:]):
        if "host LOCAL" in kind:
            found.add(address.strip(" |-"))
    # "Iface Destination Gateway ...": the gateway in the machine's byte order, in hexadecimal
    for line in read_file(root, "proc/net/route").decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 2 and re.match(r"[0-9A-Fa-f]{8}\Z", fields[2]) and int(fields[2], 16):
            found.add(socket.inet_ntoa(struct.pack("=I", int(fields[2], 16))))
    # "fe80000000000000021122fffe334455 02 40 20 80 eth0"
    for line in read_file(root, "proc/net/if_inet6").decode("ascii", "replace").splitlines():
        if re.match(r"[0-9a-f]{32} ", line):
            found.add(str(ipaddress.IPv6Address(int(line[:32], 16))))
    folder = os.path.join(root, "sys/class/net")
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        found.add(read_file(root, "sys/class/net/{}/address".format(name)).decode("ascii", "replace").strip())
    common = ("", "::1", "00:00:00:00:00:00")
    return sorted(each for each in found if each not in common and not each.startswith("127."))


def scrubbed(text: str, known: Known) -> str:
    """``text`` without what tells who and where; versions, figures and names of files stay."""
    for given, shown in known.texts:
        text = _whole(given).sub(lambda _, shown=shown: shown, text)
    text = _BY_ID.sub(r"\1" + HIDDEN, text)
    text = _HOME.sub("~", text)
    text = without_secrets(text)
    text = _HOST_OF_ADDRESS.sub(r"\1" + HIDDEN, text)
    text = _SSH.sub(HIDDEN, text)
    text = _MAC.sub(HIDDEN, text)
    text = _SERIAL.sub(r"\1" + HIDDEN, text)
    text = _IPV6.sub(lambda found: HIDDEN if _is_ipv6(found.group()) else found.group(), text)
    text = _IPV4.sub(HIDDEN, text)
    for name in known.words:
        text = _word(name).sub(HIDDEN, text)
    return text


def scrubbed_json(text: str, known: Known) -> str:
    """JSON whose texts are scrubbed; keys stay, so that it can still be read. What is no JSON is scrubbed as text."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return scrubbed(text, known)
    return json.dumps(scrubbed_value(record, known), indent=1, ensure_ascii=True) + "\n"


def scrubbed_value(value: Any, known: Known) -> Any:
    """A value whose texts are scrubbed, in lists, records and the values of dictionaries, too.

    A document is scrubbed so, before it is written in Markdown: an address is no longer one where that has escaped it.
    """
    if isinstance(value, str):
        return scrubbed(value, known)
    if isinstance(value, dict):
        found: Dict[str, Any] = {key: scrubbed_value(each, known) for key, each in value.items()}
        return found
    if isinstance(value, (list, tuple)):
        parts = [scrubbed_value(each, known) for each in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def scrubbed_page(text: str, known: Known) -> str:
    """HTML or SVG whose texts are scrubbed; its tags and its style sheet stay, so that it can still be seen."""

    def hidden(escaped: str) -> str:
        return html.escape(scrubbed(html.unescape(escaped), known))

    pieces = _MARKUP.split(text)
    pieces[::2] = [hidden(each) for each in pieces[::2]]
    pieces[1::2] = [_TEXT_IN_TAG.sub(lambda it: it.group(1) + hidden(it.group(2)), each) for each in pieces[1::2]]
    return "".join(pieces)


def scrubbed_file(name: str, text: str, known: Known) -> str:
    """A file's text, scrubbed as what its name says that it is."""
    if name.endswith(".json"):
        return scrubbed_json(text, known)
    return scrubbed_page(text, known) if name.endswith(_PAGES) else scrubbed(text, known)


def texts_in(name: str, text: str) -> List[str]:
    """What a file of this name tells: JSON's keys and a page's tags and style sheet are our own words."""
    if name.endswith(".json"):
        try:
            return list(_texts_of(json.loads(text)))
        except (ValueError, RecursionError):
            return [text]
    if name.endswith(_PAGES):
        pieces = _MARKUP.split(text)
        in_tags = [found for each in pieces[1::2] for _, found in _TEXT_IN_TAG.findall(each)]
        return [html.unescape(each) for each in pieces[::2] + in_tags]
    return [text]


def _texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts_of(each)


def check_scrubbed(name: str, text: str, known: Known) -> None:
    """Refuses a file that still tells something known: the last look before it is packed.

    Raises:
        CccError: it does; what it is is not repeated.
    """
    told = texts_in(name, text)
    still = [given for given, shown in known.texts if shown == HIDDEN and any(map(_whole(given).search, told))]
    still += [word for word in known.words if any(map(_word(word).search, told))]
    if still:
        raise CccError(
            "{} still holds {} names, addresses or serial numbers of this machine; nothing was packed".format(
                name, len(still)
            ),
            hint="report this as a bug, without that file",
        )


def _whole(given: str) -> Any:
    """Where ``given`` is no part of a longer number or name: a folder's name ends there."""
    return re.compile((r"(?<!\w)" if given[:1].isalnum() else "") + re.escape(given) + r"(?![\w-])")


def _word(name: str) -> Any:
    """Where ``name`` has no letter and no digit of any script beside it."""
    return re.compile(r"(?<![^\W_])" + re.escape(name) + r"(?![^\W_])", re.IGNORECASE)


def _is_ipv6(text: str) -> bool:
    """Times of day and C++ names have colons too."""
    try:
        return len(text) > 3 and bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False
