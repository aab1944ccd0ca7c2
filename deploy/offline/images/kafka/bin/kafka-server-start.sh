#!/bin/bash
: "${KAFKA_HEAP_OPTS:=-Xmx1G -Xms1G}" "${KAFKA_LOG4J_OPTS:=-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml}"
[ -n "${KAFKA_JVM_PERFORMANCE_OPTS+set}" ] || KAFKA_JVM_PERFORMANCE_OPTS="-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true"
export KAFKA_HEAP_OPTS KAFKA_LOG4J_OPTS KAFKA_JVM_PERFORMANCE_OPTS
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
