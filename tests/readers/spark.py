#!/usr/bin/env python3
"""Maintains a lake's Delta table with Spark between runs: OPTIMIZE, VACUUM, RESTORE.

    .venv/bin/pip install -r tests/readers/requirements-spark.txt
    .venv/bin/python tests/readers/spark.py LAKE/processed_data/users LAKE/processed_data/output.csv [optimize] [vacuum] [restore VERSION]

The rows that Spark reads are compared with the CSV before the first operation and after each operation that does not change them; a restored
version is compared with an earlier read of that version. Exit status 0 if they are equal, 1 otherwise. Suspend all runs before the start.
"""

import sys

from delta import DeltaTable, configure_spark_with_delta_pip
from pyspark.sql import SparkSession

from check import COLUMNS, check, expected_rows


def rows(spark, table, version=None):
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return [tuple(row) for row in reader.load(table).select(COLUMNS).collect()]


def main():
    table, output, *operations = sys.argv[1:]
    builder = (
        SparkSession.builder.master("local[2]")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        # The log of a small table does not need fifty tasks.
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.databricks.delta.snapshotPartitions", "2")
    )
    spark = configure_spark_with_delta_pip(builder).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    expected = expected_rows(output)
    is_equal = check("Spark", [("rows", rows(spark, table), expected)])
    opened = DeltaTable.forPath(spark, table)
    while operations:
        operation = operations.pop(0)
        if operation == "optimize":
            opened.optimize().executeCompaction()
        elif operation == "vacuum":
            opened.vacuum()
        elif operation == "restore":
            version = int(operations.pop(0))
            expected = rows(spark, table, version)
            opened.restoreToVersion(version)
        else:
            raise SystemExit(f"no such operation: {operation}")
        is_equal &= check(f"Spark after {operation}", [("rows", rows(spark, table), expected)])
    spark.stop()
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
