import os

if os.environ.get("RAPPORT_TEST_BROKER") != "kafka":
    collect_ignore_glob = ["test_*.py"]
