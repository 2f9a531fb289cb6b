pytest_plugins = ["tests.fixtures.broker", "tests.fixtures.clickhouse", "tests.fixtures.store"]
