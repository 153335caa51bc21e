"""split.py TOOL SCRIPT: how long another splitter takes for a script that is in memory.

The best of three runs: the first one warms up.
"""

import sys
import time

from common import say


def sqlparse(text):
    import sqlparse

    return lambda: len([s for s in sqlparse.split(text) if s.strip()])


def sqlglot(text):
    from sqlglot.tokens import Tokenizer, TokenType
    from sqlglot.dialects.postgres import Postgres

    tokenizer = Postgres.Tokenizer
    return lambda: sum(token.token_type == TokenType.SEMICOLON for token in tokenizer().tokenize(text))


def pglast(text):
    from pglast.parser import split

    return lambda: len(split(text, with_parser=False))


def main(tool, path):
    with open(path, encoding="utf-8") as script:
        text = script.read()
    try:
        split = {"sqlparse": sqlparse, "sqlglot": sqlglot, "pglast": pglast}[tool](text)
    except ModuleNotFoundError as error:
        return say(missing=error.name)
    best = None
    for _ in range(3):
        start = time.perf_counter()
        statements = split()
        took = time.perf_counter() - start
        best = took if best is None else min(best, took)
    say(seconds=best, statements=statements)


main(*sys.argv[1:])
