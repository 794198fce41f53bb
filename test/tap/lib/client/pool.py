"""Applications behind pgbouncer in transaction mode, each of whose transactions says whose it is.

An argument: the pool keeps track of prepared statements.
"""

import random
import sys
import threading
from collections import Counter

import psycopg

from tap import equal, fails, ok

ACCOUNTS = ["7", "11", "it's \"13\"", "Ü"]
SERVERS = 3
# None: no prepared statements, which the pool would give to others
PREPARE = 0 if len(sys.argv) > 1 else None


def connect():
    connection = psycopg.connect(autocommit=True)
    connection.prepare_threshold = PREPARE
    return connection


db = connect()


def one(sql, params=None, connection=None):
    row = (connection or db).execute(sql, params).fetchone()
    return row[0] if row else None


def enter(account, connection=None):
    """What `set local leadstream.account = ...` does, with a parameter."""
    one("select set_config('leadstream.account', %s, true)", (account,), connection)


def on_all_servers(what, run):
    """Do something on each of the server's connections at once, by keeping their transactions open."""
    connections = [connect() for _ in range(SERVERS)]
    for connection in connections:
        connection.execute("begin")
    pids = {one("select pg_backend_pid()", None, connection) for connection in connections}
    ok(len(pids) == SERVERS, f"{what}: {SERVERS} connections of the server")
    got = [run(connection) for connection in connections]
    for connection in connections:
        connection.execute("commit")
        connection.close()
    return got


# --------------------------------------------------------------------------
# The same names in each account; the setting ends with its transaction
# --------------------------------------------------------------------------

for account in ACCOUNTS:
    with db.transaction():
        enter(account)
        one("select leadstream.create_team('Sales')")
        one("select leadstream.create_stream('Forms', %s, '{Sales}')", (f"exists(form_submit where form = 'form {ACCOUNTS.index(account)}')",))
        one("select leadstream.enable('Forms')")
equal(set(on_all_servers("the setting", lambda c: one("select current_setting('leadstream.account', true)", None, c) or "")), {""},
      "is gone with its transaction")
fails(db, lambda: one("select leadstream.create_team('Sales')"), "without an account", sqlstate="55000",
      message_hint="Name the account to work in: set leadstream.account = '…';")
with db.transaction():
    db.execute("set local leadstream.account = '7'")
    fails(db, lambda: one("select leadstream.create_team('Sales')"), "a name that is there in the account", sqlstate="42710")
    equal(one("select current_setting('leadstream.account')"), "7", "and is kept over an error behind a savepoint")
with db.transaction(force_rollback=True):
    enter("11")
    one("select leadstream.create_team('Gone')")
equal(set(on_all_servers("a rollback", lambda c: one("select current_setting('leadstream.account', true)", None, c) or "")), {""},
      "takes the setting along")
equal(db.execute("select account, team from leadstream.team order by 1, 2").fetchall(),
      [(account, "Sales") for account in sorted(ACCOUNTS)], "teams of accounts")

# --------------------------------------------------------------------------
# Many clients on few connections: no account sees another's
# --------------------------------------------------------------------------

expected = Counter()
by_hand = Counter()
wrong = []
lock = threading.Lock()


def client(number):
    chance = random.Random(number)
    connection = connect()
    for i in range(15):
        n = chance.randrange(len(ACCOUNTS))
        account = ACCOUNTS[n]
        form = f"form {chance.randrange(len(ACCOUNTS))}"
        leaves = chance.random() < 0.2
        manual = chance.random() < 0.3
        try:
            with connection.transaction(force_rollback=leaves):
                # rows are judged by the contact's account, whatever the setting says
                if chance.random() < 0.5:
                    enter(ACCOUNTS[chance.randrange(len(ACCOUNTS))], connection)
                who = one("insert into contact (account_id, name) values (%s, %s) returning contact_id", (account, f"{number}.{i}"), connection)
                one("insert into form_submit (contact_id, form) values (%s, %s) returning form_id", (who, form), connection)
                enter(account, connection)
                if manual:
                    lead = one("select leadstream.create_lead(%s, 'Sales')", (who,), connection)
                    one("select leadstream.move(%s, 'SQL')", (lead,), connection)
            if not leaves:
                with lock:
                    expected[account] += form == f"form {n}" or manual
                    by_hand[account] += manual
        except Exception as error:
            wrong.append(repr(error))
    connection.close()


threads = [threading.Thread(target=client, args=(n,)) for n in range(24)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
equal(wrong, [], "24 clients on three connections")
equal(dict(db.execute("select account, count(*) from leadstream.leads group by 1").fetchall()), dict(expected), "make the leads of each account")
equal(dict(db.execute("select account, count(*) from leadstream.leads where stage = 'SQL' group by 1").fetchall()), dict(by_hand),
      "and move their own")
equal(one("select count(*) from leadstream.leads l join contact c on c.contact_id = l.contact_id where c.account_id <> l.account"), 0,
      "no lead in another account")
equal(one("select count(*) > 20 from leadstream.leads"), True, "leads were made")

for account in ACCOUNTS:
    with db.transaction():
        enter(account)
        feed = db.execute("select account, lead_id from leadstream.leads_since()").fetchall()
    equal({row[0] for row in feed}, {account}, "the feed of an account is its own")
    equal(len({row[1] for row in feed}), expected[account], "and has all its leads")

# --------------------------------------------------------------------------
# What one connection changes, all the others heed
# --------------------------------------------------------------------------


def judge(connection):
    """Does a new contact's form make a lead?"""
    who = one("insert into contact (account_id) values ('7') returning contact_id", None, connection)
    for form in ("form 0", "another"):
        one("insert into form_submit (contact_id, form) values (%s, %s) returning 1", (who, form), connection)
    return one("select count(*) from leadstream.leads where contact_id = %s", (who,), connection)


def alter(rule, enabled):
    with db.transaction():
        db.execute("set local leadstream.account = '7'")
        if rule:
            one("select leadstream.alter_stream('Forms', rule => %s)", (rule,))
        one(f"select leadstream.{'enable' if enabled else 'disable'}('Forms')")


equal(on_all_servers("a stream", judge), [1] * SERVERS, "is heeded by all")
alter("exists(form_submit where form = 'a third')", True)
equal(on_all_servers("another rule", judge), [0] * SERVERS, "is heeded by all")
alter("exists(form_submit where form = 'another')", True)
equal(on_all_servers("a third rule", judge), [1] * SERVERS, "is heeded by all")
alter(None, False)
equal(on_all_servers("a stream switched off", judge), [0] * SERVERS, "is heeded by all")

# --------------------------------------------------------------------------
# Who else has the board open: errors, cursors, copy
# --------------------------------------------------------------------------

with db.transaction():
    enter("11")
    fails(db, lambda: one("select leadstream.clear('Forms')"), "clear of what is enabled", sqlstate="55000",
          message_hint="Disable it first: select leadstream.disable('Forms');")
with db.transaction(), db.cursor(name="board") as cursor:
    cursor.execute("select lead_id from leadstream.board where account = '11' order by lead_id")
    equal(len(cursor.fetchmany(3)), 3, "a cursor lasts as long as its transaction")
with db.cursor().copy("copy (select lead_id, stage from leadstream.leads where account = '11') to stdout (format binary)") as copy:
    copy.set_types(["int8", "text"])
    equal(len(list(copy.rows())), expected["11"], "leads by binary copy")
db.close()
print("done")
