"""sqlalchemy_insertmanyvalues.py URL ROWS: SQLAlchemy Core, which makes INSERTs of many rows.

It does so by itself where the driver has nothing better (psycopg2); elsewhere it is told to.
"""

import sys

from common import file_of, rows, say, timed

DRIVERS = {
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}


def translated(url):
    scheme, rest = url.split("://", 1)
    return f"sqlite:///{file_of(url)}" if scheme == "sqlite" else f"{DRIVERS[scheme]}://{rest}"


def main(url, path):
    try:
        import sqlalchemy as sa
    except ModuleNotFoundError as error:
        return say(missing=error.name)
    columns = [sa.Column("id", sa.BigInteger), sa.Column("name", sa.String(40))]
    table = sa.Table("bench_rows", sa.MetaData(), *columns, sa.Column("value", sa.Double))
    values = [{"id": i, "name": n, "value": v} for i, n, v in rows(path)]
    try:
        engine = sa.create_engine(translated(url))
    except ModuleNotFoundError as error:
        return say(missing=error.name)
    engine.dialect.use_insertmanyvalues_wo_returning = True

    def work():
        # Leaving the block commits.
        with engine.begin() as connection:
            connection.execute(sa.insert(table), values)

    timed(work)


main(*sys.argv[1:])
