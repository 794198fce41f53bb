"""What SQLAlchemy, and BI tools on top of it, find in the schema leadstream."""

import os
import warnings

import sqlalchemy
from sqlalchemy import MetaData, Table, create_engine, inspect, select, types

from tap import equal, ok

# What cannot be reflected is a warning, and a column without a type
warnings.simplefilter("error", sqlalchemy.exc.SAWarning)

PLAIN = (types.BigInteger, types.Integer, types.Text, types.String, types.Boolean, types.DateTime, types.Date, types.Numeric, types.Float)

engine = create_engine(f"postgresql+psycopg2://{os.environ['PGUSER']}:{os.environ['PGPASSWORD']}"
                       f"@{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}")
inspector = inspect(engine)
views = sorted(name for name in inspector.get_view_names("leadstream") if not name.startswith("_"))
ok(set(views) >= {"board", "leads", "matches", "streams", "fields"}, "the views are there")
meta = MetaData(schema="leadstream")
bad, silent, broken = [], [], []
with engine.connect() as db:
    for name in views:
        view = Table(name, meta, autoload_with=engine)
        for column in view.columns:
            if not isinstance(column.type, PLAIN):
                bad.append(f"{name}.{column.name} {column.type}")
            if not column.comment:
                silent.append(f"{name}.{column.name}")
        if not inspector.get_table_comment(name, "leadstream")["text"]:
            silent.append(name)
        if "select" not in inspector.get_view_definition(name, "leadstream").lower():
            broken.append(name)
        result = db.execute(select(view).limit(2))
        if list(result.keys()) != [column.name for column in view.columns]:
            broken.append(name)
equal(bad, [], "columns of views are of plain types")
equal(silent, [], "views and their columns have comments")
equal(broken, [], "views can be read by what was reflected")

board, leads = meta.tables["leadstream.board"], meta.tables["leadstream.leads"]
with engine.begin() as db:
    contact = Table("contact", MetaData(), autoload_with=engine)
    form = Table("form_submit", MetaData(), autoload_with=engine)
    db.execute(sqlalchemy.text("select leadstream.create_team('Alchemy')"))
    db.execute(sqlalchemy.text("select leadstream.create_stream(:name, :rule, :teams)"),
               dict(name="Alchemy", rule="exists(form_submit where form = 'Gold')", teams=["Alchemy"]))
    db.execute(sqlalchemy.text("select leadstream.enable('Alchemy')"))
    who = db.execute(contact.insert().values(name="Al", lead_score=5).returning(contact.c.contact_id)).scalar_one()
    db.execute(form.insert(), [dict(contact_id=who, form="Gold"), dict(contact_id=who, form="Lead")])
with engine.connect() as db:
    rows = db.execute(select(board.c.name, board.c.team, board.c.streams, contact.c.lead_score)
                      .join(contact, contact.c.contact_id == sqlalchemy.cast(board.c.contact_id, sqlalchemy.BigInteger))
                      .where(board.c.team == "Alchemy")).all()
    equal([tuple(row) for row in rows], [("Al", "Alchemy", "Alchemy", 5)], "the board joined with the contacts")
    equal(db.execute(select(sqlalchemy.func.count()).select_from(leads).where(leads.c.team == "Alchemy", leads.c.is_closed.is_(False))).scalar_one(),
          1, "leads counted")
    # a function that returns rows, as a table
    explain = sqlalchemy.func.leadstream.explain("Alchemy", who).table_valued("depth", "is_true", "line")
    lines = db.execute(select(explain.c.is_true, explain.c.line).where(explain.c.depth == 0)).all()
    ok(len(lines) >= 1 and lines[0].is_true, "explain as a table")

# Foreign keys and the key of the lead tables, for who maps them to objects
equal(inspector.get_pk_constraint("lead", "leadstream")["constrained_columns"], ["lead_id"], "the key of the lead table")
ok(any(key["referred_table"] == "contact" for key in inspector.get_foreign_keys("lead", "leadstream")), "leads refer to contacts")
try:
    with engine.begin() as db:
        db.execute(sqlalchemy.text("select leadstream.enable('no such stream')"))
    ok(False, "an error")
except sqlalchemy.exc.DBAPIError as error:
    equal(error.orig.pgcode, "42704", "an error: SQLSTATE")
    ok("Alchemy" in (error.orig.diag.message_hint or ""), "an error: hint")
engine.dispose()
print("done")
