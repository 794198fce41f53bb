"""What run_client() in ClientWorld.pm reads: what was looked at, and how it was."""


def ok(good, what):
    print(f"{'ok' if good else 'not ok'} - {what}")
    return good


def equal(got, expected, what):
    # 1 == True in Python, but not to whom a driver gives it
    if not ok(got == expected and type(got) is type(expected), what):
        print(f"#      got: {got!r}\n# expected: {expected!r}")


def fails(connection, run, what, **expected):
    """The error that run() ends with, as psycopg shows it; the transaction is rolled back."""
    try:
        with connection.transaction():
            run()
    except Exception as error:
        diag = error.diag
        for name, value in expected.items():
            equal(getattr(diag, name), value, f"{what}: {name}")
        return error
    ok(False, f"{what}: no error")
