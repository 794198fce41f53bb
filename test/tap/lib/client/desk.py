"""The application of sales users behind pgbouncer: one login, and each transaction on behalf of somebody."""

import random
import threading

import psycopg

from tap import equal, fails, ok

# account, sales user -> his teams (client_pool.pl makes them)
TEAMS = {("d1", "Anna"): {"North", "South"}, ("d1", "Bert"): {"South"}, ("d2", "Anna"): {"North"}, ("d2", "Cleo"): set()}


def connect():
    connection = psycopg.connect(autocommit=True)
    connection.prepare_threshold = None
    return connection


def work_as(connection, account, sales_user):
    connection.execute("select set_config('leadstream.account', %s, true), set_config('leadstream.sales_user', %s, true)", (account, sales_user))


def board(connection):
    return connection.execute("select account, team, lead_id from leadstream.board").fetchall()


db = connect()
equal(board(db), [], "on nobody's behalf nothing is seen")
seen = {}
for (account, sales_user), teams in TEAMS.items():
    with db.transaction():
        work_as(db, account, sales_user)
        rows = board(db)
        seen[account, sales_user] = {row[2] for row in rows}
        equal({row[:2] for row in rows}, {(account, team) for team in teams}, f"{sales_user} of {account} sees the boards of his teams")
equal(board(db), [], "nothing is seen once his transaction is over")
with db.transaction():
    work_as(db, "d2", "Bert")
    equal(board(db), [], "nor on behalf of one of another account")
with db.transaction():
    db.execute("set local leadstream.account = 'd1'")
    db.execute("set local leadstream.sales_user = 'Bert'")
    north = next(iter(seen["d1", "Anna"] - seen["d1", "Bert"]))
    fails(db, lambda: db.execute("select leadstream.move(%s, 'SQL')", (north,)), "a lead out of sight", sqlstate="P0002")
    south = next(iter(seen["d1", "Bert"]))
    db.execute("select leadstream.move(%s, 'SQL')", (south,))
    equal(db.execute("select stage from leadstream.board where lead_id = %s", (south,)).fetchone(), ("SQL",), "a lead of his is moved")

wrong = []


def client(number):
    chance = random.Random(number)
    connection = connect()
    for _ in range(30):
        who = chance.choice([*TEAMS, None])
        with connection.transaction(force_rollback=chance.random() < 0.2):
            if who:
                work_as(connection, *who)
            leads = {row[2] for row in board(connection)}
            if leads != (seen[who] if who else set()):
                wrong.append((who, leads))
            if leads and chance.random() < 0.3:
                connection.execute("select leadstream.add_note(%s, %s)", (chance.choice(sorted(leads)), "called"))
    connection.close()


threads = [threading.Thread(target=client, args=(n,)) for n in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
equal(wrong, [], "twelve clients see what is theirs, on three connections")
db.close()
print("done")
