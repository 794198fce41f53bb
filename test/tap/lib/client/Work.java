// An application in Java: from the form that somebody sends to the lead that is won.
//
//   java -cp postgresql.jar Work.java

import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.util.PGBinaryObject;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Work {
  static final String DEMO = "country in ('SE', 'NO') and exists(form_submit where form = 'Request a demo')";
  static String url;
  static Connection db;

  // What run_client() in ClientWorld.pm reads
  static boolean ok(boolean good, String what) {
    System.out.println((good ? "ok" : "not ok") + " - " + what);
    return good;
  }

  static void equal(Object got, Object expected, String what) {
    if (!ok(Objects.equals(got, expected), what)) {
      System.out.println("#      got: " + got + "\n# expected: " + expected);
    }
  }

  /** A rule as a driver's type: by its text, and in binary, a version byte before it. */
  public static class Rule extends PGobject implements PGBinaryObject {
    boolean wasBinary;

    public Rule() {
      setType("leadstream.rule");
    }

    static Rule of(String text) throws SQLException {
      Rule rule = new Rule();
      rule.setValue(text);
      return rule;
    }

    @Override public void setByteValue(byte[] bytes, int offset) throws SQLException {
      if (bytes[offset] != 1) throw new SQLException("version " + bytes[offset]);
      setValue(new String(bytes, offset + 1, bytes.length - offset - 1, StandardCharsets.UTF_8));
      wasBinary = true;
    }

    @Override public int lengthInBytes() {
      return 1 + getValue().getBytes(StandardCharsets.UTF_8).length;
    }

    @Override public void toBytes(byte[] bytes, int offset) {
      byte[] text = getValue().getBytes(StandardCharsets.UTF_8);
      bytes[offset] = 1;
      System.arraycopy(text, 0, bytes, offset + 1, text.length);
    }
  }

  static PreparedStatement prepare(Connection c, String sql, Object... values) throws SQLException {
    PreparedStatement statement = c.prepareStatement(sql);
    set(statement, values);
    return statement;
  }

  static void set(PreparedStatement statement, Object... values) throws SQLException {
    for (int i = 0; i < values.length; i++) statement.setObject(i + 1, values[i]);
  }

  static Object one(PreparedStatement statement) throws SQLException {
    try (ResultSet result = statement.executeQuery()) {
      return result.next() ? result.getObject(1) : null;
    }
  }

  static Object one(String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = prepare(db, sql, values)) {
      return one(statement);
    }
  }

  static List<List<Object>> rows(String sql, Object... values) throws SQLException {
    List<List<Object>> rows = new ArrayList<>();
    try (PreparedStatement statement = prepare(db, sql, values); ResultSet result = statement.executeQuery()) {
      while (result.next()) {
        List<Object> row = new ArrayList<>();
        for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) row.add(result.getObject(i));
        rows.add(row);
      }
    }
    return rows;
  }

  static void execute(String sql, Object... values) throws SQLException {
    try (PreparedStatement statement = prepare(db, sql, values)) {
      statement.execute();
    }
  }

  static long contact(String name, String country) throws SQLException {
    return (Long) one("insert into contact (name, country, email) values (?, ?, ?) returning contact_id",
        name, country, name.toLowerCase() + "@example.org");
  }

  static void sendForm(long who, String form) throws SQLException {
    execute("insert into form_submit (contact_id, form) values (?, ?)", who, form);
  }

  static long leadsOf(long who) throws SQLException {
    return (Long) one("select count(*) from leadstream.leads where contact_id = ?", who);
  }

  static Array texts(String... values) throws SQLException {
    return db.createArrayOf("text", values);
  }

  static PGobject json(String value) throws SQLException {
    PGobject json = new PGobject();
    json.setType("jsonb");
    json.setValue(value);
    return json;
  }

  static ServerErrorMessage fails(String what, String state, String sql, Object... values) {
    try {
      execute(sql, values);
      ok(false, what + ": no error");
    } catch (SQLException e) {
      equal(e.getSQLState(), state, what + ": SQLSTATE");
      if (e instanceof PSQLException) return ((PSQLException) e).getServerErrorMessage();
    }
    return new ServerErrorMessage("");
  }

  static void elsewhere(String sql) throws SQLException {
    try (Connection other = DriverManager.getConnection(url); Statement statement = other.createStatement()) {
      statement.execute(sql);
    }
  }

  public static void main(String[] args) throws Exception {
    url = String.format("jdbc:postgresql://%s:%s/%s?user=%s&password=%s", System.getenv("PGHOST"), System.getenv("PGPORT"),
        System.getenv("PGDATABASE"), System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
    db = DriverManager.getConnection(url);
    leads();
    rules();
    keys();
    prepared();
    errors();
    metaData();
    feed();
    work();
    db.close();
    System.out.println("done");
  }

  static long jo;
  static long lead;

  // A lead commits and rolls back with its cause.
  static void leads() throws SQLException {
    execute("select leadstream.create_team(?)", "Java");
    equal(one("select leadstream.create_stream(?, ?::leadstream.rule, ?, ?)", "Java demo", DEMO, texts("Java"), "it's \"quoted\" – ünïcödé ?").getClass(),
        Integer.class, "create_stream returns an Integer");
    execute("select leadstream.enable(?)", "Java demo");
    jo = contact("Jo", "SE");
    db.setAutoCommit(false);
    sendForm(jo, "Request a demo");
    equal(leadsOf(jo), 1L, "the lead is there at once");
    db.rollback();
    equal(leadsOf(jo), 0L, "and goes with its transaction");
    sendForm(jo, "Request a demo");
    db.commit();
    db.setAutoCommit(true);
    equal(rows("select name, team, stage, streams, assigned_to, email from leadstream.board where contact_id = ?", jo),
        List.of(Arrays.asList("Jo", "Java", "MQL", "Java demo", null, "jo@example.org")), "the board");
    lead = (Long) one("select lead_id from leadstream.board where contact_id = ?", jo);
    try (PreparedStatement statement = prepare(db, "select created_at from leadstream.board where lead_id = ?", lead);
        ResultSet result = statement.executeQuery()) {
      result.next();
      ok(result.getObject(1, OffsetDateTime.class).isAfter(OffsetDateTime.now().minusMinutes(10)), "created_at is an instant");
    }
    long[] three = {contact("Jane", "SE"), contact("Jean", "DK"), contact("Jon", "NO")};
    try (PreparedStatement statement = db.prepareStatement("insert into form_submit (contact_id, form) values (?, ?)")) {
      for (long who : three) {
        set(statement, who, "Request a demo");
        statement.addBatch();
      }
      statement.executeBatch();
    }
    equal(List.of(leadsOf(three[0]), leadsOf(three[1]), leadsOf(three[2])), List.of(1L, 0L, 1L), "a batch makes leads");
  }

  // The type rule: text, binary, JSON.
  static void rules() throws SQLException {
    Object rule = one("select ?::leadstream.rule", "COUNTRY='SE'");
    equal(rule.toString(), "country = 'SE'", "a rule comes as its text");
    Properties properties = new Properties();
    long oid = (Long) one("select 'leadstream.rule'::regtype::oid");
    properties.setProperty("binaryTransferEnable", String.valueOf(oid));
    properties.setProperty("prepareThreshold", "-1");   // binary from the first time on
    try (Connection binary = DriverManager.getConnection(url, properties)) {
      // the driver has its own names for a type that is not on the search path
      for (String name : List.of("rule", "\"leadstream\".\"rule\"")) {
        binary.unwrap(PGConnection.class).addDataType(name, Rule.class);
      }
      try (PreparedStatement statement = prepare(binary, "select ?", Rule.of("country  =  'SÉ'"))) {
        Rule back = (Rule) one(statement);
        equal(back.getValue(), "country = 'SÉ'", "a rule in binary, there and back");
        ok(back.wasBinary, "which was binary");
      }
      try (PreparedStatement statement = prepare(binary, "select leadstream.is_match(?, ?)", Rule.of(DEMO), jo)) {
        equal(one(statement), true, "is_match of a rule in binary");
      }
      try (PreparedStatement statement = prepare(binary, "select rule from leadstream.stream where stream = ?", "Java demo")) {
        Rule stored = (Rule) one(statement);
        ok(stored.wasBinary && stored.getValue().equals(DEMO), "the rule of a stream in binary");
      }
      try (PreparedStatement statement = prepare(binary, "select matched_at, lead_id, rule_version from leadstream.matches where lead_id = ?", lead);
          ResultSet result = statement.executeQuery()) {
        result.next();
        ok(result.getObject(1, OffsetDateTime.class).isAfter(OffsetDateTime.now().minusMinutes(10)), "matched_at in binary");
        equal(List.of(result.getLong(2), result.getInt(3)), List.of(lead, 1), "the match in binary");
      }
      try (PreparedStatement statement = prepare(binary, "select ?", Rule.of(" and"))) {
        one(statement);
        ok(false, "a bad rule in binary: no error");
      } catch (PSQLException e) {
        equal(e.getSQLState(), "42601", "a bad rule in binary: SQLSTATE");
      }
    }

    String tree = one("select rule::jsonb from leadstream.stream where stream = ?", "Java demo").toString();
    ok(tree.contains("\"combinator\": \"and\""), "a rule as JSON");
    equal(one("select ?::leadstream.rule::text", json(tree)), DEMO, "and comes back as a parameter");
    execute("select leadstream.create_stream(?, ?::leadstream.rule, ?)", "Java json", json(tree), texts("Java"));
    equal(one("select rule::text from leadstream.stream where stream = 'Java json'"), DEMO, "a stream of a rule in JSON");
    equal(fails("a mistake in the JSON", "22023", "select ?::leadstream.rule",
        json("{\"combinator\": \"and\", \"rules\": [{\"filed\": \"a\"}]}")).getDetail(), "At $.rules[0].", "a mistake in the JSON: detail");
  }

  // Keys, times, intervals, arrays: JDBC gives every parameter a type.
  static void keys() throws SQLException {
    for (Object key : new Object[] {jo, (int) jo, String.valueOf(jo), new java.math.BigDecimal(jo)}) {
      String kind = key.getClass().getSimpleName();
      equal(one("select leadstream.is_match(?::leadstream.rule, ?)", DEMO, key), true, "is_match with " + kind);
      equal(one("select leadstream.create_lead(?, ?)", key, "Java"), lead, "create_lead with " + kind);
      equal(one("select leadstream.move_contact(?, ?)", key, "MQL"), 0L, "move_contact with " + kind);
      equal(one("select count(*) > 1 from leadstream.explain(?, ?)", "Java demo", key), true, "explain with " + kind);
    }
    execute("select leadstream.alter_stream(?, requalify_after => ?)", "Java demo", new PGInterval("30 days"));
    equal(one("select requalify_after from leadstream.streams where stream = ?", "Java demo"), "30 days", "an interval of JDBC");
    equal(one("select leadstream.fetch_history(?)", texts("Java demo")), 1L, "fetch_history of an array finds whom README has");
    ok((Long) one("select count(*) from leadstream.simulate(?::leadstream.rule, ?, ?)", DEMO,
        OffsetDateTime.now().minusDays(1), OffsetDateTime.now().plusMinutes(1)) >= 1, "simulate between instants of Java");
    try (CallableStatement call = db.prepareCall("{? = call leadstream.create_lead(?, ?)}")) {
      call.registerOutParameter(1, Types.BIGINT);
      call.setLong(2, jo);
      call.setString(3, "Java");
      call.execute();
      equal(call.getLong(1), lead, "a function by the call escape");
    }
  }

  // Prepared statements outlive a change of the stream.
  static void prepared() throws SQLException {
    PreparedStatement insert = db.prepareStatement("insert into form_submit (contact_id, form) values (?, ?)");
    PreparedStatement board = db.prepareStatement("select streams from leadstream.board where contact_id = ?");
    for (int i = 0; i < 7; i++) {   // on the server from the fifth on; then a generic plan
      long who = contact("Jim" + i, "SE");
      set(insert, who, "Request a demo");
      insert.execute();
      set(board, who);
      equal(one(board), "Java demo", "a lead by a prepared statement");
    }
    ok(insert.unwrap(PGStatement.class).isUseServerPrepare(), "which is prepared on the server");
    elsewhere("select leadstream.alter_stream('Java demo', rule => 'exists(form_submit where form = ''Call me'')')");
    long who = contact("Jan", "DK");
    set(board, who);
    set(insert, who, "Request a demo");
    insert.execute();
    equal(one(board), null, "the old rule is heeded no more");
    set(insert, who, "Call me");
    insert.execute();
    equal(one(board), "Java demo", "the new one is");
    elsewhere("select leadstream.create_team('Java two'); select leadstream.alter_stream('Java demo', teams => '{Java,Java two}')");
    who = contact("Jill", "DK");
    set(insert, who, "Call me");
    insert.execute();
    equal(leadsOf(who), 2L, "a team more, and the prepared insert makes a lead more");
    elsewhere("select leadstream.disable('Java demo')");
    who = contact("Joy", "DK");
    set(insert, who, "Call me");
    insert.execute();
    equal(leadsOf(who), 0L, "none once the stream is disabled");
    elsewhere("select leadstream.enable('Java demo')");
    insert.close();
    board.close();
  }

  // Errors and notices as the driver shows them.
  static void errors() throws SQLException {
    String create = "select leadstream.create_stream(?, ?::leadstream.rule)";
    ok(fails("an unknown field", "42703", create, "Java bad", "countri = 'SE'").getHint()
        .startsWith("Perhaps you meant country. Fields of contact: contact_id, email, "), "an unknown field: hint");
    equal(fails("a syntax error", "42601", create, "Java bad", "country = = 'SE'").getMessage(),
        "syntax error in rule at or near \"=\"", "a syntax error: message");
    equal(fails("clear of what is enabled", "55000", "select leadstream.clear(?)", "Java demo").getHint(),
        "Disable it first: select leadstream.disable('Java demo');", "clear of what is enabled: hint");
    fails("no such lead", "P0002", "select leadstream.move(?, ?)", 1000000000000L, "Won");
    try (PreparedStatement move = prepare(db, "select leadstream.move(?, ?)", lead, "MQL")) {
      move.execute();
      SQLWarning warning = move.getWarnings();
      equal(warning == null ? null : warning.getSQLState(), "00000", "there already is a warning");
    }
    // a mistake between two good statements of a transaction, behind a savepoint
    db.setAutoCommit(false);
    long who = contact("June", "DK");
    var savepoint = db.setSavepoint();
    fails("a mistake behind a savepoint", "42704", "select leadstream.enable(?)", "no such stream");
    db.rollback(savepoint);
    sendForm(who, "Call me");
    db.commit();
    db.setAutoCommit(true);
    equal(leadsOf(who), 2L, "does not keep the transaction from its leads");
  }

  // What tools that draw tables ask for.
  static void metaData() throws SQLException {
    try (ResultSet columns = db.getMetaData().getColumns(null, "leadstream", "board", null)) {
      List<String> names = new ArrayList<>();
      List<String> bad = new ArrayList<>();
      while (columns.next()) {
        String name = columns.getString("COLUMN_NAME");
        names.add(name);
        switch (columns.getInt("DATA_TYPE")) {
          case Types.BIGINT, Types.INTEGER, Types.VARCHAR, Types.BIT, Types.BOOLEAN, Types.TIMESTAMP,
              Types.TIMESTAMP_WITH_TIMEZONE, Types.DATE, Types.NUMERIC, Types.DOUBLE -> { }
          default -> bad.add(name + " " + columns.getString("TYPE_NAME"));
        }
        if (columns.getString("REMARKS") == null) bad.add(name + " has no remark");
      }
      ok(names.containsAll(List.of("lead_id", "team", "stage", "name", "company", "streams")), "the columns of the board");
      equal(bad, List.of(), "are of plain types, with remarks");
    }
    try (ResultSet functions = db.getMetaData().getFunctions(null, "leadstream", "create_stream")) {
      ok(functions.next() && functions.getString("REMARKS") != null, "functions have remarks");
    }
  }

  // Each lead once, page by page.
  static void feed() throws SQLException {
    String cursor = null;
    List<Object> fed = new ArrayList<>();
    for (;;) {
      List<List<Object>> page = rows("select lead_id, cursor from leadstream.leads_since(?, ?)", cursor, 3);
      if (page.isEmpty()) break;
      for (List<Object> row : page) fed.add(row.get(0));
      cursor = (String) page.get(page.size() - 1).get(1);
    }
    List<Object> all = new ArrayList<>();
    for (List<Object> row : rows("select lead_id from leadstream.leads")) all.add(row.get(0));
    fed.sort(null);
    all.sort(null);
    equal(fed, all, "the feed has each lead once");
    fails("a cursor that is none", "22P02", "select leadstream.leads_since(?)", "yesterday");
  }

  // The lead is worked until it is won.
  static void work() throws SQLException {
    execute("select leadstream.create_sales_user(?, email => ?)", "Žofie", "zofie@example.com");
    execute("select leadstream.add_member(?, ?)", "Java", "Žofie");
    execute("select leadstream.assign(?, ?)", lead, "Žofie");
    execute("select leadstream.add_note(?, ?)", lead, "Tuesday\n\tat ten; 100 %");
    execute("select leadstream.move(?, ?, ?)", lead, "Won", null);
    equal(rows("select what, old, new, note from leadstream.lead_event where lead_id = ? order by event_id offset 1", lead),
        List.of(Arrays.asList("assigned", null, "Žofie", null), Arrays.asList("note", null, null, "Tuesday\n\tat ten; 100 %"),
            Arrays.asList("stage", "MQL", "Won", null)), "what happened to the lead");
    equal(one("select streams from leadstream.board where lead_id = ?", lead), null, "a lead that is won leaves the board");
  }
}
