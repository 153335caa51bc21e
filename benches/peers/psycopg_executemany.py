"""psycopg_executemany.py URL ROWS: psycopg 3, whose executemany uses the pipeline."""

import sys

from common import rows, say, timed


def main(url, path):
    try:
        import psycopg
    except ModuleNotFoundError as error:
        return say(missing=error.name)
    values = rows(path)

    def work():
        # Leaving the block commits.
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO bench_rows VALUES (%s, %s, %s)", values)

    timed(work)


main(*sys.argv[1:])
