pytest_plugins = [
    "tests.fixtures.api",
    "tests.fixtures.broker",
    "tests.fixtures.clickhouse",
    "tests.fixtures.demo",
    "tests.fixtures.redis_server",
    "tests.fixtures.store",
]
