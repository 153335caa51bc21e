"""What the peers share: rows from a file, and what they say at the end."""

import json
import time
from urllib.parse import unquote, urlsplit


def rows(path):
    """The rows of a file with an id, a name and a value in each line, parted by tabs."""
    with open(path, encoding="utf-8") as lines:
        parts = (line.rstrip("\n").split("\t") for line in lines)
        return [(int(number), name, float(value)) for number, name, value in parts]


def file_of(url):
    """The file of an SQLite URL."""
    return urlsplit(url).path


def mysql_arguments(url):
    """A MySQL URL as PyMySQL takes it."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or "root"),
        "password": unquote(parts.password or ""),
        "database": parts.path.lstrip("/"),
    }


def say(**what):
    print(json.dumps(what))


def timed(work):
    """Does it, and says how long that took; or what is missing."""
    try:
        start = time.perf_counter()
        work()
        say(seconds=time.perf_counter() - start)
    except ModuleNotFoundError as error:
        say(missing=error.name)
