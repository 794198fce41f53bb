"""An application in psycopg: from the form that somebody sends to the lead that is won."""

import datetime
import decimal
import threading

import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from psycopg.types.json import Jsonb

from tap import equal, fails, ok

DEMO = "country in ('SE', 'NO') and exists(form_submit where form = 'Request a demo')"

db = psycopg.connect(autocommit=True, row_factory=dict_row)
notices = []
db.add_notice_handler(lambda diag: notices.append((diag.sqlstate, diag.message_primary)))


def one(sql, params=None, **how):
    row = db.execute(sql, params, **how).fetchone()
    return next(iter(row.values())) if row else None


def contact(name, country="SE"):
    return one("insert into contact (name, country, email) values (%s, %s, %s) returning contact_id",
               (name, country, f"{name.lower()}@example.com"))


def send_form(who, form="Request a demo"):
    db.execute("insert into form_submit (contact_id, form) values (%s, %s)", (who, form))


def leads_of(who):
    return one("select count(*) from leadstream.leads where contact_id = %s", (who,))


# --------------------------------------------------------------------------
# A lead commits and rolls back with its cause
# --------------------------------------------------------------------------

one("select leadstream.create_team(%s)", ("Python",))
stream = one("select leadstream.create_stream(%s, %s, teams => %s, description => %s)",
             ("Py demo", DEMO, ["Python"], "it's \"quoted\" – ünïcödé %"))
equal(type(stream), int, "create_stream returns a number")
db.execute("select leadstream.enable(%s)", ("Py demo",))

pia = contact("Pia")
with db.transaction(force_rollback=True):
    send_form(pia)
    equal(leads_of(pia), 1, "the lead is there at once")
equal(leads_of(pia), 0, "and goes with its transaction")
with db.transaction():
    send_form(pia)
row = db.execute("select * from leadstream.board where contact_id = %s", (pia,)).fetchone()
lead = row["lead_id"]
equal([row[c] for c in ("name", "team", "stage", "streams", "assigned_to", "email")],
      ["Pia", "Python", "MQL", "Py demo", None, "pia@example.com"], "the board")
equal(type(lead), int, "lead_id is a number")
ok(abs(datetime.datetime.now(datetime.timezone.utc) - row["created_at"]) < datetime.timedelta(minutes=10),
   "created_at is an instant with a zone")
match = db.execute("select stream, origin, rule_version, matched_at, evidence from leadstream.matches where lead_id = %s",
                   (lead,), binary=True).fetchone()
equal((match["stream"], match["origin"], match["rule_version"]), ("Py demo", "live", 1), "the match, in binary")
equal(match["matched_at"].tzinfo is not None, True, "matched_at in binary")

pal = contact("Pål")
with db.cursor().copy("copy form_submit (contact_id, form) from stdin") as copy:
    for who in (pia, pal, pia):
        copy.write_row((who, "Request a demo"))
equal((leads_of(pia), leads_of(pal)), (1, 1), "rows that come by copy")

# --------------------------------------------------------------------------
# The type rule: text, binary, JSON
# --------------------------------------------------------------------------

canonical = one("select %s::leadstream.rule", ("COUNTRY='SE'",))
equal(canonical, "country = 'SE'", "a rule comes as its text")
info = TypeInfo.fetch(db, "leadstream.rule")


class Rule(str):
    pass


class RuleDumper(Dumper):
    format = Format.BINARY
    oid = info.oid

    def dump(self, value):
        return b"\x01" + value.encode()


class RuleLoader(Loader):
    format = Format.BINARY

    def load(self, data):
        data = bytes(data)
        assert data[:1] == b"\x01", data
        return Rule(data[1:].decode())


db.adapters.register_dumper(Rule, RuleDumper)
db.adapters.register_loader(info.oid, RuleLoader)
equal(one("select %b", (Rule("country  =  'SÉ'"),), binary=True), Rule("country = 'SÉ'"), "a rule in binary, there and back")
equal(one("select leadstream.check_rule(%b)", (Rule("exists(form_submit)"),)), "", "a function of a rule in binary")
with db.cursor().copy("copy (select stream, rule from leadstream.stream where stream = 'Py demo') to stdout (format binary)") as copy:
    copy.set_types(["text", info.oid])
    equal(list(copy.rows()), [("Py demo", Rule(DEMO))], "rules out by binary copy")
db.execute("create temporary table kept (rule leadstream.rule)")
with db.cursor().copy("copy kept from stdin (format binary)") as copy:
    copy.set_types([info.oid])
    copy.write_row((Rule(DEMO),))
equal(one("select rule operator(leadstream.=) %b from kept", (Rule(DEMO),)), True, "rules in by binary copy are equal")
fails(db, lambda: db.execute("select %b", (type("Bad", (Rule,), {})(" and"),)), "a bad rule in binary",
      sqlstate="42601", message_primary='syntax error in rule at or near "and"')

tree = one("select rule::jsonb from leadstream.stream where stream = %s", ("Py demo",))
equal(tree["combinator"], "and", "a rule as JSON is a dict")
equal(one("select %s::leadstream.rule::text", (Jsonb(tree),)), DEMO, "and comes back as a parameter")
db.execute("select leadstream.create_stream(%s, %s::leadstream.rule, %s)", ("Py json", Jsonb(tree), ["Python"]))
equal(one("select rule::text from leadstream.stream where stream = 'Py json'"), DEMO, "a stream of a rule in JSON")
fails(db, lambda: one("select %s::leadstream.rule", (Jsonb({"combinator": "and", "rules": [{"filed": "a"}]}),)),
      "a mistake in the JSON", sqlstate="22023", message_detail="At $.rules[0].")
fields = one("select leadstream.builder_fields()")
ok(isinstance(fields, list) and any(f["name"] == "country" for f in fields), "the fields of a rule builder are a list")

# --------------------------------------------------------------------------
# Keys, times, intervals, arrays as drivers send them
# --------------------------------------------------------------------------

# A number of Python is sent as the smallest type that holds it, a text without a type.
for key, kind in ((pia, "a number"), (str(pia), "a text"), (decimal.Decimal(pia), "a numeric")):
    equal(one("select leadstream.is_match(%s::leadstream.rule, %s)", (DEMO, key)), True, f"is_match with {kind}")
    equal(one("select leadstream.create_lead(%s, %s)", (key, "Python")), lead, f"create_lead with {kind}")
    equal(one("select leadstream.move_contact(%s, %s)", (key, "MQL")), 0, f"move_contact with {kind}")
    equal(one("select count(*) > 1 from leadstream.explain(%s::leadstream.rule, %s)", (DEMO, key)), True, f"explain with {kind}")
equal(one("select leadstream.is_match(%b, %b)", (Rule(DEMO), pia)), True, "is_match all in binary")
db.execute("select leadstream.alter_stream(%s, requalify_after => %s)", ("Py demo", datetime.timedelta(days=30)))
equal(one("select requalify_after from leadstream.streams where stream = %s", ("Py demo",)), "30 days", "an interval of Python")
equal(one("select leadstream.fetch_history(%s::text[])", (["Py demo"],)), 1, "fetch_history of a list finds whom README has")
now = datetime.datetime.now(datetime.timezone.utc)
ok(one("select count(*) from leadstream.simulate(%s::leadstream.rule, %s, %s)",
       (DEMO, now - datetime.timedelta(days=1), now + datetime.timedelta(minutes=1))) >= 1, "simulate between instants of Python")

# --------------------------------------------------------------------------
# Prepared statements outlive a change of the stream
# --------------------------------------------------------------------------

INSERT = "insert into form_submit (contact_id, form) values (%s, %s) returning form_id"
BOARD = "select streams from leadstream.board where contact_id = %s"
for i in range(3):
    pet = contact(f"Pet{i}")
    db.execute(INSERT, (pet, "Request a demo"), prepare=True)
    equal(one(BOARD, (pet,), prepare=True), "Py demo", "a lead by a prepared statement")
ok(one("select count(*) from pg_prepared_statements") >= 2, "which are prepared on the server")
with psycopg.connect(autocommit=True) as other:
    other.execute("select leadstream.alter_stream(%s, rule => %s)", ("Py demo", "exists(form_submit where form = 'Call me')"))
pet = contact("Pet4", "DK")
db.execute(INSERT, (pet, "Request a demo"), prepare=True)
equal(one(BOARD, (pet,), prepare=True), None, "the old rule is heeded no more")
db.execute(INSERT, (pet, "Call me"), prepare=True)
equal(one(BOARD, (pet,), prepare=True), "Py demo", "the new one is")
with psycopg.connect(autocommit=True) as other:
    other.execute("select leadstream.create_team('Python two')")
    other.execute("select leadstream.alter_stream(%s, teams => %s)", ("Py demo", ["Python", "Python two"]))
pet = contact("Pet5")
db.execute(INSERT, (pet, "Call me"), prepare=True)
equal(leads_of(pet), 2, "a team more, and the prepared insert makes a lead more")
with psycopg.connect(autocommit=True) as other:
    other.execute("select leadstream.disable('Py demo')")
pet = contact("Pet6")
db.execute(INSERT, (pet, "Call me"), prepare=True)
equal(leads_of(pet), 0, "none once the stream is disabled")
db.execute("select leadstream.enable('Py demo')")

# --------------------------------------------------------------------------
# Errors and notices as the driver shows them
# --------------------------------------------------------------------------

error = fails(db, lambda: db.execute("select leadstream.create_stream(%s, %s)", ("Py bad", "countri = 'SE'")),
              "an unknown field", sqlstate="42703", severity="ERROR")
ok(error.diag.message_hint.startswith("Perhaps you meant country. Fields of contact: contact_id, email, "), "an unknown field: hint")
ok(isinstance(error, psycopg.errors.UndefinedColumn), "is UndefinedColumn")
error = fails(db, lambda: db.execute("select leadstream.create_stream(%s, %s)", ("Py bad", "country = = 'SE'")),
              "a syntax error", sqlstate="42601", message_primary='syntax error in rule at or near "="')
ok(isinstance(error, psycopg.errors.SyntaxError), "is SyntaxError")
error = fails(db, lambda: db.execute("select leadstream.clear(%s)", ("Py demo",)),
              "clear of what is enabled", sqlstate="55000",
              message_hint="Disable it first: select leadstream.disable('Py demo');")
ok(isinstance(error, psycopg.errors.ObjectNotInPrerequisiteState), "is ObjectNotInPrerequisiteState")
fails(db, lambda: db.execute("select leadstream.attach_contacts('contact')"), "not the application's business", sqlstate="42501")
error = fails(db, lambda: db.execute("select leadstream.move(%s, %s)", (10**12, "Won")), "no such lead", sqlstate="P0002")
ok(isinstance(error, psycopg.errors.NoDataFound), "is NoDataFound")
notices.clear()
db.execute("select leadstream.move(%s, %s)", (lead, "MQL"))
equal([state for state, _ in notices], ["00000"], "there already is a notice")

# --------------------------------------------------------------------------
# Sixteen threads, one contact
# --------------------------------------------------------------------------

pet = contact("Pet7")


def send():
    with psycopg.connect() as connection:
        connection.execute("insert into form_submit (contact_id, form) values (%s, 'Call me')", (pet,))


threads = [threading.Thread(target=send) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
equal(leads_of(pet), 2, "sixteen threads make one lead for each team")

# --------------------------------------------------------------------------
# The feed
# --------------------------------------------------------------------------

cursor, fed = None, []
while page := db.execute("select * from leadstream.leads_since(%s, %s)", (cursor, 3), binary=True).fetchall():
    ok(len(page) <= 3, "a page of the feed")
    fed += [row["lead_id"] for row in page]
    cursor = page[-1]["cursor"]
equal(sorted(fed), [row["lead_id"] for row in db.execute("select lead_id from leadstream.leads order by lead_id")], "the feed has each lead once")
pet = contact("Pet8")
with psycopg.connect(autocommit=True) as listener:
    db.execute("select leadstream.alter_team('Python', notifies => true)")
    listener.execute("listen " + one("select leadstream.lead_channel('Python')"))
    with db.transaction():
        send_form(pet, "Call me")
        equal(db.execute("select * from leadstream.leads_since(%s)", (cursor,)).fetchall(), [], "what is not committed does not come")
    ids = sorted(row["lead_id"] for row in db.execute("select * from leadstream.leads_since(%s)", (cursor,)))
    equal(len(ids), 2, "what is committed comes")
    told = next(listener.notifies())
    listener.execute("unlisten *")
    ok(told.payload in map(str, ids), "who listens is told of his team's lead")
fails(db, lambda: db.execute("select leadstream.leads_since(%s)", ("yesterday",)), "a cursor that is none", sqlstate="22P02")

# --------------------------------------------------------------------------
# The lead is worked until it is won
# --------------------------------------------------------------------------

db.execute("select leadstream.create_sales_user(%s, email => %s)", ("Åsa", "asa@example.com"))
db.execute("select leadstream.add_member(%s, %s)", ("Python", "Åsa"))
with db.pipeline():
    db.execute("select leadstream.assign(%s, %s)", (lead, "Åsa"))
    db.execute("select leadstream.add_note(%s, %s)", (lead, "Tuesday\n\tat ten; 100 %"))
    db.execute("select leadstream.move(%s, %s, %s)", (lead, "Won", None))
equal(db.execute("select what, old, new, note from leadstream.lead_event where lead_id = %s order by event_id offset 1",
                 (lead,)).fetchall(),
      [dict(what="assigned", old=None, new="Åsa", note=None),
       dict(what="note", old=None, new=None, note="Tuesday\n\tat ten; 100 %"),
       dict(what="stage", old="MQL", new="Won", note=None)], "what happened to the lead, in one pipeline")
equal(one("select count(*) from leadstream.board where lead_id = %s", (lead,)), 0, "a lead that is won leaves the board")
with db.cursor(name="all_leads", withhold=True) as cursor:
    ok(len(cursor.execute("select * from leadstream.leads").fetchmany(3)) == 3, "a cursor on the server")
print("done")
