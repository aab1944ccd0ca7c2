#!/bin/bash
# kafka-run-class.sh CLASS ARGUMENTS...: takes the variables that Kafka's own script takes.
: "${KAFKA_HEAP_OPTS:=-Xmx256M}" "${KAFKA_LOG4J_OPTS:=-Dlog4j2.configurationFile=/etc/kafka/docker/tools-log4j2.yaml}"
[ -n "${KAFKA_JVM_PERFORMANCE_OPTS+set}" ] || KAFKA_JVM_PERFORMANCE_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Several options each.
# shellcheck disable=SC2086
exec java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS ${KAFKA_JMX_OPTS:-} $KAFKA_LOG4J_OPTS ${KAFKA_OPTS:-} \
  -cp "${CLASSPATH:+$CLASSPATH:}/opt/kafka/libs/*" "$@"
