"""sql_batcher_loop.py URL SCRIPT: the Python package sql-batcher 0.1.4, in a plain loop.

It splits nothing: it is given the statements one by one. What it does not do itself is done here:
a transaction around everything and the commit, without which nothing would be kept.
"""

import sys

from common import file_of, mysql_arguments, say, timed


def postgres(url):
    import psycopg2

    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    return cursor.execute, connection.commit


def mysql(url):
    import pymysql

    flags = pymysql.constants.CLIENT.MULTI_STATEMENTS
    connection = pymysql.connect(**mysql_arguments(url), client_flag=flags)
    cursor = connection.cursor()

    def execute(sql):
        cursor.execute(sql)
        while cursor.nextset():
            pass

    return execute, connection.commit


def sqlite(url):
    import sqlite3

    connection = sqlite3.connect(file_of(url))
    # executescript commits before it begins: each batch is a transaction.
    return lambda sql: connection.executescript(f"BEGIN;{sql}COMMIT;"), connection.commit


CONNECT = {
    "postgres": postgres,
    "postgresql": postgres,
    "mysql": mysql,
    "mariadb": mysql,
    "sqlite": sqlite,
}


def main(url, path):
    try:
        from sql_batcher import SQLBatcher
        from sql_batcher.adapters.base import SQLAdapter
    except ModuleNotFoundError as error:
        return say(missing=error.name)
    with open(path, encoding="utf-8") as lines:
        statements = [line.rstrip("\n") for line in lines]

    class Adapter(SQLAdapter):
        """As little as the package asks for."""

        def __init__(self, execute):
            self.execute = execute

        def execute(self, sql):
            raise NotImplementedError

        def get_max_query_size(self):
            return 1_000_000

        def close(self):
            pass

    def work():
        execute, commit = CONNECT[url.split(":", 1)[0]](url)
        batcher = SQLBatcher(adapter=Adapter(execute), max_bytes=1_000_000)
        for statement in statements:
            if batcher.add_statement(statement):
                batcher.flush(execute)
        batcher.flush(execute)
        commit()

    timed(work)


main(*sys.argv[1:])
